"""Name the parts that deployments work with, and what they ask of those that are not theirs."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from roas.configuration.settings import Settings
from roas.events import EventBus
from roas.models.check import ValidationReport
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.health import AT_WORK, ContainerSnapshot
from roas.models.leader_lease import Judgement
from roas.stack.interface import FoundStack
from roas.stack.stacks import Stacks
from roas.stack.updating.canary.service_canary import ReadFigure, no_figure
from roas.stack.updating.deployment_manager import DeploymentManager
from roas.state.leader_lease import HeldLease
from roas.state.manager import StateManager


class Validator(Protocol):
    """Judge an environment."""

    async def validate(
        self,
        environment: Environment,
        version: str | None = None,
        *,
        model_hash: str | None = None,
        found: FoundStack | None = None,
    ) -> ValidationReport:
        """Look at an environment as a deployment would find it; what was just `found` is not asked again."""
        ...


class Monitoring(Protocol):
    """Prepare the monitoring of an environment."""

    async def prepare_monitoring_stack(self, environment: Environment) -> tuple[str, ...]:
        """Prepare the monitoring of an environment; returns warnings."""
        ...


class Prober(Protocol):
    """Probe a dependency over the network."""

    async def probe(self, environment: Environment, url: str, timeout_seconds: float) -> bool | None:
        """Return whether a probe URL answers within its time; None where its name means nothing from here."""
        ...


class PeerSource(Protocol):
    """Classify containers as peers or foreign."""

    async def judge(self, environment: Environment, containers: Iterable[ContainerSnapshot]) -> tuple[Judgement, ...]:
        """Judge containers of the bot's service other than this process's own. Raises RoasError."""
        ...


# Find the container of an environment that this very process runs in, or None.
OwnContainerSource = Callable[[Environment], Awaitable[OwnContainer | None]]


# Make recovery stop working on the services of an environment, and wait until it has.
StopRecovery = Callable[[Environment], Awaitable[None]]


async def no_recovery(environment: Environment) -> None:
    """Do nothing: the no-op for setups without recovery."""


@dataclass(frozen=True, slots=True)
class Components:
    """Name the parts that deployments work with."""

    settings: Settings
    state: StateManager
    bus: EventBus
    stacks: Stacks
    manager: DeploymentManager
    validator: Validator
    monitoring: Monitoring
    prober: Prober
    own_container: OwnContainerSource
    held_lease: HeldLease
    peers: PeerSource
    stop_recovery: StopRecovery = no_recovery
    read_figure: ReadFigure = no_figure

    async def own_bot(self, environment: Environment) -> OwnContainer | None:
        """Return the container of an environment that the bot runs in: this process's own, or the leader's."""
        own = await self.own_container(environment)
        if own is not None or not environment.is_home:
            return own
        ownership = self.state.ownership
        lease = await ownership.lease()
        leader = await ownership.heartbeat(instance_id=lease.instance_id) if lease is not None else None
        working = [
            container for container in await self.stacks.of(environment).containers() if container.state in AT_WORK
        ]
        # A killed one is started again, and one that was just created does not lead yet: both are bots.
        for container in sorted(working, key=lambda candidate: leader is None or candidate.id != leader.container_id):
            if await ownership.heartbeat(container_id=container.id) is not None:
                return OwnContainer(container.id, container.name, environment.project, container.service)
        return None
