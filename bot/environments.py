"""Lay out the environments by convention and settings: which files, which project, and what goes for each."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from roas.configuration.stack_files import (
    StackFiles,
    compose_variables,
    find_files,
    own_file,
    plain_name,
    split_files,
    usual_project,
)
from roas.models.environment import Environment
from roas.settings import EnvironmentSettings, Settings

NOTHING_OF_ITS_OWN = EnvironmentSettings()


class Environments(Mapping[str, Environment]):
    """Build an environment whenever it is asked for: its files come and go while a bot runs."""

    def __init__(self, settings: Settings, base_name: str | None) -> None:
        self._settings = settings
        self._base_name = base_name

    def __getitem__(self, name: str) -> Environment:
        if name not in self._settings.environment_names:
            raise KeyError(name)
        own = self._settings.environments.get(name) or NOTHING_OF_ITS_OWN
        return _environment(self._settings, name, own, self._base_name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings.environment_names)

    def __len__(self) -> int:
        return len(self._settings.environment_names)


def environments(settings: Settings, *, base_name: str | None = None) -> Environments:
    """Lay out the environments by convention and settings; `base_name` is the home project's name where it is known.

    `dev` runs `docker-compose.yml`, then `docker-compose.dev.yml` and `.env.dev` where they exist.
    """
    return Environments(settings, base_name)


def _environment(settings: Settings, name: str, own: EnvironmentSettings, base_name: str | None) -> Environment:
    folder = (own.folder or settings.stack_dir).expanduser().resolve()
    is_home = name == settings.home_environment
    env_files = _env_files(name, own, folder)
    files = _compose_files(settings, name, own, folder, env_files)
    base = base_name or settings.compose_project_name
    if base is None:
        # Home runs already, under the name that Compose gave it.
        base = usual_project(folder, files.used, env_files) if is_home else plain_name(folder.name)
    observation = own.observation_seconds
    return Environment(
        name=name,
        project=own.project_name or (base if is_home else f"{base}-{name}"),
        folder=folder,
        compose_files=files.used,
        env_files=env_files,
        docker_host=own.docker_host or settings.docker_host,
        variables=dict(own.variables),
        needs_approval=name == "prod" if own.needs_approval is None else own.needs_approval,
        critical_services=frozenset(own.critical_services or settings.critical_services),
        observation_seconds=(2.0 if name == "dev" else 10.0) if observation is None else observation,
        is_home=is_home,
        ignored_files=files.ignored,
        project_is_given=own.project_name is not None,
        version_variables=_version_variables(own),
        one_shots=frozenset(own.one_shots),
        policy=own.policy or settings.compose_policy,
        allowed=own.allow,
        siblings=_siblings(settings, name, folder, base),
        engine=own.engine,
    )


def _version_variables(own: EnvironmentSettings) -> tuple[str, ...]:
    """Return the variables that get the version, each once; services may share one."""
    named = own.version_variables
    return tuple(dict.fromkeys(named.values() if isinstance(named, dict) else named))


def _siblings(settings: Settings, name: str, folder: Path, base: str) -> frozenset[str]:
    """Return the projects of the other environments in the same folder."""
    found = set()
    # Of many environments most are in one folder, and each asks for all others.
    resolved = {(settings.environments.get(name) or NOTHING_OF_ITS_OWN).folder or settings.stack_dir: folder}
    for other in settings.environment_names:
        own = settings.environments.get(other) or NOTHING_OF_ITS_OWN
        place = own.folder or settings.stack_dir
        if place not in resolved:
            resolved[place] = place.expanduser().resolve()
        if other != name and resolved[place] == folder:
            found.add(own.project_name or (base if other == settings.home_environment else f"{base}-{other}"))
    return frozenset(found)


def _compose_files(
    settings: Settings, name: str, own: EnvironmentSettings, folder: Path, env_files: tuple[Path, ...]
) -> StackFiles:
    """Return the files named, then the environment's own override where it exists; or what Compose would find."""
    if own.compose_file:
        return StackFiles(split_files(folder, own.compose_file))
    if settings.compose_file is None:
        return find_files(folder, name, compose_variables(env_files))
    files = split_files(folder, settings.compose_file)
    override = own_file(files[0], name) if files else None
    return StackFiles(files if override is None else (*files, override))


def _env_files(name: str, own: EnvironmentSettings, folder: Path) -> tuple[Path, ...]:
    """Return `.env.<name>` where it exists; else `.env`, as Compose would by itself."""
    if own.env_file:
        return split_files(folder, own.env_file)
    return tuple(path for path in (folder / ".env", folder / f".env.{name}") if path.is_file())
