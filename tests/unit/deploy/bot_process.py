"""Processes of the bot: what is real of them decides and writes; Discord, probes and checks are made up."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from roas.app.application import LeaderTask
from roas.app.orphans import OrphanedDeployments
from roas.cli.own_process import send_heartbeats
from roas.configuration.settings import Settings
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.deploy.peers import Peers
from roas.events import EventBus
from roas.leadership.leader_tasks import run_leader_election
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.health import HealthStatus
from roas.models.leader_lease import BotReadiness, ProcessMark
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from tests.unit.deploy.handover.home_engine import HomeEngine
from tests.unit.deploy.played_parts import components_over
from tests.unit.deploy.virtual_time import LIFE, Life

WAKE_UP_SECONDS = 0.3
CONNECT_SECONDS = 0.6
# Where processes that run in no container see each other.
HOST = "host"


class ObservedLeadership(Leadership):
    """Call back when a bot becomes the leader."""

    def __init__(self, leads: Callable[[], None]) -> None:
        super().__init__(is_leader=False)
        self._on_lead = leads

    def gain(self) -> None:
        if not self.is_leader:
            super().gain()
            self._on_lead()


@dataclass(frozen=True)
class Parts:
    """Be as much of an Application as standing by needs."""

    settings: Settings
    state: StateManager
    bus: EventBus
    stacks: HomeEngine
    environments: dict[str, Environment]
    engines: dict[str, Environment]
    orchestrator: DeploymentOrchestrator
    leadership: Leadership
    peers: Peers
    own_container: Callable[[Environment], Awaitable[OwnContainer | None]]
    leader_tasks: tuple[LeaderTask, ...]
    shared: None = None


@dataclass(frozen=True)
class Place:
    """Say where processes live: on which engine, for which environment, and who learns that one leads."""

    stacks: HomeEngine
    environment: Environment
    settings: Settings
    leads: Callable[["Process"], None]


class Process(Life):
    """Be one process with a journal of its own on the shared folder; it ends when it is killed."""

    prefix = "BOT"

    def __init__(self, number: int, place: Place, container: OwnContainer | None = None) -> None:
        super().__init__()
        self.number = number
        self.place = place
        self.container = container
        self.mark = ProcessMark(number, number, HOST if container is None else f"container of {number}")
        self.dead = False
        self.connected = False
        self.unhealthy = False
        self.leadership = ObservedLeadership(lambda: place.leads(self))
        self.context = Context()
        self.context.run(LIFE.set, self)
        self.state = self.context.run(lambda: StateManager(place.settings.state_dir, instance_prefix=self.prefix))
        self.parts = self.context.run(self._equip)

    def __repr__(self) -> str:
        return f"{self.prefix} {self.number}"

    @property
    def leads(self) -> bool:
        """Tell whether it would answer a person now."""
        return self.leadership.is_leader and not self.stopped

    def do(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Do something in this process."""
        return asyncio.get_running_loop().create_task(work, context=self.context)

    def die(self) -> None:
        """Run nothing any more; the kernel drops the file that says it lives."""
        self.stop()
        self.dead = True
        self.state.instance.withdraw()

    def is_checked(self) -> None:
        """Let the health check of its container say how it is now."""
        if self.container is not None and not self.dead:
            well = self.connected and not self.unhealthy and not self.stopped
            self.place.stacks.is_seen(self.container.id, HealthStatus.HEALTHY if well else HealthStatus.UNHEALTHY)

    async def own_container(self, environment: Environment) -> OwnContainer | None:
        return self.container

    def _equip(self) -> Parts:
        place, bus = self.place, EventBus()
        components = components_over(
            self.state,
            bus,
            place.stacks,
            settings=place.settings,
            own_container=self.own_container,
            leadership=self.leadership,
        )
        environments = {place.environment.name: place.environment}
        orchestrator = DeploymentOrchestrator(components, environments)
        return Parts(
            settings=place.settings,
            state=self.state,
            bus=bus,
            stacks=place.stacks,
            environments=environments,
            engines=environments,
            orchestrator=orchestrator,
            leadership=self.leadership,
            peers=components.peers,
            own_container=self.own_container,
            leader_tasks=(OrphanedDeployments(orchestrator),),
        )


class BotProcess(Process):
    """Stand by or be the leader; one that does not connect never gets ready."""

    async def live(self, *, connects: bool) -> None:
        await asyncio.sleep(WAKE_UP_SECONDS)
        async with (
            self.state,
            run_leader_election(self.parts, lambda: BotReadiness(self.connected, True)),
        ):
            if connects:
                await asyncio.sleep(CONNECT_SECONDS)
                self.connected = True
                self.is_checked()
            await asyncio.get_running_loop().create_future()


class CommandLine(Process):
    """Carry one deployment, and say meanwhile that it lives."""

    prefix = "CLI"

    async def carry(self, work: Callable[["Process"], Awaitable[str]]) -> None:
        """Do what starts a deployment, and wait for its end."""
        async with self.state, send_heartbeats(self.state):
            if deployment_id := await work(self):
                await self.parts.orchestrator.wait(deployment_id)
            await self.parts.orchestrator.close()
