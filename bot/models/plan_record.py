"""Describe a plan that waits for its confirmation and, where one is needed, its approval."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from roas.models.actor import Actor
from roas.models.deployment import DeploymentRequest
from roas.models.plan import Plan

# Time for a confirmation; an older plan would be confirmed without being read.
LIFETIME = timedelta(minutes=15)
# Time for an approval of what was drafted.
DRAFT_LIFETIME = timedelta(hours=24)


class PlanState(StrEnum):
    """How far a plan has come: `planned` waits for the one who asked, `drafted` for a second person.

    Once it is confirmed it is `started`; where its draft has to be approved, it waits again before it is carried out.
    A release before had a plan that was `awaiting` approved before anything was drafted: nobody can approve that.
    """

    PLANNED = "planned"
    AWAITING = "awaiting"
    DRAFTED = "drafted"
    CONFIRMED = "confirmed"
    STARTED = "started"
    WITHDRAWN = "withdrawn"
    VOID = "void"
    EXPIRED = "expired"

    @classmethod
    def _missing_(cls, value: object) -> "PlanState":
        """Read an unknown state of a newer version as one in which nobody can confirm or approve."""
        return cls.VOID


# States in which a person has to answer, within the time limit.
WAITING = frozenset({PlanState.PLANNED, PlanState.AWAITING, PlanState.DRAFTED})
# Final states: nothing can be confirmed or approved any more.
ENDED = frozenset({PlanState.STARTED, PlanState.WITHDRAWN, PlanState.VOID, PlanState.EXPIRED})


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """Record a plan, who asked for it, who confirmed or approved it, and what became of it.

    The request holds the plan's digest, so that what is started is exactly what was shown; its `interaction_id` is
    the plan's own id, so that the journal takes one deployment of it, ever. `expires_boot_seconds` is the same
    moment as `expires_at` by the machine's boot clock, which nobody sets back; it means nothing under another
    `boot_id`, and older versions leave none. Once it is `drafted`, `plan` is that of the draft, with image IDs.
    """

    id: str
    request: DeploymentRequest
    plan: Plan
    created_at: datetime
    expires_at: datetime
    state: PlanState = PlanState.PLANNED
    decided_by: Actor | None = None
    decided_at: datetime | None = None
    deployment_id: str | None = None
    note: str = ""
    boot_id: str = ""
    expires_boot_seconds: float = 0.0

    @property
    def environment(self) -> str:
        """Return the name of the environment that it would move."""
        return self.request.environment

    @property
    def ended(self) -> bool:
        """Return whether nothing can become of it any more."""
        return self.state in ENDED

    @property
    def waits(self) -> bool:
        """Return whether a person has to answer; a plan with every confirmation and approval no longer expires."""
        return self.state in WAITING

    def is_from(self, actor: Actor) -> bool:
        """Return whether an actor is the one who requested the plan."""
        asker = self.request.requested_by
        return (asker.kind, asker.id) == (actor.kind, actor.id)
