"""Describe a stack: its services as defined, what they depend on, their proxies, and what stands in the way of them."""

from dataclasses import dataclass, replace
from enum import StrEnum

from roas.models.canary import CanaryPolicy
from roas.models.rollout import ALL_AT_ONCE, RolloutPolicy

PROBE_TIMEOUT_SECONDS = 10.0
DEPENDENCY_TIMEOUT_SECONDS = 300.0


class DependencyKind(StrEnum):
    """How much a dependency matters: `required` must be ready, `optional` is waited for, `soft` is an order only."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    SOFT = "soft"


class DependencyCondition(StrEnum):
    """When a dependency counts as ready, as the Compose Specification names it."""

    STARTED = "service_started"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"


@dataclass(frozen=True, slots=True)
class Dependency:
    """Define that `service` starts after `on`; `probe` is a URL, or None for the container's own health.

    `startup_delay_seconds` is the grace in which a failing probe does not count.
    """

    service: str
    on: str
    kind: DependencyKind = DependencyKind.REQUIRED
    condition: DependencyCondition = DependencyCondition.HEALTHY
    startup_delay_seconds: float = 0.0
    timeout_seconds: float = DEPENDENCY_TIMEOUT_SECONDS
    probe: str | None = None
    restart: bool = False


class ProxyKind(StrEnum):
    """How a proxy learns of a service's containers, and how it is told to send no more to one of them."""

    HAPROXY = "haproxy"
    DNS = "dns"


@dataclass(frozen=True, slots=True)
class ServiceProxy:
    """Name the `service` that is the proxy, and how it is told of containers.

    `socket` is where HAProxy's admin socket is in the proxy's own container. Its `backends` have the service's servers;
    of these, `websockets` have connections that last: nobody waits for them. `limit_seconds` is how long open
    connections are waited for. A proxy that knows containers by DNS alone asks for their addresses every
    `refresh_seconds`. One that `is_dropped` is not the service's any more: it is told once more, as far as it can be.
    Where it `is_weighed`, a canary has its share of the requests by weights, and these are counted.
    """

    service: str
    kind: ProxyKind = ProxyKind.HAPROXY
    socket: str = ""
    backends: tuple[str, ...] = ()
    websockets: tuple[str, ...] = ()
    limit_seconds: float = 10.0
    refresh_seconds: float = 1.0
    is_dropped: bool = False
    is_weighed: bool = False

    @property
    def all_backends(self) -> tuple[str, ...]:
        """Return every backend that has servers of the service."""
        return tuple(dict.fromkeys((*self.backends, *self.websockets)))


@dataclass(frozen=True, slots=True)
class ServiceProbe:
    """Name a URL that answers while a service is healthy; failures in the grace period after a start are ignored."""

    url: str
    grace_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Track:
    """Say which tags of an image are versions: a range, a pattern, or whatever is behind one tag.

    Prereleases count only where they are asked for, and a version once it is old enough.
    """

    versions: str = ""
    pattern: str = ""
    digest_of: str = ""
    prereleases: bool = False
    min_age_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BackupRule:
    """Say how the data of a service is backed up and restored: by commands in its container, or by copying volumes.

    `command` writes the data to its standard output, `restore` reads it from its standard input, and so does `verify`,
    where there is one, in a container of its own. The newest `keep` backups stay. They are made before a deployment
    changes anything, before one of these jobs of the stack runs, and at each moment of the cron expression `every`;
    encrypted where there is a file `key`. Each, and each `verify`, may take `timeout_seconds`.

    With `volumes`, by the names that the engine has for them, there are no commands: what writes into them is stopped,
    or where it `pauses` that, while a container of the image of `helper`, a service, copies them.
    """

    command: tuple[str, ...]
    restore: tuple[str, ...]
    keep: int
    verify: tuple[str, ...] = ()
    before_deploy: bool = True
    before_jobs: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    pauses: bool = False
    helper: str = ""
    every: str = ""
    key: str = ""
    timeout_seconds: float = 600.0

    @property
    def is_of_releases(self) -> bool:
        """Return whether deployments make backups, which a release is brought back with."""
        return self.before_deploy or bool(self.before_jobs)


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """Define how a service is updated and judged; `monitor_seconds` is `update_config.monitor` where it is given.

    `one_shot` services are meant to end with code 0; those that `may_end` look as if: nothing starts them again, and no
    health check says that they run. On the way back to an earlier release a one-shot runs only where it
    `runs_on_rollback`. `fixed_place` names what forbids a second container beside the first (a fixed host port, a
    `container_name`), or is empty; one with a `fixed_name` not even beside a stopped one. `shared_by` share a namespace
    with it, `linked_by` link to it; `proxy` is in front of it. `update` and `rollback` say how its replicas are
    replaced, a few at a time or all at once, on the way there and back; a new version first earns its traffic as a
    `canary`. One `on_each_node` of a Swarm (`mode: global`)
    has as many replicas as there are nodes for it. One that was `stopped` or `scaled` through the bot says by whom and
    why.
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
    canary: CanaryPolicy | None = None
    track: Track | None = None
    backup: BackupRule | None = None
    stopped: str = ""
    scaled: str = ""

    def for_rollback(self) -> "ServiceDefinition":
        """Return the definition with what `rollback_config` says in the place of `update_config`."""
        return replace(
            self,
            start_first=self.rollback_start_first,
            update=self.rollback,
            canary=None,
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


class ObstacleKind(StrEnum):
    """What an obstacle is about; each has a check of its own."""

    EXTERNAL = "external"
    CONTAINER_NAME = "container_name"
    PORT = "port"
    PLACEMENT = "placement"
    SERVICE_NAME = "service_name"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Say what stands in the way, and what to do about it: it fails a check, and nothing is changed."""

    kind: ObstacleKind
    message: str
    remedy: str
