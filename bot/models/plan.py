"""Describe what a deployment would change, before anything is touched."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from roas.models.actor import Actor
from roas.models.deployment import DeploymentRequest
from roas.models.stored import StoredEnum

BUILD_HASH = re.compile(r"[0-9a-f]{64}")


class ServiceAction(StoredEnum, unknown="recreate"):
    """What a plan does to a service; `adjust` changes only the number of its containers, `reload` none of them.

    An unknown one counts as one that changes the service.
    """

    CREATE = "create"
    RECREATE = "recreate"
    RESTART = "restart"
    START = "start"
    ADJUST = "adjust"
    RELOAD = "reload"
    REMOVE = "remove"
    STOP = "stop"
    KEEP = "keep"


# What takes a container away that is there.
REPLACING = frozenset({ServiceAction.RECREATE, ServiceAction.REMOVE})


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """Describe what happens to one service; changed configuration is listed by key, never by value.

    `reasons` are sentences beside image and keys. With `if_image_differs`, that is known only once the image is pulled
    or built: where it turns out to be the one that runs, the service stays.
    """

    service: str
    action: ServiceAction
    old_image: str | None = None
    new_image: str | None = None
    expected_image: str | None = None
    changed_keys: tuple[str, ...] = ()
    start_first: bool = False
    reasons: tuple[str, ...] = ()
    if_image_differs: bool = False

    @property
    def is_built(self) -> bool:
        """Return whether the image is yet to be built: what is expected of it is what it is built from."""
        return BUILD_HASH.fullmatch(self.expected_image or "") is not None


@dataclass(frozen=True, slots=True)
class Plan:
    """Hold what a deployment would do, in order; `digest` binds a confirmation to exactly this plan.

    With `refusals`, which are among the warnings too, it would do nothing of it as things are: a check would fail.
    `new_powers` are what its services get beyond their own containers, and no kept release has, by the names that grant
    them; `readings` says of each how a person reads it. `diff` is how a draft
    differs from the release that runs, by key and by file. A promotion says what of it is not as in the environment
    `promoted_from`, and `missing` what its environment requires, and is not so yet. `configuration` is a hash of the
    definition of each service that it brings, its files among it. `data` says what is backed up or restored, and
    `restores` names these backups.
    """

    environment: str
    version: str
    from_release: int | None
    to_release: int | None
    services: tuple[ServicePlan, ...]
    order: tuple[str, ...]
    warnings: tuple[str, ...]
    digest: str
    refusals: tuple[str, ...] = ()
    new_powers: tuple[str, ...] = ()
    diff: tuple[str, ...] = ()
    promoted_from: str = ""
    promoted_release: int | None = None
    promotion: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    configuration: dict[str, str] = field(default_factory=dict)
    data: tuple[str, ...] = ()
    restores: tuple[str, ...] = ()
    readings: dict[str, str] = field(default_factory=dict)

    def bind(self, request: DeploymentRequest) -> DeploymentRequest:
        """Return a request that starts exactly this plan."""
        request = replace(request, plan_digest=self.digest, data=self.restores)
        if not self.promoted_from:
            return request
        return replace(request, promoted_release=self.promoted_release, version=self.version or None)

    def with_powers(self, found: Mapping[str, str]) -> "Plan":
        """Return the plan with these new powers, by their name."""
        readings = {name: text for name, text in found.items() if text != name}
        return replace(self, new_powers=tuple(found), readings=readings)

    def read(self, powers: Iterable[str]) -> tuple[str, ...]:
        """Return how a person reads some of its new powers."""
        return tuple(self.readings.get(name, name) for name in powers)

    @property
    def refused(self) -> tuple[str, ...]:
        """Return why nothing of it would be done as things are."""
        return self.refusals + self.missing

    @property
    def cautions(self) -> tuple[str, ...]:
        """Return the warnings that refuse nothing."""
        return tuple(warning for warning in self.warnings if warning not in self.refusals)

    @property
    def changed(self) -> tuple[ServicePlan, ...]:
        """Return the services that would not stay as they are."""
        return tuple(service for service in self.services if service.action is not ServiceAction.KEEP)

    @property
    def replaced(self) -> tuple[str, ...]:
        """Return the services of which containers go."""
        return tuple(sorted(service.service for service in self.services if service.action in REPLACING))

    def with_warnings(self, *warnings: str) -> "Plan":
        """Return the plan with more warnings; who said yes to it is bound to what it does, not to these."""
        return replace(self, warnings=(*self.warnings, *warnings)) if warnings else self


# Time for a confirmation; an older plan would be confirmed without being read.
LIFETIME = timedelta(minutes=15)
# Time for an approval of what was drafted.
DRAFT_LIFETIME = timedelta(hours=24)


class PlanState(StoredEnum, unknown="void"):
    """How far a plan has come: `planned` waits for the one who asked, `drafted` for a second person.

    `scheduled` has every answer and waits for its time: it is planned again then, or has its draft.

    Once it is confirmed it is `started`; where its draft has to be approved, it waits again before it is carried out.
    A release before had a plan that was `awaiting` approved before anything was drafted: nobody can approve that.
    Nor can anybody confirm or approve an unknown one.
    """

    PLANNED = "planned"
    AWAITING = "awaiting"
    DRAFTED = "drafted"
    CONFIRMED = "confirmed"
    SCHEDULED = "scheduled"
    STARTED = "started"
    WITHDRAWN = "withdrawn"
    VOID = "void"
    EXPIRED = "expired"


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
    One that was scheduled and could not begin is asked for again as `asked_again_as`.
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
    asked_again_as: str = ""

    @property
    def asks_again(self) -> bool:
        """Return whether it stands for one that was scheduled and could not begin: the channel shows it."""
        return self.state is PlanState.PLANNED and bool(self.note)

    @property
    def is_shown(self) -> bool:
        """Return whether the channel shows it: it waits for a second person, for its time, or is asked for again."""
        return self.deployment_id is not None or self.state is PlanState.SCHEDULED or self.asks_again

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
