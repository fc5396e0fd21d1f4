"""Define a stack: one environment's services, what is wanted of them, what is there, and how it is brought about."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from roas.concurrency import begun
from roas.errors import EngineError, ReleaseNotRestorableError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.facts import BotPlace, FoundProject
from roas.models.health import ContainerSnapshot
from roas.models.plan import BUILD_HASH
from roas.models.release import Release
from roas.models.stack import ServiceDefinition, ServiceProxy, WantedImage
from roas.models.swarm import QuorumLosses, SwarmFacts
from roas.redaction import Redactor
from roas.stack.client import Answer, EngineClients
from roas.stack.comparison import ContainerDifference, WantedService
from roas.stack.compose.runner import ComposeRunner
from roas.stack.containers.snapshots import engine_time
from roas.stack.images.building import build_hash, build_image, keep_sources
from roas.stack.images.local_versions import PLACEHOLDER, find_local_versions
from roas.stack.images.release_tags import tagged_numbers, untag_images
from roas.stack.interface import ContainerEvent, ProgressReport, ReleaseDraft, ResolvedStack, SweptContainers
from roas.stack.machine.probe import DockerProbe
from roas.stack.machine.projects import ended_services, find_projects, networks_and_volumes
from roas.stack.model.definitions import read_definitions
from roas.stack.model.live_files import LiveFiles
from roas.stack.model.per_model import PerModel
from roas.stack.model.secret_sources import literal_names, model_secrets
from roas.stack.model.services import services_of
from roas.stack.model.store import MODELS, ModelStore
from roas.stack.policy.compose_policy import CONTENTS_FOLDER, ComposePolicy
from roas.stack.policy.power import named
from roas.stack.proxied_service import ProxiedService
from roas.stack.proxy.live_configuration import LiveConfiguration
from roas.stack.proxy.proxies import proxied_service
from roas.stack.releases.drafter import ReleaseDrafter
from roas.stack.releases.pinning import SHARED_KINDS
from roas.stack.releases.today import ReleasePolicy, hash_inputs
from roas.stack.resolution.resolver import StackResolver
from roas.stack.sources.build_sources import BuildSources
from roas.stack.sources.contents import ContentStore, discard
from roas.stack.sources.opening import resolve
from roas.stack.sources.secret_key import SecretKey

# A key of a container that may be changed in place: its restart policy.
RESTART = "restart"


class StackParts:
    """Hold what all stacks work with: the clients of engines, and the folders of models and contents."""

    def __init__(
        self, *, state_dir: Path, instance_id: str, policy_allow: tuple[str, ...], redactor: Redactor, token: str = ""
    ) -> None:
        state_dir = state_dir.resolve()
        self.redactor = redactor
        self.clients = EngineClients(redactor.redact)
        self.runner = ComposeRunner(instance_id, redactor.redact, self.clients)
        self.models = ModelStore(state_dir / MODELS, self.learn)
        self.definitions = PerModel(read_definitions)
        self.builds = state_dir / "builds"
        self.key = SecretKey(state_dir / "secret_key")
        self.contents = ContentStore(state_dir / CONTENTS_FOLDER, self.key.read)
        self.live_files = LiveFiles(self.contents.folder)
        self.policy = ComposePolicy(policy_allow, state_dir, token)
        self.resolver = StackResolver(self.clients, self.runner, self.contents, self.policy, redactor)
        self.release_policy = ReleasePolicy(self.clients, self.resolver, self.models)
        self.live = LiveConfiguration(self.clients, self.live_files)

    def learn(self, model: Mapping[str, Any]) -> None:
        """Let the redactor know the secrets of a model, and which words are names in it."""
        self.redactor.keep(literal_names(model))
        self.redactor.add(model_secrets(model))

    async def load_model(self, model_hash: str) -> Mapping[str, Any]:
        """Return the stored, pinned model of a release. Raises ReleaseNotRestorableError where it is gone."""
        return await self.clients.local(lambda: self.models.load(model_hash))

    async def stored(self, work: Callable[[], Answer]) -> Answer:
        """Work in the folders of models and contents. Raises EngineError where the disk refuses."""
        try:
            return await self.clients.local(work)
        except OSError as error:
            raise EngineError(
                said(
                    "STATE_DIR cannot be used: {strerror} ({filename}).",
                    strerror=error.strerror or error,
                    filename=error.filename,
                ),
                hint=said("The bot's user must own all that is in models/ and contents/ of STATE_DIR."),
            ) from error


class Stack(ABC):
    """Be the stack of one environment. What is here is the same on one machine and on a Swarm.

    Every method that asks the engine raises EngineUnavailableError where it cannot be reached.
    """

    def __init__(self, parts: StackParts, environment: Environment, drafter: ReleaseDrafter) -> None:
        self.environment = environment
        self._parts = parts
        self._clients = parts.clients
        self._drafter = drafter

    @property
    def replaces_by_itself(self) -> bool:
        """Return whether the engine starts other containers for those that end, and takes back what fails."""
        return False

    def probe(self) -> DockerProbe:
        """Return what answers the questions of the environment's checks."""
        return DockerProbe(self._clients, self._parts.runner, self.environment)

    # From files to a model.

    async def resolve(self, version: str | None, *, write_contents: bool = True) -> ResolvedStack:
        """Merge, interpolate and check the environment's compose files.

        `write_contents=False` computes every hash but writes nothing (for a plan). Raises ComposeFileError and
        ComposePolicyError.
        """
        resolved = await self._parts.resolver.resolve(self.environment, version, write_contents=write_contents)
        return replace(resolved, is_kept=write_contents)

    async def save_model(self, model: Mapping[str, Any]) -> str:
        """Keep a model, which may hold secrets, for at least a day, and return its hash."""
        return await self._clients.local(lambda: self._parts.models.save(model))

    async def load_model(self, model_hash: str) -> Mapping[str, Any]:
        """Return the stored, pinned model of a release. Raises ReleaseNotRestorableError where it is gone."""
        return await self._parts.load_model(model_hash)

    def definitions(self, model: Mapping[str, Any]) -> Mapping[str, ServiceDefinition]:
        """Read from a model how each service is to be updated and judged."""
        return self._parts.definitions(model)

    async def local_versions(self) -> tuple[str, ...]:
        """Return the versions that need no pull: those of which an image is here, the newest first.

        The compose file says which images count. Raises ComposeFileError, ComposePolicyError.
        """
        resolved = await self.resolve(PLACEHOLDER, write_contents=False)
        return await find_local_versions(self._clients, self.environment, resolved)

    # Images.

    @abstractmethod
    async def look_up_images(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        """Return the content that each service's image means now, by pull policy, asking registries where needed.

        Of a stack that is kept, what is built is copied. Raises ImageNotFoundError, RegistryUnavailableError.
        """

    @abstractmethod
    async def pull(self, image: WantedImage, services: tuple[str, ...], report: ProgressReport) -> str:
        """Pull an image; returns its image ID. Raises ImageNotFoundError, RegistryUnavailableError."""

    async def build(
        self, stack: ResolvedStack, service: str, report: ProgressReport, *, expected: str | None = None
    ) -> str:
        """Build a service's image from the copy of its files that a plan kept as `expected`, and return its image ID.

        Without one, a copy is made now. Raises ImageChangedError where the copy is not kept any more,
        BuildFailedError with the log's end as report.
        """
        parts = self._parts
        copy = parts.builds / (expected or await self._keep_sources(stack, service))
        return await build_image(self._clients, parts.runner, parts.redactor, stack, service, report, copy)

    async def _keep_sources(self, stack: ResolvedStack, service: str) -> str:
        """Copy what a service is built from, and return the name of the copy; of what is only shown, none is made."""

        def keep() -> str:
            sources = self._sources(stack, service)
            if not stack.is_kept:
                return build_hash(stack, service, sources.digest())
            return keep_sources(stack, service, sources, self._parts.builds)

        return await self._clients.local(keep)

    async def discard_builds(self, names: Collection[str]) -> None:
        """Remove copies of what was built: the release is made."""

        def clear() -> None:
            for name in filter(BUILD_HASH.fullmatch, names):
                discard(self._parts.builds / name)

        await self._parts.stored(clear)

    def _sources(self, stack: ResolvedStack, service: str) -> BuildSources:
        """Return what a service is built from, and what of it the policy allows outside of the stack's folder."""
        policy = self._parts.policy
        return BuildSources(
            build=stack.model["services"][service].get("build") or {},
            secrets=stack.model.get("secrets") or {},
            folder=resolve(self.environment.folder),
            withheld=policy.withheld(self.environment),
            key=self._parts.key.read(),
            may_leave=f"build:{service}" in stack.asked or policy.allows(f"build:{service}", self.environment),
            may_bind=lambda path: f"bind:{path}" in stack.asked or policy.allows(f"bind:{path}", self.environment),
        )

    async def new_powers(self, stack: ResolvedStack, granted_by: Collection[str]) -> tuple[str, ...]:
        """Return the names of the powers that a stack asks for and that no release with one of these models has.

        Before there is a release, what runs has what it has.
        """
        if not stack.powers:
            return ()
        resolver = self._parts.resolver
        holdings = await resolver.holdings(self.environment)
        granted: set[str] = set()
        if not granted_by and (adopted := await self._drafter.adopted(stack)) is not None:
            granted |= await resolver.powers_of_release(adopted, self.environment, holdings)
        for model_hash in granted_by:
            with suppress(ReleaseNotRestorableError):
                model = await self.load_model(model_hash)
                granted |= await resolver.powers_of_release(model, self.environment, holdings)
        return tuple(dict.fromkeys(map(named, sorted(stack.powers - granted))))

    # Releases.

    async def draft_release(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> ReleaseDraft:
        """Pin every image by image ID and store the model; `kept_services` keep their definition from `kept_from`."""
        # Kept services are older than today's policy. What that judges by is asked beside the draft.
        async with begun(self._parts.resolver.holdings(self.environment)) as asking:
            drafted = await self._drafter.draft(stack, image_ids, kept_from=kept_from, kept_services=kept_services)
            await self._parts.release_policy.check(self.environment, drafted.model_hash, asking)
        return drafted

    async def preview_release(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        """Return the model that `draft_release` would store for the same; nothing is written."""
        return await self._drafter.pinned_model(stack, image_ids, kept_from=kept_from, kept_services=kept_services)

    async def draft_with(self, current: Release, service: str, earlier: Release) -> ReleaseDraft:
        """Draft a release that runs, with one service as an earlier one has it and today's credentials: all else stays.

        Raises ComposePolicyError, ReleaseNotRestorableError.
        """
        models = self._parts.models
        model_hash, _warnings = await self.refresh_credentials(earlier)

        def merged() -> str:
            old, now = models.load(model_hash), models.load(current.model_hash)
            shared = {kind: {**old.get(kind, {}), **now.get(kind, {})} for kind in SHARED_KINDS if kind in old}
            services = {**services_of(now), service: services_of(old)[service]}
            return models.save({**now, **shared, "services": services})

        merged_hash = await self._clients.local(merged)
        await self.check_release(merged_hash)
        taken = earlier.service(service)
        services = tuple(taken if taken and kept.name == service else kept for kept in current.services)
        return ReleaseDraft(current.version, services, merged_hash)

    @abstractmethod
    async def adopt(self, version: str | None = None) -> ReleaseDraft | None:
        """Draft a release of what runs now; None where nothing runs.

        The engine says how the containers are. The files, read for a version, say what no container shows: how a
        service is updated and watched, and where Compose copied something into a container.
        """

    async def check_release(self, model_hash: str) -> None:
        """Ask today's policy about the model of a release. Raises ComposePolicyError, with the way out."""
        await self._parts.release_policy.check(self.environment, model_hash)

    @abstractmethod
    async def refresh_credentials(self, release: Release) -> tuple[str, tuple[str, ...]]:
        """Store the release's model with today's credentials and return its hash, and warnings."""

    @abstractmethod
    async def preview_refreshed(self, release: Release) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return the model that `refresh_credentials` would store, and warnings; nothing is written."""

    async def hash_inputs(self, model: Mapping[str, Any]) -> str:
        """Return a hash of what running a model depends on besides itself: its secrets, settings and policy."""
        policy, key = self._parts.policy, self._parts.key
        return await self._clients.local(lambda: hash_inputs(model, self.environment, policy.allowed, key.read()))

    @abstractmethod
    async def protect(self, release: Release) -> None:
        """Hold a release's model, and tag its images so that pruning leaves them alone."""

    async def held_releases(self, services: Collection[str] | None = None) -> frozenset[int]:
        """Return the numbers of releases of which tags or a model may be held, the tags of these services if given.

        Without them, another project's may be among them.
        """
        held = await self._parts.stored(lambda: self._parts.models.held_by(self.environment.project))
        return held | await tagged_numbers(self._clients, self.environment, services)

    async def unprotect(self, release: Release, *, needed: frozenset[str] = frozenset()) -> None:
        """Remove the tags of a release that is no longer kept, and its model where no other release has it.

        A tag that points to another image is not this release's, and stays; so does a model that is `needed`.
        """
        await untag_images(self._clients, self.environment, release)
        models, holder = self._parts.models, self._holder(release)
        await self._parts.stored(lambda: models.remove_reference(release.model_hash, holder, needed))

    async def _hold_model(self, release: Release) -> None:
        models, holder = self._parts.models, self._holder(release)
        await self._clients.local(lambda: models.add_reference(release.model_hash, holder))

    def _holder(self, release: Release) -> str:
        """Return by what name a release holds its model."""
        return f"{self.environment.project}-{release.label}"

    @abstractmethod
    async def missing_images(self, release: Release) -> tuple[str, ...]:
        """Return the services of a release whose images are gone; empty where it can be restored."""

    # What is there, and what is wanted.

    @abstractmethod
    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        """Return every container of the environment's project, running or not; of a Swarm's stack, every task."""

    async def outline(self) -> tuple[ContainerSnapshot, ...]:
        """Return every container as the engine lists it: one question, however many.

        Restarts, the time of the start, the restart policy and the stop signal are not told.
        """
        return await self.containers()

    async def containers_by_id(self, container_ids: frozenset[str]) -> tuple[ContainerSnapshot, ...]:
        """Return those of some containers of the environment's project that are there, running or not."""
        return tuple(container for container in await self.containers() if container.id in container_ids)

    @abstractmethod
    def events(self, *, since_ns: int | None = None) -> AbstractAsyncContextManager[AsyncIterator[ContainerEvent]]:
        """Subscribe to the project's container events; the subscription is active once the context is entered.

        What the engine still remembers `since_ns` (by its own clock, that time included) comes first.
        """

    async def written_services(self) -> frozenset[str]:
        """Return the services that are there as such, whatever containers they have: those of a Swarm, else none."""
        return frozenset()

    @abstractmethod
    async def wanted_services(
        self,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
        *,
        as_it_is: bool = False,
    ) -> Mapping[str, WantedService]:
        """Return what a pinned model wants of each service, where these containers (by default, what there is) are.

        What shares a namespace is wanted as the container that it shares with makes it: none fits before that one is
        as the model says, but for who takes it `as_it_is`.
        """

    async def current_hashes(self, model_hash: str) -> Mapping[str, str]:
        """Return the configuration hash that each service's container should have under a model."""
        wanted = await self.wanted_services(await self.load_model(model_hash))
        return {name: service.config_hash for name, service in wanted.items()}

    @abstractmethod
    async def container_differences(self, model: Mapping[str, Any]) -> Mapping[str, ContainerDifference]:
        """Return, by id, the containers that run, or ran, of which a key differs from a pinned model."""

    @abstractmethod
    async def failure_output(self, container_id: str, *, lines: int = 30) -> str:
        """Return a container's last log lines and its last health-check output, redacted."""

    @abstractmethod
    async def read_log(self, container_id: str, *, lines: int, since: datetime | None = None) -> str:
        """Return the last lines of a container's log with their times, redacted; `since` leaves out older ones."""

    async def replacements(self, service: str, since: datetime) -> tuple[str, ...]:
        """Say what the engine itself did about a service since then: a Swarm starts other tasks for those that end.

        On one machine, that is in the container's restart count.
        """
        return ()

    async def swarm(self, *, with_traces: bool = False) -> SwarmFacts | None:
        """Return what a manager says of its Swarm; None where the stack runs on one machine."""
        return None

    def quorum_losses(self) -> QuorumLosses:
        """Return how often, and for how long, a Swarm was seen without a quorum since this process began."""
        return QuorumLosses()

    async def last_writer(self) -> str:
        """Return the newest deployment that wrote a service that a Swarm has; empty where none did."""
        return ""

    async def projects(self) -> tuple[FoundProject, ...]:
        """Return the Compose projects of the environment's engine."""
        return await self._clients.call(self.environment, find_projects)

    async def networks_and_volumes(self, model: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the networks and volumes of a model that are there, with what tells each from another of its name."""
        project = self.environment.project
        return await self._clients.call(self.environment, lambda client: networks_and_volumes(client, model, project))

    async def ended_services(self) -> tuple[str, ...]:
        """Return the services that ended with code 0 and that nothing starts again."""
        project = self.environment.project
        return await self._clients.call(self.environment, lambda client: ended_services(client, project))

    async def now(self) -> datetime:
        """Return what the engine's clock says."""
        return await engine_time(self._clients, self.environment)

    async def expected_repairs(self, *, spared: frozenset[str] = frozenset()) -> SweptContainers:
        """Return every container as `sweep` would leave it, and those that it would remove."""
        return SweptContainers(await self.containers())

    async def misled_binds(self, model_hash: str) -> Mapping[str, str]:
        """Return the services of a model of which a bind leads, by now, where it may not, and why."""
        return {}

    async def without_own_changes(
        self,
        model_hash: str,
        containers: Iterable[ContainerSnapshot],
        differences: Mapping[str, ContainerDifference],
    ) -> Mapping[str, ContainerDifference]:
        """Leave out of what was changed in place, by id, what no hand changed: restarts of misled containers are held.

        `model_hash` is that of the model that runs.
        """
        if all(RESTART not in difference.changed for difference in differences.values()):
            return differences
        held = await self.misled_binds(model_hash)
        service_of = {container.id: container.service for container in containers}
        return {
            key: replace(difference, changed=tuple(name for name in difference.changed if name != RESTART))
            if service_of.get(key) in held
            else difference
            for key, difference in differences.items()
        }

    async def bot_places(self, container_ids: Iterable[str]) -> Mapping[str, BotPlace]:
        """Return where a bot in each container keeps its state and answers; missing containers are skipped."""
        return {}

    # What is done.

    @abstractmethod
    async def create_service(
        self,
        model_hash: str,
        service: str,
        *,
        beside: bool = False,
        anew: bool = False,
        spared: frozenset[str] = frozenset(),
        seen: tuple[ContainerSnapshot, ...] | None = None,
        at_most: int | None = None,
        deployment: str = "",
    ) -> tuple[str, ...]:
        """Create a service's containers as the model says, not yet started, and return the ids that are to be started.

        What runs already as the model says is left alone (its id is not returned). A container that differs is
        stopped and replaced; with `beside` it stays until it is removed by id (start-first). With `anew`, every
        container is replaced. A replaced container passes its anonymous volumes on. Those that are `spared`, by id, are
        neither removed nor renamed, nor returned. `seen` are the service's containers as a watch has them at this
        moment: where all of them are as they should be, the engine is not asked again. With `beside`, no more than
        `at_most` new ones are created. In a Swarm, what is written has the id of the `deployment` with it.
        """

    @abstractmethod
    async def create_missing(
        self,
        model_hash: str,
        chosen: frozenset[str] | None = None,
        *,
        created: Callable[[tuple[ContainerSnapshot, ...]], None] = lambda _made: None,
    ) -> tuple[ContainerSnapshot, ...]:
        """Create, in one go and not started, the containers of services that have none yet, and what is shared.

        Only of those that are `chosen`, where some are. Returns what was created, and may call `created` with parts of
        that while others are still being made: these may be started. Where the engine refuses one of many, others may
        lack, too, and each is left to `create_service`, whose fault names it.
        """

    async def start(self, container_id: str) -> None:  # noqa: B027
        """Start a created or stopped container; a Swarm starts tasks by itself."""

    async def stop(self, container_id: str) -> None:  # noqa: B027
        """Stop a container within its grace period; a stopped or missing one is no error.

        Raises OwnContainerError, with nothing done, for the container that this process runs in; so does `remove`, and
        `create_service` where Compose would replace that container. A Swarm stops tasks in the order of the update.
        """

    async def remove(self, container_id: str, *, grace_seconds: float | None = None) -> None:  # noqa: B027
        """Stop and remove a container by id; a missing one is no error. A Swarm removes replaced tasks by itself."""

    @abstractmethod
    async def remove_service(self, service: str, container_ids: Iterable[str]) -> None:
        """Stop and remove these containers, which are all of a service; where it is one of a Swarm, the service."""

    async def hold_restarts(self, services: Iterable[str]) -> None:  # noqa: B027
        """Let no container of these services be started again by the engine itself."""

    async def release_restarts(self, model_hash: str, services: Iterable[str]) -> None:  # noqa: B027
        """Give the containers of these services the restart policy of a model again."""

    async def sweep(self, service: str | None = None, *, spared: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """Fix what a killed Compose left behind (`<id>_<name>`, `created`), of one service or all of them.

        Containers that are `spared`, by id, are left as they are. Returns a description of each repair.
        """
        return ()

    async def name_images(self, model_hash: str) -> Mapping[str, str]:
        """Let the names that the files of a model have for its images mean these again.

        Returns, by service, the names that a container of another project uses: those stay as they are. The nodes of a
        Swarm go by digests.
        """
        return {}

    async def renew_logins(self) -> tuple[str, ...]:
        """Let the engine pull with today's logins what it starts by itself; returns the services that were told so."""
        return ()

    def proxied_service(self, service: str, proxy: ServiceProxy) -> ProxiedService:
        """Return what tells the proxy in front of a service which of its containers come and go."""
        return proxied_service(self._clients, self.environment, service, proxy)

    async def check_configuration(self, model: Mapping[str, Any], service: str, image_id: str) -> None:
        """Raise ComposeFileError where a proxy that runs would not take the configuration that a model has of it.

        Nothing is changed: it is asked in a container that is thrown away. Where none runs, nothing is asked.
        """
        await self._parts.live.check(self.environment, model, service, image_id)

    async def reload_configuration(self, model_hash: str, service: str) -> bool:
        """Have a proxy that runs read its configuration again; returns False where it has to be replaced for that.

        Raises ProxyError where it goes on with the one that it had.
        """
        await self.check_release(model_hash)
        return await self._parts.live.reload(self.environment, await self.load_model(model_hash), service)
