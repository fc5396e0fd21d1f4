"""What people type on a machine of plain data: Docker's and Compose's own commands, and nothing of ours."""

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from tools.campaigns.plans.composing import Compose, Service, hash_of, with_version
from tools.campaigns.plans.machine import Container, DockerError, Machine
from tools.campaigns.plans.sweeping import own_name

VERSIONS = ("v1", "v2", "v3")
OTHER = "sha256:other"
NO_RELEASE = "hand"


@dataclass
class Hands:
    """Do one thing after the other to a stack in its folder."""

    machine: Machine
    rng: random.Random
    file: Mapping[str, Service]
    project: str

    def use(self) -> str:
        """Do one thing, and return what it was; what Docker refuses has no effect, or half of it."""
        hand = self.rng.choice(self.all())
        there = self.machine.of(self.project)
        if not there and hand not in self.without_containers():
            return f"{hand.__name__.strip('_')}: nothing was there"
        chosen = self.rng.choice(there) if there else None
        said = ""
        try:
            hand(chosen)  # type: ignore[arg-type]
        except DockerError as error:
            said = f": {error}"
        return f"{hand.__name__.strip('_')} {chosen.service if chosen else ''}{said}"

    def all(self) -> list[Callable[[Container], None]]:
        """Return what hands can do."""
        of_docker = [
            self._stop, self._kill, self._pause, self._remove, self._restart, self._rename, self._update,
            self._disconnect, self._move_tag, self._move_own_tag, self._copy_container, self._leave_behind,
        ]  # fmt: skip
        of_compose = [
            self._up_service, self._up_all, self._scale, self._copy_project, self._tools, self._orphan, self._run,
            self._down,
        ]  # fmt: skip
        return [*of_docker, *of_compose]

    def without_containers(self) -> list[Callable[[Container], None]]:
        """Return what needs no container."""
        return [
            self._up_all, self._copy_project, self._tools, self._orphan, self._move_tag, self._move_own_tag,
        ]  # fmt: skip

    def replace_service(self, one: Container) -> None:
        """Make a service again, all of its containers, whatever is there."""
        self._compose().create([one.service], deps=False, recreate=True)
        for new in self.machine.of(self.project, one.service):
            self.machine.start(new.id)

    def _compose(self, project: str = "", scale: Mapping[str, int] | None = None, **flags: bool) -> Compose:
        services = with_version(self.file, self.rng.choice(VERSIONS))
        return Compose(self.machine, project or self.project, services, scale=scale or {}, **flags)

    def _stop(self, one: Container) -> None:
        self.machine.stop(one.id)

    def _kill(self, one: Container) -> None:
        self.machine.kill(one.id)

    def _pause(self, one: Container) -> None:
        self.machine.pause(one.id)

    def _remove(self, one: Container) -> None:
        self.machine.remove(one.id)

    def _restart(self, one: Container) -> None:
        self.machine.restart(one.id)

    def _rename(self, one: Container) -> None:
        self.machine.rename(one.id, self.rng.choice((f"mine-{one.name}", self._passing_name(one))))

    def _update(self, one: Container) -> None:
        if self.rng.random() < 0.5:
            self.machine.update(one.id, restart_policy="no")
        else:
            self.machine.update(one.id, memory=64)

    def _disconnect(self, one: Container) -> None:
        self.machine.disconnect(one.id)

    def _move_tag(self, one: Container) -> None:
        """Give a name of the compose file to another image, as a pull by hand or a build does."""
        name, service = self.rng.choice(sorted(with_version(self.file, self.rng.choice(VERSIONS)).items()))
        self.machine.tag(f"{OTHER}{name}", service.image)

    def _move_own_tag(self, one: Container) -> None:
        """Give a name that a release uses to another image."""
        ours = sorted(tag for tag in self.machine.tags if tag.startswith("roas/"))
        if not ours:
            raise DockerError("no such tag")
        self.machine.tag(OTHER, self.rng.choice(ours))

    def _copy_container(self, one: Container) -> None:
        """Run a copy beside it that has all of its labels, and no network."""
        name = f"copied{len(self.machine.containers)}-{self.rng.getrandbits(32):08x}"
        copy = self.machine.create(replace(one, name=name, joins="", networks=frozenset()))
        self.machine.start(copy.id)

    def _leave_behind(self, one: Container) -> None:
        """Leave what a killed Compose leaves: a successor under its passing name, that never ran."""
        changed = hash_of(Service(NO_RELEASE, self.rng.randint(0, 9)))
        self.machine.create(replace(one, name=self._passing_name(one), config_hash=changed, image=OTHER))

    def _up_service(self, one: Container) -> None:
        flags = {flag: self.rng.random() < 0.5 for flag in ("deps", "recreate")}
        self._compose().up([self._known(one)], **flags)

    def _up_all(self, one: Container) -> None:
        self._compose().up(orphans=True)

    def _scale(self, one: Container) -> None:
        name, number = self._known(one), self.rng.choice((0, 2, 3))
        keep = self.rng.random() < 0.5
        self._compose(scale={name: number}, no_recreate=keep).up([name], deps=self.rng.random() < 0.5)

    def _copy_project(self, one: Container) -> None:
        """Bring the same folder up once more under another name, or a newer version of that."""
        self._compose(f"{self.project}-copy").up()

    def _tools(self, one: Container) -> None:
        """Start what is in a profile that is not active."""
        tools = self.file.get("tools")
        if tools is None or tools.active:
            raise DockerError("no such profile")
        services = with_version({"tools": replace(tools, active=True, shares="")}, self.rng.choice(VERSIONS))
        Compose(self.machine, self.project, services).up()

    def _orphan(self, one: Container) -> None:
        """Start a service of another file under the stack's name."""
        services = with_version({"orphan": Service("tools:${VERSION}")}, self.rng.choice(VERSIONS))
        Compose(self.machine, self.project, services).up()

    def _run(self, one: Container) -> None:
        self._compose().run(self._known(one))

    def _down(self, one: Container) -> None:
        if self.rng.random() < 0.3:
            self._compose().down()

    def _passing_name(self, one: Container) -> str:
        """Return the name of a successor whose predecessor is not gone."""
        return f"{one.id[:12]}_{own_name(one)}"

    def _known(self, one: Container) -> str:
        if one.service not in self.file or not self.file[one.service].active:
            raise DockerError(f"no such service: {one.service}")
        return one.service


def replace_something(hands: Hands) -> None:
    """Replace a service that runs, as long as Docker lets us."""
    running = [container for container in hands.machine.of(hands.project) if container.state == "running"]
    for item in running[:1]:
        with suppress(DockerError):
            hands.replace_service(item)
