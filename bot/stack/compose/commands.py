"""Build the argument lists of the Compose CLI; nothing here runs anything."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from roas.errors import InvalidRequestError
from roas.messages.message import said
from roas.models.environment import Environment

SERVICE_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
ALL_PROFILES = ("--profile", "*")
VERSION_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@:/-]{0,127}")


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """Name the files of a project; without `env_files` Compose reads none, not even a `.env` in the folder.

    The label `working_dir` of what is created says `folder`; without one, where the first file is.
    """

    name: str
    files: tuple[Path, ...]
    env_files: tuple[Path, ...] = ()
    folder: Path | None = None

    @classmethod
    def of_model(cls, environment: Environment, model: Path) -> "ComposeProject":
        """Return the project as a stored model has it."""
        return cls(environment.project, (model,), folder=environment.folder)

    def arguments(self) -> list[str]:
        """Return the global options that every command of this project begins with."""
        arguments = ["--project-name", self.name, "--ansi", "never"]
        if self.folder is not None:
            arguments += ["--project-directory", str(self.folder)]
        for path in self.env_files or (Path(os.devnull),):
            arguments += ["--env-file", str(path)]
        for path in self.files:
            arguments += ["--file", str(path)]
        return arguments


def config(project: ComposeProject) -> list[str]:
    """Merge and interpolate; in YAML, since Compose leaves the services' extensions out of its JSON."""
    return [*project.arguments(), "config"]


def config_as_json(project: ComposeProject) -> list[str]:
    """Merge and interpolate, for the texts that Compose's YAML spoils."""
    return [*project.arguments(), "config", "--format", "json"]


def all_services(project: ComposeProject) -> list[str]:
    """Print the names of all services, those of inactive profiles too."""
    return [*project.arguments(), *ALL_PROFILES, "config", "--services"]


def config_hashes(project: ComposeProject) -> list[str]:
    """Print the configuration hash of each service as it is written, whatever its profiles; nothing is added to it."""
    return [*project.arguments(), *ALL_PROFILES, "config", "--no-normalize", "--hash", "*"]


def create(
    project: ComposeProject,
    services: Sequence[str],
    *,
    keep_existing: bool = False,
    recreate: bool = False,
    scale: Mapping[str, int] | None = None,
) -> list[str]:
    """Create the services' containers without starting them; `keep_existing` replaces none, `recreate` replaces all.

    Nothing else is touched: `create` of Compose would also replace what a service shares with or links to.
    """
    options = ["--no-start", "--no-deps", "--no-build", "--pull", "never"]
    options += [flag for flag, wanted in (("--no-recreate", keep_existing), ("--force-recreate", recreate)) if wanted]
    for service, number in sorted((scale or {}).items()):
        options += ["--scale", f"{_checked(service)}={number}"]
    return [*project.arguments(), "up", *options, "--", *map(_checked, services)]


def build(project: ComposeProject, service: str) -> list[str]:
    """Build one service's image, with a log that is read line by line."""
    return [*project.arguments(), "--progress", "plain", "build", "--", _checked(service)]


def _checked(service: str) -> str:
    """Refuse what could be read as anything but a service's name."""
    if not SERVICE_PATTERN.fullmatch(service):
        raise InvalidRequestError(said("The stack has no service {name}.", name=repr(service)))
    return service
