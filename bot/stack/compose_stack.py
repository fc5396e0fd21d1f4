"""Run a stack on one machine, with Compose and the Docker Engine."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any

from roas.concurrency import run_concurrently
from roas.errors import ImageNotFoundError, RegistryUnavailableError, RoasError
from roas.models.environment import Environment
from roas.models.facts import BotPlace
from roas.models.health import ALIVE, ContainerSnapshot
from roas.models.release import Release
from roas.models.stack import WantedImage
from roas.stack.adopting.adoption import adopt_project
from roas.stack.adopting.container_differences import find_container_differences
from roas.stack.comparison import ContainerDifference, WantedService
from roas.stack.containers.compose_creation import ComposeCreation
from roas.stack.containers.docker_events import EventSubscription
from roas.stack.containers.joint_creation import Created, JointCreator
from roas.stack.containers.logs import read_failure_output, read_log
from roas.stack.containers.own_container import own_container_id
from roas.stack.containers.pinned_services import PinnedServices
from roas.stack.containers.removal import remove_container, start_container, stop_container
from roas.stack.containers.repair import ContainerRepair, after_repairs, plan_repairs, repair_containers
from roas.stack.containers.service_creation import ServiceCreator
from roas.stack.containers.snapshots import take_named_outlines, take_outlines, take_snapshots, take_snapshots_of
from roas.stack.images.lookup import find_image, look_up_image
from roas.stack.images.pull import pull_image
from roas.stack.images.readable_names import files_reference, set_references
from roas.stack.images.release_tags import missing_images, tag_images
from roas.stack.interface import ContainerEvent, ProgressReport, ReleaseDraft, ResolvedStack, SweptContainers
from roas.stack.machine.bot_places import find_bot_places
from roas.stack.model.services import ADOPTED_HASH, adopted_hash, pinned_content, replicas_of, services_of
from roas.stack.policy.misled_binds import MisledBinds
from roas.stack.releases.drafter import ReleaseDrafter
from roas.stack.releases.pinning import SHARED_KINDS, pin
from roas.stack.releases.today import CredentialRefresher
from roas.stack.stack import Stack, StackParts

# In `x-deploy` of a service that was adopted: what its containers say.
OF_CONTAINERS = ("depends_on", "one_shot", ADOPTED_HASH)


class ComposeParts:
    """Hold what all stacks on one machine work with. `just_judged` are containers whose first start needs no look."""

    def __init__(self, parts: StackParts) -> None:
        clients = parts.clients
        self.pinned = PinnedServices(clients, parts.runner, parts.models, parts.live_files)
        self.drafter = ReleaseDrafter(clients, parts.models, parts.contents)
        self.refresher = CredentialRefresher(clients, parts.resolver, parts.models)
        self.misled = MisledBinds(clients, parts.policy)
        creation = ComposeCreation(clients, parts.runner, parts.models, self.pinned)
        self.creator, self.joint_creator = ServiceCreator(creation), JointCreator(creation)
        self.just_judged: set[str] = set()


class ComposeStack(Stack):
    """Run a stack on one machine: Compose creates its containers, and the engine starts them."""

    def __init__(self, parts: StackParts, compose: ComposeParts, environment: Environment) -> None:
        super().__init__(parts, environment, compose.drafter)
        self._compose = compose

    async def look_up_images(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        """Return the content that each service's image means now; each reference is queried once.

        What any service of the stack builds is that of all who name it.
        """
        wanted = {name: stack.definitions[name] for name in sorted(services)}
        builders = {name: _builder(stack, name) for name in wanted}
        questions: dict[tuple[str, str], list[str]] = {}
        for name, definition in wanted.items():
            builder = builders[name]
            if not (builder and stack.definitions[builder].built):
                questions.setdefault((definition.image, definition.pull_policy), []).append(name)
        answers = await run_concurrently(
            self._look_up_image(stack, reference, policy, names) for (reference, policy), names in questions.items()
        )
        found = dict(zip(questions, answers, strict=True))
        return {
            name: found.get((definition.image, definition.pull_policy))
            or await self._to_build(stack, builders[name] or name)
            for name, definition in wanted.items()
        }

    async def _look_up_image(
        self, stack: ResolvedStack, reference: str, policy: str, names: list[str]
    ) -> WantedImage | None:
        """Return what a reference means; None where it cannot be pulled and, as in Compose, is built instead."""
        try:
            return await look_up_image(self._clients, self.environment, reference, policy)
        except (ImageNotFoundError, RegistryUnavailableError):
            if all(_builder(stack, name) for name in names):
                return None
            raise

    async def _to_build(self, stack: ResolvedStack, service: str) -> WantedImage:
        """Say what is built: it is bound to its model; where nothing is built, the image that is here serves."""
        reference = stack.definitions[service].image
        found = await self._clients.call(self.environment, lambda client: find_image(client, reference))
        name = await self._keep_sources(stack, service)
        return WantedImage(reference, found["Id"] if found else None, build_hash=name, builder=service)

    async def pull(self, image: WantedImage, services: tuple[str, ...], report: ProgressReport) -> str:
        """Pull an image and return its image ID."""
        return await pull_image(self._clients, self.environment, image, services, report)

    async def adopt(self, version: str | None = None) -> ReleaseDraft | None:
        """Draft a release of what runs now; None where nothing runs."""
        if not any(container.state in ALIVE for container in await self.outline()):
            return None
        written = await self._parts.resolver.written(self.environment, version)
        adopted = await adopt_project(self._clients, self.environment, written)
        if adopted is None:
            return None
        self._parts.learn(adopted.model)
        model = await self._drafter.bound(self.environment, adopted, write=True)
        model = await self._as_in_files(version, model, adopted.references)
        self._parts.learn(model)
        return await self._drafter.draft_model(self.environment, adopted.version, model, adopted.references)

    async def _as_in_files(
        self, version: str | None, model: Mapping[str, Any], images: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Return an adopted model with the services of the files in it whose containers Compose made of just these.

        `images` are the names that their containers have for their images, of the version that runs.
        """
        try:
            stack = await self._parts.resolver.resolve(self.environment, version, write_contents=True)
        except RoasError:  # who wants to deploy them is told
            return model
        running = services_of(model)
        services = {
            name: {**fields, "image": images[name]} if fields.get("image") else fields
            for name, fields in services_of(stack.model).items()
            if name in running
        }
        ids = {name: pinned_content(running[name]) for name in services}
        definitions = {name: replace(stack.definitions[name], image=images[name]) for name in services}
        made = pin({**stack.model, "services": services}, definitions, ids)
        hashes = await self._compose.pinned.hashes_of(made, self.environment, await self.containers())
        same = {
            name: _running_as(fields, running[name])
            for name, fields in services_of(made).items()
            if hashes[name] == adopted_hash(running[name])
        }
        shared = {kind: {**(model.get(kind) or {}), **(made.get(kind) or {})} for kind in SHARED_KINDS}
        named = {kind: found for kind, found in shared.items() if found} if same else {}
        return {**model, **named, "services": {**running, **same}}

    async def refresh_credentials(self, release: Release) -> tuple[str, tuple[str, ...]]:
        """Store the release's model with today's credentials and return its hash, and warnings."""
        model_hash, warnings = await self._compose.refresher.refresh(self.environment, release)
        await self.check_release(model_hash)
        return model_hash, warnings

    async def preview_refreshed(self, release: Release) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return the model that `refresh_credentials` would store, and warnings; nothing is written."""
        return await self._compose.refresher.renewed(self.environment, release)

    async def protect(self, release: Release) -> None:
        """Tag the release's images so that pruning leaves them alone, and hold its model."""
        await tag_images(self._clients, self.environment, release)
        await self._hold_model(release)

    async def missing_images(self, release: Release) -> tuple[str, ...]:
        """Return the services of a release whose images are gone; empty where it can be restored."""
        return await missing_images(self._clients, self.environment, release)

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        """Return every container of the environment's project, running or not."""
        return await take_snapshots(self._clients, self.environment)

    async def outline(self) -> tuple[ContainerSnapshot, ...]:
        """Return every container of the environment's project as the engine lists it."""
        return await take_outlines(self._clients, self.environment)

    async def containers_by_id(self, container_ids: frozenset[str]) -> tuple[ContainerSnapshot, ...]:
        """Return those of some containers of the environment's project that are there, running or not."""
        return await take_snapshots_of(self._clients, self.environment, container_ids)

    def events(self, *, since_ns: int | None = None) -> AbstractAsyncContextManager[AsyncIterator[ContainerEvent]]:
        """Subscribe to the project's container events; what is remembered `since_ns` comes first."""
        return EventSubscription(self._clients, self.environment, since_ns=since_ns)

    async def wanted_services(
        self,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
        *,
        as_it_is: bool = False,
    ) -> Mapping[str, WantedService]:
        """Return what a pinned model wants of each service, where these containers (by default, what there is) are."""
        return await self._compose.pinned.wanted(model, self.environment, containers, as_it_is=as_it_is)

    async def current_hashes(self, model_hash: str) -> Mapping[str, str]:
        """Return the configuration hash that each service's container should have under a model."""
        return await self._compose.pinned.hashes(model_hash, self.environment)

    async def container_differences(self, model: Mapping[str, Any]) -> Mapping[str, ContainerDifference]:
        """Return, by id, the containers that run, or ran, of which a key differs from a pinned model."""
        return await find_container_differences(self._clients, self.environment, model)

    async def failure_output(self, container_id: str, *, lines: int = 30) -> str:
        """Return a container's last log lines and its last health-check output, redacted."""
        return await read_failure_output(self._clients, self._parts.redactor, self.environment, container_id, lines)

    async def read_log(self, container_id: str, *, lines: int, since: datetime | None = None) -> str:
        """Return the last lines of a container's log with their times, redacted."""
        redactor = self._parts.redactor
        return await read_log(self._clients, redactor, self.environment, container_id, lines=lines, since=since)

    async def expected_repairs(self, *, spared: frozenset[str] = frozenset()) -> SweptContainers:
        """Return every container as `sweep` would leave it, and those that it would remove."""
        there = await take_named_outlines(self._clients, self.environment)
        own = await self._clients.local(own_container_id)
        repairs = plan_repairs([container for container in there if container.id not in spared], own=own)
        left = after_repairs(there, repairs)
        kept = {container.id for container in left}
        return SweptContainers(left, tuple(container for container in there if container.id not in kept))

    async def misled_binds(self, model_hash: str) -> Mapping[str, str]:
        """Return the services of a model of which a bind leads, by now, where it may not, and why."""
        models, misled = self._parts.models, self._compose.misled
        return await self._clients.local(lambda: misled.find(models.load(model_hash), self.environment))

    async def bot_places(self, container_ids: Iterable[str]) -> Mapping[str, BotPlace]:
        """Return where a bot in each container keeps its state and answers; missing containers are skipped."""
        return await find_bot_places(self._clients, self.environment, container_ids)

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
        """Create a service's containers as the model says and return the ids that are to be started."""
        await self.check_release(model_hash)
        made = await self._compose.creator.create(
            self.environment, model_hash, service, beside=beside, anew=anew, spared=spared, seen=seen, at_most=at_most
        )
        self._compose.just_judged |= set(made)
        return made

    async def create_missing(
        self, model_hash: str, chosen: frozenset[str] | None = None, *, created: Created = lambda _made: None
    ) -> tuple[ContainerSnapshot, ...]:
        """Create the containers of the chosen services that have none yet, and the networks."""
        await self.check_release(model_hash)
        told: set[str] = set()

        def judged(made: tuple[ContainerSnapshot, ...]) -> None:
            new = {container.id for container in made}
            told.update(new)
            self._compose.just_judged |= new
            created(made)

        made = await self._compose.joint_creator.create_missing(self.environment, model_hash, chosen, judged)
        # What was told of may have been started since the last look at it: its next start is judged again.
        self._compose.just_judged |= {one.id for one in made if one.never_ran and one.id not in told}
        return made

    async def start(self, container_id: str) -> None:
        """Start a created or stopped container."""
        just_judged = self._compose.just_judged
        if container_id not in just_judged:  # it was there before: what it binds may lead elsewhere by now
            await self._compose.misled.refuse(self.environment, container_id)
        just_judged.discard(container_id)
        await start_container(self._clients, self.environment, container_id)

    async def stop(self, container_id: str) -> None:
        """Stop a container within its grace period; a stopped or missing one is no error."""
        await stop_container(self._clients, self.environment, container_id)

    async def remove(self, container_id: str, *, grace_seconds: float | None = None) -> None:
        """Stop and remove a container by id."""
        await remove_container(self._clients, self.environment, container_id, grace_seconds)

    async def remove_service(self, service: str, container_ids: Iterable[str]) -> None:
        """Stop and remove these containers, which are all of a service."""
        await run_concurrently(self.remove(container_id) for container_id in container_ids)

    async def hold_restarts(self, services: Iterable[str]) -> None:
        """Let no container of these services be started again by the engine itself."""
        await self._compose.misled.hold(self.environment, services)

    async def release_restarts(self, model_hash: str, services: Iterable[str]) -> None:
        """Give the containers of these services the restart policy of a model again."""
        await self._compose.misled.release(self.environment, await self.load_model(model_hash), services)

    async def sweep(self, service: str | None = None, *, spared: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """Repair what a killed Compose left, of one service or all; returns a description of each repair."""
        own = await self._clients.local(own_container_id)

        def repairs(there: Iterable[ContainerSnapshot]) -> list[ContainerRepair]:
            found = [one for one in there if one.id not in spared and service in {None, one.service}]
            return list(plan_repairs(found, own=own))

        if not repairs(await self.outline()):  # as nearly always
            return ()
        return await repair_containers(self._clients, self.environment, repairs(await self.containers()))

    async def name_images(self, model_hash: str) -> Mapping[str, str]:
        """Let the names that the files of a model have for its images mean these; returns what is another project's."""
        services = services_of(await self.load_model(model_hash))
        given = await set_references(self._clients, self.environment, services, lenient=True)
        project = self.environment.project
        names = {name: files_reference(project, name, fields) for name, fields in services.items()}
        return {name: taken for name, taken in names.items() if taken and name not in given and "@" not in taken}


def _builder(stack: ResolvedStack, service: str) -> str | None:
    """Return the service that says how a service's image is built: itself, or the first that builds what it names."""
    fields, image = services_of(stack.model), stack.definitions[service].image
    same = sorted(name for name, one in stack.definitions.items() if one.image == image and fields[name].get("build"))
    own = fields[service].get("build")
    return next((name for name in same if not own or fields[name]["build"] == own), None)


def _running_as(fields: Mapping[str, Any], adopted: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service of the files with what its containers say: how many, if they end, and what they wait for."""
    extension = adopted.get("x-deploy") or {}
    own = {key: extension[key] for key in OF_CONTAINERS if key in extension}
    said_by_files = {key: one for key, one in fields["x-deploy"].items() if key not in OF_CONTAINERS}
    number = {"scale": replicas_of(adopted)} if replicas_of(adopted) != replicas_of(fields) else {}
    return {**fields, **number, "x-deploy": {**said_by_files, **own}}
