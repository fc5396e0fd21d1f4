"""Tell which ports of the host a stack publishes, and who holds them already."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from roas.models.facts import PublishedPort
from roas.stack.docker.labels import project_of

ANYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound


@dataclass(frozen=True, slots=True)
class WantedPort:
    """Name a host port that a service publishes."""

    service: str
    host_ip: str
    port: int
    protocol: str

    @property
    def address(self) -> str:
        """Return the address as Docker writes it."""
        return f"{self.host_ip or '0.0.0.0'}:{self.port}/{self.protocol}"  # noqa: S104

    def collides_with(self, holder: PublishedPort) -> bool:
        """Return whether both cannot be published at the same time."""
        if (self.port, self.protocol) != (holder.port, holder.protocol):
            return False
        return bool({self.host_ip, holder.host_ip} & ANYWHERE) or self.host_ip == holder.host_ip

    def holder(self, held: Iterable[PublishedPort], project: str) -> PublishedPort | None:
        """Return who holds it and is not of the project."""
        return next(
            (
                published_port
                for published_port in held
                if self.collides_with(published_port) and published_port.project != project
            ),
            None,
        )


def wanted_ports(services: Mapping[str, Any]) -> list[WantedPort]:
    """Read the fixed host ports from a resolved model; a range is left out, since any port of it may be used."""
    return [
        WantedPort(name, str(entry.get("host_ip", "")), int(entry["published"]), str(entry.get("protocol", "tcp")))
        for name, service in sorted(services.items())
        for entry in (service or {}).get("ports") or ()
        if str(entry.get("published", "")).isdigit() and int(entry["published"]) != 0
    ]


def published_ports(containers: Iterable[Mapping[str, Any]]) -> tuple[PublishedPort, ...]:
    """Return the host ports that an engine's containers hold, from its list of them."""
    found: dict[PublishedPort, None] = {}
    for container in containers:
        name = str((container.get("Names") or [container["Id"][:12]])[0]).lstrip("/")
        project = project_of(container.get("Labels"))
        for port in container.get("Ports") or ():
            if port.get("PublicPort"):
                found[PublishedPort(port.get("IP", ""), port["PublicPort"], port["Type"], name, project)] = None
    return tuple(found)
