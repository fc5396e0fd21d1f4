"""Run stacks on a Docker Swarm: services are written, and judged by what Swarm made of the write."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from roas.concurrency import SingleFlight, begun, run_concurrently
from roas.engine.adopting.adoption import AdoptedStack
from roas.engine.client import EngineClients, engine_address
from roas.engine.comparison import ContainerDifference, WantedService
from roas.engine.interface import ResolvedStack
from roas.engine.labels import STACK
from roas.engine.model.definitions import read_definitions
from roas.engine.model.per_model import PerModel
from roas.engine.model.store import ModelStore
from roas.engine.swarm.adopting import adopt_stack, is_ours
from roas.engine.swarm.calls import SwarmCalls
from roas.engine.swarm.facts import MANAGER, no_manager, swarm_facts
from roas.engine.swarm.following import SharedLooks, follow_update
from roas.engine.swarm.images import look_up_digest, missing_from_registry
from roas.engine.swarm.judgement import Judgement, UpdateVerdict, deployment_of, failure_hint, nonce_of
from roas.engine.swarm.names import stack_name
from roas.engine.swarm.normal_form import differing_keys, spec_hash
from roas.engine.swarm.obstacles import find_on_swarm
from roas.engine.swarm.service_spec import service_spec
from roas.engine.swarm.service_writes import ServiceWrites
from roas.engine.swarm.shared import JustMade, make_shared, remove_unneeded
from roas.engine.swarm.snapshots import service_name, task_snapshots
from roas.engine.swarm.task_logs import read_ending, read_place_log
from roas.engine.swarm.task_watch import SwarmSubscription, TaskEvents, replacements
from roas.engine.swarm.tasks import StackLook, look_at_stack, read_tasks
from roas.engine.swarm.writer import SwarmWriter
from roas.errors import ServiceFailedError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.models.identifiers import moment_of
from roas.models.obstacle import Obstacle
from roas.models.release import Release
from roas.models.stack import WantedImage
from roas.models.swarm import QuorumLosses, SwarmFacts
from roas.redaction import Redactor

Json = dict[str, Any]
Answer = TypeVar("Answer")
# Say what the files of a stack resolve to.
FilesModel = Callable[[], Awaitable[Mapping[str, Any]]]
# Events come in bursts, since tasks move together: a look begins so long after the first one.
GATHER_SECONDS = 0.05


class SwarmEngine:
    """Do for the phases what they ask of an engine, where a stack runs on a Swarm: its tasks are the containers."""

    def __init__(
        self, clients: EngineClients, models: ModelStore, redactor: Redactor, key: Callable[[], bytes] = bytes
    ) -> None:
        self._clients = clients
        self._models = models
        self._redactor = redactor
        self._writer = SwarmWriter(clients, key)
        self._looks = SharedLooks(self._writer)
        self._flights: SingleFlight[StackLook] = SingleFlight()
        self._made = JustMade()
        self._writes = ServiceWrites(self._writer, self._made)
        self._specs: dict[str, PerModel[Mapping[str, tuple[str, bool]]]] = {}

    async def close(self) -> None:
        """End the looks that are under way."""
        await self._flights.close()

    async def require_manager(self, environment: Environment) -> None:
        """Raise EngineError where the environment's engine is no manager of a Swarm."""
        state = await self._clients.call(environment, lambda client: SwarmCalls(client).state())
        if state != MANAGER:
            raise no_manager(state, environment.name, engine_address(environment))

    async def require_adoptable(self, environment: Environment) -> None:
        """Raise InvalidRequestError where the stack has services that somebody else made, and cannot be adopted."""
        if not is_ours(await self._ask(environment, lambda calls: calls.services(environment.project))):
            adopt_stack(environment, await self._look(environment))

    async def adopt(self, environment: Environment, written: FilesModel) -> AdoptedStack | None:
        """Read back the model of the stack that runs; None where none does. Raises InvalidRequestError.

        What the files say is asked for where there is a stack.
        """
        if not await self.services(environment):
            return None
        return adopt_stack(environment, await self._look(environment), await written())

    async def containers(self, environment: Environment) -> tuple[ContainerSnapshot, ...]:
        """Return the tasks of the environment's stack."""
        return task_snapshots(await self._look(environment))

    async def services(self, environment: Environment) -> frozenset[str]:
        """Return the services of the environment's stack."""
        found = await self._ask(environment, lambda calls: calls.services(environment.project))
        return frozenset(service_name(one["Spec"]) for one in found)

    async def last_writer(self, environment: Environment) -> str:
        """Return the newest deployment that wrote a service of the environment's stack; empty where none did."""
        found = await self._ask(environment, lambda calls: calls.services(environment.project))
        writers = (deployment_of(nonce_of(one["Spec"])) for one in found)
        return max(filter(None, writers), key=moment_of, default="")

    def events(self, environment: Environment) -> TaskEvents:
        """Tell of changes of the stack's tasks, which Swarm itself does not."""
        subscription = SwarmSubscription(self._clients, environment)
        look, next_look = partial(self._look, environment), partial(self._shared_look, environment)
        return TaskEvents(subscription, look, environment.project, next_look=next_look)

    async def replacements(self, environment: Environment, service: str, since: datetime) -> tuple[str, ...]:
        """Say which tasks of a service Swarm started since then for some that ended; redacted."""
        found = replacements(await self._look(environment), service, since)
        return tuple(map(self._redactor.clean, found))

    async def facts(self, environment: Environment, *, with_traces: bool = False) -> SwarmFacts:
        """Return what the manager says of its Swarm.

        Which node it is takes an engine the longest, and it says so without a leader, too.
        """
        asked = self._clients.call(environment, lambda client: SwarmCalls(client).own_node_id())
        async with begun(asked) as own:
            found = await self._ask(environment, lambda calls: swarm_facts(calls, with_traces=with_traces))
            return replace(found, own_node_id=await own)

    async def obstacles(self, environment: Environment, model: Mapping[str, Any]) -> tuple[Obstacle, ...]:
        """Return what the execution of a model would come upon: no node for a service, a name that another's has."""
        return await self._ask(environment, lambda calls: find_on_swarm(calls, environment.project, model))

    async def look_up_images(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        """Return the digest that each service's image means now. Raises RegistryUnavailableError."""
        references = sorted({stack.definitions[name].image for name in services})
        digests = await run_concurrently(look_up_digest(self._clients, stack.environment, one) for one in references)
        found = dict(zip(references, digests, strict=True))
        return {name: found[stack.definitions[name].image] for name in services}

    async def missing_images(self, release: Release, environment: Environment) -> tuple[str, ...]:
        """Return the services of a release whose image its registry has no more. Raises RegistryUnavailableError."""
        images = {one.name: one.image for one in release.services}
        return await missing_from_registry(self._clients, environment, images)

    def quorum_losses(self, environment: Environment) -> QuorumLosses:
        """Return how often, and for how long, the Swarm was seen without a quorum; it only grows."""
        return self._writer.quorum_losses(environment)

    async def create_service(
        self, environment: Environment, model_hash: str, service: str, *, anew: bool = False, deployment: str = ""
    ) -> tuple[str, ...]:
        """Write a service and wait for what Swarm makes of it; returns its tasks. Raises ServiceFailedError.

        While Swarm updates a service, nothing of ours touches it: whoever cancels waits for the end of the update, but
        not of a job; and whoever resumes a `deployment` follows what a dead bot wrote for it.
        """
        model = await self._clients.local(lambda: self._models.load(model_hash))
        definition = read_definitions(model)[service]
        written = await self._writes.write(environment, model_hash, model, definition, anew=anew, deployment=deployment)
        judged = await follow_update(self._looks, environment, written)
        if judged.verdict is not UpdateVerdict.DONE:
            raise await self._failure(environment, service, judged)
        return tuple(one.id for one in await self.containers(environment) if one.service == service)

    async def renew_logins(self, environment: Environment) -> tuple[str, ...]:
        """Write services again whose registry has another login by now; returns their names."""
        return await self._writer.renew_logins(environment)

    async def create_missing(self, environment: Environment, model_hash: str) -> None:
        """Create the networks, configs and secrets of a model; a service starts as soon as it is there."""
        model = await self._clients.local(lambda: self._models.load(model_hash))
        project = environment.project
        made = await self._ask(environment, lambda calls: make_shared(calls, project, model, model["services"]))
        self._made.keep(project, model_hash, made)

    async def remove_unneeded(self, environment: Environment) -> None:
        """Remove the configs and secrets of the stack that no stored model names; what a service uses stays."""
        is_needed, project = self._models.mentions, environment.project
        await self._ask(environment, lambda calls: remove_unneeded(calls, project, is_needed))

    async def remove_service(self, environment: Environment, service: str) -> None:
        """Remove a service with its tasks; a missing one is no error, and one of somebody else's stays."""

        def remove(calls: SwarmCalls) -> None:
            found = calls.service(stack_name(environment.project, service))
            if found is not None and (found["Spec"].get("Labels") or {}).get(STACK) == environment.project:
                calls.remove("services", str(found["ID"]))

        await self._ask(environment, remove)

    async def wanted_services(
        self,
        environment: Environment,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
    ) -> Mapping[str, WantedService]:
        """Return what a pinned model wants of each service; a service on every node wants the tasks that it has."""
        there = await self.containers(environment) if containers is None else containers
        definitions = read_definitions(model)
        written: Mapping[str, str] = {}
        if not all(one.replicas for one in definitions.values()):
            look = await self._look(environment)
            written = {service_name(one["Spec"]): spec_hash(one["Spec"], look.networks) for one in look.services}
        wanted = {}
        specs = self._specs.setdefault(environment.project, PerModel(partial(_read_specs, environment.project)))
        for name, (hashed, is_global) in specs(model).items():
            definition = definitions[name]
            if is_global:
                definition = replace(definition, replicas=max(1, sum(one.service == name for one in there)))
            unwritten = not definition.replicas and written.get(name) != hashed
            wanted[name] = WantedService(definition, hashed, unwritten=unwritten)
        return wanted

    async def differences(
        self, environment: Environment, model: Mapping[str, Any]
    ) -> Mapping[str, ContainerDifference]:
        """Return, by task, the parts in which services differ from a pinned model; never a value."""

        def look(calls: SwarmCalls) -> tuple[list[Json], list[Json], dict[str, str]]:
            services, tasks = calls.services(environment.project), calls.tasks_of_stack(environment.project)
            return services, tasks, calls.network_names(services)

        services, tasks, networks = await self._ask(environment, look)
        definitions = read_definitions(model)
        found: dict[str, ContainerDifference] = {}
        for service in services:
            name = service_name(service["Spec"])
            if name in definitions:
                spec = service_spec(environment.project, model, definitions[name])
                keys = differing_keys(spec, service["Spec"], networks)
                found |= {
                    one.id: ContainerDifference(keys=keys)
                    for one in read_tasks(service, tasks, networks)
                    if keys and one.counts
                }
        return found

    async def read_log(
        self, environment: Environment, task_id: str, *, lines: int, since: datetime | None = None
    ) -> str:
        """Return the last lines of a task and of those before it in its place, redacted; their nodes have to be up."""
        began = 0 if since is None else int(since.timestamp())
        text = await self._ask(environment, lambda calls: read_place_log(calls, task_id, lines=lines, since=began))
        return self._last_lines(text, lines)

    async def failure_output(self, environment: Environment, task_id: str, *, lines: int = 30) -> str:
        """Return how a task ended, its node, and its last lines; see `read_ending`."""
        ending, log = await self._ask(environment, lambda calls: read_ending(calls, task_id, lines=lines))
        return f"{self._redactor.clean(ending)}\n{self._last_lines(log, lines)}"

    def _last_lines(self, text: str, lines: int) -> str:
        return "\n".join(self._redactor.clean(text).rstrip("\n").split("\n")[-lines:])

    async def _failure(self, environment: Environment, service: str, judged: Judgement) -> ServiceFailedError:
        report = ""
        if judged.task_id is not None:
            report = await self.failure_output(environment, judged.task_id)
        return ServiceFailedError(
            said("{service} failed: {reason}.", service=service, reason=judged.reason),
            hint=failure_hint(judged, service),
            service=service,
            report=report,
        )

    async def _look(self, environment: Environment) -> StackLook:
        return await self._ask(environment, lambda calls: look_at_stack(calls, environment.project))

    async def _shared_look(self, environment: Environment) -> StackLook:
        """Look at a stack in a moment, for all who follow it: the same event wakes them."""
        key = engine_address(environment), environment.project
        return await self._flights.ask(key, partial(self._look, environment), gather_seconds=GATHER_SECONDS)

    async def _ask(self, environment: Environment, question: Callable[[SwarmCalls], Answer]) -> Answer:
        return await self._writer.ask(environment, question)


def _read_specs(project: str, model: Mapping[str, Any]) -> Mapping[str, tuple[str, bool]]:
    """Return the hash of each spec, which says the names of its networks, and whether it is one on every node."""
    specs = {name: service_spec(project, model, one) for name, one in read_definitions(model).items()}
    return {name: (spec_hash(spec, {}), "Global" in spec["Mode"]) for name, spec in specs.items()}
