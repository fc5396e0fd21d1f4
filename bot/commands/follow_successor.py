"""Follow a deployment whose bot stopped, or hangs: through the journal, in which the next bot continues it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path

from roas.commands.running_bot import running_bots
from roas.concurrency import end_tasks
from roas.control.client import ControlClient
from roas.control.error_documents import ControlUnavailableError
from roas.control.journal_follower import follow_journal
from roas.models.deployment import Deployment
from roas.state.manager import StateManager

# The restart policy starts a dead bot again; until then no other process needs to run the deployment.
ORPHANED_SECONDS = 60.0
LOOK_FOR_BOT_SECONDS = 5.0


async def follow_successor(folder: Path, deployment_id: str) -> AsyncGenerator[Deployment, None]:
    """Yield the deployment's record at each change until it has ended.

    Raises ControlUnavailableError where no bot answers for a minute.
    """
    async with (
        StateManager(folder, instance_prefix="CLI") as state,
        aclosing(follow_journal(state, deployment_id)) as records,
    ):
        following = asyncio.ensure_future(anext(records, None))
        try:
            while (record := await _next_record(following, folder, deployment_id)) is not None:
                yield record
                following = asyncio.ensure_future(anext(records, None))
        finally:
            await end_tasks(following)


async def _next_record(
    following: "asyncio.Future[Deployment | None]", folder: Path, deployment_id: str
) -> Deployment | None:
    alone_since = time.monotonic()
    while not following.done():
        await asyncio.wait({following}, timeout=LOOK_FOR_BOT_SECONDS)
        if await _answers(folder):
            alone_since = time.monotonic()
        elif time.monotonic() - alone_since > ORPHANED_SECONDS:
            raise ControlUnavailableError(
                f"The bot that ran {deployment_id} is gone, or hangs, and none has resumed it for "
                f"{ORPHANED_SECONDS:g} s.",
                hint="Start the bot, again if it hangs: it resumes the deployment. Or, where none runs, run the next "
                "command here: it resumes the deployment first.",
            )
    return following.result()


async def _answers(folder: Path) -> bool:
    """Return whether a bot lives that answers: one that hangs resumes nothing."""
    if not running_bots(folder):
        return False

    with suppress(ControlUnavailableError):
        async with ControlClient(folder) as client:
            await client.greet()
            return True
    return False
