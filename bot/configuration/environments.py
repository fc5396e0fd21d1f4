"""Lay out the environments by convention and settings: which files, which project, and what goes for each."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from roas.configuration.settings import Settings
from roas.configuration.stack_files import (
    NAMES,
    OVERRIDES,
    StackFiles,
    compose_variables,
    find_files,
    named_files,
    named_secrets,
    own_file,
    own_files,
    own_names,
    plain_name,
    split_files,
    usual_project,
    with_included,
)
from roas.configuration.tables import EnvironmentSettings, ResticSettings, VerifySettings, WindowSettings
from roas.models.environment import (
    OF_HOST,
    DriftAction,
    Environment,
    Repository,
    ResticRepository,
    SignaturePolicy,
    SshAccess,
    Waves,
    whole_of,
)
from roas.models.windows import Windows, read_dates, read_length, read_window

NOTHING_OF_ITS_OWN = EnvironmentSettings()
DEV_OBSERVATION_SECONDS = 2.0
# A file may change twice within one tick of the kernel's clock: what was written just now is not known by its time.
SETTLED_NS = 1_000_000_000
# Where a place leads, or what tells whether a file is another one than before; None where nothing can be seen.
_Mark = str | tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class _Known:
    """Hold an environment as it was laid out, and the places and files that this depends on, as they were then."""

    environment: Environment
    marks: Mapping[Path, _Mark]


class Environments(Mapping[str, Environment]):
    """Build an environment when it is asked for: its files come and go while a bot runs.

    While they stay as they are, which a look at each tells, it is the one that was built before.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[str, _Known] = {}
        self._places = {
            (settings.environments.get(name) or NOTHING_OF_ITS_OWN).folder or settings.stack_dir
            for name in settings.environment_names
        }

    def __getitem__(self, name: str) -> Environment:
        if (whole := whole_of(name)) != name:
            return {host.name: host for host in self[whole].hosts}[name]
        if name not in self._settings.environment_names:
            raise KeyError(name)
        known = self._known.get(name)
        if known is not None and self._marks(known.marks) == known.marks:
            return known.environment
        environment = self._lay_out(name)
        marks = self._marks([*self._places, *_inspected_files(environment)])
        # Laid out once more: what changed before it was marked would never be seen.
        if _is_settled(marks) and self._lay_out(name) == environment:
            self._known[name] = _Known(environment, marks)
        else:
            self._known.pop(name, None)
        return environment

    def _lay_out(self, name: str) -> Environment:
        own = self._settings.environments.get(name) or NOTHING_OF_ITS_OWN
        return _environment(self._settings, name, own)

    def _marks(self, paths: Iterable[Path]) -> dict[Path, _Mark]:
        return {path: _where(path) if path in self._places else _mark(path) for path in paths}

    @property
    def _names(self) -> Iterator[str]:
        for name in self._settings.environment_names:
            own = self._settings.environments.get(name) or NOTHING_OF_ITS_OWN
            yield from (name, *(f"{name}{OF_HOST}{host}" for host in own.named_hosts))

    def __contains__(self, name: object) -> bool:
        return name in self._settings.environment_names or name in list(self._names)

    def __iter__(self) -> Iterator[str]:
        return self._names

    def __len__(self) -> int:
        return sum(1 for _ in self._names)


class Engines(Mapping[str, Environment]):
    """Show, of environments that come and go, those that have an engine: each host, and not what is on many of them."""

    def __init__(self, known: Mapping[str, Environment]) -> None:
        self._known = known

    def __getitem__(self, name: str) -> Environment:
        if (found := self._known[name]).hosts:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        names = list(self._known)
        on_many_hosts = {whole_of(name) for name in names if whole_of(name) != name}
        return (name for name in names if name not in on_many_hosts)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def environments(settings: Settings) -> Environments:
    """Lay out the environments by convention and settings.

    `dev` runs `docker-compose.yml`, then `docker-compose.dev.yml` and `.env.dev` where they exist.
    """
    return Environments(settings)


def plain_names(known: Mapping[str, Environment]) -> list[str]:
    """Return the names of environments as the settings have them, without those of their hosts."""
    return [name for name in known if whole_of(name) == name]


def projects_of(settings: Settings) -> frozenset[str]:
    """Return the projects of all environments."""
    return frozenset(environment.project for environment in environments(settings).values())


def _inspected_files(environment: Environment) -> Iterator[Path]:
    """Yield the files that are read or looked for to lay an environment out; many of them are usually not there."""
    folder, name = environment.folder, environment.name
    yield from environment.compose_files
    yield from environment.env_files
    yield from environment.withheld
    yield from (folder / file for file in (".env", f".env.{name}", *NAMES, *OVERRIDES))
    for first in {*environment.compose_files[:1], *(folder / file for file in NAMES)}:
        yield from own_files(first, name)


def _where(place: Path) -> str:
    return os.path.realpath(place.expanduser())


def _mark(path: Path) -> _Mark:
    try:
        found = os.stat(path)  # noqa: PTH116 - each look at an environment asks for twenty of these
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_settled(marks: Mapping[Path, _Mark]) -> bool:
    """Return whether no file was changed so lately that its next change may not show."""
    latest = time.time_ns() - SETTLED_NS
    return all(max(mark[-2:]) < latest for mark in marks.values() if isinstance(mark, tuple))


def _environment(settings: Settings, name: str, own: EnvironmentSettings) -> Environment:
    folder = (own.folder or settings.stack_dir).expanduser().resolve()
    is_home = name == settings.home_environment
    env_files = _env_files(name, own, folder)
    files = _compose_files(settings, name, own, folder, env_files)
    base = settings.compose_project_name
    if base is None:
        # Home runs already, under the name that Compose gave it.
        base = usual_project(folder, files.used, env_files) if is_home else plain_name(folder.name)
    observation = DEV_OBSERVATION_SECONDS if name == "dev" else None
    withheld, shared = _withheld(settings, name, folder, (*files.used, *env_files))
    environment = Environment(
        name=name,
        project=own.project_name or (base if is_home else f"{base}-{name}"),
        folder=folder,
        compose_files=files.used,
        env_files=env_files,
        docker_host=own.docker_host or settings.docker_host,
        variables=dict(own.variables),
        needs_approval=name == "prod" if own.needs_approval is None else own.needs_approval,
        critical_services=frozenset(own.critical_services or settings.critical_services),
        observation_seconds=observation if own.observation_seconds is None else own.observation_seconds,
        is_home=is_home,
        ignored_files=files.ignored,
        files_outside=files.outside,
        project_is_given=own.project_name is not None,
        version_variables=_version_variables(own),
        one_shots=frozenset(own.one_shots),
        policy=own.policy or settings.compose_policy,
        allowed=own.allow,
        siblings=_siblings(settings, name, folder, base),
        engine=own.engine,
        managers=own.managers,
        swarm_id=own.swarm_id or "",
        repository=None if own.git is None else Repository(**dict(own.git)),
        signatures=None if own.verify is None else _signatures(own.verify),
        withheld=withheld,
        shared=shared,
        windows=_windows(own.windows),
        restores_drift=own.drift is DriftAction.RESTORE,
        requires=own.requires or "",
        soak=read_length(own.soak or ""),
        restic=None if own.restic is None else _restic(own.restic),
        ssh=ssh_access(settings, own),
    )
    return environment if not own.hosts else _on_hosts(environment, own)


def _on_hosts(environment: Environment, own: EnvironmentSettings) -> Environment:
    """Return an environment on many hosts: what is asked of it once, such as an approval, is not asked of each."""
    each = replace(
        environment, part_of=environment.name, needs_approval=False, repository=None, windows=Windows(), is_home=False
    )
    hosts = (
        replace(each, name=f"{environment.name}{OF_HOST}{host}", docker_host=address)
        for host, address in own.named_hosts.items()
    )
    waves = Waves(own.parallelism, _seconds(own.delay), own.max_failure_ratio)
    return replace(environment, docker_host=None, hosts=tuple(hosts), waves=waves)


def _seconds(length: str) -> float:
    """Read `30s` or `2m`."""
    return float(length[:-1]) * (60 if length.endswith("m") else 1)


def ssh_access(settings: Settings, own: EnvironmentSettings) -> SshAccess:
    """Return how the host of an environment's engine is reached; what it does not say is said for all."""
    key_file = own.docker_key_file or settings.docker_key_file
    known_hosts_file = own.docker_known_hosts_file or settings.docker_known_hosts_file
    return SshAccess(_absolute(key_file), _absolute(known_hosts_file))


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser().absolute()


def _signatures(verify: VerifySettings) -> SignaturePolicy:
    fields = dict(verify)
    fields["key_files"] = tuple(path.expanduser().absolute() for path in verify.key_files)
    fields["identities"] = tuple((identity.issuer, identity.subject) for identity in verify.identities)
    if verify.trusted_root_file is not None:
        fields["trusted_root_file"] = verify.trusted_root_file.expanduser().absolute()
    return SignaturePolicy(**fields)


def _restic(own: ResticSettings) -> ResticRepository:
    return ResticRepository(own.repository, own.password_file, own.variables_file)


def _windows(own: WindowSettings | None) -> Windows:
    if own is None:
        return Windows()
    dates = frozenset(day for text in own.without for day in read_dates(text))
    return Windows(tuple(map(read_window, own.open)), own.zone, dates)


def _withheld(
    settings: Settings, name: str, folder: Path, own: tuple[Path, ...]
) -> tuple[frozenset[Path], frozenset[Path]]:
    """Return what an environment's stack never sees: files of the bot, and those that only other environments name.

    And what it names as another one does for itself: whoever commits to it may name any file.
    """
    found = {path.expanduser().absolute() for path in settings.own_files}
    theirs, usual = set[Path](), set[Path]()
    for other in settings.environment_names:
        if other != name:
            fields = settings.environments.get(other) or NOTHING_OF_ITS_OWN
            place = Path(os.path.realpath((fields.folder or settings.stack_dir).expanduser()))
            named = [place / file for file in own_names(other)]
            named += split_files(place, fields.env_file or "") + split_files(place, fields.compose_file or "")
            alone = {path for path in named if path not in own}
            found |= alone
            theirs |= alone
            if place != folder:  # in a folder of its own, its variables and its secrets are called as anybody's
                found |= {place / ".env"} - {*own}
                usual |= {place / file for file in (*NAMES, *OVERRIDES)}
    files = with_included(theirs) - {*own}
    named_there = _each(named_files, files)
    secrets = _each(named_secrets, files | with_included(usual) - {*own})
    ours, base = (_each(named_files, with_included(item)) for item in (own, own[:1]))
    both = (named_there & ours - base) | (secrets & ours)
    return _real(found) | ((named_there | secrets) - ours), both


def _each(name: Callable[[Path], Iterable[Path]], files: Iterable[Path]) -> frozenset[Path]:
    return _real(path for file in files for path in name(file))


def _real(paths: Iterable[Path]) -> frozenset[Path]:
    return frozenset(Path(os.path.realpath(path)) for path in paths)


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
        others = {file for other in settings.environment_names if other != name for file in own_names(other)}
        return find_files(folder, name, compose_variables(env_files), others)
    files = split_files(folder, settings.compose_file)
    override = own_file(files[0], name) if files else None
    return StackFiles(files if override is None else (*files, override))


def _env_files(name: str, own: EnvironmentSettings, folder: Path) -> tuple[Path, ...]:
    """Return `.env.<name>` where it exists; else `.env`, as Compose would by itself."""
    if own.env_file:
        return split_files(folder, own.env_file)
    return tuple(path for path in (folder / ".env", folder / f".env.{name}") if path.is_file())
