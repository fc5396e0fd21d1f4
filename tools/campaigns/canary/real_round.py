"""Play one canary for real: users, a deployment with the product's judge, and the way back to the old version."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Self

from roas.app.application import Application
from roas.models.actor import Actor, ActorKind
from roas.models.canary import CanaryRecord, CanaryVerdict
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome
from roas.models.state_change import StateChange
from testbed.waiting import wait_until
from tools.campaigns.canary.ground import OLD, Lane, tag_of
from tools.campaigns.canary.playing import End, Round, Version
from tools.campaigns.requests.users import Users

ACTOR = Actor(ActorKind.SYSTEM, "campaign", "campaign")
# HAProxy's average is of the last 512 answers; the old version has had some, but nobody waits long for that.
WARM_UP_REQUESTS, WARM_UP_SECONDS = 512, 10.0
WHOLE_SECONDS, POLL_SECONDS = 60.0, 0.5
# Two steps that each last until their deadline, and what is around them.
MOST_SECONDS = 1500.0
SERVICE = "web"
OUTCOMES: dict[End | None, Outcome] = {
    End.PROMOTED: Outcome.SUCCEEDED,
    End.TAKEN_BACK: Outcome.ROLLED_BACK,
    End.ASKED: Outcome.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class RealRound:
    """Record how a real canary ended; `late` is how many requests were sent too late, by a machine that was too busy.

    What is `wrong` is about the bot, not about its judge: another outcome than the verdict has, or a stack that is not
    whole afterwards.
    """

    key: str
    round: Round
    reason: str = ""
    late: int = 0
    wrong: str = ""

    def facts(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self.round) | {"reason": self.reason, "late": self.late, "wrong": self.wrong}

    @classmethod
    def read(cls, key: str, facts: Mapping[str, Any]) -> Self:
        """Read what `facts` returned."""
        numbers = {name: facts[name] for name in ("seconds", "requests", "met", "failed")}
        found = Round(End(facts["end"]), **numbers)
        return cls(key, found, facts["reason"], facts["late"], facts["wrong"])

    def __str__(self) -> str:
        seen = f"it met {self.round.met} of {self.round.requests} requests and failed {self.round.failed}"
        broken = f", BROKEN: {self.wrong}" if self.wrong else ""
        return (
            f"{self.key}: {self.round.end} after {self.round.seconds:.0f} s ({self.reason or 'good'}), {seen}{broken}"
        )


class NoVerdictError(RuntimeError):
    """A deployment had no canary, or that had no end: the machine was too busy."""


@dataclass(slots=True)
class Watched:
    """Hold when a canary was observed first, and when its verdict was written, on the monotonic clock."""

    began: float | None = None
    ended: float = 0.0
    end: End | None = None

    def see(self, deployment: Deployment, now: float) -> None:
        """Take in what the journal says."""
        rollouts = (service.rollout for service in deployment.services if service.service == SERVICE)
        record = next((rollout.canary for rollout in rollouts if rollout is not None), None)
        if record is None:
            return
        self.began = now if self.began is None else self.began
        self.end = _end_of(record, is_asked=bool(deployment.waits_in))
        if self.end is not None:
            self.ended = now


def _end_of(record: CanaryRecord, *, is_asked: bool) -> End | None:
    """Return how a canary ended; None while it goes on."""
    if record.is_over:
        return End.PROMOTED
    if record.verdict is CanaryVerdict.WORSE:
        return End.TAKEN_BACK
    return End.ASKED if is_asked else None


async def begin(opened: Application, lane: Lane) -> None:
    """Bring the old version up. Raises NoVerdictError where it does not come up."""
    ended = await opened.orchestrator.run(_request(lane, OLD))
    if ended.outcome is not Outcome.SUCCEEDED or not await _is_whole(lane):
        raise NoVerdictError(f"{lane.name} did not come up: {ended.outcome} {ended.problem}")


async def play_round(
    opened: Application, lane: Lane, version: Version, rate: float, key: str, busy: asyncio.Semaphore
) -> RealRound:
    """Play one canary in a lane where the old version runs alone, which it does again afterwards.

    What is `busy` are the moments in which containers come and go, which take a small machine's time. Raises
    NoVerdictError where there was no canary, or no end of it.
    """
    watched = Watched()
    async with _asked(lane, rate) as seen:
        # For how long the old version is alone, no wait for anything.
        await asyncio.sleep(min(WARM_UP_SECONDS, WARM_UP_REQUESTS / rate))
        async with busy:
            started = await opened.orchestrator.start(_request(lane, version))
            await _watch(opened, started, watched, lambda: watched.began is not None)
        await _watch(opened, started, watched, lambda: watched.end is not None)
    async with busy:
        reason, wrong = await _end(opened, lane, started.id, watched)
    if watched.began is None or watched.end is None:
        raise NoVerdictError(f"{key}: {wrong}, {reason}")
    answers = seen.answered_by(tag_of(version), watched.began, watched.ended)
    played = Round(watched.end, watched.ended - watched.began, *answers)
    return RealRound(key, played, reason, seen.report["sent_late"], wrong)


@asynccontextmanager
async def _asked(lane: Lane, rate: float) -> AsyncIterator[Users]:
    """Let users ask the lane's proxy for the length of the block; their end is waited for in a thread."""
    leaving = ExitStack()
    seen = leaving.enter_context(lane.users(rate))
    try:
        yield seen
    finally:
        await asyncio.to_thread(leaving.close)


async def _watch(opened: Application, deployment: Deployment, watched: Watched, is_over: Callable[[], bool]) -> None:
    """Take in what the journal says of a deployment until that is over, or the deployment is."""
    changed = asyncio.Event()

    def note(change: StateChange) -> None:
        if change.environment == deployment.environment:
            changed.set()

    unsubscribe = opened.state.subscribe(note)
    try:
        async with asyncio.timeout(MOST_SECONDS):
            while not is_over():
                now, found = time.monotonic(), await opened.state.deployments.get(deployment.id) or deployment
                watched.see(found, now)
                if found.finished or is_over():
                    return
                await changed.wait()
                changed.clear()
    finally:
        unsubscribe()


async def _end(opened: Application, lane: Lane, deployment_id: str, watched: Watched) -> tuple[str, str]:
    """Bring the old version back, whatever the verdict was; returns what people were told, and what went wrong."""
    if watched.end is End.ASKED:
        await opened.orchestrator.cancel(deployment_id, ACTOR)
    ended = await opened.orchestrator.wait(deployment_id)
    wrong = [f"it ended as {ended.outcome}: {ended.problem}"] if ended.outcome is not OUTCOMES.get(watched.end) else []
    if ended.outcome is Outcome.SUCCEEDED:
        back = await opened.orchestrator.run(DeploymentRequest(lane.name, DeploymentKind.ROLLBACK, ACTOR))
        wrong += [f"it does not go back: {back.problem}"] if back.outcome is not Outcome.SUCCEEDED else []
    if not await _is_whole(lane):
        wrong.append("the old version does not run alone afterwards")
    told = ended.pauses[-1].message if ended.pauses else ended.problem.message if ended.problem else ""
    return told, "; ".join(wrong)


async def _is_whole(lane: Lane) -> bool:
    """Return whether the old version runs alone, in a moment at least."""

    def is_whole() -> bool:
        return lane.runs_alone(tag_of(OLD))

    return await asyncio.to_thread(wait_until, is_whole, WHOLE_SECONDS, poll=POLL_SECONDS)


def _request(lane: Lane, version: Version) -> DeploymentRequest:
    return DeploymentRequest(lane.name, DeploymentKind.DEPLOY, ACTOR, version=tag_of(version))
