"""Follow a deployment in the journal: what the API streams, and what a command reads where its bot is gone."""

import time
from collections.abc import AsyncGenerator

from roas.concurrency import pause, wait_for
from roas.errors import InvalidRequestError
from roas.messages.message import said
from roas.models.deployment import Deployment
from roas.state.manager import StateManager

# Changes by this process are reported immediately; those by another (on the same journal) are found by polling.
POLL_SECONDS = 1.0
# How much longer than a read takes it is until the next one.
RESTS_PER_READ = 3.0


async def follow_journal(state: StateManager, deployment_id: str) -> AsyncGenerator[Deployment, None]:
    """Yield a deployment's record as it is now and at each change; the last one has an outcome.

    Raises InvalidRequestError where there is no such deployment.
    """
    last: Deployment | None = None
    with state.watched() as changed:
        while last is None or not last.finished:
            changed.clear()
            began = time.monotonic()
            now = await state.deployments.get(deployment_id)
            if now is None:
                raise InvalidRequestError(
                    said("There is no deployment {deployment_id}.", deployment_id=deployment_id),
                )
            took = time.monotonic() - began
            if now != last:
                yield now
                last = now
                if not now.finished:  # a large one takes long to read, and changes all the time
                    await pause(min(took * RESTS_PER_READ, POLL_SECONDS))
            else:
                await wait_for(changed, POLL_SECONDS)
