"""Play one round: begin a deployment, lay the hand on it at its moment, and wait until all is well."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

from campaigns.crash.images import BAD, GOOD
from campaigns.crash.lane import AWAY, ENVIRONMENT
from campaigns.crash.playing import Verdict
from campaigns.hands.ground import Ground
from campaigns.hands.hands import lay
from campaigns.hands.rounds import Kind, Moment, Round
from roas.control.client import ControlClient
from roas.errors import RoasError
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, DeploymentRequest
from testbed.daemon import DaemonError

# What is promised: all is well, unattended, within so many seconds after the last fault.
WELL_SECONDS = 60.0
REST_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Played:
    """Return how a round went, how long it took to be well, and what is still wrong."""

    round: Round
    verdict: Verdict
    seconds: float
    wrong: tuple[str, ...] = ()
    # How many deployments ended in it: none where the hand came before one could begin.
    deployments: int = 0


async def play(ground: Ground, wanted: Round) -> Played:
    """Play a round to its end."""
    before = ground.ended
    try:
        await ground.lane.wait_until_asked()
        asked = None if wanted.moment is Moment.IDLE else asyncio.create_task(_begin(ground, wanted.kind))
        if asked is not None:
            await asyncio.sleep(wanted.fraction * ground.lane.length_seconds)
        await lay(ground, wanted.hand)
    except (*AWAY, DaemonError, RuntimeError, TimeoutError) as error:
        return Played(wanted, Verdict.UNPLAYED, 0.0, (f"the round could not be played: {error!r}",))
    finally:
        with suppress(OSError):
            ground.lane.state_dir.chmod(0o700)
    took, wrong = await ground.settle(WELL_SECONDS)
    if asked is not None:
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    return Played(wanted, Verdict.BROKEN if wrong else Verdict.GOOD, took, wrong, len(ground.ended - before))


async def clean(ground: Ground) -> tuple[str, ...]:
    """Deploy without a hand on it, and learn how long that takes; returns what is wrong afterwards."""
    begun = time.monotonic()
    await ground.lane.wait_until_asked()
    await _begin(ground, Kind.GOOD)
    _, wrong = await ground.settle(REST_SECONDS)
    ground.lane.length_seconds = max(3.0, time.monotonic() - begun)
    return wrong


async def _begin(ground: Ground, kind: Kind) -> None:
    """Ask for what the round deploys; one that is refused is none, and the hand comes all the same."""
    match kind:
        case Kind.GOOD:
            await ground.lane.deploy(await asyncio.to_thread(_other_version, ground))
        case Kind.BAD:
            await ground.lane.deploy(BAD)
        case Kind.BACK:
            request = DeploymentRequest(
                ENVIRONMENT, DeploymentKind.ROLLBACK, Actor(ActorKind.SYSTEM, "0", "campaign"), reason="hands"
            )
            with suppress(RoasError, TimeoutError):
                async with asyncio.timeout(WELL_SECONDS), ControlClient(ground.lane.state_dir) as bot:
                    await bot.start(request, confirmed=True)


def _other_version(ground: Ground) -> str:
    running = {ground.versions.get(one.image) for one in ground.lane.finder.containers()}
    return GOOD[1] if GOOD[0] in running else GOOD[0]
