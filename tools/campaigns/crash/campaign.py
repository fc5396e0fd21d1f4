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

from testbed.home_stack import HomeStackError
from tools.campaigns.crash.coverage import Coverage
from tools.campaigns.crash.exit_code import ExitCode, exit_code
from tools.campaigns.crash.lane import AWAY, Lane, opened_lane
from tools.campaigns.crash.learning import Traces, learn
from tools.campaigns.crash.playing import CleanRunError, Played, Verdict, clean_run, play
from tools.campaigns.crash.reporter import Reporter
from tools.campaigns.crash.rounds import Kind, Round, Script, all_rounds, relevant_first

# A moment that did not come is waited for again, so many times in all.
TRIES = 3


@dataclass(frozen=True, slots=True)
class CampaignOptions:
    """Define what a campaign does."""

    seed: int
    random_rounds: int
    kinds: tuple[Kind, ...]
    results: Path
    plant: str = ""
    lanes: int = 1
    # Only rounds that are called so.
    match: str = ""
    limit: int = 0
    minutes: float = 0
    keep: bool = False
    # With the release before, whose image takes minutes to be made where it is not in a cache.
    downgrades: bool = True


class Campaign:
    """Play every planned round."""

    def __init__(self, options: CampaignOptions) -> None:
        self._options = options
        self._reporter = Reporter(options.results, options.seed)
        self._waiting: deque[tuple[Round, int]] = deque()
        self._played: list[Played] = []
        self._total = 0
        self._stop = asyncio.Event()

    async def run(self) -> ExitCode:
        """Play all of it, and say how it went."""
        end = await self._run_all()
        if plant := self._options.plant:
            seen = {ExitCode.RED: "was seen", ExitCode.GREEN: "was planted, and nothing was seen of it"}
            self._reporter.say(f"{plant} {seen.get(end, 'was planted, and nothing can be said of it')}")
        return end

    async def _run_all(self) -> ExitCode:
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="roas-crash-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            lanes = await self._open(stack, folder)
            async with AsyncExitStack() as gates:
                for lane in lanes:
                    await gates.enter_async_context(lane.gate)
                try:
                    traces = await self._learn(lanes)
                except CleanRunError as error:
                    self._reporter.say(f"BROKEN: {error}")
                    for lane in lanes:
                        lane.keep_evidence(self._options.results / f"clean-{lane.name}")
                    return ExitCode.RED if error.breaches or not self._options.plant else ExitCode.UNPLAYED
                return await self._play(lanes, traces)

    async def _open(self, stack: ExitStack, folder: Path) -> list[Lane]:
        self._reporter.say(f"laying out {self._options.lanes} stack(s); results go to {self._options.results}")
        names = [f"lane{number}" for number in range(1, self._options.lanes + 1)]
        opened = [
            opened_lane(name, folder / name, plant=self._options.plant, downgrades=self._options.downgrades)
            for name in names
        ]
        lanes = [await asyncio.to_thread(stack.enter_context, context) for context in opened]
        for lane in lanes:
            lane.renews = True
        return lanes

    async def _learn(self, lanes: Sequence[Lane]) -> Traces:
        traces = await learn(lanes, self._options.kinds, () if self._options.downgrades else (Script.DOWNGRADE,))
        for script, trace in traces.items():
            self._reporter.say(f"{script}: {len(trace)} points of its own, before and after each step")
        self._reporter.say(f"a clean deployment takes {lanes[0].length_seconds:.1f} s")
        return traces

    async def _play(self, lanes: Sequence[Lane], traces: Traces) -> ExitCode:
        rounds = self._rounds(traces)
        coverage = Coverage(rounds)
        self._played = self._reporter.record.played(rounds)
        done = {item.round for item in self._played}
        self._waiting = deque((item, 1) for item in rounds if item not in done)
        self._total = len(rounds)
        self._reporter.say(f"{self._total} rounds" + (f", {len(done)} of them played before" if done else ""))
        await asyncio.gather(*(self._work(lane) for lane in lanes))
        for played in self._played:
            coverage.count(played)
        wrong_notifications = [text for lane in lanes for text in await lane.wrong_notifications()]
        self._reporter.summary(self._played, coverage, wrong_notifications, {turn for turn, _ in self._waiting})
        if self._options.keep:
            for lane in lanes:
                lane.keep_evidence(self._options.results / lane.name)
        return exit_code(self._options.plant, self._played, wrong_notifications, len(coverage.missing))

    def _rounds(self, traces: Traces) -> list[Round]:
        everything = all_rounds(traces, self._options.random_rounds, self._options.seed)
        rounds = [item for item in everything if item.kind in self._options.kinds and self._options.match in str(item)]
        if self._options.limit:
            dice = random.Random(self._options.seed)  # noqa: S311 - reproducible on purpose
            rounds = dice.sample(rounds, min(self._options.limit, len(rounds)))
        return relevant_first(rounds, self._options.plant)

    async def _work(self, lane: Lane) -> None:
        """Play rounds off the list until none is left, the time is over, or a planted defect was seen."""
        end = time.monotonic() + self._options.minutes * 60 if self._options.minutes else float("inf")
        usable = True
        while usable and self._waiting and time.monotonic() < end and not self._stop.is_set():
            wanted, tries = self._waiting.popleft()
            played = await self._one(lane, wanted)
            if played.verdict in {Verdict.MISSED, Verdict.ENGINE} and tries < TRIES:
                self._waiting.append((wanted, tries + 1))
            if played.verdict in {Verdict.BROKEN, Verdict.UNPLAYED, Verdict.ENGINE}:
                usable = await self._recovered(lane)

    async def _one(self, lane: Lane, wanted: Round) -> Played:
        try:
            played = await play(lane, wanted)
        except Exception as error:  # the campaign goes on, and reports it
            played = Played(wanted, Verdict.UNPLAYED, 0.0, (), (f"the round could not be played: {error!r}",))
        self._played.append(played)
        number = len(self._played)
        self._reporter.played(number, self._total, lane.name, played)
        if played.verdict in {Verdict.BROKEN, Verdict.UNPLAYED, Verdict.ENGINE}:
            await asyncio.to_thread(lane.keep_evidence, self._options.results / f"round-{number}")
        return played

    async def _recovered(self, lane: Lane) -> bool:
        """Recreate a stack after a breach, and return whether the lane goes on: not once a planted defect is seen."""
        if self._options.plant and any(service.verdict is Verdict.BROKEN for service in self._played):
            self._stop.set()
            return False
        try:
            await lane.start_anew()
            await clean_run(lane, Script.REPLACE)
        except (CleanRunError, HomeStackError, TimeoutError, *AWAY) as error:
            self._reporter.say(f"{lane.name} plays no more: {error!r}")
            return False
        return True
