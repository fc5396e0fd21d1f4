"""Run a whole campaign: lanes side by side, rounds off one list, a judgement at the end."""

import asyncio
import random
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

from campaigns.crash.coverage import Coverage
from campaigns.crash.lane import Lane, opened_lane
from campaigns.crash.playing import CleanRunError, Played, Verdict, clean_run, play
from campaigns.crash.points import Report
from campaigns.crash.rounds import (
    Kind,
    Round,
    Script,
    daemon_rounds,
    hang_rounds,
    random_rounds,
    step_rounds,
    torn_rounds,
    usurped_rounds,
)
from campaigns.crash.telling import Teller

# A moment that did not come is waited for again, so many times in all.
TRIES = 3
FAILED = 1


@dataclass(frozen=True, slots=True)
class Wishes:
    """Say what a campaign is to do."""

    seed: int
    random_rounds: int
    kinds: tuple[Kind, ...]
    plant: str
    lanes: int
    limit: int
    minutes: float
    results: Path
    keep: bool


@dataclass(frozen=True, slots=True)
class Known:
    """Hold what the clean runs have shown: the steps of each script."""

    traces: dict[Script, tuple[Report, ...]]


class Campaign:
    """Play every round that was wished for."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._teller = Teller(wishes.results, wishes.seed)
        self._waiting: deque[tuple[Round, int]] = deque()
        self._played: list[Played] = []
        self._total = 0
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """Return 0 where every round ended well and nothing was left out, else 1."""
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="roas-crash-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            lanes = await self._open(stack, folder)
            async with AsyncExitStack() as gates:
                for lane in lanes:
                    await gates.enter_async_context(lane.gate)
                try:
                    known = await self._learn(lanes)
                except CleanRunError as error:
                    self._teller.say(f"BROKEN: {error}")
                    for lane in lanes:
                        lane.keep_evidence(self._wishes.results / f"clean-{lane.name}")
                    return FAILED
                return await self._play(lanes, known)

    async def _open(self, stack: ExitStack, folder: Path) -> list[Lane]:
        self._teller.say(f"laying out {self._wishes.lanes} stack(s); results go to {self._wishes.results}")
        names = [f"lane{number}" for number in range(1, self._wishes.lanes + 1)]
        opened = [opened_lane(name, folder / name, plant=self._wishes.plant) for name in names]
        return [await asyncio.to_thread(stack.enter_context, context) for context in opened]

    async def _learn(self, lanes: Sequence[Lane]) -> Known:
        """Deploy without harm; the steps that come every time are those that have to be hit."""
        await asyncio.gather(*(lane.start() for lane in lanes))
        first = lanes[0]
        runs = []
        for lane in lanes:
            runs += [await clean_run(lane, Script.REPLACE) for _ in range(3)]
        reverts = [await clean_run(first, Script.REVERT) for _ in range(2)]
        replaced = _always([trace for trace, _ in runs[1:]])
        known = {report.point for report in replaced}
        # Up to the failure both scripts are the same.
        reverted = [report for report in _always([trace for trace, _ in reverts]) if report.point not in known]
        traces = {Script.REPLACE: replaced, Script.REVERT: tuple(reverted)}
        for lane in lanes:
            lane.length_seconds = min(seconds for _, seconds in runs)
        for script, trace in traces.items():
            self._teller.say(f"{script}: {len(trace)} points of its own, before and after each step")
        self._teller.say(f"a clean deployment takes {lanes[0].length_seconds:.1f} s")
        return Known(traces)

    async def _play(self, lanes: Sequence[Lane], known: Known) -> int:
        rounds = self._rounds(known)
        coverage = Coverage(rounds)
        self._waiting = deque((one, 1) for one in rounds)
        self._total = len(rounds)
        self._teller.say(f"{self._total} rounds")
        await asyncio.gather(*(self._work(lane) for lane in lanes))
        for played in self._played:
            coverage.count(played)
        self._teller.summary(self._played, coverage, len(self._waiting))
        told_wrongly = [words for lane in lanes for words in await lane.told_wrongly()]
        for words in told_wrongly:
            self._teller.say(f"  BROKEN: {words}")
        if self._wishes.keep:
            for lane in lanes:
                lane.keep_evidence(self._wishes.results / lane.name)
        broken = bool(told_wrongly) or any(one.verdict is Verdict.BROKEN for one in self._played)
        if self._wishes.plant and not broken:
            self._teller.say(f"{self._wishes.plant} was planted, and nothing was seen of it")
        return FAILED if broken or coverage.missing else 0

    def _rounds(self, known: Known) -> list[Round]:
        """Lay out every round; random ones come last, since one more or less of them matters least."""
        seed, trace = self._wishes.seed, known.traces[Script.REPLACE]
        made = {
            Kind.DAEMON: daemon_rounds(trace),
            Kind.STEPS: [one for script in Script for one in step_rounds(script, known.traces[script])],
            Kind.HANGS: hang_rounds(trace),
            Kind.USURPED: usurped_rounds(trace),
            Kind.TORN: torn_rounds(trace, seed),
            Kind.RANDOM: random_rounds(self._wishes.random_rounds, seed),
        }
        rounds = [one for kind, some in made.items() if kind in self._wishes.kinds for one in some]
        if self._wishes.limit:
            rounds = random.Random(seed).sample(rounds, min(self._wishes.limit, len(rounds)))  # noqa: S311
        return rounds

    async def _work(self, lane: Lane) -> None:
        """Play rounds off the list until none is left, the time is over, or a planted defect was seen."""
        end = time.monotonic() + self._wishes.minutes * 60 if self._wishes.minutes else float("inf")
        while self._waiting and time.monotonic() < end and not self._stop.is_set():
            wanted, tries = self._waiting.popleft()
            played = await self._one(lane, wanted)
            if played.verdict is Verdict.MISSED and tries < TRIES:
                self._waiting.append((wanted, tries + 1))

    async def _one(self, lane: Lane, wanted: Round) -> Played:
        try:
            played = await play(lane, wanted)
        except Exception as error:  # a round that cannot be played is a breach, and the campaign goes on
            played = Played(wanted, Verdict.BROKEN, 0.0, (), (f"round could not be played: {error!r}",))
        self._played.append(played)
        number = len(self._played)
        self._teller.played(number, self._total, lane.name, played)
        if played.verdict is Verdict.BROKEN:
            await asyncio.to_thread(lane.keep_evidence, self._wishes.results / f"round-{number}")
            if self._wishes.plant:
                self._stop.set()
            else:
                await lane.start_anew()
                await clean_run(lane, Script.REPLACE)
        return played


def _always(traces: Sequence[Sequence[Report]]) -> tuple[Report, ...]:
    """Return the steps that came in every run, in the order of the last one."""
    common = set.intersection(*({report.point for report in trace} for trace in traces))
    return tuple(report for report in traces[-1] if report.point in common)
