"""Give each environment its stack: on one machine, or on a Swarm."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from roas.concurrency import run_concurrently
from roas.models.environment import EngineKind, Environment
from roas.models.facts import OwnContainer
from roas.models.leader_lease import ProcessMark
from roas.models.stack import ServiceDefinition, WantedImage
from roas.redaction import Redactor
from roas.stack.compose_stack import ComposeStack
from roas.stack.containers.statistics import StatisticsReader
from roas.stack.docker.engine import refuse_many_hosts
from roas.stack.interface import KnownSwarms, write_freely
from roas.stack.machine.processes import end_process, kill_orphans
from roas.stack.model.scales import ReadScales, nothing_scaled
from roas.stack.policy.probe_targets import ProbeTargets
from roas.stack.releases.parts import StackParts
from roas.stack.resolution.repository import Repositories
from roas.stack.sources.contents import ContentStore
from roas.stack.stack import Stack
from roas.stack.swarm_stack import SwarmStack

# What nothing refers to may still belong to a deployment that is about to refer to it.
UNUSED_SECONDS = 24 * 3600.0


class Stacks:
    """Keep the stack of each environment; what belongs to no environment is here."""

    def __init__(
        self,
        *,
        state_dir: Path,
        instance_id: str,
        policy_allow: tuple[str, ...],
        redactor: Redactor,
        token: str = "",
        scales: ReadScales = nothing_scaled,
        known_swarms: KnownSwarms | None = None,
        require_lead: Callable[[], None] = write_freely,
    ) -> None:
        parts = self._parts = StackParts(
            state_dir=state_dir,
            instance_id=instance_id,
            policy_allow=policy_allow,
            redactor=redactor,
            token=token,
            scales=scales,
            known_swarms=known_swarms,
            require_lead=require_lead,
        )
        self.repositories = Repositories(state_dir, redactor.add, parts.web)
        self._stacks: dict[str, Stack] = {}
        self.registry = parts.registry
        self.probe_targets = ProbeTargets(parts.clients, parts.policy)
        self.statistics = StatisticsReader(parts.clients)

    def of(self, environment: Environment) -> Stack:
        """Return an environment's stack. Raises InvalidRequestError where it is on many hosts, each with its own."""
        refuse_many_hosts(environment)
        known = self._stacks.get(environment.name)
        if known is None or known.environment != environment:
            kind = SwarmStack if environment.engine is EngineKind.SWARM else ComposeStack
            known = self._stacks[environment.name] = kind(self._parts.clients.of(environment), self._parts)
        return known

    async def own_container(self, environment: Environment) -> OwnContainer | None:
        """Return the container of an environment that this process runs in, or None.

        What replaces containers by itself replaces that one, too: there, it is one like any other.
        """
        stack = self.of(environment)
        probe = stack.probe()
        if stack.replaces_by_itself or not probe.in_container():
            return None
        own = await probe.own_container()
        return own if own is not None and own.project == environment.project else None

    async def close(self) -> None:
        """Close the connections to every engine."""
        await run_concurrently(stack.close() for stack in self._stacks.values())
        await self._parts.web.close()
        await self._parts.clients.close()

    async def load_model(self, model_hash: str) -> Mapping[str, Any]:
        """Return the stored, pinned model of a release. Raises ReleaseNotRestorableError where it is gone."""
        return await self._parts.load_model(model_hash)

    def definitions(self, model: Mapping[str, Any]) -> Mapping[str, ServiceDefinition]:
        """Read from a model how each service is to be updated and judged."""
        return self._parts.definitions(model)

    async def verify_images(self, environment: Environment, images: Mapping[str, WantedImage]) -> None:
        """Require that images are signed where the environment asks for that.

        Raises ImageNotVerifiedError, NotVerifiableNowError.
        """
        if environment.signatures is not None:
            await self._parts.verifier.verify(environment.signatures, images)

    async def clear_unused(self, needed: frozenset[str]) -> None:
        """Remove old models that no release holds and that are not `needed`, then old contents in no model."""

        def clear() -> None:
            self._parts.models.clear(UNUSED_SECONDS, needed)
            self._parts.contents.clear(self._parts.models.mentions, UNUSED_SECONDS)
            ContentStore(self._parts.builds).clear(lambda _: False, UNUSED_SECONDS)

        await self._parts.stored(clear)

    async def kill_orphans(self, instance_id: str) -> int:
        """Terminate Compose children that a dead process of ours left running; returns how many."""
        return await self._parts.clients.local(lambda: kill_orphans(instance_id))

    async def end_process(self, mark: ProcessMark) -> bool:
        """Terminate a hung process of ours; returns whether it is certainly gone."""
        return await self._parts.clients.local(lambda: end_process(mark))
