"""Say which proxy stands in front of a service, read from `x-deploy.proxy` of a resolved compose model."""

from dataclasses import dataclass
from enum import StrEnum


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
    """

    service: str
    kind: ProxyKind = ProxyKind.HAPROXY
    socket: str = ""
    backends: tuple[str, ...] = ()
    websockets: tuple[str, ...] = ()
    limit_seconds: float = 10.0
    refresh_seconds: float = 1.0
    is_dropped: bool = False

    @property
    def all_backends(self) -> tuple[str, ...]:
        """Return every backend that has servers of the service."""
        return tuple(dict.fromkeys((*self.backends, *self.websockets)))
