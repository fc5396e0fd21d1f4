"""One process of the bot: what is real of it decides and writes; Discord, probes and checks are made up."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.deployment.context import Components
from bot.deployment.orchestrator import DeploymentOrchestrator
from bot.duties import standing_by
from bot.engine.manager import DeploymentManager
from bot.events import EventBus
from bot.models.environment import Environment
from bot.models.facts import OwnContainer
from bot.models.health import HealthStatus
from bot.models.ownership import ProcessMark, Readiness
from bot.settings import Settings
from bot.state.manager import StateManager
from bot.state.ownership import HeldVoice
from bot.ui.voice import Voice
from tests.deployment.conftest import Answering, Approving, NoMonitoring
from tests.deployment.home_engine import HomeEngine
from tests.deployment.virtual_time import LIFE, Life

WAKE_UP_SECONDS = 0.3
CONNECT_SECONDS = 0.6


class NoGuard:
    """Watch over nothing."""

    async def begin(self) -> None: ...

    async def end(self) -> None: ...


class ClosedDoor:
    """Be a control socket that nobody calls."""

    def __init__(self, **parts: object) -> None: ...

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *error: object) -> None: ...


class HeardVoice(Voice):
    """Tell when a bot begins to speak."""

    def __init__(self, speaks: Callable[[], None]) -> None:
        super().__init__()
        self._speaks = speaks

    def give(self) -> None:
        if not self.active:
            super().give()
            self._speaks()


@dataclass(frozen=True)
class Parts:
    """Be as much of an Application as standing by needs."""

    settings: Settings
    state: StateManager
    bus: EventBus
    engine: HomeEngine
    environments: dict[str, Environment]
    orchestrator: DeploymentOrchestrator
    held_voice: HeldVoice
    own_container: Callable[[Environment], Any]
    guard: NoGuard
    collector: None = None

    def watch_itself(self) -> None: ...

    async def stop_watching_itself(self) -> None: ...


class BotProcess(Life):
    """Open the journal, stand by or be active, until it is dead."""

    def __init__(
        self,
        number: int,
        engine: HomeEngine,
        environment: Environment,
        settings: Settings,
        *,
        container: OwnContainer | None,
        speaks: Callable[["BotProcess"], None],
    ) -> None:
        super().__init__()
        self.dead = False
        self.connected = False
        self.sick = False
        self.container = container
        self.mark = ProcessMark(number, number, f"container {number}")
        self.voice = HeardVoice(lambda: speaks(self))
        self.voice.take()
        self._engine = engine
        self._environment = environment
        self._settings = settings
        self._number = number
        self.context = Context()
        self.context.run(LIFE.set, self)

    def __repr__(self) -> str:
        return f"bot {self._number}"

    @property
    def speaks(self) -> bool:
        """Tell whether it would answer a person now."""
        return self.voice.active and not self.stopped

    def begin(self, connects: bool) -> None:
        self.state = self.context.run(StateManager, Path(self._settings.state_dir))
        self.do(self._live(connects))

    def do(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Do something in this process."""
        return asyncio.get_running_loop().create_task(work, context=self.context)

    def die(self) -> None:
        """Run nothing any more; the kernel lets go of the file that says it lives."""
        self.stop()
        self.dead = True
        self.state.instance.withdraw()

    def is_checked(self) -> None:
        """Let the health check of its container say how it is now."""
        if self.container is not None and not self.dead:
            well = self.connected and not self.sick and not self.stopped
            self._engine.is_seen(self.container.id, HealthStatus.HEALTHY if well else HealthStatus.UNHEALTHY)

    async def own_container(self, environment: Environment) -> OwnContainer | None:
        return self.container

    async def _live(self, connects: bool) -> None:
        await asyncio.sleep(WAKE_UP_SECONDS)
        async with self.state:
            bus = EventBus()
            held_voice = HeldVoice()
            components = Components(
                settings=self._settings,
                state=self.state,
                bus=bus,
                engine=self._engine,
                manager=DeploymentManager(self._engine, self.state),
                validator=Approving(),
                monitoring=NoMonitoring(),
                prober=Answering(),
                own_container=self.own_container,
                voice=held_voice,
            )
            environments = {self._environment.name: self._environment}
            self.orchestrator = DeploymentOrchestrator(components, environments)
            parts = Parts(
                settings=self._settings,
                state=self.state,
                bus=bus,
                engine=self._engine,
                environments=environments,
                orchestrator=self.orchestrator,
                held_voice=held_voice,
                own_container=self.own_container,
                guard=NoGuard(),
            )
            async with standing_by(parts, self.voice, lambda: Readiness(self.connected, True)):
                if connects:
                    await asyncio.sleep(CONNECT_SECONDS)
                    self.connected = True
                    self.is_checked()
                await asyncio.get_running_loop().create_future()
