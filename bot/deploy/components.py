"""Name the parts that deployments work with, and what they ask of those above them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from roas.checks.validator import EnvironmentValidator
from roas.configuration.settings import Settings
from roas.deploy.peers import Peers
from roas.events import EventBus
from roas.health.collector import MonitoringCollector
from roas.health.probes import NetworkProber
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.health import AT_WORK
from roas.stack.stacks import Stacks
from roas.stack.updating.canary.service_canary import ReadFigure, no_figure
from roas.stack.updating.deployment_manager import DeploymentManager
from roas.state.leadership import Leadership
from roas.state.manager import StateManager

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
    validator: EnvironmentValidator
    monitoring: MonitoringCollector
    prober: NetworkProber
    own_container: OwnContainerSource
    leadership: Leadership
    peers: Peers
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
