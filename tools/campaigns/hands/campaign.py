"""Run a campaign: lanes side by side, rounds off one list, each lane begun again after a breach."""

import asyncio
import os
import shutil
import tempfile
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.home_stack import HomeStackError
from testbed.slot_holder import DaemonError
from tools.campaigns.crash.lane import AWAY
from tools.campaigns.crash.playing import Verdict
from tools.campaigns.hands.ground import Ground, Left, opened_ground
from tools.campaigns.hands.playing import Played, clean, play
from tools.campaigns.hands.record import Record, summary
from tools.campaigns.hands.rounds import Round

# A moment that did not come is waited for again, so many times in all; so is what failed on a busy machine.
TRIES = 3
# Above this load a failure says little: the round is played again at the end.
BUSY_LOAD = 10.0
LAYOUTS = 3
BROKEN_GROUND = (HomeStackError, DaemonError, RuntimeError, TimeoutError, *AWAY)


@dataclass(frozen=True, slots=True)
class HandsOptions:
    """Define what a campaign does; `minutes` of 0 is no limit."""

    results: Path
    lanes: int = 1
    minutes: float = 0.0
    plant: str = ""


class HandsCampaign:
    """Play every round that is left."""

    def __init__(self, rounds: Sequence[Round], options: HandsOptions) -> None:
        self._rounds = rounds
        self._options = options
        self._record = Record(options.results)
        self._waiting = deque(self._record.left(rounds))
        self._tries: Counter[Round] = Counter()
        self._begun = time.monotonic()
        self._end = self._begun + options.minutes * 60 if options.minutes else float("inf")
        self._count = 0

    async def run(self) -> bool:
        """Play, write the table, and return whether every round was played and went well."""
        self._say(f"{len(self._rounds)} rounds, {len(self._waiting)} of them to be played")
        lanes = range(1, self._options.lanes + 1)
        await asyncio.gather(*(self._lane(f"lane{number}") for number in lanes))
        text = summary(self._rounds, self._record.last())
        (self._options.results / "summary.md").write_text(text)
        print(text, flush=True)
        last = self._record.last()
        return all(repr(item) in last and last[repr(item)].verdict is Verdict.GOOD for item in self._rounds)

    async def _lane(self, name: str) -> None:
        """Lay a stack out and play on it; a stack that cannot be begun again is laid out again."""
        for _ in range(LAYOUTS):
            folder = Path(tempfile.mkdtemp(prefix=f"roas-hands-{name}-"))
            try:
                context = opened_ground(folder, plant=self._options.plant, name=name)
                ground = await asyncio.to_thread(context.__enter__)
                try:
                    await asyncio.to_thread(ground.save_images)
                    if await self._play(name, ground):
                        return
                finally:
                    await asyncio.to_thread(context.__exit__, None, None, None)
            except BROKEN_GROUND as error:
                self._say(f"{name} is laid out again: {error!r}")
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    async def _play(self, name: str, ground: Ground) -> bool:
        """Play rounds off the list; returns False where the stack cannot be begun again."""
        try:
            await ground.lane.start()
        except BROKEN_GROUND:
            ground.lane.keep_evidence(self._options.results / f"start-{name}")
            raise
        if wrong := await clean(ground):
            self._say(f"{name}: a clean deployment ends badly: {'; '.join(wrong)}")
            ground.lane.keep_evidence(self._options.results / f"clean-{name}")
            return False
        self._say(f"{name}: a clean deployment takes {ground.lane.length_seconds:.1f} s")
        while self._waiting and time.monotonic() < self._end:
            if not await self._one(name, ground, self._waiting.popleft()) and not await self._anew(name, ground):
                return False
        return True

    async def _one(self, name: str, ground: Ground, wanted: Round) -> bool:
        """Play one round, and return whether the stack may be used on."""
        played = await play(ground, wanted)
        load = os.getloadavg()[0]
        self._tries[wanted] += 1
        again = self._tries[wanted] < TRIES and (
            played.verdict is Verdict.MISSED or (played.verdict is not Verdict.GOOD and load > BUSY_LOAD)
        )
        if again:
            self._waiting.append(wanted)
        ground.rounds += 1
        self._record.add(played, round(load, 1), ground.rounds, await self._left(ground), again=again)
        self._count += 1
        self._print(name, played, load)
        usable = played.verdict in {Verdict.GOOD, Verdict.MISSED}
        if not usable:
            await asyncio.to_thread(ground.lane.keep_evidence, self._evidence(played))
        return usable

    async def _left(self, ground: Ground) -> Left:
        try:
            return await asyncio.to_thread(ground.left)
        except AWAY:
            return Left(0, 0)

    async def _anew(self, name: str, ground: Ground) -> bool:
        """Begin again with a new stack after a breach, and return whether that is possible."""
        try:
            await asyncio.to_thread(ground.load_images)
            await ground.lane.start_anew()
            ground.rounds = 0
            wrong = await clean(ground)
        except BROKEN_GROUND as error:
            self._say(f"{name}: no new stack could be started: {error!r}")
            return False
        return not wrong

    def _evidence(self, played: Played) -> Path:
        return self._options.results / f"{time.strftime('%H%M%S')}-{played.round.hand.name}-{played.round.moment.name}"

    def _print(self, name: str, played: Played, load: float) -> None:
        text = f"{name} {self._count}, {len(self._waiting)} left  {played.round}  {played.outcome}"
        self._say(f"{text}  {played.seconds:.1f} s  {played.verdict}  (load {load:.1f})")
        for wrong in played.wrong:
            self._say(f"         {wrong}")

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._begun:7.1f} s  {text}", flush=True)
