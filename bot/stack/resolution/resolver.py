"""Resolve an environment's compose files to the model that would be deployed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from roas.errors import (
    ComposeFileError,
    EngineUnavailableError,
    RoasError,
    invalid_version,
    without_secrets,
)
from roas.log import get_logger
from roas.messages.message import said
from roas.models.environment import Environment, PolicyLevel
from roas.models.stack import ServiceDefinition
from roas.redaction import Redactor
from roas.stack.compose.commands import VERSION_PATTERN
from roas.stack.compose.resolved_copies import ResolvedCopies
from roas.stack.compose.runner import ComposeRunner
from roas.stack.containers.own_container import own_container_id
from roas.stack.docker.engine import EngineClients, is_local
from roas.stack.interface import NO_FILES, ResolvedStack, SharedFiles
from roas.stack.model.definitions import impossible_updates, read_definitions
from roas.stack.model.live_files import services_with_live_files, with_live_files
from roas.stack.model.raw_files import FileReference, as_written
from roas.stack.model.secret_sources import copied_secrets, literal_names, model_secrets, stack_secrets
from roas.stack.model.service_keys import HOOKS
from roas.stack.model.services import (
    RECORDED,
    as_files_say,
    is_built,
    services_of,
    with_inactive_services,
    with_one_shots,
    with_written,
    without_home_services,
)
from roas.stack.model.x_deploy.proxy import lossy_updates, proxies_of
from roas.stack.policy.compose_policy import ComposePolicy
from roas.stack.policy.holdings import NOTHING_HELD, EngineHoldings, read_holdings
from roas.stack.policy.keys import VOCABULARY
from roas.stack.policy.power import WORDS, Power, identities, recorded
from roas.stack.resolution.bind_sources import (
    MARK,
    marked_sources,
    missing_sources,
    refuse_marked_sources,
    refuse_missing_sources,
)
from roas.stack.resolution.content_binding import ContentBinder, name_in
from roas.stack.resolution.discovery import HOME, SourceDiscovery, home_of_owner
from roas.stack.resolution.environment_values import with_environment_values
from roas.stack.resolution.impossible_files import (
    possible_definitions,
    refuse_missing_files,
    refuse_none_and_too_many,
    refuse_remote_files,
)
from roas.stack.resolution.obstacles import find_new_volumes, find_obstacles
from roas.stack.resolution.version_use import (
    OTHER_VERSION,
    has_text,
    names_version,
    unfollowed_warning,
    version_names,
    version_of_files,
)
from roas.stack.resolution.written_out import (
    refuse_volumes_of_containers,
    with_copied_targets,
    with_own_namespaces,
    with_shared_volumes,
)
from roas.stack.sources.contents import ContentStore
from roas.stack.sources.opening import resolve
from roas.stack.sources.snapshot import SourceSnapshot, new_snapshot

log = get_logger(__name__)


class StackResolver:
    """Merge, interpolate and check compose files; the bot's own environment has no part in it."""

    def __init__(
        self,
        clients: EngineClients,
        runner: ComposeRunner,
        contents: ContentStore,
        policy: ComposePolicy,
        redactor: Redactor,
    ) -> None:
        self._clients = clients
        self._copies = ResolvedCopies(clients, runner)
        self._contents = contents
        self._policy = policy
        self._redactor = redactor
        redactor.keep((*VOCABULARY, *WORDS.values()))

    @property
    def contents_folder(self) -> Path:
        """Return where the contents of files are kept."""
        return self._contents.folder

    async def resolve(
        self,
        environment: Environment,
        version: str | None,
        *,
        write_contents: bool,
        instead: SharedFiles = NO_FILES,
    ) -> ResolvedStack:
        """Return the stack as it would be deployed, with files of a release that is promoted `instead` of its own.

        Raises ComposeFileError, ComposePolicyError.
        """
        with without_secrets(self._redactor.redact):
            read = await self._read(environment, version, instead)
            holdings = await self._holdings(environment, needed=write_contents)
            return await self._judged(environment, version, read, holdings, write_contents=write_contents)

    async def _judged(
        self,
        environment: Environment,
        version: str | None,
        read: "_Read",
        holdings: EngineHoldings,
        *,
        write_contents: bool,
    ) -> ResolvedStack:
        """Judge what the files resolve to by the holdings of the engine, and bind them by content."""
        model, files = read.model, read.named
        about_secrets = await self._clients.local(lambda: self._redact_secrets(model))
        # Judged with what each service gets from others, which another one may be allowed to have.
        shared, about_sharing = with_shared_volumes(model)
        powers = await self._clients.local(lambda: self._policy.check(shared, environment, files, holdings))
        refuse_volumes_of_containers(shared)
        asked = frozenset(power.entry for power in powers)
        definitions = possible_definitions(model)
        missing = await self._clients.local(lambda: self._missing_sources(environment, model))
        bound, binder = await self._bound(environment, read, shared, definitions, asked, write=write_contents)
        compose = await self._clients.local(lambda: self._keep_compose(environment, read, write=write_contents))
        powers += await self._clients.local(lambda: self._policy.check_bound(bound, environment))
        if environment.policy == PolicyLevel.ASK and (past := recorded(powers, bound)):
            bound = {**bound, RECORDED: past}
        refuse_remote_files(environment, bound)
        of_version = await self._version_use(environment, version, read)
        return ResolvedStack(
            environment=environment,
            version=of_version.name,
            model=bound,
            definitions=read_definitions(bound),
            warnings=(
                *of_version.warnings,
                *about_secrets,
                *_ignored_files(environment),
                *read.warnings,
                *missing,
                *about_sharing,
                *_without_effect(environment, model, definitions),
                *binder.warnings,
                *_by_trust(powers, environment),
            ),
            follows_version=of_version.is_followed,
            powers=identities(powers, bound) if environment.policy == PolicyLevel.ASK else {},
            asked=asked,
            obstacles=find_obstacles(model, environment, holdings),
            beside_files=of_version.is_beside_files,
            files=SharedFiles(compose, binder.bound, environment.overrides, str(environment.folder)),
            new_volumes=find_new_volumes(model, environment, holdings),
        )

    async def _bound(
        self,
        environment: Environment,
        read: "_Read",
        shared: Mapping[str, Any],
        definitions: Mapping[str, ServiceDefinition],
        asked: frozenset[str],
        *,
        write: bool,
    ) -> tuple[Mapping[str, Any], ContentBinder]:
        """Bind the files of a model by content; returns it, and what bound them."""
        model = read.model
        reloaded = services_with_live_files(model, (proxy for proxy, _ in proxies_of(definitions)))
        own = await self._clients.local(lambda: frozenset(map(resolve, _own_files(environment, model))))
        binder = self._binder(
            environment, write=write, asked=asked, proxies=reloaded, instead=read.instead.bound, private=own
        )
        secretive = await self._with_secrets(environment, shared, read.contents, binder)
        bound = await self._clients.local(lambda: binder.bind(secretive))
        bound = with_one_shots(bound, environment.one_shots)
        if not environment.on_swarm:
            owner = f"{environment.name}/{environment.project}"
            bound = with_live_files(bound, reloaded, owner, self._contents.folder)
        return with_written(bound, model), binder

    def _redact_secrets(self, model: Mapping[str, Any]) -> tuple[str, ...]:
        """Redact a model's secrets from now on, but for names in its own files, and warn of such."""
        names = literal_names(model)
        guessed = names & set(model_secrets(model))
        self._redactor.keep({*services_of(model), *names})
        self._redactor.add(model_secrets(model))
        return (said("A password of this stack is a name in its own files: anybody guesses it."),) if guessed else ()

    def _keep_compose(self, environment: Environment, read: "_Read", *, write: bool) -> dict[str, str]:
        """Return the content of each compose file by its name; env files are of one environment alone."""
        included = (reference.target for reference in read.named if reference.is_compose_file)
        texts = {
            name_in(path, environment.folder): read.contents[path].decode(errors="surrogateescape")
            for path in map(as_written, (*environment.compose_files, *included))
            if path in read.contents
        }
        return {name: self._contents.place_text(text, write=write).name for name, text in texts.items()}

    def _instead(self, environment: Environment, files: SharedFiles) -> dict[Path, bytes]:
        """Read compose files of a release. Raises ComposeFileError where one is not kept any more."""
        try:
            return {
                environment.folder / name: self._contents.place_kept(kept).read_bytes()
                for name, kept in files.compose.items()
            }
        except OSError as error:
            raise ComposeFileError(
                said("A file of the release that is promoted is not kept any more."),
                hint=said("Deploy that version again, then promote it."),
            ) from error

    async def written(self, environment: Environment, version: str | None) -> Mapping[str, Any]:
        """Return the model that the files resolve to, for what runs of it to be understood; empty where they do not."""
        try:
            with without_secrets(self._redactor.redact):
                return (await self._read(environment, version)).model
        except RoasError as error:
            log.warning("the files of what runs are not understood", environment=environment.name, error=error.message)
            return {}

    async def holdings(self, environment: Environment) -> EngineHoldings:
        """Query what exists on the engine. Raises EngineUnavailableError."""
        return await self._clients.of(environment).call(lambda client: read_holdings(client, self._policy.state_dir))

    async def powers_of_release(
        self, model: Mapping[str, Any], environment: Environment, holdings: EngineHoldings
    ) -> dict[str, str]:
        """Return what the powers of a release's model are known by, and how each reads."""
        return await self._clients.local(lambda: self._policy.powers_of_release(model, environment, holdings))

    async def check_stored(self, model: Mapping[str, Any], environment: Environment, holdings: EngineHoldings) -> None:
        """Ask today's policy about the model of a release. Raises ComposePolicyError."""
        await self._clients.local(lambda: self._policy.check_stored(model, environment, holdings))

    async def working_copy(
        self, environment: Environment, version: str | None
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the model that the files resolve to today, the place of its configuration, and warnings."""
        with without_secrets(self._redactor.redact):
            read = await self._read(environment, version)
            await self._clients.local(lambda: self._policy.check_secrets(read.model, environment))
            binder = self._binder(environment, write=True)
            secretive = await self._with_secrets(environment, read.model, read.contents, binder)
        return secretive, read.warnings

    async def _holdings(self, environment: Environment, *, needed: bool) -> EngineHoldings:
        """Query what exists on the engine, where it is there. A preview works without; nothing can be applied then."""
        try:
            return await self.holdings(environment)
        except EngineUnavailableError:
            if needed:
                raise
            return NOTHING_HELD

    async def _with_secrets(
        self, environment: Environment, model: Mapping[str, Any], files: Mapping[Path, bytes], binder: ContentBinder
    ) -> dict[str, Any]:
        """Return a model with the values of variables in it, and its secrets bound by content."""
        valued, secrets = await self._clients.local(lambda: with_environment_values(model, environment, files))
        self._redactor.add(secrets)
        return await self._clients.local(lambda: binder.bind_secrets(valued))

    def _binder(
        self,
        environment: Environment,
        *,
        write: bool,
        asked: frozenset[str] = frozenset(),
        proxies: frozenset[str] = frozenset(),
        instead: Mapping[str, str] = MappingProxyType({}),
        private: frozenset[Path] = frozenset(),
    ) -> ContentBinder:
        """Create what binds by content; a path is read by the settings, or since it is among what is `asked` for."""
        return ContentBinder(
            self._contents,
            environment.folder,
            lambda path: f"bind:{path}" in asked or self._policy.allows(f"bind:{path}", environment),
            write=write,
            proxies=proxies,
            withheld=lambda service: self._policy.withheld_from(service, environment),
            instead=instead,
            private=private,
            on_swarm=environment.on_swarm,
        )

    def _missing_sources(self, environment: Environment, model: Mapping[str, Any]) -> tuple[str, ...]:
        if not is_local(environment):
            return ()  # a remote engine does not see our files, and what binds them is refused
        sees_host = own_container_id() is None
        return refuse_missing_sources(missing_sources(model, environment.folder, sees_host=sees_host))

    async def _refuse_unset_sources(
        self,
        environment: Environment,
        snapshot: SourceSnapshot,
        variables: Mapping[str, str],
        unset: tuple[str, ...],
    ) -> None:
        """Raise ComposeFileError where a variable without a value stands in a path: that would be another place.

        Where each stands is seen in what Compose makes of it with a value that is nowhere else.
        """
        for names in (unset, *((name,) for name in unset)) if unset else ():
            try:
                marked = await self._copies.resolve(environment, snapshot, {**variables, **dict.fromkeys(names, MARK)})
            except ComposeFileError:  # one stands where no such text may
                continue
            if names == unset and not any(marked_sources(marked.model)):
                return
            if len(names) == 1:
                refuse_marked_sources(marked.model, names[0])

    async def _version_use(self, environment: Environment, version: str | None, read: "_Read") -> "_VersionUse":
        """Find out what the version that was asked for makes of the files."""
        follows = await self._follows(environment, version, read)
        # What is built is of the version that its files are of: whoever asks for it says what that is called.
        is_named = follows or any(map(is_built, services_of(read.model).values()))
        in_files = await self._clients.local(lambda: version_of_files(environment, read.contents))
        return _VersionUse(
            (in_files if version is None or not is_named else version) or "",
            follows,
            follows and version not in {None, in_files} and await self._is_beside(environment, read),
            () if is_named or version is None else (unfollowed_warning(version, environment),),
        )

    async def _follows(self, environment: Environment, version: str | None, read: "_Read") -> bool:
        """Return whether the version makes a difference; only where the text leaves a doubt, files are read again."""
        if not await self._clients.local(lambda: names_version(environment, read.contents)):
            return False
        if version is None or await self._clients.local(lambda: has_text(read.model, version)):
            return True
        return (await self._read(environment, OTHER_VERSION, read.instead)).model != read.model

    async def _is_beside(self, environment: Environment, read: "_Read") -> bool:
        """Return whether the files resolve to something else without the version that was asked for."""
        try:
            return (await self._read(environment, None, read.instead)).model != read.model
        except ComposeFileError:  # they want one
            return False

    async def _read(self, environment: Environment, version: str | None, files: SharedFiles = NO_FILES) -> "_Read":
        """Copy what the model is made of, with these `files` instead of the same ones here; Compose resolves that."""
        refuse_missing_files(environment)
        home = await self._clients.local(lambda: home_of_owner(environment.folder))
        variables = ({HOME: home} if home else {}) | variables_of(environment, version)
        # Before Compose sees them, which quotes them where something is wrong.
        await self._clients.local(lambda: self._redactor.add(stack_secrets(environment)))
        instead = await self._clients.local(lambda: self._instead(environment, files))
        with new_snapshot(resolve(environment.folder), instead) as snapshot:
            discovery = SourceDiscovery(self._clients, self._copies, self._policy, environment, snapshot)
            named = await discovery.collect(variables)
            await self._clients.local(lambda: self._redactor.add(copied_secrets(snapshot.contents)))
            resolved = await self._copies.resolve(environment, snapshot, variables)
            await self._refuse_unset_sources(environment, snapshot, variables, resolved.unset)
        model = with_own_namespaces(with_copied_targets(as_files_say(resolved.model)))
        refuse_none_and_too_many(services_of(model))
        if resolved.inactive:
            model = with_inactive_services(model, resolved.inactive)
        if not environment.is_home:
            model = without_home_services(model)
        warnings = tuple(
            said("The variable {name} is not set: Compose uses an empty string for it.", name=name)
            for name in resolved.unset
        )
        return _Read(model, warnings, named, snapshot.contents, files)


@dataclass(frozen=True, slots=True)
class _Read:
    """Hold a model with its real paths, what to warn of, what names its files, and what they hold.

    Some may have been taken from a release `instead`.
    """

    model: Mapping[str, Any]
    warnings: tuple[str, ...]
    named: tuple[FileReference, ...]
    contents: Mapping[Path, bytes]
    instead: SharedFiles


@dataclass(frozen=True, slots=True)
class _VersionUse:
    """Say what a stack's version is called, whether its files follow it or name another one, and what to warn of."""

    name: str
    is_followed: bool
    is_beside_files: bool
    warnings: tuple[str, ...]


def variables_of(environment: Environment, version: str | None) -> dict[str, str]:
    """Return what wins over the env files in interpolation. Raises InvalidRequestError for a strange version."""
    if version is None:
        return dict(environment.variables)
    if not VERSION_PATTERN.fullmatch(version):
        raise invalid_version(repr(version))
    return environment.variables | dict.fromkeys(version_names(environment), version)


def _own_files(environment: Environment, model: Mapping[str, Any]) -> Iterator[Path]:
    """Yield what an environment has for itself, whatever folder it lies in: variables, overrides and secrets."""
    yield from (*environment.env_files, *environment.compose_files[1:])
    secrets = (model.get("secrets") or {}).values()
    yield from (Path(str(secret["file"])) for secret in secrets if (secret or {}).get("file"))


def _ignored_files(environment: Environment) -> tuple[str, ...]:
    """Return what to say of files that `docker compose` in the stack's folder would take, and a deployment does not."""
    if not environment.ignored_files:
        return ()
    used, ignored = (
        ", ".join(path.name for path in paths) for paths in (environment.compose_files, environment.ignored_files)
    )
    return (
        said(
            "{ignored} is not used: the files of {environment} are {used}.",
            ignored=ignored,
            environment=environment.name,
            used=used,
        ),
    )


def _without_effect(
    environment: Environment, model: Mapping[str, Any], definitions: Mapping[str, ServiceDefinition]
) -> Iterator[str]:
    """Say which updates cannot be as the file says, but for a Swarm, and which hooks nobody runs.

    Compose runs these itself, and of ours it only creates containers.
    """
    if not environment.on_swarm:
        yield from (*impossible_updates(definitions), *lossy_updates(definitions))
    for name, service in services_of(model).items():
        if hooks := ", ".join(key for key in HOOKS if service.get(key)):
            yield said(
                "{name} has {hooks}, which this bot does not run: it starts and stops containers by the engine.",
                name=name,
                hooks=hooks,
            )


def _by_trust(trusted: Iterable[Power], environment: Environment) -> Iterator[str]:
    """Name each power that a stack is given by trust alone."""
    if environment.policy is not PolicyLevel.TRUSTED:
        return
    yield from (said("Allowed by trust: {text} (`{entry}`).", text=power.text, entry=power.entry) for power in trusted)
