"""Let a running bot run a deployment; without one, run it in this process."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from roas.application import open_application
from roas.commands.bot_executor import BotExecutor
from roas.commands.heartbeat import send_heartbeats
from roas.commands.local_executor import LocalExecutor
from roas.commands.running_bot import find_running_bot
from roas.commands.session import Session
from roas.models.actor import Actor
from roas.models.deployment import Deployment, DeploymentRequest
from roas.models.plan import Plan
from roas.models.rollout import Choice


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
async def open_executor(session: Session, *, only_looks: bool = False) -> AsyncIterator[Executor]:
    """Provide the running bot, or this process, which makes no journal where it `only_looks` and there is none.

    Raises ControlUnavailableError, StateError.
    """
    async with AsyncExitStack() as stack:
        client = await find_running_bot(session.state_dir, stack)
        if client is not None:
            yield BotExecutor(client, session.state_dir)
            return

        application = await stack.enter_async_context(
            open_application(session.settings, instance_prefix="CLI", only_looks=only_looks)
        )
        await stack.enter_async_context(send_heartbeats(application.state))
        yield LocalExecutor(application)
