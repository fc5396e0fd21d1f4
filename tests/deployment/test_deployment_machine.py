"""Whatever happens, with deaths at any call: the journal stays honest and the stack is on one release.

`MACHINE_EXAMPLES=2000 pytest tests/deployment/test_deployment_machine.py` for a long run.
"""

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import stamina
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bot.deployment.context import Components
from bot.deployment.orchestrator import MOST_ATTEMPTS, DeploymentOrchestrator
from bot.engine.manager import DeploymentManager
from bot.errors import FencedOffError, RoasError
from bot.events import EventBus
from bot.models.actor import Actor, ActorKind
from bot.models.coordination import PhaseName
from bot.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome
from bot.models.environment import Environment
from bot.settings import Settings
from bot.state.manager import StateManager
from bot.state.ownership import HeldVoice
from tests.deployment.conftest import Answering, Approving, NoMonitoring, nobody, service
from tests.deployment.fake_engine import UNHEALTHY, FakeEngine

DORA = Actor(ActorKind.DISCORD, "1", "dora")
ACTS = ("create", "start", "stop", "remove")
END_SECONDS = 20.0


class DeathError(BaseException):
    """The process is no more; no `except Exception` of it runs any more."""


@dataclass
class MortalEngine(FakeEngine):
    """Let the process that calls die before its n-th act on a container."""

    acts_to_live: int | None = None

    def _called(self, name: str, subject: str = "") -> None:
        super()._called(name, subject)
        if name not in ACTS or self.acts_to_live is None:
            return
        self.acts_to_live -= 1
        if self.acts_to_live < 0:
            raise DeathError


class Process:
    """Be one bot: a journal of its own on the shared folder, and an orchestrator."""

    def __init__(self, folder: Path, engine: FakeEngine) -> None:
        self.state = StateManager(folder / "state")
        self.bus = EventBus()
        parts = Components(
            settings=Settings(_env_file=None, state_dir=folder / "state"),
            state=self.state,
            bus=self.bus,
            engine=engine,
            manager=DeploymentManager(engine, self.state),
            validator=Approving(),
            monitoring=NoMonitoring(),
            prober=Answering(),
            own_container=nobody,
            voice=HeldVoice(),
        )
        environment = Environment("dev", "shop-dev", folder, (), observation_seconds=0.0)
        self.orchestrator = DeploymentOrchestrator(parts, {"dev": environment})

    async def die(self) -> None:
        await self.orchestrator.close()
        await self.bus.close()
        await self.state.close()


class Deployments(RuleBasedStateMachine):
    """Deploy good and bad versions, die anywhere, start again."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        stack = {"store": service("store"), "web": service("web", "store")}
        self.engine = MortalEngine(stack, behaviour={("bad", "web"): UNHEALTHY, ("worse", "store"): UNHEALTHY})
        self.ended: dict[str, Outcome] = {}
        self.tokens: dict[str, int] = {}
        self._do(self._be_born())

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self._do(self.process.die())
            self.loop.close()
            self.folder.cleanup()

    @rule(
        version=st.sampled_from(["v1", "v2", "v3", "bad", "worse"]),
        dies_at=st.none() | st.integers(0, 8),
        dies_again_at=st.none() | st.integers(0, 4),
    )
    def deploy(self, version: str, dies_at: int | None, dies_again_at: int | None) -> None:
        request = DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, version=version)
        self._do(self._live_through(request, [dies_at, dies_again_at]))

    @rule(dies_at=st.none() | st.integers(0, 6))
    def roll_back(self, dies_at: int | None) -> None:
        self._do(self._live_through(DeploymentRequest("dev", DeploymentKind.ROLLBACK, DORA), [dies_at]))

    @rule()
    def die_idle(self) -> None:
        self._do(self._be_born_again())

    @rule()
    def meet_another(self) -> None:
        self._do(self._only_one_speaks())

    @invariant()
    def ended_deployments_stay_as_they_ended(self) -> None:
        for deployment in self._deployments():
            before = self.ended.setdefault(deployment.id, deployment.outcome)
            assert deployment.outcome is before
            if deployment.outcome is Outcome.ROLLED_BACK:
                assert deployment.phase(PhaseName.EXECUTION).attempts > 0
                assert deployment.problem is not None

    @invariant()
    def nothing_is_left_over(self) -> None:
        if not hasattr(self, "loop"):
            return
        assert self._do(self.process.state.deployments.unfinished()) == ()
        assert self._do(self.process.state.locks.get("dev")) is None

    @invariant()
    def the_stack_is_on_its_release(self) -> None:
        newest = next(iter(self._deployments()), None)
        if newest is None or newest.outcome is Outcome.FAILED:
            return
        current = self._do(self.process.state.releases.current("dev"))
        wanted = {} if current is None else {s.name: f"{s.name}:{current.version}" for s in current.services}
        assert self.engine.versions() == wanted
        assert len(self.engine.running) == len(wanted)

    def _do(self, work):
        async def limited():
            async with asyncio.timeout(END_SECONDS):
                return await work

        with stamina.set_testing(True, attempts=3, cap=True):
            return self.loop.run_until_complete(limited())

    def _deployments(self) -> tuple[Deployment, ...]:
        return self._do(self.process.state.deployments.list("dev", limit=100)) if hasattr(self, "loop") else ()

    async def _be_born(self) -> None:
        self.process = Process(Path(self.folder.name), self.engine)
        await self.process.state.open()
        assert await self.process.state.ownership.acquire() is not None

    async def _be_born_again(self) -> None:
        await self.process.die()
        await self._be_born()

    async def _live_through(self, request: DeploymentRequest, deaths: list[int | None]) -> None:
        deaths = list(deaths)
        self.engine.acts_to_live = deaths.pop(0)
        try:
            deployment = await self.process.orchestrator.start(request)
        except RoasError:
            self.engine.acts_to_live = None
            return
        await self._token_grew()
        for _ in range(MOST_ATTEMPTS + 1):
            try:
                await self.process.orchestrator.wait(deployment.id)
                break
            except DeathError:
                self.engine.acts_to_live = deaths.pop(0) if deaths else None
                await self._be_born_again()
                await self.process.orchestrator.resume()
                await self._token_grew()
        self.engine.acts_to_live = None

    async def _token_grew(self) -> None:
        lock = await self.process.state.locks.get("dev")
        if lock is not None:
            assert lock.token > self.tokens.get("dev", 0)
            self.tokens["dev"] = lock.token

    async def _only_one_speaks(self) -> None:
        """Another process never gets a living one's voice; one that was passed over changes nothing any more."""
        owner = self.process.state.ownership
        mine = await owner.voice()
        async with StateManager(Path(self.folder.name) / "state") as other:
            assert await other.ownership.acquire() is None
            taken = await other.ownership.take_by_force(mine)
            assert taken.token > mine.token
            try:
                await owner.renew(mine)
            except FencedOffError:
                pass
            else:
                raise AssertionError("two owners")
        again = await owner.acquire()
        assert again.token > taken.token


Deployments.TestCase.settings = settings(
    max_examples=int(os.environ.get("MACHINE_EXAMPLES", "4")),
    stateful_step_count=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestDeployments = Deployments.TestCase
