"""Describe what a deployment would change, before anything is touched."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

BUILD_HASH = re.compile(r"[0-9a-f]{64}")


class ServiceAction(StrEnum):
    """What a plan does to a service; `adjust` changes only the number of its containers, `reload` none of them."""

    CREATE = "create"
    RECREATE = "recreate"
    RESTART = "restart"
    START = "start"
    ADJUST = "adjust"
    RELOAD = "reload"
    REMOVE = "remove"
    KEEP = "keep"

    @classmethod
    def _missing_(cls, value: object) -> "ServiceAction":
        """Read an unknown action of a newer version as one that changes the service."""
        return cls.RECREATE


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
