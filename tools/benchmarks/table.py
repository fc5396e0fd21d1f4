"""All that people wait for, each beside its peer and the limit, in one run: the engine alone, or the libraries alone.

`tools.benchmarks` prints the table. With `--write` it becomes that of docs/performance.md, with its picture, and
what `--check` compares with: a ratio to the peer, else to the limit, or a size in memory, that is more than a tenth
worse fails.
"""

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed.engine import Engine
from testbed.sample import HEALTH_COMMAND, sample_image
from tools.benchmarks.deploy import CHAIN, IMAGE, REPOSITORY, chain, time_bot, time_compose
from tools.benchmarks.limit import time_limit
from tools.benchmarks.living import Life, live
from tools.benchmarks.picture import Bars, draw
from tools.benchmarks.processes import time_bare_start
from tools.benchmarks.services import independent, write_stack

SIZE = 50
DEPLOYMENTS = 50
TOLERANCE = 1.10
# What has no peer is a few tenths of a second, and so is its limit: two runs of one hour differed by this much.
TOLERANCE_ALONE = 1.6
RECORDED = Path(__file__).with_name("recorded.json")
PAGE = REPOSITORY / "docs" / "performance.md"
PICTURE = REPOSITORY / "docs" / "pictures" / "performance.svg"
BEGIN, END = "<!-- table of benchmarks: begin -->", "<!-- table of benchmarks: end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """Hold a figure of the bot, and that of its peer and of the limit where there are such."""

    name: str
    bot: float
    peer: float | None = None
    limit: float | None = None
    unit: str = "s"

    @property
    def ratio(self) -> float | None:
        """Return how much of the peer's the bot takes."""
        return None if not self.peer else self.bot / self.peer

    @property
    def compared(self) -> float | None:
        """Return what another run is compared with: seconds alone say more about the machine than about the bot."""
        if self.unit == "s" and not self.peer and self.limit:
            return self.bot / self.limit
        return self.bot if self.unit == "MiB" else self.ratio

    @property
    def tolerance(self) -> float:
        """Return by which factor another run may be worse."""
        return TOLERANCE if self.peer or self.unit == "MiB" else TOLERANCE_ALONE


@dataclass(frozen=True)
class Result:
    """Hold the rows of one run."""

    rows: Sequence[Row]

    def as_dict(self) -> Mapping[str, object]:
        """Return every figure."""
        return {"rows": [asdict(row) for row in self.rows]}

    def as_table(self) -> str:
        """Return the rows as a Markdown table."""
        lines = ["| What | Bot | `docker compose` | Ratio | The limit |", "|---|---|---|---|---|"]
        for row in self.rows:
            figures = (_text(row.bot, row.unit), _text(row.peer), _text(row.ratio, ""), _text(row.limit, row.unit))
            lines.append(f"| {row.name} | {' | '.join(figures)} |")
        return "\n".join(lines)

    def worse(self) -> dict[str, str]:
        """Return, by row, what is worse than recorded, in words. Raises RuntimeError where nothing usable is recorded.

        A row that was recorded has to be measured: under another name it would be compared with nothing.
        """
        now = {row.name: (row.compared, row.tolerance) for row in self.rows}
        found = {}
        for name, before in recorded_figures().items():
            figure, tolerance = now.get(name, (None, 1.0))
            if figure is None:
                found[name] = f"{name}: recorded {before:.2f}, not measured"
            elif figure > before * tolerance:
                found[name] = f"{name}: {figure:.2f}, recorded {before:.2f}"
        return found

    def write(self) -> None:
        """Record this run: for `--check`, and in the documentation."""
        known = {row.name: round(row.compared, 3) for row in self.rows if row.compared is not None}
        RECORDED.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{self.as_table()}\n\n{END}{after}", encoding="utf-8")
        bars = [Bars(row.name, row.bot, row.peer, row.limit) for row in self.rows if row.peer]
        PICTURE.write_text(draw(bars), encoding="utf-8")


def recorded_figures() -> dict[str, float]:
    """Return what `--write` recorded. Raises RuntimeError where that is nothing to compare with."""
    try:
        figures = json.loads(RECORDED.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        figures = None
    if not isinstance(figures, dict) or not figures or not all(map(_is_usable, figures.values())):
        raise RuntimeError(
            "Nothing usable is recorded: run `python -m tools.benchmarks --write` on a quiet machine first."
        )
    return figures


def _is_usable(figure: object) -> bool:
    return isinstance(figure, float | int) and math.isfinite(figure) and figure > 0


def measure(engine: Engine, folder: Path, runs: int) -> Result:
    """Let all sides take turns, each from an empty environment."""
    client = engine.client()
    try:
        sample_image(client, IMAGE)
    finally:
        client.close()
    services = independent(SIZE)
    before = {name: CHAIN[index - 1 : index] for index, name in enumerate(CHAIN)}
    turns = [
        _Turn("a chain of four", engine, folder / "chain", chain(), before),
        _Turn(f"{SIZE} services", engine, folder / "many", services, dict.fromkeys(services, ())),
    ]
    turns[0].bot(folder / "warm-up")  # the first run of an installation compiles its modules
    for _ in range(runs):
        for turn in turns:
            turn.take()
    return Result([row for turn in turns for row in turn.rows()] + _of_one_bot(engine, folder, turns[0]))


class _Turn:
    """Measure one stack by every side, in turns."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        folder: Path,
        services: Mapping[str, Mapping[str, object]],
        needs: Mapping[str, Sequence[str]],
    ) -> None:
        self._name, self._engine, self._folder = name, engine, folder
        self._services, self._needs = services, needs
        self._stack = write_stack(folder / "stack", services)
        self._has_network = any("network_mode" not in service for service in services.values())
        self._taken: dict[str, list[Sequence[float]]] = {}
        self._starts: list[tuple[float, float]] = []

    def bot(self, state: Path) -> list[float]:
        """Return what the command line takes."""
        return time_bot(self._engine, self._stack, state, 2)

    def take(self) -> None:
        """Let each side have its turn."""
        number = len(self._taken.get("bot", ()))
        sides: Mapping[str, Callable[[], Sequence[float]]] = {
            "peer": lambda: time_compose(self._engine, self._stack, 2),
            "bot": lambda: self._live(number),
            "limit": lambda: [time_limit(self._engine, IMAGE, HEALTH_COMMAND, self._needs, network=self._has_network)],
            "command": lambda: self.bot(self._folder / f"state-{number}"),
        }
        for side, measured in sides.items():
            self._taken.setdefault(side, []).append(measured())

    def _live(self, number: int) -> Sequence[float]:
        life = live(self._engine, self._folder / f"bot-{number}", self._services)
        self._starts.append((life.start_seconds, time_bare_start(self._folder / f"bare-{number}.log")))
        return life.deployments

    def start(self) -> Row:
        """Return the medians of the starts: of the bot, and of the libraries alone."""
        bot, bare = (statistics.median(seconds) for seconds in zip(*self._starts, strict=True))
        return Row("start to commands synced", bot, limit=bare)

    def rows(self) -> list[Row]:
        """Return the medians."""
        new, same = f"{self._name}, all new", f"{self._name}, nothing to change"
        peer, limit = self._median("peer", 0), self._median("limit", 0)
        return [
            Row(f"{new}: from the click", self._median("bot", 0), peer, limit),
            Row(f"{new}: `roas deploy`", self._median("command", 0), peer, limit),
            Row(f"{same}: from the click", self._median("bot", 1), self._median("peer", 1)),
            Row(f"{same}: `roas deploy`", self._median("command", 1), self._median("peer", 1)),
        ]

    def _median(self, side: str, number: int) -> float:
        return statistics.median(taken[number] for taken in self._taken[side])


def _of_one_bot(engine: Engine, folder: Path, turn: _Turn) -> list[Row]:
    """Return what one bot needs over its life, and how long it and the command line take to begin."""
    life: Life = live(engine, folder / "life", chain(), deployments=DEPLOYMENTS, whole=True)
    limits = life.limits
    return [
        *(Row(f"memory: {when}", size, limit=limits["memory"], unit="MiB") for when, size in life.memory.items()),
        turn.start(),
        Row("idle, four services", life.idle_percent, limit=limits["idle"], unit="% of a core"),
        Row("`roas status --json`", life.status_seconds, limit=limits["status"]),
    ]


def _text(figure: float | None, unit: str = "s") -> str:
    if figure is None:
        return "–"
    digits = 0 if unit == "MiB" else 2
    return f"{figure:.{digits}f} {unit}".strip()
