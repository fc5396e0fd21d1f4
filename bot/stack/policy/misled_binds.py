"""Notice when the path of a bind leads elsewhere than it did, and keep its containers from being started with it.

The engine looks a path up whenever it starts a container, also by itself after a crash. A running container keeps what
it has. So its restart policy is taken away until the path leads where it may.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from roas.messages.message import joined
from roas.stack.api_errors import ApiError
from roas.stack.client import Engine
from roas.stack.containers.snapshots import inspect_or_none
from roas.stack.docker_client import EngineClient
from roas.stack.labels import PROJECT, SERVICE
from roas.stack.model.services import bind_sources, restart_policy, services_of
from roas.stack.policy.compose_policy import ComposePolicy
from roas.stack.policy.power import Power
from roas.stack.policy.refusal import refusal
from roas.stack.sources.opening import resolve

# As the SDK has it: the name, and how often it is tried.
Policy = Any

NEVER: Policy = {"Name": "no", "MaximumRetryCount": 0}


class MisledBinds:
    """Judge the binds of what runs by where they lead now."""

    def __init__(self, engine: Engine, policy: ComposePolicy) -> None:
        self._engine = engine
        self._policy = policy

    async def find(self, model: Mapping[str, Any]) -> dict[str, str]:
        """Return the services of a model of which a bind leads where today's settings do not allow it, and why."""
        return await self._engine.local(lambda: self._find(model))

    def _find(self, model: Mapping[str, Any]) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, service in services_of(model).items():
            sources = bind_sources({"services": {name: service}})
            if violations := self._judge(name, sources):
                found[name] = joined("; ", (violation.text for violation in violations))
        return found

    async def refuse(self, container_id: str) -> None:
        """Raise ComposePolicyError where the engine would start a container with what it may not bind."""

        def look(client: EngineClient) -> Mapping[str, Any]:
            return inspect_or_none(client, container_id) or {}

        inspected = await self._engine.call(look)
        sources = [str(mount["Source"]) for mount in inspected.get("Mounts") or () if mount.get("Type") == "bind"]
        service = str(((inspected.get("Config") or {}).get("Labels") or {}).get(SERVICE, ""))
        violations = await self._engine.local(lambda: self._judge(service, sources))
        if violations:
            raise refusal(violations, self._engine.environment, of_release=True)

    def _judge(self, service: str, sources: Iterable[str]) -> list[Power]:
        """Judge the paths with a link in them; the others lead where they led when they were judged."""
        moved = [source for source in sources if resolve(Path(source)) != Path(source)]
        return self._policy.judge_binds(service, moved, self._engine.environment) if moved else []

    async def hold(self, services: Iterable[str]) -> None:
        """Let no container of these services be started again by the engine itself."""
        wanted = dict.fromkeys(services, NEVER)
        await self._engine.call(lambda client: _set_restarts(client, self._engine.project, wanted))

    async def release(self, model: Mapping[str, Any], services: Iterable[str]) -> None:
        """Give the containers of these services the restart policy of the model again."""
        known = services_of(model)
        wanted = {name: _policy(known[name]) for name in services if name in known}
        await self._engine.call(lambda client: _set_restarts(client, self._engine.project, wanted))


def _policy(service: Mapping[str, Any]) -> Policy:
    name, retries = restart_policy(service)
    return {"Name": name, "MaximumRetryCount": retries}


def _set_restarts(client: EngineClient, project: str, wanted: Mapping[str, Policy]) -> None:
    for container in client.containers(all=True, filters={"label": f"{PROJECT}={project}"}):
        service = container["Labels"].get(SERVICE, "")
        if service in wanted:
            with suppress(ApiError):  # it is being removed, or ends by itself (`--rm`)
                client.update_container(container["Id"], restart_policy=wanted[service])
