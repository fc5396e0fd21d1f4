"""Read which stacks there are: a list says where each lies and how its own README starts it.

It is `corpus.toml` in their folder, or another one: `public.toml` beside this file lists those of the recorded run.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIST = "corpus.toml"
ENDED_WELL, HEALTHY = "service_completed_successfully", "service_healthy"
# A word at the place of a command, in a line of a shell.
COMMAND_WORD = re.compile(r"(?:^|[|&;(`]|\$\()\s*!?\s*([A-Za-z0-9_./-]+)")


@dataclass(frozen=True, slots=True)
class Stack:
    """Know a stack: the repository that it is from, and what its README has people do."""

    name: str
    repository: str
    folder: str
    # What the folder was taken from: `git archive COMMIT PATH` of the repository.
    commit: str = ""
    path: str = ""
    files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    # What is made first: networks, volumes, and files outside of the folder.
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    outside: Mapping[str, str] = field(default_factory=dict)
    # What was taken out of its files, since no machine without a registry can do it.
    without: str = ""

    @property
    def options(self) -> tuple[str, ...]:
        """Return what is typed after `docker compose`."""
        files = tuple(word for file in self.files for word in ("-f", file))
        return (*files, *(word for profile in self.profiles for word in ("--profile", profile)))


def read_stacks(folder: Path, given: Path | None = None) -> tuple[Stack, ...]:
    """Return the stacks of a folder, in the order of the list that is given, or of its own."""
    listed: Mapping[str, Any] = tomllib.loads((given or folder / LIST).read_text())["stacks"]
    return tuple(_stack(name, said) for name, said in listed.items())


def _stack(name: str, said: Mapping[str, Any]) -> Stack:
    lists = {key: tuple(value) for key, value in said.items() if isinstance(value, list)}
    given: dict[str, Any] = {**said, **lists}
    return Stack(name, **given)


@dataclass(frozen=True, slots=True)
class Model:
    """Know what Compose makes of a stack's files."""

    resolved: Mapping[str, Any]

    @classmethod
    def of(cls, text: str) -> "Model":
        """Read what `docker compose config --format json` said."""
        return cls(json.loads(text))

    @property
    def services(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the services by name."""
        return self.resolved.get("services") or {}

    @property
    def builds(self) -> bool:
        """Return whether any image is to be built."""
        return any("build" in service for service in self.services.values())

    def image(self, service: str) -> str:
        """Return the image that a service's container is made of."""
        return str(self.services[service].get("image") or f"{self.resolved['name']}-{service}")

    @property
    def images(self) -> frozenset[str]:
        """Return the images of all services."""
        return frozenset(map(self.image, self.services))

    @property
    def one_shots(self) -> frozenset[str]:
        """Return the services whose end others wait for."""
        return frozenset(
            other
            for service in self.services.values()
            for other, how in (service.get("depends_on") or {}).items()
            if how.get("condition") == ENDED_WELL
        )

    @property
    def probes(self) -> frozenset[str]:
        """Return the programs that health checks call."""
        found: set[str] = set()
        for service in self.services.values():
            test = (service.get("healthcheck") or {}).get("test") or ["NONE"]
            if test[0] == "CMD":
                found.add(str(test[1]))
            if test[0] == "CMD" and len(test) > 3 and Path(test[1]).name in {"sh", "bash"}:
                found |= set(COMMAND_WORD.findall(str(test[3])))
            if test[0] == "CMD-SHELL":
                found |= set(COMMAND_WORD.findall(str(test[1])))
        return frozenset(found)

    @property
    def needs_own_probe(self) -> bool:
        """Return whether anybody waits for the health of a service whose probe is its image's own."""
        return any(
            how.get("condition") == HEALTHY and not (self.services.get(other) or {}).get("healthcheck")
            for service in self.services.values()
            for other, how in (service.get("depends_on") or {}).items()
        )

    @property
    def entrypoints(self) -> frozenset[str]:
        """Return the programs that services have instead of their image's own."""
        return frozenset(
            str(service["entrypoint"][0]) for service in self.services.values() if service.get("entrypoint")
        )

    @property
    def users(self) -> frozenset[str]:
        """Return the names of users and groups that containers run as."""
        said = [str(service.get("user") or "") for service in self.services.values()]
        said += [str(group) for service in self.services.values() for group in service.get("group_add") or ()]
        return frozenset(part for text in said for part in text.split(":") if part and not part.isdigit())
