"""Define what goes through the control socket, besides the plain data of `roas.models`."""

from dataclasses import dataclass

from roas.models.actor import Actor
from roas.models.deployment import Deployment, DeploymentRequest, Lock
from roas.models.freeze import Freeze
from roas.models.health import StackHealth
from roas.models.release import Release
from roas.models.rollout import Choice


@dataclass(frozen=True, slots=True)
class Greeting:
    """Identify the bot that answers."""

    instance_id: str
    version: str


@dataclass(frozen=True, slots=True)
class StartOrder:
    """Ask for a deployment; `confirmed` says that the person wants it where it needs approval."""

    request: DeploymentRequest
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class DecisionOrder:
    """Say what a person chose for a deployment that is paused."""

    choice: Choice
    actor: Actor


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """Describe an environment; `fault` says why its health is not known.

    `abandoned` says that the process that carried out the deployment under way has died, and none has taken it over.
    """

    environment: str
    project: str
    release: Release | None = None
    active: Deployment | None = None
    lock: Lock | None = None
    health: StackHealth | None = None
    fault: str = ""
    freeze: Freeze | None = None
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Describe several environments; `fault` says why the bot that runs was not the one to answer."""

    environments: tuple[EnvironmentStatus, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class FaultDocument:
    """Transfer an error from one process to another; `lock` is set when another deployment holds the environment."""

    key: str
    message: str
    hint: str = ""
    service: str | None = None
    report: str = ""
    lock: Lock | None = None
