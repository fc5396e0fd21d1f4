"""What people type on a machine that a bot deploys to: Docker's and Compose's own commands, and nothing of ours."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from tools.campaigns.plans.ground import OTHER, VERSIONS, Ground, label


@dataclass
class Hands:
    """Do one thing after the other to a stack."""

    ground: Ground
    rng: random.Random
    folder: Path
    project: str
    repository: str
    services: Mapping[str, dict[str, Any]]

    def compose(self, *arguments: str, **variables: str) -> str:
        """Type a Compose command in the stack's folder, under the stack's own name."""
        return self.ground.compose(self.folder, self.project, *arguments, **variables)

    def use(self) -> str:
        """Do one thing, and return what it was."""
        hand = self.rng.choice(self._hands())
        there = [container for container in self.ground.containers() if label(container, PROJECT_LABEL) == self.project]
        chosen = self.rng.choice(there) if there else None
        said = hand(chosen) if chosen is not None or hand in self._need_nothing() else "nothing was there"
        service = label(chosen, SERVICE_LABEL) if chosen is not None else ""
        return " ".join(filter(None, (hand.__name__.strip("_"), service, said[:200])))

    def _hands(self) -> list[Callable[[Any], str]]:
        of_docker = [
            self._stop, self._kill, self._pause, self._remove, self._restart, self._rename, self._update,
            self._disconnect, self._move_tag, self._move_own_tag, self._copy_container,
        ]  # fmt: skip
        of_compose = [
            self._up_service,
            self._up_all,
            self._scale,
            self._copy_project,
            self._tools,
            self._run,
            self._down,
        ]
        return [*of_docker, *of_compose]

    def _need_nothing(self) -> list[Callable[[Any], str]]:
        return [self._up_all, self._copy_project, self._tools, self._move_tag, self._move_own_tag]

    def _stop(self, one: Any) -> str:
        return self.ground.docker("stop", "-t", "0", one["Id"])

    def _kill(self, one: Any) -> str:
        return self.ground.docker("kill", one["Id"])

    def _pause(self, one: Any) -> str:
        return self.ground.docker("pause", one["Id"])

    def _remove(self, one: Any) -> str:
        return self.ground.docker("rm", "-f", one["Id"])

    def _restart(self, one: Any) -> str:
        return self.ground.docker("restart", "-t", "0", one["Id"])

    def _rename(self, one: Any) -> str:
        name = one["Name"].lstrip("/")
        return self.ground.docker("rename", one["Id"], self.rng.choice((f"mine-{name}", f"{one['Id'][:12]}_{name}")))

    def _update(self, one: Any) -> str:
        change = self.rng.choice((("--restart", "no"), ("--memory", "64m", "--memory-swap", "64m"), ("--cpus", "0.5")))
        return self.ground.docker("update", *change, one["Id"])

    def _disconnect(self, one: Any) -> str:
        return self.ground.docker("network", "disconnect", "-f", f"{self.project}_default", one["Id"])

    def _move_tag(self, one: Any) -> str:
        """Give a version's name to another image, as a pull by hand or a build does."""
        return self.ground.docker("tag", f"plans/app:{OTHER}", f"{self.repository}:{self.rng.choice(VERSIONS)}")

    def _move_own_tag(self, one: Any) -> str:
        """Give a name that a release uses to another image."""
        images = self.ground.client.api.images()
        ours = sorted(tag for image in images for tag in image.get("RepoTags") or () if tag.startswith("roas/"))
        return self.ground.docker("tag", f"plans/app:{OTHER}", self.rng.choice(ours)) if ours else "no tag was there"

    def _copy_container(self, one: Any) -> str:
        """Run a copy beside it that has all of its labels."""
        labels = [part for name, text in one["Config"]["Labels"].items() for part in ("--label", f"{name}={text}")]
        return self.ground.docker("run", "-d", "--init", "--network", "none", *labels, one["Image"])

    def _up_service(self, one: Any) -> str:
        version = self.rng.choice(VERSIONS)
        flags = [flag for flag in ("--no-deps", "--force-recreate") if self.rng.random() < 0.5]
        said = self.compose("up", "-d", "-t", "0", *flags, label(one, SERVICE_LABEL), VERSION=version)
        return f"{version} {' '.join(flags)} {said}"

    def _up_all(self, one: Any) -> str:
        version = self.rng.choice(VERSIONS)
        return f"{version} {self.compose('up', '-d', '-t', '0', '--remove-orphans', VERSION=version)}"

    def _scale(self, one: Any) -> str:
        service, version = label(one, SERVICE_LABEL), self.rng.choice(VERSIONS)
        number = self.rng.choice((0, 2, 3))
        flags = [flag for flag in ("--no-deps", "--no-recreate") if self.rng.random() < 0.5]
        said = self.compose("up", "-d", "-t", "0", *flags, "--scale", f"{service}={number}", service, VERSION=version)
        return f"{number} {version} {' '.join(flags)} {said}"

    def _copy_project(self, one: Any) -> str:
        """Bring the same folder up once more under another name."""
        return self.ground.compose(self.folder, f"{self.project}-copy", "up", "-d", VERSION=self.rng.choice(VERSIONS))

    def _tools(self, one: Any) -> str:
        """Start what is in a profile that is not active."""
        profiled = sorted(name for name, fields in self.services.items() if "profiles" in fields)
        if not profiled:
            return "no profile was there"
        return self.compose(
            "--profile", "tools", "up", "-d", "--no-deps", profiled[0], VERSION=self.rng.choice(VERSIONS)
        )

    def _run(self, one: Any) -> str:
        """Run something once, in a container that is none of the service's."""
        return self.compose("run", "-d", "--no-deps", label(one, SERVICE_LABEL), "sleep", "10000", VERSION="v1")

    def _down(self, one: Any) -> str:
        return self.compose("down", "-t", "0") if self.rng.random() < 0.3 else "it was thought better of"
