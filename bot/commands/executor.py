"""Let a running bot run a deployment; without one, run it in this process."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from roas.commands.loading import load_journal, load_parts
from roas.commands.running_bot import find_running_bot
from roas.concurrency import begun
from roas.models.actor import Actor
from roas.models.deployment import Deployment, DeploymentRequest
from roas.models.plan import Plan
from roas.models.rollout import Choice

if TYPE_CHECKING:
    from roas.commands.session import Session
    from roas.engine_opening import OpenedEngine


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
            from roas.commands.bot_executor import BotExecutor

            yield BotExecutor(client, session.state_dir)
            return
        from roas.engine_opening import open_engine

        opening = open_engine(session.settings, instance_prefix="CLI", only_looks=only_looks)
        opened = await stack.enter_async_context(opening)
        await stack.enter_async_context(begun(_read_ahead(opened, request)))
        redis = await asyncio.to_thread(load_journal, session.settings)
        from roas.foundation import open_journal

        loading = await stack.enter_async_context(begun(asyncio.to_thread(load_parts, session.terminal)))
        base = await stack.enter_async_context(open_journal(opened, redis=redis))
        await loading
        from roas.application import build_application
        from roas.commands.heartbeat import send_heartbeats
        from roas.commands.local_executor import LocalExecutor

        application = await stack.enter_async_context(build_application(base))
        await stack.enter_async_context(send_heartbeats(application.state))
        yield LocalExecutor(application)


async def _read_ahead(opened: "OpenedEngine", request: DeploymentRequest | None) -> None:
    """Read the files of what a request deploys; a rollback has its release."""
    if request is not None and request.version is not None and request.environment in opened.environments:
        await opened.engine.read_ahead(opened.environments[request.environment], request.version)
