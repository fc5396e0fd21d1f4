"""Plant one defect after another, and see that the round which is about it turns red."""

import asyncio
import json
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tools.campaigns.crash.playing import Verdict
from tools.campaigns.hands.ground import Ground, opened_ground
from tools.campaigns.hands.playing import Played, clean, play
from tools.campaigns.hands.rounds import Hand, Kind, Moment, Round
from tools.campaigns.instrumented.gate import PLANT_VARIABLE
from tools.campaigns.instrumented.planted import PLANTING
from tools.campaigns.kept_rounds import code_version

ROUNDS = {
    "blind-to-hands": Round(Hand.COMPOSE_UP, Moment.IDLE, Kind.GOOD),
    "keeps-old-socket": Round(Hand.ENGINE_RESTART, Moment.IDLE, Kind.GOOD),
    "resumes-nothing": Round(Hand.POWER_CUT, Moment.MIDDLE, Kind.GOOD),
    "keeps-locks": Round(Hand.ROAS_CANCEL, Moment.EARLY, Kind.GOOD),
    "posts-once": Round(Hand.DISCORD_ERRORS, Moment.LATE, Kind.BAD),
    "recovers-nothing": Round(Hand.WEB_FAILS, Moment.IDLE, Kind.GOOD),
}
FILE_NAME = "plants.jsonl"


@dataclass(frozen=True, slots=True)
class Found:
    """Hold what became of one planted defect; a clean deployment alone may show it, too."""

    plant: str
    played: Played

    @property
    def is_red(self) -> bool:
        """Return whether the judge saw something wrong."""
        return self.played.verdict is Verdict.BROKEN


async def play_plants(results: Path, words: Collection[str] = ()) -> bool:
    """Play the round of each defect, or of those that are named; returns whether all were seen."""
    wanted = [name for name in PLANTING if not words or name in words]
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="roas-hands-plants-") as folder,
        opened_ground(Path(folder), plant=wanted[0], name="plants") as ground,
    ):
        await asyncio.to_thread(ground.save_images)
        for name in wanted:
            one = await _play(ground, name)
            found.append(one)
            _print(one, results)
    return all(item.is_red for item in found)


async def _play(ground: Ground, name: str) -> Found:
    wanted = ROUNDS[name]
    await asyncio.to_thread(_plant, ground, name)
    await asyncio.to_thread(ground.load_images)
    await ground.lane.start_anew()
    if wrong := await clean(ground):
        return Found(name, Played(wanted, Verdict.BROKEN, 0.0, wrong))
    return Found(name, await play(ground, wanted))


def _plant(ground: Ground, name: str) -> None:
    """Put the name of the defect into the stack's settings, whence the bot has it."""
    settings = ground.lane.home.folder / ".env"
    lines = [line for line in settings.read_text().splitlines() if not line.startswith(f"{PLANT_VARIABLE}=")]
    settings.write_text("\n".join([*lines, f"{PLANT_VARIABLE}={name}"]) + "\n")


def _print(found: Found, results: Path) -> None:
    seen = "red" if found.is_red else f"NOT SEEN ({found.played.verdict})"
    print(f"{found.plant}: {seen}  {found.played.round}  {'; '.join(found.played.wrong)}", flush=True)
    line = {"plant": found.plant, "seen": seen, "round": str(found.played.round), "wrong": found.played.wrong}
    results.mkdir(parents=True, exist_ok=True)
    with (results / FILE_NAME).open("a") as file:
        file.write(json.dumps(line | {"code": code_version()}) + "\n")
