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
