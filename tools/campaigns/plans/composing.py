"""Be Docker Compose on a machine of plain data: what `create`, `up`, `run` and `down` do to containers.

Written from Compose's own behaviour (pkg/compose/convergence.go): a container whose configuration hash, or the image
that its name means, is another is replaced under its number; what is too many is removed; what lacks is created.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol, TypeVar

from tools.campaigns.plans.machine import PAUSED, Container, DockerError, Machine

VERSION = "${VERSION}"


@dataclass(frozen=True)
class Service:
    """Say what a compose file has of a service; of a stored model, `image_id` is what its image is pinned to."""

    image: str
    setting: int = 0
    replicas: int = 1
    shares: str = ""
    needs: tuple[tuple[str, bool], ...] = ()
    one_shot: bool = False
    start_first: bool = False
    active: bool = True
    built: bool = False
    pull_always: bool = False
    image_id: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the service as a model has it."""
        fields = asdict(self) | {"network_mode": f"service:{self.shares}" if self.shares else ""}
        return fields | {"needs": [list(item) for item in self.needs]}

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> "Service":
        """Read a service of a model."""
        own = {name: value for name, value in fields.items() if name != "network_mode"}
        return cls(**own | {"needs": tuple((on, restart) for on, restart in fields["needs"])})


class Named(Protocol):
    """Be a container as far as it matters for whose namespace is joined."""

    @property
    def name(self) -> str:
        """Return its name."""
        ...

    @property
    def service(self) -> str:
        """Return the service that its label names."""
        ...


C = TypeVar("C", bound=Named)


def with_version(file: Mapping[str, Service], version: str) -> dict[str, Service]:
    """Return the active services of a compose file where VERSION is set."""
    return {
        name: replace(service, image=service.image.replace(VERSION, version))
        for name, service in file.items()
        if service.active
    }


def hash_of(service: Service, joined: str = "") -> str:
    """Hash a service as Compose does: `network_mode: service:x` as the id of the container that it joins."""
    return hashlib.sha256(json.dumps([service.image, service.setting, joined]).encode()).hexdigest()


def joined_by(service: Service, containers: Iterable[C]) -> C | None:
    """Return the container in whose namespace a service is to be: the first by name."""
    found = (container for container in containers if service.shares and container.service == service.shares)
    return min(found, key=lambda one: one.name, default=None)


@dataclass(frozen=True)
class Compose:
    """Type Compose commands for one project on a machine."""

    machine: Machine
    project: str
    services: Mapping[str, Service]
    no_recreate: bool = False
    scale: Mapping[str, int] = field(default_factory=dict)

    def create(self, chosen: Iterable[str], *, deps: bool = True, recreate: bool = False) -> None:
        """Create what lacks and replace what differs, of some services and what these share with."""
        named = frozenset(chosen)
        for name in self._in_order(named, deps=deps):
            self._converge(name, recreate=recreate and name in named)

    def up(
        self, chosen: Iterable[str] = (), *, deps: bool = True, recreate: bool = False, orphans: bool = False
    ) -> None:
        """Create, then start; with `orphans`, remove what the compose file does not know."""
        if orphans:
            for service in self.machine.of(self.project):
                if service.service not in self.services:
                    self.machine.remove(service.id)
        named = frozenset(chosen) or frozenset(self.services)
        self.create(named, deps=deps, recreate=recreate)
        for name in self._in_order(named, deps=deps):
            for item in self.machine.of(self.project, name):
                self.machine.start(item.id)

    def run(self, name: str) -> None:
        """Run something once in a container that is none of the service's."""
        number = len(self.machine.containers)
        new = replace(self._new(name, 1), name=f"{self.project}-{name}-run-{number}", one_off=True, ends=False)
        self.machine.start(self.machine.create(new).id)

    def down(self) -> None:
        """Remove all of the project, the one-offs too."""
        for environment in [
            container for container in self.machine.containers.values() if container.project == self.project
        ]:
            self.machine.remove(environment.id)

    def _in_order(self, chosen: Collection[str], *, deps: bool) -> list[str]:
        found: list[str] = []

        def visit(name: str) -> None:
            service = self.services[name]
            for on in (service.shares, *(on for on, _ in service.needs)):
                if on in self.services and (deps or on in chosen):
                    visit(on)
            if name not in found:
                found.append(name)

        for name in sorted(chosen):
            if name in self.services:
                visit(name)
        return found

    def _converge(self, name: str, *, recreate: bool) -> None:
        there = sorted(self.machine.of(self.project, name), key=lambda one: (self._differs(one), one.number))
        expected = self.scale.get(name, self.services[name].replicas)
        for item in there[expected:]:
            self.machine.remove(item.id)
        for container in there[:expected]:
            if not self.no_recreate and (recreate or self._differs(container)):
                self._replace(container)
            elif container.state == PAUSED:  # what neither runs nor stands still is started, and that is refused
                self.machine.start(container.id)
        highest = max((release.number for release in self.machine.of(self.project, name)), default=0)
        for number in range(highest + 1, highest + 1 + max(0, expected - len(there))):
            self.machine.create(self._new(name, number))

    def _differs(self, one: Container) -> bool:
        return one.config_hash != self._hash(one.service) or one.image != self._image(one.service)

    def _hash(self, name: str) -> str:
        joined = joined_by(self.services[name], self.machine.of(self.project))
        return hash_of(self.services[name], joined.id if joined else "")

    def _replace(self, one: Container) -> None:
        """Create a successor under a passing name; then the old one goes, and leaves it its name."""
        new = self._new(one.service, one.number)
        created = self.machine.create(replace(new, name=f"{one.id[:12]}_{new.name}"))
        self.machine.remove(one.id)
        self.machine.rename(created.id, new.name)

    def _image(self, name: str) -> str:
        reference = self.services[name].image
        return self.machine.tags.get(reference) or self.machine.pull(reference)

    def _new(self, name: str, number: int) -> Container:
        service = self.services[name]
        joined = joined_by(service, self.machine.of(self.project))
        if service.shares and joined is None:
            raise DockerError(f"cannot share network namespace with service {service.shares}: container missing")
        return Container(
            "",
            f"{self.project}-{name}-{number}",
            self.project,
            name,
            number,
            self._hash(name),
            self._image(name),
            service.image,
            ends=service.one_shot,
            joins=joined.id if joined else "",
            networks=frozenset() if joined else frozenset({f"{self.project}_default"}),
        )
