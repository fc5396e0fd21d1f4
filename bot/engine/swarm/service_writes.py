"""Write one service of a model with what it shares, or follow the write of a bot that died."""

import time
from collections.abc import Mapping
from typing import Any

from roas.concurrency import leave_if_interrupted, pause
from roas.engine.swarm.calls import SharedGoneError, SwarmCalls
from roas.engine.swarm.earlier_write import earlier_write
from roas.engine.swarm.job_runs import end_earlier_run
from roas.engine.swarm.judgement import Written
from roas.engine.swarm.service_spec import service_spec
from roas.engine.swarm.shared import JustMade, make_shared
from roas.engine.swarm.writer import Seen, SwarmWriter, see_service
from roas.models.environment import Environment
from roas.models.stack import ServiceDefinition

Json = dict[str, Any]
# A manager goes on to show a network for a moment that somebody removed (`docker stack rm`).
SHARED_SECONDS = 15.0
AGAIN_SECONDS = 0.5


class ServiceWrites:
    """Write services; what was made for them a moment ago is known, and made again where somebody removed it."""

    def __init__(self, writer: SwarmWriter, made: JustMade) -> None:
        self._writer = writer
        self._made = made

    async def write(
        self,
        environment: Environment,
        model_hash: str,
        model: Mapping[str, Any],
        definition: ServiceDefinition,
        *,
        anew: bool,
        deployment: str,
    ) -> Written:
        """Write a service, or return the earlier write that it is what it is by. Raises EngineError."""
        began = time.monotonic()
        while True:
            try:
                spec, seen = await self._begin(environment, model_hash, model, definition)
                if not anew and (written := _earlier(seen, spec, deployment)) is not None:
                    return written
                seen = await end_earlier_run(self._writer, environment, spec, seen)
                return await self._writer.write(environment, spec, anew=anew, deployment=deployment, seen=seen)
            except SharedGoneError:
                if time.monotonic() - began > SHARED_SECONDS:
                    raise
            self._made.forget(environment.project)
            await pause(AGAIN_SECONDS)
            leave_if_interrupted()

    async def _begin(
        self, environment: Environment, model_hash: str, model: Mapping[str, Any], definition: ServiceDefinition
    ) -> tuple[Json, Seen]:
        project = environment.project

        def begin(calls: SwarmCalls) -> tuple[Json, Seen]:
            ids = self._made.of(project, model_hash) or make_shared(calls, project, model, [definition.name])
            names = {network_id: name for name, network_id in ids.networks.items()}
            spec = service_spec(project, model, definition, ids=ids)
            return spec, see_service(calls, str(spec["Name"]), names)

        return await self._writer.ask(environment, begin)


def _earlier(seen: Seen, spec: Mapping[str, Any], deployment: str) -> Written | None:
    """Return the write of ours that a service has this spec by, where there is one to follow."""
    if seen.service is None:
        return None
    return earlier_write(seen.service, seen.tasks, spec, seen.networks, deployment)
