"""Have a running bot run a deployment, and follow it through the journal where the bot stops.

All that this takes is loaded from the start: the program may be replaced on disk meanwhile, with its bot.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path

from roas.commands.follow_successor import follow_successor
from roas.control.client import ControlClient
from roas.control.error_documents import ControlUnavailableError
from roas.engine.containers.own_container import own_container_id
from roas.models.actor import Actor
from roas.models.deployment import Deployment, DeploymentRequest
from roas.models.plan import Plan
from roas.models.rollout import Choice
from roas.state.manager import StateManager


class BotExecutor:
    """Have a running bot do it, through its control socket."""

    is_bot = True
    may_end_with_container = False

    def __init__(self, client: ControlClient, folder: Path) -> None:
        self._client = client
        self._folder = folder

    async def plan(self, request: DeploymentRequest, *, to_start: bool = False) -> Plan:
        """Return what a request would change; `to_start` it at once."""
        return await self._client.plan(request, to_start=to_start)

    async def prepare(self, environment: str) -> tuple[Deployment, ...]:
        """Leave it to the bot, which has done so at its start."""
        return ()

    async def start(self, request: DeploymentRequest, *, confirmed: bool) -> Deployment:
        """Start a deployment in the bot."""
        return await self._client.start(request, confirmed=confirmed)

    async def cancel(self, deployment_id: str, actor: Actor) -> Deployment:
        """Ask it to stop; where the bot is unavailable, through the journal."""
        try:
            return await self._client.cancel(deployment_id, actor)
        except ControlUnavailableError:
            async with StateManager(self._folder, instance_prefix="CLI") as state:
                return await state.deployments.request_cancel(deployment_id, actor)

    async def decide(self, deployment_id: str, choice: Choice, actor: Actor) -> Deployment:
        """Let it go on, or take it back; where the bot is unavailable, through the journal."""
        try:
            return await self._client.decide(deployment_id, choice, actor)
        except ControlUnavailableError:
            async with StateManager(self._folder, instance_prefix="CLI") as state:
                return await state.deployments.decide(deployment_id, choice, actor)

    async def follow(self, deployment_id: str) -> AsyncGenerator[Deployment, None]:
        """Follow through the socket; if the bot stops, through the journal, in which its successor continues."""
        with suppress(ControlUnavailableError):
            async with aclosing(self._client.follow(deployment_id)) as records:
                async for record in records:
                    yield record
                return
        self.may_end_with_container = own_container_id() is not None
        async with aclosing(follow_successor(self._folder, deployment_id)) as records:
            async for record in records:
                yield record
