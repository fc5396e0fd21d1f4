"""Define what goes through the control API besides the plain data of `roas.models`, and errors as documents."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from roas.errors import InvalidRequestError, RoasError, StateError
from roas.messages.message import said
from roas.models.actor import Actor
from roas.models.candidate import Delivery, Hold
from roas.models.deployment import Deployment, DeploymentRequest, Freeze, Lock
from roas.models.health import StackHealth
from roas.models.plan import PlanRecord
from roas.models.release import Release
from roas.models.rollout import Choice
from roas.state.deployments.locks import LockHeldError


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
    """Say what a person chose for a deployment that is paused, and why."""

    choice: Choice
    actor: Actor
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SecretOrder:
    """Ask for a new version of a secret; its value is in base64."""

    environment: str
    name: str
    value: str = field(repr=False)
    actor: Actor


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """Say what a version of a secret is called."""

    environment: str
    name: str
    called: str


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """Describe an environment; `fault` says why its health is not known.

    `abandoned` says that the process that carried out the deployment under way has died, and none has taken it over.
    `drafted` waits for the approval of a second person, what is `scheduled` for its time. Outside of its windows,
    `next_window` is when the next one opens. It takes only what was healthy for `soak_seconds` in what it `requires`.
    """

    environment: str
    health: StackHealth | None = None
    release: Release | None = None
    active: Deployment | None = None
    lock: Lock | None = None
    fault: str = ""
    freeze: Freeze | None = None
    holds: tuple[Hold, ...] = ()
    project: str = ""
    abandoned: bool = False
    drafted: Deployment | None = None
    scheduled: tuple[PlanRecord, ...] = ()
    next_window: datetime | None = None
    requires: str = ""
    soak_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Describe several environments, and the last delivery of each source's webhook.

    `fault` says why the bot that runs was not the one to answer.
    """

    environments: tuple[EnvironmentStatus, ...]
    fault: str = ""
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultDocument:
    """Transfer an error from one process to another; `lock` is set when another deployment holds the environment."""

    key: str
    message: str
    hint: str = ""
    service: str | None = None
    report: str = ""
    lock: Lock | None = None


class ControlUnavailableError(StateError):
    """A bot lives, but does not answer on its control socket."""

    key = "control_unavailable"
    transient = True


class ControlSocketHeldError(StateError):
    """Another running bot answers on the control socket."""

    key = "control_socket_held"


def to_document(error: RoasError) -> FaultDocument:
    """Return a fault as plain data."""
    lock = error.lock if isinstance(error, LockHeldError) else None
    return FaultDocument(error.key, error.message, error.hint, error.service, error.report, lock)


def from_document(document: FaultDocument) -> RoasError:
    """Return the typed error of a document; a key that is not known here becomes a plain RoasError."""
    if document.lock is not None:
        return LockHeldError(document.lock)
    kinds = {kind.key: kind for kind in reversed(list(_kinds(RoasError))) if kind is not LockHeldError}
    kind = kinds.get(document.key, RoasError)
    error = kind.__new__(kind)  # what some kinds are made of is not in the document
    RoasError.__init__(error, document.message, hint=document.hint, service=document.service, report=document.report)
    error.key = document.key
    return error


def invalid_document() -> InvalidRequestError:
    """Create the error for a body that cannot be parsed."""
    return InvalidRequestError(
        said("The bot does not understand this request."),
        hint=said("Use the command line of the same version as the bot."),
    )


def _kinds(kind: type[RoasError]) -> Iterator[type[RoasError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)
