"""Wait until an engine that went away is back, before a phase is tried again."""

import time
from contextlib import suppress

from roas.backoff import PHASE
from roas.concurrency import pause
from roas.deployment.context import DeploymentContext
from roas.engine.containers.watch import ENGINE_GRACE_SECONDS
from roas.errors import EngineError, EngineUnavailableError
from roas.log import get_logger
from roas.messages.message import said

log = get_logger(__name__)

# How long a Swarm may be without a quorum: machines that were lost come back by themselves, or somebody starts them.
QUORUM_SECONDS = 600.0
LOOK_SECONDS = 2.0
# What is shorter nobody has to know: a leader was elected.
SHORT_SECONDS = 5.0


async def wait_for_engine(context: DeploymentContext) -> None:
    """Wait, not for long, until an engine answers."""
    deadline = time.monotonic() + ENGINE_GRACE_SECONDS
    while time.monotonic() < deadline:
        with suppress(EngineUnavailableError):
            await context.components.engine.containers(context.environment)
            break
        await pause(PHASE.first_seconds)


async def wait_for_quorum(context: DeploymentContext) -> None:
    """Wait until more than half of a Swarm's managers reach each other again, beyond the phase's limit.

    Nothing can be written meanwhile, neither forwards nor back. Raises EngineError where that takes too long.
    """
    began = time.monotonic()
    context.allow(QUORUM_SECONDS)
    while not (is_back := await _has_quorum(context)) and not context.cancel.is_set():
        waited = time.monotonic() - began
        if waited > QUORUM_SECONDS:
            break
        log.warning("the Swarm has no quorum: nothing is written until it has", waited_seconds=round(waited))
        await pause(LOOK_SECONDS)
    waited = time.monotonic() - began
    context.allow(waited - QUORUM_SECONDS)
    seconds = f"{waited:.0f}"
    if waited > QUORUM_SECONDS and not is_back:
        raise EngineError(
            said("The Swarm had no quorum for {seconds} s.", seconds=seconds),
            hint=said("Start the managers that are lost, then deploy again."),
        )
    if waited > SHORT_SECONDS:
        context.warn(said("For {seconds} s the Swarm had no quorum: nothing was written meanwhile.", seconds=seconds))


async def _has_quorum(context: DeploymentContext) -> bool:
    try:
        facts = await context.components.engine.swarm(context.environment)
    except EngineUnavailableError:
        return False
    return facts is not None and facts.spare_managers >= 0
