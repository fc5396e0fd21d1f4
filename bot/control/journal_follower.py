"""Follow a deployment by the journal: its record at each change until it has ended."""

import asyncio
from collections.abc import AsyncGenerator

from roas.concurrency import wait_for
from roas.errors import InvalidRequestError
from roas.models.change import StateChange
from roas.models.deployment import Deployment
from roas.state.manager import StateManager

# Changes by this process are reported immediately; those by another (on the same journal) are found by polling.
POLL_SECONDS = 1.0


async def follow_journal(state: StateManager, deployment_id: str) -> AsyncGenerator[Deployment, None]:
    """Yield a deployment's record as it is now and at each change; the last one has an outcome.

    Raises InvalidRequestError where there is no such deployment.
    """
    changed = asyncio.Event()

    def listen(_change: StateChange) -> None:
        changed.set()

    unsubscribe = state.subscribe(listen)
    last: Deployment | None = None
    try:
        while last is None or not last.finished:
            changed.clear()
            now = await state.deployments.get(deployment_id)
            if now is None:
                raise InvalidRequestError(f"There is no deployment {deployment_id}.", hint="See `history`.")
            if now != last:
                yield now
                last = now
            else:
                await wait_for(changed, POLL_SECONDS)
    finally:
        unsubscribe()
