"""Run stacks on one machine with Compose and the Docker Engine."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from roas.concurrency import run_concurrently
from roas.engine.adopting.adoption import adopt_project
from roas.engine.adopting.container_differences import find_container_differences
from roas.engine.client import Answer, EngineClients
from roas.engine.comparison import ContainerDifference, WantedService
from roas.engine.compose.orphans import kill_orphans
from roas.engine.compose.runner import ComposeRunner
from roas.engine.containers.docker_events import EventSubscription
from roas.engine.containers.failure_output import read_failure_output
from roas.engine.containers.own_container import own_container_id
from roas.engine.containers.removal import remove_container, start_container, stop_container
from roas.engine.containers.repair import ContainerRepair, after_repairs, plan_repairs, repair_containers
from roas.engine.containers.service_creation import ServiceCreator
from roas.engine.containers.service_logs import read_log
from roas.engine.containers.snapshots import take_outlines, take_snapshots, take_snapshots_of
from roas.engine.containers.statistics import StatisticsReader
from roas.engine.images.building import build_hash, build_image
from roas.engine.images.local_versions import PLACEHOLDER, find_local_versions
from roas.engine.images.lookup import find_image, look_up_image
from roas.engine.images.pull import pull_image
from roas.engine.images.release_tags import missing_images, tag_images, tagged_numbers, untag_images
from roas.engine.interface import ContainerEvent, ProgressReport, ReleaseDraft, ResolvedStack, SweptContainers
from roas.engine.machine.bot_places import find_bot_places
from roas.engine.machine.probe import DockerProbe
from roas.engine.machine.processes import end_process
from roas.engine.machine.projects import ended_services, find_projects
from roas.engine.model.secret_sources import model_secrets
from roas.engine.model.services import read_definitions, services_of
from roas.engine.model.store import ModelStore
from roas.engine.policy.compose_policy import CONTENTS_FOLDER, ComposePolicy
from roas.engine.policy.misled_binds import MisledBinds
from roas.engine.policy.probe_targets import ProbeTargets
from roas.engine.releases.credential_refresh import CredentialRefresher
from roas.engine.releases.drafter import ReleaseDrafter
from roas.engine.releases.plan_inputs import hash_inputs, hash_release
from roas.engine.releases.policy_check import ReleasePolicy
from roas.engine.resolution.resolver import StackResolver
from roas.engine.sources.build_sources import BuildSources
from roas.engine.sources.contents import ContentStore
from roas.engine.sources.opening import resolve
from roas.engine.sources.secret_key import SecretKey
from roas.errors import EngineError, ImageNotFoundError, RegistryUnavailableError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.facts import BotPlace, FoundProject
from roas.models.health import ContainerSnapshot
from roas.models.ownership import ProcessMark
from roas.models.release import Release
from roas.models.stack import ServiceDefinition, WantedImage
from roas.redaction import Redactor

# What nothing refers to may still belong to a deployment that is about to refer to it.
UNUSED_SECONDS = 24 * 3600.0


class ComposeEngine:
    """Do for the phases what they ask of an engine; see the protocol `Engine` for what each method promises."""

    def __init__(
        self, *, state_dir: Path, instance_id: str, policy_allow: tuple[str, ...], redactor: Redactor, token: str = ""
    ) -> None:
        state_dir = state_dir.resolve()
        self._clients = EngineClients(redactor.redact)
        self._runner = ComposeRunner(instance_id, redactor.redact, self._clients)
        self._redactor = redactor
        self._models = ModelStore(state_dir / "models", redactor.add)
        self._builds = state_dir / "builds"
        self._key = SecretKey(state_dir / "secret_key")
        self._contents = ContentStore(state_dir / CONTENTS_FOLDER, self._key.read)
        self._policy = policy = ComposePolicy(policy_allow, state_dir, token)
        self._resolver = StackResolver(self._clients, self._runner, self._contents, policy, redactor)
        self._drafter = ReleaseDrafter(self._clients, self._models, self._contents)
        self._refresher = CredentialRefresher(self._clients, self._resolver, self._models)
        self._release_policy = ReleasePolicy(self._clients, self._resolver, self._models)
        self._misled = MisledBinds(self._clients, policy)
        self._just_judged: set[str] = set()
        self._creator = ServiceCreator(self._clients, self._runner, self._models)

        self.probe_targets = ProbeTargets(self._clients, policy)
        self.statistics = StatisticsReader(self._clients)

    def probe_for(self, environment: Environment) -> DockerProbe:
        """Return what answers the questions of the environment's checks."""
        return DockerProbe(self._clients, self._runner, environment)

    async def close(self) -> None:
        """Close the connections to every engine."""
        await self._clients.close()

    async def resolve(
        self, environment: Environment, version: str | None, *, write_contents: bool = True
    ) -> ResolvedStack:
        """Merge, interpolate and check an environment's compose files."""
        stack = await self._resolver.resolve(environment, version, write_contents=write_contents)
        inputs = await self._clients.local(
            lambda: hash_inputs(stack.model, environment, self._policy.allowed, self._key.read())
        )
        return replace(stack, inputs=inputs)

    async def load_model(self, model_hash: str) -> Mapping[str, Any]:
        """Return the stored, pinned model of a release."""
        return await self._clients.local(lambda: self._models.load(model_hash))

    def definitions(self, model: Mapping[str, Any]) -> Mapping[str, ServiceDefinition]:
        """Read from a model how each service is to be updated and judged."""
        return read_definitions(model)

    async def look_up_images(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        """Return the content that each service's image means now; each reference is queried once."""
        wanted = {name: stack.definitions[name] for name in sorted(services)}
        questions: dict[tuple[str, str], list[str]] = {}
        for name, one in wanted.items():
            if not one.built:
                questions.setdefault((one.image, one.pull_policy), []).append(name)
        answers = await run_concurrently(
            self._look_up_image(stack, reference, policy, names) for (reference, policy), names in questions.items()
        )
        found = dict(zip(questions, answers, strict=True))
        return {
            name: found.get((one.image, one.pull_policy)) or await self._to_build(stack, name)
            for name, one in wanted.items()
        }

    async def pull(
        self, environment: Environment, image: WantedImage, services: tuple[str, ...], report: ProgressReport
    ) -> str:
        """Pull an image and return its image ID."""
        return await pull_image(self._clients, environment, image, services, report)

    async def build(
        self, stack: ResolvedStack, service: str, report: ProgressReport, *, expected: str | None = None
    ) -> str:
        """Build a service's image from a copy of its files and return its image ID."""
        sources = await self._clients.local(lambda: self._sources(stack, service))
        return await build_image(
            self._clients, self._runner, self._redactor, stack, service, report, sources, self._builds, expected
        )

    async def draft_release(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> ReleaseDraft:
        """Pin every image by image ID and store the model."""
        drafted = await self._drafter.draft(stack, image_ids, kept_from=kept_from, kept_services=kept_services)
        await self.check_release(stack.environment, drafted.model_hash)  # kept services are older than today's policy
        return drafted

    async def check_release(self, environment: Environment, model_hash: str) -> None:
        """Ask today's policy about the model of a release. Raises ComposePolicyError."""
        await self._release_policy.check(environment, model_hash)

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

    async def adopt(self, environment: Environment, version: str | None = None) -> ReleaseDraft | None:
        """Draft a release of what runs now; None where nothing runs."""
        written = await self._resolver.written(environment, version)
        adopted = await adopt_project(self._clients, environment, written)
        if adopted is None:
            return None
        self._redactor.add(model_secrets(adopted.model))
        model = await self._drafter.bound(environment, adopted, write=True)
        self._redactor.add(model_secrets(model))
        return await self._drafter.draft_model(environment, adopted.version, model, adopted.references)

    async def refresh_credentials(self, environment: Environment, release: Release) -> tuple[str, tuple[str, ...]]:
        """Store the release's model with today's credentials and return its hash, and warnings."""
        model_hash, warnings = await self._refresher.refresh(environment, release)
        await self.check_release(environment, model_hash)
        return model_hash, warnings

    async def preview_refreshed(
        self, environment: Environment, release: Release
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return the model that `refresh_credentials` would store, and warnings; nothing is written."""
        return await self._refresher.renewed(environment, release)

    async def hash_release(self, environment: Environment, model: Mapping[str, Any]) -> str:
        """Return a hash of what a stored model would run as: with its secrets, today's settings and policy."""
        return await self._clients.local(
            lambda: hash_release(model, environment, self._policy.allowed, self._key.read())
        )

    async def protect(self, release: Release, environment: Environment) -> None:
        """Tag the release's images so that pruning leaves them alone, and hold its model."""
        await tag_images(self._clients, environment, release)
        await self._clients.local(lambda: self._models.add_reference(release.model_hash, _holder(environment, release)))

    async def held_releases(self, environment: Environment) -> frozenset[int]:
        """Return the numbers of releases of which tags or a model may be held; another project's may be among them."""
        held = await self._stored(lambda: self._models.held_by(environment.project))
        return held | await tagged_numbers(self._clients, environment)

    async def unprotect(
        self, release: Release, environment: Environment, *, needed: frozenset[str] = frozenset()
    ) -> None:
        """Remove the tags of a release, and its model where no other release needs it."""
        await untag_images(self._clients, environment, release)
        holder = _holder(environment, release)
        await self._stored(lambda: self._models.remove_reference(release.model_hash, holder, needed))

    async def clear_unused(self, needed: frozenset[str]) -> None:
        """Remove old models that no release holds and that are not `needed`, then old contents in no model."""

        def clear() -> None:
            self._models.clear(UNUSED_SECONDS, needed)
            self._contents.clear(self._models.mentions, UNUSED_SECONDS)
            ContentStore(self._builds).clear(lambda _: False, UNUSED_SECONDS)

        await self._stored(clear)

    async def missing_images(self, release: Release, environment: Environment) -> tuple[str, ...]:
        """Return the services of a release whose images are gone; empty where it can be restored."""
        return await missing_images(self._clients, environment, release)

    async def create_service(
        self,
        environment: Environment,
        model_hash: str,
        service: str,
        *,
        beside: bool = False,
        anew: bool = False,
        spared: frozenset[str] = frozenset(),
        seen: tuple[ContainerSnapshot, ...] | None = None,
    ) -> tuple[str, ...]:
        """Create a service's containers as the model says and return the ids that are to be started."""
        await self.check_release(environment, model_hash)
        made = await self._creator.create(
            environment, model_hash, service, beside=beside, anew=anew, spared=spared, seen=seen
        )
        self._just_judged |= set(made)
        return made

    async def create_missing(
        self, environment: Environment, model_hash: str, chosen: frozenset[str] | None = None
    ) -> None:
        """Create the containers of the chosen services that have none yet, and the networks."""
        await self.check_release(environment, model_hash)
        await self._creator.create_missing(environment, model_hash, chosen)

    async def current_hashes(self, model_hash: str, environment: Environment) -> Mapping[str, str]:
        """Return the configuration hash that each service's container should have under a model."""
        return await self._creator.hashes(model_hash, environment)

    async def wanted_services(
        self,
        environment: Environment,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
    ) -> Mapping[str, WantedService]:
        """Return what a pinned model wants of each service, where these containers (by default, what there is) are."""
        return await self._creator.wanted(model, environment, containers)

    async def container_differences(
        self, environment: Environment, model: Mapping[str, Any]
    ) -> Mapping[str, ContainerDifference]:
        """Return, by id, the containers that run, or ran, of which a key differs from a pinned model."""
        return await find_container_differences(self._clients, environment, model)

    async def expected_repairs(
        self, environment: Environment, *, spared: frozenset[str] = frozenset()
    ) -> SweptContainers:
        """Return every container as `sweep` would leave it, and those that it would remove."""
        there = await self.containers(environment)
        own = await self._clients.local(own_container_id)
        repairs = plan_repairs([one for one in there if one.id not in spared], own=own)
        left = after_repairs(there, repairs)
        kept = {one.id for one in left}
        return SweptContainers(left, tuple(one for one in there if one.id not in kept))

    async def start(self, environment: Environment, container_id: str) -> None:
        """Start a created or stopped container."""
        if container_id not in self._just_judged:  # it was there before: what it binds may lead elsewhere by now
            await self._misled.refuse(environment, container_id)
        self._just_judged.discard(container_id)
        await start_container(self._clients, environment, container_id)

    async def stop(self, environment: Environment, container_id: str) -> None:
        """Stop a container within its grace period; a stopped or missing one is no error."""
        await stop_container(self._clients, environment, container_id)

    async def remove(self, environment: Environment, container_id: str, *, grace_seconds: float | None = None) -> None:
        """Stop and remove a container by id."""
        await remove_container(self._clients, environment, container_id, grace_seconds)

    async def misled_binds(self, environment: Environment, model_hash: str) -> Mapping[str, str]:
        """Return the services of a model of which a bind leads, by now, where it may not, and why."""
        return await self._clients.local(lambda: self._misled.find(self._models.load(model_hash), environment))

    async def hold_restarts(self, environment: Environment, services: Iterable[str]) -> None:
        """Let no container of these services be started again by the engine itself."""
        await self._misled.hold(environment, services)

    async def release_restarts(self, environment: Environment, model_hash: str, services: Iterable[str]) -> None:
        """Give the containers of these services the restart policy of a model again."""
        model = await self.load_model(model_hash)
        await self._misled.release(environment, model, services)

    async def projects(self, environment: Environment) -> tuple[FoundProject, ...]:
        """Return the Compose projects of the environment's engine."""
        return await self._clients.call(environment, find_projects)

    async def ended_services(self, environment: Environment) -> tuple[str, ...]:
        """Return the services that ended with code 0 and that nothing starts again."""
        return await self._clients.call(environment, lambda client: ended_services(client, environment.project))

    async def containers(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        """Return every container of the environment's project, running or not."""
        return await take_snapshots(self._clients, environment)

    async def outline(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        """Return every container of the environment's project as the engine lists it."""
        return await take_outlines(self._clients, environment)

    async def containers_by_id(
        self, environment: Environment, container_ids: frozenset[str]
    ) -> tuple[ContainerSnapshot, ...]:
        """Return those of some containers of the environment's project that are there, running or not."""
        return await take_snapshots_of(self._clients, environment, container_ids)

    def events(
        self, environment: Environment, *, since_ns: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[ContainerEvent]]:
        """Subscribe to the project's container events; what is remembered `since_ns` comes first."""
        return EventSubscription(self._clients, environment, since_ns=since_ns)

    async def failure_output(self, environment: Environment, container_id: str, *, lines: int = 30) -> str:
        """Return a container's last log lines and its last health-check output, redacted."""
        return await read_failure_output(self._clients, self._redactor, environment, container_id, lines)

    async def read_log(
        self, environment: Environment, container_id: str, *, lines: int, since: datetime | None = None
    ) -> str:
        """Return the last lines of a container's log with their times, redacted."""
        return await read_log(self._clients, self._redactor, environment, container_id, lines=lines, since=since)

    async def local_versions(self, environment: Environment) -> tuple[str, ...]:
        """Return the versions of which an image is here, the newest first; the compose file says which images count."""
        stack = await self.resolve(environment, PLACEHOLDER, write_contents=False)
        return await find_local_versions(self._clients, environment, stack)

    async def sweep(
        self, environment: Environment, service: str | None = None, *, spared: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """Repair what a killed Compose left, of one service or all; returns a description of each repair."""
        own = await self._clients.local(own_container_id)

        def repairs(there: Iterable[ContainerSnapshot]) -> list[ContainerRepair]:
            found = [one for one in there if one.id not in spared and service in {None, one.service}]
            return list(plan_repairs(found, own=own))

        if not repairs(await self.outline(environment)):  # as nearly always
            return ()
        return await repair_containers(self._clients, environment, repairs(await self.containers(environment)))

    async def bot_places(self, environment: Environment, container_ids: Iterable[str]) -> Mapping[str, BotPlace]:
        """Return where a bot in each container keeps its state and answers; missing containers are skipped."""
        return await find_bot_places(self._clients, environment, container_ids)

    async def kill_orphans(self, instance_id: str) -> int:
        """Terminate Compose children that a dead process of ours left running; returns how many."""
        return await self._clients.local(lambda: kill_orphans(instance_id))

    async def end_process(self, mark: ProcessMark) -> bool:
        """Terminate a hung process of ours; returns whether it is certainly gone."""
        return await self._clients.local(lambda: end_process(mark))

    async def _stored(self, work: Callable[[], Answer]) -> Answer:
        """Work in the folders of models and contents. Raises EngineError where the disk refuses."""
        try:
            return await self._clients.local(work)
        except OSError as error:
            raise EngineError(
                said(
                    "STATE_DIR cannot be used: {strerror} ({filename}).",
                    strerror=error.strerror or error,
                    filename=error.filename,
                ),
                hint=said("The bot's user must own all that is in models/ and contents/ of STATE_DIR."),
            ) from error

    async def _look_up_image(
        self, stack: ResolvedStack, reference: str, policy: str, names: list[str]
    ) -> WantedImage | None:
        """Return what a reference means; None where it cannot be pulled and, as in Compose, is built instead."""
        try:
            return await look_up_image(self._clients, stack.environment, reference, policy)
        except (ImageNotFoundError, RegistryUnavailableError):
            services = services_of(stack.model)
            if all(services[name].get("build") for name in names):
                return None
            raise

    async def _to_build(self, stack: ResolvedStack, service: str) -> WantedImage:
        """Say what is built: it is bound to its model; where nothing is built, the image that is here serves."""
        reference = stack.definitions[service].image
        found = await self._clients.call(stack.environment, lambda client: find_image(client, reference))
        sources = await self._clients.local(lambda: self._sources(stack, service).digest())
        return WantedImage(reference, found["Id"] if found else None, build_hash=build_hash(stack, service, sources))

    def _sources(self, stack: ResolvedStack, service: str) -> BuildSources:
        """Return what a service is built from, and what of it the policy allows outside of the stack's folder."""
        return BuildSources(
            build=stack.model["services"][service].get("build") or {},
            secrets=stack.model.get("secrets") or {},
            folder=resolve(stack.environment.folder),
            state_dir=self._policy.state_dir,
            key=self._key.read(),
            may_leave=self._policy.allows(f"build:{service}", stack.environment),
            may_bind=lambda path: self._policy.allows(f"bind:{path}", stack.environment),
        )


def _holder(environment: Environment, release: Release) -> str:
    return f"{environment.project}-{release.label}"
