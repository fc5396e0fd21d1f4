"""Run a stack on a Docker Swarm: services are written, and judged by what Swarm made of the write."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Unpack

from roas.concurrency import SingleFlight, run_concurrently
from roas.errors import EngineUnavailableError, NoManagerError, ServiceFailedError
from roas.messages.message import said
from roas.models.health import ContainerSnapshot
from roas.models.release import ImagePin
from roas.models.stack import WantedImage
from roas.models.swarm import QuorumLosses, SwarmFacts
from roas.stack.containers.own_container import own_container_id
from roas.stack.docker.api_errors import ApiNotFoundError
from roas.stack.docker.engine import Answer, Engine
from roas.stack.docker.labels import STACK, SWARM_SERVICE
from roas.stack.docker.sdk import EngineClient
from roas.stack.image_supply import StackImages
from roas.stack.interface import NO_FILES, Creation, ProgressReport, ResolvedStack, SharedFiles
from roas.stack.model.definitions import read_definitions
from roas.stack.model.per_model import PerModel
from roas.stack.policy.compose_policy import CONTENTS_FOLDER
from roas.stack.releases.parts import StackParts
from roas.stack.service_comparison import ContainerDifference, WantedService
from roas.stack.stack import Stack
from roas.stack.swarm.calls import MANAGER, SwarmCalls, no_manager, swarm_facts
from roas.stack.swarm.normal_form import differing_keys, is_of, spec_hash, stack_name
from roas.stack.swarm.obstacles import find_on_swarm
from roas.stack.swarm.same_swarm import SameSwarm
from roas.stack.swarm.swarm_adoption import adopt_stack, is_ours
from roas.stack.swarm.swarm_releases import SwarmReleases, look_up_digest
from roas.stack.swarm.tasks.data import TaskData
from roas.stack.swarm.tasks.logs import read_ending, read_place_log
from roas.stack.swarm.tasks.tasks import StackReading, given_up_tasks, read_tasks, service_name, task_snapshots
from roas.stack.swarm.tasks.watch import SwarmSubscription, TaskEvents, replacements
from roas.stack.swarm.unsupported import refuse_unsupported
from roas.stack.swarm.writing.external_objects import find_missing, superseded, with_newest
from roas.stack.swarm.writing.following import follow_until_ended
from roas.stack.swarm.writing.service_spec import service_spec
from roas.stack.swarm.writing.service_writes import make_shared, write_service
from roas.stack.swarm.writing.update_verdict import UpdateJudgement, UpdateVerdict, failure_hint
from roas.stack.swarm.writing.writer import SwarmWriter

Json = dict[str, Any]


class SwarmImages(StackImages):
    """Look up digests: the nodes pull by themselves, and go by these."""

    def __init__(self, engine: Engine, parts: StackParts, writer: SwarmWriter) -> None:
        super().__init__(engine, parts)
        self._writer = writer

    async def look_up(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        """Return the digest that each service's image means now. Raises RegistryUnavailableError."""
        references = sorted({stack.definitions[name].image for name in services})
        digests = await run_concurrently(look_up_digest(self._engine, reference) for reference in references)
        found = dict(zip(references, digests, strict=True))
        return {name: found[stack.definitions[name].image] for name in services}

    async def promoted(self, pin: ImagePin, reference: str) -> WantedImage | None:
        """Return the digest that another environment runs, which the nodes pull; None where it has none."""
        digest = pin.digest or (pin.image_id if "@" in pin.image_id else None)
        return None if digest is None else WantedImage(reference, digest, digest)

    async def pull(self, image: WantedImage, services: tuple[str, ...], report: ProgressReport) -> str:
        """Return the digest."""
        return str(image.digest)

    async def give_names(self, model_hash: str) -> Mapping[str, str]:
        """Give no names: the nodes go by digests."""
        return {}

    async def renew_logins(self) -> tuple[str, ...]:
        """Write services again whose registry has another login by now; returns their names."""
        return await self._writer.renew_logins()


class SwarmStack(Stack):
    """Run a stack on a Swarm: its tasks are the containers. Swarm starts, stops and replaces them by itself."""

    replaces_by_itself = True
    shares_with_compose = False
    needs_quorum = True

    def __init__(self, engine: Engine, parts: StackParts) -> None:
        self._writer = SwarmWriter(
            engine, parts.key.read, SameSwarm(engine.environment, parts.known_swarms), parts.require_lead
        )
        super().__init__(
            engine, parts, SwarmReleases(engine, parts, self._writer), SwarmImages(engine, parts, self._writer)
        )
        self.data = TaskData(engine, parts.backups, self._read)
        self._readings: SingleFlight[StackReading] = SingleFlight()  # who asks for the same shares it
        self._specs: PerModel[Mapping[str, tuple[str, bool]]] = PerModel(partial(_read_specs, engine.project))

    async def close(self) -> None:
        """End the looks that are under way."""
        await self._readings.close()

    async def resolve(
        self, version: str | None, *, write_contents: bool = True, instead: SharedFiles = NO_FILES
    ) -> ResolvedStack:
        """Merge, interpolate and check the environment's compose files, and ask the manager what is in the way."""
        environment, policy = self.environment, self._parts.policy

        def allows(entry: str) -> bool:
            return policy.allows_by_name(entry, environment)

        resolved = await super().resolve(version, write_contents=write_contents, instead=instead)
        refuse_unsupported(resolved.model, environment, allows, policy.state_dir / CONTENTS_FOLDER)
        await self._require_ready_swarm()
        obstacles = await self._ask(lambda calls: find_on_swarm(calls, environment.project, resolved.model))
        newest = await self._writer.newest(resolved.model)
        model = with_newest(resolved.model, newest)
        missing = find_missing(model, newest, environment)
        return replace(
            resolved,
            model=model,
            definitions=read_definitions(model),
            obstacles=(*resolved.obstacles, *obstacles, *missing),
        )

    async def _require_ready_swarm(self) -> None:
        """Raise EngineError where the engine is no manager, InvalidRequestError where the stack cannot be adopted."""
        await self.engine.call(self._require_manager)
        has_release = await self._parts.stored(lambda: self._parts.models.held_by(self.environment.project))
        if not has_release and not is_ours(await self._services()):
            adopt_stack(self.environment, await self._read())

    def _require_manager(self, client: EngineClient) -> None:
        """Raise EngineError where an engine is no manager; with other addresses, so that one of them is asked."""
        state = SwarmCalls(client).state()
        if state != MANAGER:
            error = no_manager(state, self.environment.name, client.address)
            if len(self.engine.addresses) == 1 or isinstance(error, EngineUnavailableError):
                raise error
            raise NoManagerError(error.message, hint=error.hint)

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        """Return the tasks of the stack."""
        return task_snapshots(await self._read())

    def events(self, *, since_ns: int | None = None) -> TaskEvents:
        """Tell of changes of the stack's tasks, which Swarm itself does not; what was before is not remembered."""
        subscription = SwarmSubscription(self.engine)
        return TaskEvents(subscription, self._read, self.environment.project, next_reading=self._next_reading)

    async def written_services(self) -> frozenset[str]:
        """Return the services that the Swarm has of the stack."""
        return frozenset(service_name(service["Spec"]) for service in await self._services())

    async def wanted_services(
        self,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
        *,
        as_it_is: bool = False,
    ) -> Mapping[str, WantedService]:
        """Return what a pinned model wants of each service; a service on every node wants the tasks that it has."""
        there = await self.containers() if containers is None else containers
        definitions = read_definitions(model)
        written: Mapping[str, str] = {}
        if not all(definition.replicas for definition in definitions.values()):
            reading = await self._read()
            written = {
                service_name(service["Spec"]): spec_hash(service["Spec"], reading.networks)
                for service in reading.services
            }
        wanted = {}
        for name, (hashed, is_global) in self._specs(model).items():
            definition = definitions[name]
            if is_global:
                definition = replace(definition, replicas=max(1, sum(task.service == name for task in there)))
            unwritten = not definition.replicas and written.get(name) != hashed
            wanted[name] = WantedService(definition, hashed, unwritten=unwritten)
        return wanted

    async def differences(self, model: Mapping[str, Any]) -> Mapping[str, ContainerDifference]:
        """Return, by task, the parts in which services differ from a pinned model; never a value."""
        reading, definitions = await self._read(), read_definitions(model)
        found: dict[str, ContainerDifference] = {}
        for service in reading.services:
            name = service_name(service["Spec"])
            if name in definitions:
                spec = service_spec(self.engine.project, model, definitions[name])
                keys = differing_keys(spec, service["Spec"], reading.networks)
                found |= {
                    task.id: ContainerDifference(keys=keys)
                    for task in read_tasks(service, reading.tasks, reading.networks)
                    if keys and task.counts
                }
        return found

    async def superseded(self, model: Mapping[str, Any]) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Return what services of a model have of which the Swarm has a newer version, each with that."""
        return superseded(model, await self._writer.newest(model))

    async def set_secret(self, name: str, value: bytes) -> str:
        """Give the Swarm a secret that files call external, or its next version; returns what that is called."""
        return await self._writer.add_secret(name, value)

    async def failure_output(self, container_id: str, *, lines: int = 30) -> str:
        """Return how a task ended, its node, and its last lines; see `read_ending`."""
        ending, log = await self._ask(lambda calls: read_ending(calls, container_id, lines=lines))
        return f"{self._parts.redactor.clean(ending)}\n{self._last_lines(log, lines)}"

    async def read_log(self, container_id: str, *, lines: int, since: datetime | None = None) -> str:
        """Return the last lines of a task and of those before it in its place, redacted; their nodes have to be up."""
        began = 0 if since is None else int(since.timestamp())
        text = await self._ask(lambda calls: read_place_log(calls, container_id, lines=lines, since=began))
        return self._last_lines(text, lines)

    def _last_lines(self, text: str, lines: int) -> str:
        return "\n".join(self._parts.redactor.clean(text).rstrip("\n").split("\n")[-lines:])

    async def replacements(self, service: str, since: datetime) -> tuple[str, ...]:
        """Say which tasks of a service Swarm started since then for some that ended; redacted."""
        return tuple(map(self._parts.redactor.clean, replacements(await self._read(), service, since)))

    async def swarm(self) -> SwarmFacts | None:
        """Return what the manager says of its Swarm, and which node it is."""
        found = await self._ask(swarm_facts)
        own_node_id = await self.engine.call(lambda client: SwarmCalls(client).own_node_id())
        unresponsive = await self.engine.unresponsive_addresses() if self.answering else ()
        return replace(found, own_node_id=own_node_id, answering=self.answering, unresponsive=unresponsive)

    async def given_up_tasks(self) -> Mapping[str, frozenset[str]]:
        """Return of each service the nodes on which an earlier task may still run."""
        return given_up_tasks(await self._read())

    def quorum_losses(self) -> QuorumLosses:
        """Return how often, and for how long, the Swarm was seen without a quorum; it only grows."""
        return self._writer.quorum_losses()

    async def create_service(self, model_hash: str, service: str, **how: Unpack[Creation]) -> tuple[str, ...]:
        """Write a service and wait for what Swarm makes of it; returns its tasks. Raises ServiceFailedError.

        While Swarm updates a service, nothing of ours touches it: whoever cancels waits for the end of the update, but
        not of a job; and whoever resumes a `deployment` follows what a dead bot wrote for it.
        """
        await self.releases.check(model_hash)
        model = await self.load_model(model_hash)
        definition = read_definitions(model)[service]
        recreate, deployment = how.get("recreate", False), how.get("deployment", "")
        written = await write_service(self._writer, model, definition, recreate=recreate, deployment=deployment)
        judged = await follow_until_ended(self._next_reading, written, self._writer.end_update)
        if judged.verdict is not UpdateVerdict.DONE:
            raise await self._failure(service, judged)
        return tuple(task.id for task in await self.containers() if task.service == service)

    async def _failure(self, service: str, judged: UpdateJudgement) -> ServiceFailedError:
        report = "" if judged.task_id is None else await self.failure_output(judged.task_id)
        return ServiceFailedError(
            said("{service} failed: {reason}.", service=service, reason=judged.reason),
            hint=failure_hint(judged, service),
            service=service,
            report=report,
        )

    async def create_missing(
        self, model_hash: str, chosen: frozenset[str] | None = None
    ) -> tuple[ContainerSnapshot, ...]:
        """Create the networks, configs and secrets of a model; a service starts as soon as it is there."""
        model, project = await self.load_model(model_hash), self.environment.project
        await self._ask(lambda calls: make_shared(calls, project, model, model["services"]))
        return ()

    async def remove_service(self, service: str, container_ids: Iterable[str]) -> None:
        """Remove a service with its tasks; a missing one is no error, and one of somebody else's stays."""
        project = self.environment.project

        def remove(calls: SwarmCalls) -> None:
            found = calls.service(stack_name(project, service))
            if found is not None and is_of(found, project):
                calls.remove("services", str(found["ID"]))

        await self._ask(remove)

    async def own_services(self) -> frozenset[str]:
        """Return the service that this bot is a task of, where that is of this stack."""
        own_id = await self.engine.local(own_container_id)
        if own_id is None:
            return frozenset()
        labels = await self.engine.call(lambda client: _container_labels(client, own_id))
        name = labels.get(SWARM_SERVICE, "").removeprefix(stack_name(self.engine.project, ""))
        return frozenset({name}) if name and labels.get(STACK) == self.engine.project else frozenset()

    async def fence_off(self, deployment: str) -> None:
        """Have what the bot that led a deployment before still means to write be refused."""
        await self._writer.fence_off(deployment)

    async def _services(self) -> list[Json]:
        return await self._ask(lambda calls: calls.services(self.environment.project))

    async def _read(self) -> StackReading:
        return await self._writer.read_stack()

    async def _next_reading(self) -> StackReading:
        """Look at a stack together with all who follow it."""
        return await self._readings.ask("stack", self._read)

    async def _ask(self, question: Callable[[SwarmCalls], Answer]) -> Answer:
        return await self._writer.ask(question)


def _container_labels(client: EngineClient, container_id: str) -> Mapping[str, str]:
    try:
        found: Json = client.inspect_container(container_id)
    except ApiNotFoundError:  # the manager that is asked is not this machine's
        return {}
    return found["Config"].get("Labels") or {}


def _read_specs(project: str, model: Mapping[str, Any]) -> Mapping[str, tuple[str, bool]]:
    """Return the hash of each spec, which says the names of its networks, and whether it is one on every node."""
    specs = {name: service_spec(project, model, definition) for name, definition in read_definitions(model).items()}
    return {name: (spec_hash(spec, {}), "Global" in spec["Mode"]) for name, spec in specs.items()}
