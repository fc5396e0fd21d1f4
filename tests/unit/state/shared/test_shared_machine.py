"""Whatever happens to bots that share a journal: what was acknowledged is in all copies, which are the same.

`MACHINE_EXAMPLES=2000 pytest tests/unit/state/shared/test_shared_machine.py` for a long run; a failure prints the
steps that lead to it.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from roas.state.shared import log as shared_log
from roas.state.shared import objects as shared_objects
from roas.state.shared.objects import Stored
from roas.state.transaction import Transaction
from tests.unit.log_lines import captured_logs
from tests.unit.state.shared.sharing_world import Bot

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "0"))
pytestmark = [pytest.mark.timeout(0)] if EXAMPLES else []
WHO = st.integers(0, 2)
# By its number, or whoever leads by its own clock.
LEADER = st.none() | st.none() | WHO
ENTRIES_BETWEEN = 4
# Longer than a term.
LONG = 100.0


class Sharing(RuleBasedStateMachine):
    """Three machines, one Swarm."""

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(shared_log, "ENTRIES_BETWEEN", ENTRIES_BETWEEN)
        self.patch.setattr(shared_objects, "SWARM_RETRY_SECONDS", 0.0)
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.logs = captured_logs()
        self.logs.__enter__()
        self.objects: dict[str, Stored] = {}
        self.bots = [Bot(Path(self.folder.name, str(number)), self.objects) for number in range(3)]
        for bot in self.bots:
            self._run(bot.start())
        # What was acknowledged: rows and files, those that are gone, and at which position of the log.
        self.rows: set[str] = set()
        self.files: set[str] = set()
        self.gone: set[str] = set()
        self.positions: set[int] = set()
        self.token = 0  # the latest by which anything was acknowledged
        self.older: tuple[Any, ...] | None = None
        # Whether a copy may have more than a restored Swarm, which counts where it leads next.
        self.has_lost = False
        self.number = 0
        self.take_over(0)

    def teardown(self) -> None:
        if not hasattr(self, "bots"):
            return
        try:
            self.settle(0)
        finally:
            for bot in self.bots:
                self._run(bot.stop())
            self.loop.close()
            self.logs.__exit__(None, None, None)
            self.folder.cleanup()
            self.patch.undo()

    @rule(who=LEADER, kinds=st.lists(st.sampled_from(["add", "change", "replace", "remove", "mixed"]), max_size=6))
    def commit_rows(self, who: int | None, kinds: list[str]) -> None:
        for kind in kinds:
            self._commit_row(self._bot(who), kind)

    def _commit_row(self, bot: Bot, kind: str) -> None:
        name = f"row:{self._next()}"
        others = [f"spare:{number}" for number in range(3)]

        def work(t: Transaction) -> None:
            t.execute("INSERT INTO projections (name, document) VALUES (?, '')", (name,))
            if kind in {"change", "mixed"}:
                t.execute("INSERT INTO freezes VALUES ('dev', ?) ON CONFLICT DO UPDATE SET document = ?", (name, name))
            if kind in {"replace", "mixed"}:
                for other in others:
                    t.execute("INSERT OR REPLACE INTO projections (name, document) VALUES (?, ?)", (other, name))
            if kind in {"remove", "mixed"}:
                t.execute("DELETE FROM projections WHERE name = ?", (others[self.number % 3],))
                t.execute("DELETE FROM freezes WHERE ? % 2", (self.number,))

        self._commit(bot, work, rows={name})

    @rule(who=LEADER, removes=st.booleans())
    def commit_files(self, who: int | None, removes: bool) -> None:
        bot = self._bot(who)
        if not bot.shared.leads:
            return
        path, name = f"models/{self._next()}.yml", f"row:{self._next()}"
        bot.keep_file(path)
        gone = set(sorted(self.files)[:1]) if removes else set()
        for other in gone:
            bot.drop_file(other)
        self.files -= gone  # who is refused may still have told of it
        self._commit(bot, lambda t: _add(t, name), rows={name}, files={path}, gone=gone)

    @rule(who=WHO)
    def take_over(self, who: int) -> None:
        self._run(self.bots[who].does(self.bots[who].take_over))

    @rule(who=WHO)
    def go_round(self, who: int) -> None:
        self._run(self.bots[who].does(self.bots[who].go_round))

    @rule(who=LEADER)
    def read(self, who: int | None) -> None:
        """Read what there is, as one does who was stopped after the last look at the lease."""
        self._run(self._bot(who).does(self._bot(who).state.catch_up))

    @rule(who=WHO)
    def lose_term(self, who: int) -> None:
        self.bots[who].manager.now += LONG

    @rule(who=WHO, count=st.integers(1, 3))
    def lose_answers(self, who: int, count: int) -> None:
        self.bots[who].manager.lost_answers = count

    @rule(whom=st.sets(WHO, min_size=1), questions=st.sampled_from([1, 5, 60]))
    def managers_are_away(self, whom: set[int], questions: int) -> None:
        for who in whom:
            self.bots[who].manager.away_for = questions

    @rule(who=LEADER, questions=st.integers(0, 6), after=st.booleans())
    def is_killed_soon(self, who: int | None, questions: int, after: bool) -> None:
        """It dies at one of the next questions, before the Swarm has done what it asks, or before its own COMMIT."""
        manager = self._bot(who).manager
        manager.dies_in, manager.dies_after = questions, after

    @rule(who=WHO)
    def starts_again(self, who: int) -> None:
        self._run(self.bots[who].stop())
        self._run(self.bots[who].start())

    @rule(who=WHO)
    def disk_is_wiped(self, who: int) -> None:
        if self.objects:  # else there is nothing that anybody shares
            self._run(self.bots[who].wipe())

    @rule()
    def swarm_is_backed_up(self) -> None:
        kept = (self.rows, self.files, self.gone, self.positions)
        self.older = (dict(self.objects), *map(set, kept))

    @rule(really=st.sampled_from([False, False, True]))
    def swarm_is_restored(self, really: bool) -> None:
        """Make it again of an older state, which takes longer than a term; what came since may be lost."""
        if self.older is None or not really:
            return
        objects, rows, files, gone, positions = self.older
        self.objects.clear()
        self.objects.update(objects)
        self.rows &= rows
        self.files = (self.files & files) - gone
        self.gone &= gone
        self.positions = set(positions)
        self.has_lost, self.token = True, 0
        for bot in self.bots:
            bot.manager.now += LONG

    @rule(who=WHO)
    def settle(self, who: int) -> None:
        """Let all answers come, and one bot lead: then all have the same, and so has a new machine."""
        for bot in self.bots:
            bot.manager.away_for, bot.manager.lost_answers, bot.manager.dies_in = 0, 0, None
        leader = self.bots[who]
        for _ in range(3):
            if self._run(leader.does(leader.take_over)) and leader.shared.leads:
                break
        assert leader.shared.leads
        self._commit_beyond(leader)
        new = Bot(Path(self.folder.name, f"new{self.number}"), self.objects)
        self._run(new.start())
        for bot in (leader, *self.bots, *self.bots, new):  # who still thinks that it leads learns so first
            assert self._run(bot.does(bot.go_round))
        expected, files = self._run(leader.rows()), self._run(leader.files())
        assert self.rows <= {row["name"] for _, row in expected["projections"]}
        assert self.files <= files
        assert not self.gone & files
        for bot in (*self.bots, new):
            assert self._run(bot.rows()) == expected
            assert self._run(bot.files()) == files
            assert bot.state.journal_id == leader.state.journal_id
        self._run(new.stop())
        self.has_lost = False

    def _commit_beyond(self, leader: Bot) -> None:
        """Write more than any copy has: one that has a lost history by the same numbers learns so by what follows."""
        others = max(bot.shared.head for bot in self.bots if bot is not leader)
        is_beyond = False
        while not is_beyond:
            row = f"row:{self._next()}"
            assert self._commit(leader, partial(_add, name=row), rows={row})
            is_beyond = leader.shared.head > others

    def _commit(
        self,
        bot: Bot,
        work: Callable[[Transaction], Any],
        *,
        rows: set[str],
        files: set[str] | None = None,
        gone: set[str] | None = None,
    ) -> bool:
        """Commit, and remember what was acknowledged."""
        is_done: bool = self._run(bot.does(lambda: bot.write(work)))
        if is_done and not self.has_lost:
            assert bot.shared.head not in self.positions, "two were acknowledged at one position"
            assert bot.shared.last_token >= self.token, "one wrote that another had followed"
            self.positions.add(bot.shared.head)
            self.token = bot.shared.last_token
            self.rows |= rows
            self.files |= files or set()
            self.gone |= gone or set()
        return is_done

    def _bot(self, who: int | None) -> Bot:
        """Return a bot by its number, or the first that leads by its own clock."""
        leading = [bot for bot in self.bots if bot.shared.leads]
        return self.bots[who or 0] if who is not None or not leading else leading[0]

    def _next(self) -> int:
        self.number += 1
        return self.number

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)


def _add(transaction: Transaction, name: str) -> None:
    transaction.execute("INSERT INTO projections (name, document) VALUES (?, '')", (name,))


Sharing.TestCase.settings = settings(
    max_examples=EXAMPLES or 12,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestSharing = Sharing.TestCase


def test_number_of_an_entry_that_was_removed_fences_all_the_same():
    """A leader whose clock stood still goes on after another has led, and has removed what a snapshot holds."""
    machine = Sharing()
    machine.begin()
    try:
        for who in (0, 0, 0, 0, 0, 1):
            machine.take_over(who)
        machine.commit_rows(who=1, kinds=["add", "add", "add"])
        machine.commit_files(who=None, removes=False)
    finally:
        machine.teardown()
