"""Whatever happens, with deaths at any commit and any act: one bot, honest ends, the stack whole on one release.

`MACHINE_EXAMPLES=2000 pytest tests/unit/deploy/handover/test_handover_machine.py` for a long run. A failure prints
the steps that lead to it, and the story of what each process did; it is the same each time.
"""

import asyncio
import os
import tempfile
from collections.abc import Awaitable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from roas.models.deployment import DeploymentKind, DeploymentRequest
from tests.unit.deploy.handover.home_world import (
    BAD_STORE,
    BAD_WEB,
    DORA,
    EXITS,
    FOR_GOOD,
    NEVER_READY,
    SICKENS,
    Fault,
    Point,
    Victim,
    World,
)
from tests.unit.deploy.virtual_time import VirtualLoop
from tests.unit.log_lines import captured_logs

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "0"))
pytestmark = [pytest.mark.timeout(0)] if EXAMPLES else []

VERSIONS = st.sampled_from(["v1", "v2", "v3", EXITS, NEVER_READY, SICKENS, BAD_STORE, BAD_WEB])
STOPPED = st.sampled_from([2.0, 7.0, 15.0, 40.0, FOR_GOOD])
COMMITS = st.tuples(st.just(Point.COMMIT), st.integers(1, 90))
ACTS = st.tuples(st.just(Point.ACT), st.integers(1, 28))


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    point, number = draw(COMMITS | ACTS)
    stopped = draw(st.none() | STOPPED)
    return Fault(point, number, draw(st.booleans()), draw(st.sampled_from(Victim)), stopped)


CANCELS = st.builds(
    lambda at: Fault(at[0], at[1], after=True, victim=Victim.BOTH, cancels=True),
    COMMITS | ACTS,
)
BY_COMMAND_LINE = st.sampled_from([False, False, False, True])
TROUBLE = st.lists(faults() | faults() | CANCELS, max_size=3)


class Deployments(RuleBasedStateMachine):
    """Deploy good and bad versions, die anywhere, start again."""

    at_home = False

    @initialize()
    def begin(self) -> None:
        self.loop = VirtualLoop()
        asyncio.set_event_loop(self.loop)
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.logs = captured_logs()
        self.logged = self.logs.__enter__()
        self.world = World(self.loop, Path(self.folder.name), at_home=self.at_home)
        self._do(self.world.begin())

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.run_until_complete(self.world.end())
            self.loop.close()
            self.logs.__exit__(None, None, None)
            self.folder.cleanup()

    @rule(version=VERSIONS, trouble=TROUBLE, by_command_line=BY_COMMAND_LINE)
    def deploy(self, version: str, trouble: list[Fault], by_command_line: bool) -> None:
        request = DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, version=version)
        self._do(self.world.is_asked(request, trouble, by_command_line=by_command_line))

    @rule(trouble=TROUBLE, by_command_line=BY_COMMAND_LINE)
    def roll_back(self, trouble: list[Fault], by_command_line: bool) -> None:
        request = DeploymentRequest("dev", DeploymentKind.ROLLBACK, DORA)
        self._do(self.world.is_asked(request, trouble, by_command_line=by_command_line))

    @rule(stopped=st.none() | STOPPED)
    def strike_idle_bot(self, stopped: float | None) -> None:
        self._do(self.world.is_struck_idle(Fault(Point.ACT, 0, False, Victim.PREDECESSOR, stopped)))

    def _do(self, work: Awaitable[None]) -> None:
        try:
            self.loop.run_until_complete(work)
        except BaseException:
            for line in (*self.world.story, *map(str, self.logged)):
                note(line)
            raise


class AwayDeployments(Deployments):
    """The bot is no part of the stack, and runs outside of containers, perhaps twice."""

    @precondition(lambda self: hasattr(self, "world") and len(self.world.supervised) < 2)
    @rule()
    def another_bot_comes(self) -> None:
        self._do(self.world.another_comes())


class HomeDeployments(Deployments):
    """The bot itself is one service of the stack."""

    at_home = True


def machine(of: type[Deployments], sample: int) -> type:
    of.TestCase.settings = settings(
        max_examples=EXAMPLES or sample,
        stateful_step_count=5,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    return of.TestCase


TestAwayDeployments = machine(AwayDeployments, 10)
TestHomeDeployments = machine(HomeDeployments, 20)
