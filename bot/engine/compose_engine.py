"""Run stacks on one machine with Compose and the Docker Engine."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from roas.concurrency import run_concurrently
from roas.engine.adopting.container_differences import find_container_differences
from roas.engine.comparison import ContainerDifference, WantedService
from roas.engine.compose.orphans import kill_orphans
from roas.engine.compose_releases import ComposeReleases
from roas.engine.containers.compose_creation import ComposeCreation
from roas.engine.containers.docker_events import EventSubscription
from roas.engine.containers.failure_output import read_failure_output
from roas.engine.containers.joint_creation import Created, JointCreator
from roas.engine.containers.own_container import own_container_id
from roas.engine.containers.removal import remove_container, start_container, stop_container
from roas.engine.containers.repair import ContainerRepair, after_repairs, plan_repairs, repair_containers
from roas.engine.containers.service_creation import ServiceCreator
from roas.engine.containers.service_logs import read_log
from roas.engine.containers.snapshots import (
    engine_time,
    take_named_outlines,
    take_outlines,
    take_snapshots,
    take_snapshots_of,
)
from roas.engine.containers.statistics import StatisticsReader
from roas.engine.images.building import build_image
from roas.engine.images.local_versions import PLACEHOLDER, find_local_versions
from roas.engine.images.pull import pull_image
from roas.engine.images.readable_names import files_reference, set_references
from roas.engine.interface import ContainerEvent, ProgressReport, ResolvedStack, SweptContainers
from roas.engine.machine.bot_places import find_bot_places
from roas.engine.machine.probe import DockerProbe
from roas.engine.machine.processes import end_process
from roas.engine.machine.projects import ended_services, find_projects
from roas.engine.model.services import services_of
from roas.engine.policy.misled_binds import MisledBinds
from roas.engine.policy.probe_targets import ProbeTargets
from roas.engine.proxied_service import ProxiedService
from roas.engine.proxy.live_configuration import LiveConfiguration
from roas.engine.proxy.proxies import proxied_service
from roas.models.environment import Environment
from roas.models.facts import BotPlace, FoundProject
from roas.models.health import ContainerSnapshot
from roas.models.ownership import ProcessMark
from roas.models.proxy import ServiceProxy
from roas.models.stack import WantedImage
from roas.models.swarm import QuorumLosses, SwarmFacts
from roas.redaction import Redactor


class ComposeEngine(ComposeReleases):
    """Do for the phases what they ask of an engine; see the protocol `Engine` for what each method promises."""

    def __init__(
        self, *, state_dir: Path, instance_id: str, policy_allow: tuple[str, ...], redactor: Redactor, token: str = ""
    ) -> None:
        super().__init__(
            state_dir=state_dir.resolve(),
            instance_id=instance_id,
            policy_allow=policy_allow,
            redactor=redactor,
            token=token,
        )
        self._misled = MisledBinds(self._clients, self._policy)
        self._just_judged: set[str] = set()
        self._live = LiveConfiguration(self._clients, self._live_files)
        creation = ComposeCreation(self._clients, self._runner, self._models, self._pinned)
        self._creator, self._joint_creator = ServiceCreator(creation), JointCreator(creation)
        self.probe_targets = ProbeTargets(self._clients, self._policy)
        self.statistics = StatisticsReader(self._clients)

    def probe_for(self, environment: Environment) -> DockerProbe:
        """Return what answers the questions of the environment's checks."""
        return DockerProbe(self._clients, self._runner, environment)

    async def pull(
        self, environment: Environment, image: WantedImage, services: tuple[str, ...], report: ProgressReport
    ) -> str:
        """Pull an image and return its image ID."""
        return await pull_image(self._clients, environment, image, services, report)

    async def build(
        self, stack: ResolvedStack, service: str, report: ProgressReport, *, expected: str | None = None
    ) -> str:
        """Build a service's image from a copy of its files and return its image ID."""
        copy = self._builds / (expected or await self._keep_sources(stack, service))
        return await build_image(self._clients, self._runner, self._redactor, stack, service, report, copy)

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
        at_most: int | None = None,
        deployment: str = "",
    ) -> tuple[str, ...]:
        """Create a service's containers as the model says and return the ids that are to be started."""
        await self.check_release(environment, model_hash)
        made = await self._creator.create(
            environment, model_hash, service, beside=beside, anew=anew, spared=spared, seen=seen, at_most=at_most
        )
        self._just_judged |= set(made)
        return made

    async def create_missing(
        self,
        environment: Environment,
        model_hash: str,
        chosen: frozenset[str] | None = None,
        *,
        created: Created = lambda _made: None,
    ) -> tuple[ContainerSnapshot, ...]:
        """Create the containers of the chosen services that have none yet, and the networks."""
        await self.check_release(environment, model_hash)
        told: set[str] = set()

        def judged(made: tuple[ContainerSnapshot, ...]) -> None:
            new = {one.id for one in made}
            told.update(new)
            self._just_judged |= new
            created(made)

        made = await self._joint_creator.create_missing(environment, model_hash, chosen, judged)
        # What was told of may have been started since the last look at it: its next start is judged again.
        self._just_judged |= {one.id for one in made if one.never_ran and one.id not in told}
        return made

    async def name_images(self, environment: Environment, model_hash: str) -> Mapping[str, str]:
        """Let the names that the files of a model have for its images mean these; returns what is another project's."""
        services = services_of(await self.load_model(model_hash))
        given = await set_references(self._clients, environment, services, lenient=True)
        names = {name: files_reference(environment.project, name, fields) for name, fields in services.items()}
        return {name: one for name, one in names.items() if one and name not in given and "@" not in one}

    async def renew_logins(self, environment: Environment) -> tuple[str, ...]:
        """Let the engine pull with today's logins; on one machine it is given them with each pull."""
        return ()

    async def replacements(self, environment: Environment, service: str, since: datetime) -> tuple[str, ...]:
        """Say what the engine itself did about a service: on one machine that is in the container's restart count."""
        return ()

    async def swarm(self, environment: Environment, *, with_traces: bool = False) -> SwarmFacts | None:
        """Return what a manager says of its Swarm; there is none."""
        return None

    def quorum_losses(self, environment: Environment) -> QuorumLosses:
        """Return that there was none: there are no managers to lose."""
        return QuorumLosses()

    async def current_hashes(self, model_hash: str, environment: Environment) -> Mapping[str, str]:
        """Return the configuration hash that each service's container should have under a model."""
        return await self._pinned.hashes(model_hash, environment)

    async def written_services(self, environment: Environment) -> frozenset[str]:
        """Return none: on one machine a service is its containers."""
        return frozenset()

    async def wanted_services(
        self,
        environment: Environment,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
        *,
        as_it_is: bool = False,
    ) -> Mapping[str, WantedService]:
        """Return what a pinned model wants of each service, where these containers (by default, what there is) are."""
        return await self._pinned.wanted(model, environment, containers, as_it_is=as_it_is)

    async def container_differences(
        self, environment: Environment, model: Mapping[str, Any]
    ) -> Mapping[str, ContainerDifference]:
        """Return, by id, the containers that run, or ran, of which a key differs from a pinned model."""
        return await find_container_differences(self._clients, environment, model)

    async def now(self, environment: Environment) -> datetime:
        """Return what the engine's clock says."""
        return await engine_time(self._clients, environment)

    async def expected_repairs(
        self, environment: Environment, *, spared: frozenset[str] = frozenset()
    ) -> SweptContainers:
        """Return every container as `sweep` would leave it, and those that it would remove."""
        there = await take_named_outlines(self._clients, environment)
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

    def proxied_service(self, environment: Environment, service: str, proxy: ServiceProxy) -> ProxiedService:
        """Return what tells the proxy in front of a service which of its containers come and go."""
        return proxied_service(self._clients, environment, service, proxy)

    async def check_configuration(
        self, environment: Environment, model: Mapping[str, Any], service: str, image_id: str
    ) -> None:
        """Raise ComposeFileError where a proxy that runs would not take the configuration that a model has of it."""
        await self._live.check(environment, model, service, image_id)

    async def reload_configuration(self, environment: Environment, model_hash: str, service: str) -> bool:
        """Have a proxy that runs read its configuration again; returns False where it has to be replaced."""
        await self.check_release(environment, model_hash)
        return await self._live.reload(environment, await self.load_model(model_hash), service)

    async def remove_service(self, environment: Environment, service: str, container_ids: Iterable[str]) -> None:
        """Stop and remove these containers, which are all of a service."""
        await run_concurrently(self.remove(environment, one) for one in container_ids)

    async def misled_binds(self, environment: Environment, model_hash: str) -> Mapping[str, str]:
        """Return the services of a model of which a bind leads, by now, where it may not, and why."""
        return await self._clients.local(lambda: self._misled.find(self._models.load(model_hash), environment))

    async def hold_restarts(self, environment: Environment, services: Iterable[str]) -> None:
        """Let no container of these services be started again by the engine itself."""
        await self._misled.hold(environment, services)

    async def release_restarts(self, environment: Environment, model_hash: str, services: Iterable[str]) -> None:
        """Give the containers of these services the restart policy of a model again."""
        await self._misled.release(environment, await self.load_model(model_hash), services)

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
