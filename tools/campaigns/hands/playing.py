"""Play one round: begin a deployment, lay the hand on it at its moment, and wait until all is well."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass

from roas.api.control_client import ControlClient
from roas.errors import RoasError
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest
from testbed.compose_labels import SERVICE_LABEL
from testbed.home_stack import BOT_SERVICE, HomeStackError
from testbed.slot_holder import DaemonError
from tools.campaigns.crash.images import BAD, GOOD
from tools.campaigns.crash.lane import AWAY, ENVIRONMENT
from tools.campaigns.crash.playing import Verdict
from tools.campaigns.hands.ground import Ground
from tools.campaigns.hands.hands import lay
from tools.campaigns.hands.judge import SERVICES
from tools.campaigns.hands.rounds import ALONE, BY_HAND, Kind, Moment, Round

# What is promised: all is well, unattended, within so many seconds after the last fault.
WELL_SECONDS = 60.0
REST_SECONDS = 120.0
ANSWER_SECONDS = 60.0
MOMENT_SECONDS = 120.0
AFTER_SECONDS = 1.0
LOOK_SECONDS = 0.2
# So long before the deployment begins a hand comes at most, and so long after the start of a bot.
YES_SECONDS = 1.0
START_SECONDS = 3.0
# How far into its moment a hand comes at most, of the length of a whole deployment.
PARTS = {Moment.EARLY: 0.15, Moment.MIDDLE: 0.15, Moment.LATE: 0.4}
# A bot that never starts is rolled back within moments.
BAD_PART = 0.05

CAMPAIGN = Actor(ActorKind.SYSTEM, "0", "campaign")
BACK = DeploymentRequest(ENVIRONMENT, DeploymentKind.ROLLBACK, CAMPAIGN, reason="hands")


@dataclass(frozen=True, slots=True)
class Played:
    """Return how a round went, how long it took to be well, and what is still wrong."""

    round: Round
    verdict: Verdict
    seconds: float
    wrong: tuple[str, ...] = ()
    # How the deployment ended, if there was one.
    outcome: str = ""


class MissedError(RuntimeError):
    """The hand would have come too late, or there was no deployment to lay it on."""


async def play(ground: Ground, wanted: Round, *, well_seconds: float = WELL_SECONDS) -> Played:
    """Play a round to its end; all must be well within so many seconds."""
    asked = ""
    try:
        await ground.lane.wait_until_asked()
        await ground.lane.wait_until_idle()
        await ground.begin()
        typed: asyncio.Task[None] | None = None
        if wanted.moment is Moment.START:
            await _start_a_bot(ground)
            await asyncio.sleep(wanted.shift * START_SECONDS)
        if wanted.moment not in ALONE:
            if wanted.kind is Kind.BACK and not await _can_go_back(ground):
                await clean(ground)
            before = await _containers(ground)
            if wanted.moment is Moment.YES:
                typed = asyncio.create_task(lay(ground, wanted.hand))
                await asyncio.sleep(wanted.shift * YES_SECONDS)
            asked = (await _begin(ground, wanted.kind)).id
            if typed is None:
                await _reach(ground, wanted, asked, before)
        await (typed or lay(ground, wanted.hand))
    except MissedError as missed:
        _, wrong = await ground.settle(REST_SECONDS, asked)
        return Played(wanted, Verdict.UNPLAYED if wrong else Verdict.MISSED, 0.0, (str(missed), *wrong))
    except (*AWAY, DaemonError, RuntimeError, TimeoutError) as error:
        return Played(wanted, Verdict.UNPLAYED, 0.0, (f"the round could not be played: {error!r}",))
    finally:
        with suppress(OSError):
            ground.lane.state_dir.chmod(0o700)
    by_hand = wanted.hand in BY_HAND
    took, wrong = await ground.settle(well_seconds, asked, by_hand=by_hand, may_fail=wanted.may_fail)
    if not wrong and by_hand:  # the next deployment makes one of it again
        wrong = await clean(ground)
    outcome = ground.outcomes.get(asked, "")
    if not wrong and took > well_seconds:
        wrong = (f"all was well only after {took:.0f} s",)
    return Played(wanted, Verdict.BROKEN if wrong else Verdict.GOOD, took, wrong, outcome)


async def _start_a_bot(ground: Ground) -> None:
    """Kill the bot's process as an accident would, and wait until the engine has started it again."""
    (bot,) = await asyncio.to_thread(ground.lane.bots)
    os.kill(bot.pid, signal.SIGKILL)
    deadline = time.monotonic() + MOMENT_SECONDS
    while not any(item.pid != bot.pid for item in await asyncio.to_thread(ground.lane.bots)):
        if time.monotonic() > deadline:
            raise MissedError("the bot was not started again")
        await asyncio.sleep(LOOK_SECONDS)


async def clean(ground: Ground) -> tuple[str, ...]:
    """Deploy without a hand on it, and learn how long that takes; returns what is wrong afterwards."""
    try:
        await ground.lane.wait_until_asked()
        begun = time.monotonic()
        asked = (await _begin(ground, Kind.GOOD)).id
    except (MissedError, TimeoutError, HomeStackError, *AWAY) as error:
        return (f"a deployment cannot begin: {error!r}",)
    _, wrong = await ground.settle(REST_SECONDS, asked)
    ground.lane.length_seconds = max(3.0, time.monotonic() - begun)
    return wrong


async def _begin(ground: Ground, kind: Kind) -> Deployment:
    """Ask for what the round deploys, as `roas deploy` and `roas rollback` do. Raises MissedError."""
    request = BACK
    if kind is not Kind.BACK:
        version = BAD if kind is Kind.BAD else await asyncio.to_thread(_other_version, ground)
        request = DeploymentRequest(ENVIRONMENT, DeploymentKind.DEPLOY, CAMPAIGN, version=version)
    try:
        async with asyncio.timeout(ANSWER_SECONDS), ControlClient(ground.lane.state_dir) as bot:
            return await bot.start(request, confirmed=True)
    except (RoasError, TimeoutError) as error:
        raise MissedError(f"no deployment began: {error}") from error


async def _can_go_back(ground: Ground) -> bool:
    """Return whether there is a release before the current one: there is none after a rollback to the first."""
    with suppress(RoasError, TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS), ControlClient(ground.lane.state_dir) as bot:
            await bot.plan(BACK)
            return True
    return False


async def _reach(ground: Ground, wanted: Round, asked: str, before: frozenset[str]) -> None:
    """Wait for the moment of a round. Raises MissedError where the deployment has ended before it."""
    deadline = time.monotonic() + MOMENT_SECONDS
    while not await _is_moment(ground, wanted.moment, asked, before):
        ended = wanted.moment is not Moment.AFTER and await _has_ended(ground, asked)
        if ended or time.monotonic() > deadline:
            raise MissedError(f"its moment did not come: {wanted.moment}")
        await asyncio.sleep(LOOK_SECONDS)
    if wanted.moment is Moment.AFTER:
        await asyncio.sleep(AFTER_SECONDS)
        return
    part = min(PARTS[wanted.moment], BAD_PART) if wanted.kind is Kind.BAD else PARTS[wanted.moment]
    await asyncio.sleep(wanted.shift * part * ground.lane.length_seconds)
    if await _has_ended(ground, asked):
        raise MissedError("the deployment had ended when the hand came")


async def _is_moment(ground: Ground, moment: Moment, asked: str, before: frozenset[str]) -> bool:
    match moment:
        case Moment.MIDDLE:
            return bool(await _containers(ground) - before)
        case Moment.LATE:
            return len(await asyncio.to_thread(ground.lane.home.bots, stopped=True)) > 1
        case Moment.AFTER:
            return await _has_ended(ground, asked)
    return True


async def _has_ended(ground: Ground, asked: str) -> bool:
    return bool((await ground.told())[asked])


async def _containers(ground: Ground) -> frozenset[str]:
    listed = await asyncio.to_thread(ground.lane.home.client.api.containers, all=True)
    return frozenset(item["Id"] for item in listed if item["Labels"].get(SERVICE_LABEL) in SERVICES)


def _other_version(ground: Ground) -> str:
    """Return the good version that the bot does not run."""
    bots = (
        container for container in ground.lane.finder.containers() if container.labels.get(SERVICE_LABEL) == BOT_SERVICE
    )
    return GOOD[1] if GOOD[0] in {ground.versions.get(bot.image) for bot in bots} else GOOD[0]
