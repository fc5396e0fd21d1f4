"""Describe a service as a deployment needs to know it, read from a resolved compose model."""

from dataclasses import dataclass, replace

from roas.models.dependency import Dependency
from roas.models.proxy import ServiceProxy
from roas.models.rollout import ALL_AT_ONCE, RolloutPolicy


@dataclass(frozen=True, slots=True)
class ServiceProbe:
    """Name a URL that answers while a service is healthy; failures in the grace period after a start are ignored."""

    url: str
    grace_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """Define how a service is updated and judged; `monitor_seconds` is `update_config.monitor` where it is given.

    `one_shot` services are meant to end with code 0; those that `may_end` look as if: nothing starts them again, and no
    health check says that they run. On the way back to an earlier release a one-shot runs only where it
    `runs_on_rollback`. `fixed_place` names what forbids a second container beside the first (a fixed host port, a
    `container_name`), or is empty; one with a `fixed_name` not even beside a stopped one. `shared_by` share a namespace
    with it, `linked_by` link to it; `proxy` is in front of it. `update` and `rollback` say how its replicas are
    replaced, a few at a time or all at once, on the way there and back. One `on_each_node` of a Swarm (`mode: global`)
    has as many replicas as there are nodes for it.
    """

    name: str
    image: str
    definition_hash: str
    dependencies: tuple[Dependency, ...] = ()
    built: bool = False
    replicas: int = 1
    on_each_node: bool = False
    has_health_check: bool = False
    one_shot: bool = False
    may_end: bool = False
    runs_on_rollback: bool = False
    critical: bool = False
    start_first: bool = False
    rollback_start_first: bool = False
    monitor_seconds: float | None = None
    rollback_monitor_seconds: float | None = None
    update: RolloutPolicy = ALL_AT_ONCE
    rollback: RolloutPolicy = ALL_AT_ONCE
    pull_policy: str = "missing"
    fixed_place: str = ""
    fixed_name: bool = False
    denies_start_first: bool = False
    shared_by: tuple[str, ...] = ()
    linked_by: tuple[str, ...] = ()
    probes: tuple[ServiceProbe, ...] = ()
    proxy: ServiceProxy | None = None

    def for_rollback(self) -> "ServiceDefinition":
        """Return the definition with what `rollback_config` says in the place of `update_config`."""
        return replace(
            self,
            start_first=self.rollback_start_first,
            update=self.rollback,
            monitor_seconds=self.monitor_seconds
            if self.rollback_monitor_seconds is None
            else self.rollback_monitor_seconds,
        )

    @property
    def ends_well(self) -> bool:
        """Return whether a container that has ended with code 0 is as it should be."""
        return self.one_shot or self.may_end


@dataclass(frozen=True, slots=True)
class WantedImage:
    """Hold the content that an image reference means right now.

    `image_id` is known for an image that is here, `digest` (`name@sha256:…`) for one that a registry was asked for,
    `build_hash` for one that is yet to be built.
    """

    reference: str
    image_id: str | None = None
    digest: str | None = None
    build_hash: str | None = None
    must_pull: bool = False
    builder: str = ""  # the service that says how it is built

    @property
    def identity(self) -> str:
        """Return what binds a plan to this content."""
        return self.build_hash or self.image_id or self.digest or self.reference
