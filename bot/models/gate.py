"""Decide who passes what: a closed window, a freeze, a hold, what an environment requires, and what it verifies.

| | window closed | freeze | hold | requires, soak | verify |
|---|---|---|---|---|---|
| `/deploy` by a person | waits | refused | told, lifts it | refused | refused |
| `auto`, CI | waits | waits | refused | waits | refused |
| scheduled, at its time | asks again | waits, asks again | asks again | asks again | refused |
| `/hotfix` | with its reason | with its reason | told, lifts it | told | refused |
| `/rollback` | passes | with its reason | passes | passes | passes |
| automatic rollback | passes | passes | passes | passes | passes |

It is asked once, when a deployment begins: what began inside a window may finish. A deployment that a second person
approves begins then. To restart, stop and start services, only a freeze is in the way, and nothing is in the way of a
backup on its schedule.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from roas.models.actor import RECOVERY, ActorKind
from roas.models.deployment import DeploymentKind, DeploymentRequest, Operation


class Way(Enum):
    """Name what begins a deployment."""

    DEPLOY = auto()
    AUTO = auto()
    SCHEDULED = auto()
    HOTFIX = auto()
    ROLLBACK = auto()
    AUTOMATIC_ROLLBACK = auto()
    OPERATION = auto()
    SAVE = auto()


class Gate(StrEnum):
    """Name what may be in the way; the value is written to the audit."""

    WINDOW = "window"
    FREEZE = "freeze"
    HOLD = "hold"
    REQUIRES = "requires"
    VERIFY = "verify"


class Passage(Enum):
    """Say what becomes of a deployment at a gate; the later one counts."""

    PASSES = 0
    TOLD = 1
    WITH_REASON = 2
    WAITS = 3
    ASKS_AGAIN = 4
    REFUSED = 5


P = Passage
TABLE: Mapping[Way, tuple[Passage, ...]] = {
    Way.DEPLOY: (P.WAITS, P.REFUSED, P.TOLD, P.REFUSED, P.REFUSED),
    Way.AUTO: (P.WAITS, P.WAITS, P.REFUSED, P.WAITS, P.REFUSED),
    Way.SCHEDULED: (P.ASKS_AGAIN, P.ASKS_AGAIN, P.ASKS_AGAIN, P.ASKS_AGAIN, P.REFUSED),
    Way.HOTFIX: (P.WITH_REASON, P.WITH_REASON, P.TOLD, P.TOLD, P.REFUSED),
    Way.ROLLBACK: (P.PASSES, P.WITH_REASON, P.PASSES, P.PASSES, P.PASSES),
    Way.AUTOMATIC_ROLLBACK: (P.PASSES,) * 5,
    Way.OPERATION: (P.PASSES, P.REFUSED, P.PASSES, P.PASSES, P.PASSES),
    Way.SAVE: (P.PASSES,) * 5,
}


@dataclass(frozen=True, slots=True)
class GateDecision:
    """Hold what becomes of a deployment, and the gates that it passes by its reason."""

    passage: Passage
    by_reason: tuple[Gate, ...] = ()
    lacks_reason: bool = False

    @property
    def needs_reason(self) -> bool:
        """Return whether it would pass if somebody said why it cannot wait."""
        return self.passage is Passage.REFUSED and self.lacks_reason

    @property
    def may_begin(self) -> bool:
        """Return whether nothing is in the way."""
        return self.passage in {Passage.PASSES, Passage.TOLD}


def way_of(request: DeploymentRequest) -> Way:
    """Return what begins a deployment."""
    if request.operation is not None:
        return Way.SAVE if request.operation is Operation.SAVE else Way.OPERATION
    if request.kind is DeploymentKind.HOTFIX:
        return Way.HOTFIX
    if request.kind is DeploymentKind.ROLLBACK:
        return Way.AUTOMATIC_ROLLBACK if request.requested_by.id == RECOVERY else Way.ROLLBACK
    if request.requested_by.kind is ActorKind.SOURCE:
        return Way.AUTO
    return Way.SCHEDULED if request.starts_at is not None else Way.DEPLOY


def judge(way: Way, shut: Collection[Gate], *, has_reason: bool) -> GateDecision:
    """Return what becomes of a deployment where some gates are shut."""
    found = {gate: TABLE[way][position] for position, gate in enumerate(Gate) if gate in shut}
    by_reason = tuple(gate for gate, passage in found.items() if passage is Passage.WITH_REASON)
    for gate in by_reason:
        found[gate] = Passage.TOLD if has_reason else Passage.REFUSED
    worst = max(found.values(), key=lambda passage: passage.value, default=Passage.PASSES)
    deciding = tuple(gate for gate, passage in found.items() if passage is worst and worst is not Passage.PASSES)
    lacks_reason = bool(by_reason) and not has_reason and set(deciding) <= set(by_reason)
    return GateDecision(worst, by_reason if has_reason else (), lacks_reason)


def judge_request(request: DeploymentRequest, shut: Collection[Gate]) -> GateDecision:
    """Return what becomes of a request where some gates are shut."""
    return judge(way_of(request), shut, has_reason=bool(request.reason.strip()))
