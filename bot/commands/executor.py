"""Let a running bot run a deployment; without one, run it in this process."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from roas.commands.follow_successor import follow_successor
from roas.commands.loading import load_parts
from roas.commands.running_bot import find_running_bot
from roas.concurrency import begun
from roas.control.error_documents import ControlUnavailableError
from roas.control.journal_follower import follow_journal
from roas.engine.containers.own_container import own_container_id
from roas.errors import InvalidRequestError
from roas.models.actor import Actor
from roas.models.deployment import Deployment, DeploymentRequest
from roas.models.plan import Plan
from roas.models.rollout import Choice
from roas.state.manager import StateManager

if TYPE_CHECKING:
    from roas.application import Application
    from roas.commands.session import Session
    from roas.control.client import ControlClient
    from roas.foundation import Foundation


class Executor(Protocol):
    """Run a deployment from its plan to its end."""

    @property
    def is_bot(self) -> bool:
        """Return whether it continues when this process ends."""
        ...

    @property
    def may_end_with_container(self) -> bool:
        """Return whether the bot that was asked has passed it on, and its container, which goes, may be this one."""
        ...

    async def plan(self, request: DeploymentRequest, *, to_start: bool = False) -> Plan:
        """Return what a request would change; `to_start` it at once."""
        ...

    async def prepare(self, environment: str) -> tuple[Deployment, ...]:
        """Resume what a dead process left unfinished, and return it. Raises where this process must not run it."""
        ...

    async def start(self, request: DeploymentRequest, *, confirmed: bool) -> Deployment:
        """Start a deployment."""
        ...

    def follow(self, deployment_id: str) -> AsyncGenerator[Deployment, None]:
        """Yield its record at each change until it has ended."""
        ...

    async def cancel(self, deployment_id: str, actor: Actor) -> Deployment:
        """Ask it to stop at its next safe point."""
        ...

    async def decide(self, deployment_id: str, choice: Choice, actor: Actor) -> Deployment:
        """Let it go on where it is paused, or take it back."""
        ...


@asynccontextmanager
async def open_executor(
    session: "Session", request: DeploymentRequest | None = None, *, only_looks: bool = False
) -> AsyncIterator[Executor]:
    """Provide the running bot, or this process. Raises ControlUnavailableError, StateError.

    In this process, the files of a `request` are read while all that comes after them is loaded, and who `only_looks`
    makes no journal where there is none.
    """
    async with AsyncExitStack() as stack:
        client = await find_running_bot(session.state_dir, stack)
        if client is not None:
            yield BotExecutor(client, session.state_dir)
            return
        from roas.commands.redis_use import redis_parts
        from roas.foundation import open_foundation

        redis = redis_parts(session.settings)
        opened = open_foundation(session.settings, instance_prefix="CLI", redis=redis, only_looks=only_looks)
        base = await stack.enter_async_context(opened)
        await stack.enter_async_context(begun(_read_ahead(base, request)))
        await asyncio.to_thread(load_parts, session.terminal)
        from roas.application import build_application
        from roas.commands.heartbeat import send_heartbeats

        application = await stack.enter_async_context(build_application(base))
        await stack.enter_async_context(send_heartbeats(application.state))
        yield LocalExecutor(application)


async def _read_ahead(base: "Foundation", request: DeploymentRequest | None) -> None:
    """Read the files of what a request deploys; a rollback has its release."""
    if request is not None and request.version is not None and request.environment in base.environments:
        await base.engine.read_ahead(base.environments[request.environment], request.version)


class BotExecutor:
    """Have a running bot do it, through its control socket."""

    is_bot = True
    may_end_with_container = False

    def __init__(self, client: "ControlClient", folder: Path) -> None:
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


class LocalExecutor:
    """Do it in this process, by the same orchestrator, lock and journal."""

    is_bot = False
    may_end_with_container = False

    def __init__(self, application: "Application") -> None:
        self._application = application

    async def plan(self, request: DeploymentRequest, *, to_start: bool = False) -> Plan:
        """Return what a request would change; `to_start` it at once."""
        return await self._application.orchestrator.plan(request, to_start=to_start)

    async def prepare(self, environment: str) -> tuple[Deployment, ...]:
        """Refuse to replace our own container; then resume what a dead process left unfinished."""
        await self._refuse_own_container(environment)
        return await self._application.orchestrator.resume()

    async def start(self, request: DeploymentRequest, *, confirmed: bool) -> Deployment:
        """Start a deployment in this process; that it is confirmed was checked before."""
        return await self._application.orchestrator.start(request)

    async def cancel(self, deployment_id: str, actor: Actor) -> Deployment:
        """Ask it to stop, whichever process runs it."""
        return await self._application.orchestrator.cancel(deployment_id, actor)

    async def decide(self, deployment_id: str, choice: Choice, actor: Actor) -> Deployment:
        """Let it go on, or take it back, whichever process runs it."""
        return await self._application.orchestrator.decide(deployment_id, choice, actor)

    def follow(self, deployment_id: str) -> AsyncGenerator[Deployment, None]:
        """Follow through the journal, which reports each change immediately."""
        return follow_journal(self._application.state, deployment_id)

    async def _refuse_own_container(self, name: str) -> None:
        environment = self._application.orchestrator.environment(name)
        probe = self._application.engine.probe_for(environment)
        if not probe.in_container():
            return
        own = await probe.own_container()
        if own is not None and own.project == environment.project:
            raise InvalidRequestError(
                f"This command runs in {own.name}, a container of {name} that the deployment may replace:"
                " it would end itself in the middle.",
                hint="Start the bot and type the same again, or run the command on the host.",
            )
