"""Play one round on a lane: begin a deployment, inject the fault at its moment, and wait for the end."""

import asyncio
import signal
import time
from dataclasses import dataclass
from enum import StrEnum

from roas.concurrency import end_tasks
from roas.models.deployment import Outcome
from tools.campaigns.crash import faults
from tools.campaigns.crash.images import BAD, BEFORE
from tools.campaigns.crash.lane import Lane
from tools.campaigns.crash.points import Point, Report, Role, Victim, roles_of
from tools.campaigns.crash.rounds import Kind, Round, Script
from tools.campaigns.instrumented.unhealthy import ILL

# What is promised: an end, unattended, within so many seconds after the last fault.
END_SECONDS = 150.0
REACH_SECONDS = 60.0
CLEAN_SECONDS = 240.0
CLEAN_TRIES = 3
CLEAN_OUTCOMES = {
    Script.REPLACE: Outcome.SUCCEEDED.value,
    Script.REVERT: Outcome.ROLLED_BACK.value,
    Script.TAKE_BACK: Outcome.ROLLED_BACK.value,
    Script.DOWNGRADE: Outcome.SUCCEEDED.value,
}
OTHER_VERSIONS = {Script.REVERT: BAD, Script.TAKE_BACK: ILL, Script.DOWNGRADE: BEFORE}
LOOK_SECONDS = 0.1


class CleanRunError(RuntimeError):
    """Even a deployment that nobody disturbs ends badly; `breaches` says what is wrong, where the judge saw it."""

    def __init__(self, message: str, breaches: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.breaches = breaches


class Verdict(StrEnum):
    """The result of a round; a missed one injected no fault, an unplayable one proves nothing about the bots.

    Nor does one in which the engine could not start a container again through a fault of its own: it is played again.
    """

    GOOD = "good"
    BROKEN = "BROKEN"
    MISSED = "missed"
    UNPLAYED = "UNPLAYED"
    ENGINE = "engine's own fault"


@dataclass(frozen=True, slots=True)
class Played:
    """Record how a round went, and what is still wrong after the time that it had."""

    round: Round
    verdict: Verdict
    seconds: float
    outcomes: tuple[str, ...]
    wrong: tuple[str, ...] = ()


async def clean_run(lane: Lane, script: Script) -> tuple[tuple[Report, ...], float]:
    """Deploy without faults; returns every step that was reported, and how many seconds it took.

    A machine that is very busy may make a good deployment fail in time: then it is tried again. Raises CleanRunError
    where even a clean run goes wrong.
    """
    lane.surveys = True
    try:
        for _ in range(CLEAN_TRIES):
            took = await _undisturbed(lane, script)
            outcomes, trace = _outcomes(lane), tuple(lane.gate.trace)
            if script is Script.DOWNGRADE and (wrong := await lane.upgrade(CLEAN_SECONDS)):
                raise CleanRunError(f"{lane.name}: the release before does not bring today's back: {wrong}", wrong)
            if outcomes == (CLEAN_OUTCOMES[script],):
                return trace, took
        raise CleanRunError(f"{lane.name}: {CLEAN_TRIES} times a clean run was not {CLEAN_OUTCOMES[script]}")
    finally:
        lane.surveys = False


async def _undisturbed(lane: Lane, script: Script) -> float:
    await lane.wait_until_asked()
    await lane.begin()
    if await lane.deploy(_version(lane, script)) is None:
        raise CleanRunError(f"{lane.name}: the bot took no deployment: {lane.refusal}")
    took, wrong = await lane.settle(frozenset(), CLEAN_SECONDS)
    if wrong:
        raise CleanRunError(f"{lane.name}: a clean run ({script}) ends badly: {'; '.join(wrong)}", wrong)
    return took


async def play(lane: Lane, wanted: Round) -> Played:
    """Play a round to its end."""
    await lane.wait_until_asked()
    await lane.wait_until_idle()
    await lane.begin()
    begun = time.monotonic()
    held = lane.gate.arm(lambda point: point == wanted.point) if wanted.point is not None else None
    asked = asyncio.create_task(lane.deploy(_version(lane, wanted.script)))
    try:
        reached = held is None or await _reached(lane, held)
        killed = await _harm(lane, wanted, begun) if reached else None
        lane.gate.release()
        took, wrong = await lane.settle(killed or frozenset(), END_SECONDS)
        await asyncio.wait({asked}, timeout=END_SECONDS)
        outcomes = _outcomes(lane)
        if wanted.script is Script.DOWNGRADE and not wrong:
            wrong = await lane.upgrade(END_SECONDS)
        if wrong and (unstarted := await asyncio.to_thread(lane.unstarted)):
            return Played(wanted, Verdict.ENGINE, took, outcomes, unstarted)
        verdict = Verdict.BROKEN if wrong else Verdict.MISSED if killed is None else Verdict.GOOD
        return Played(wanted, verdict, took, outcomes, wrong)
    finally:
        lane.gate.release()
        await end_tasks(asked)


def _version(lane: Lane, script: Script) -> str:
    return OTHER_VERSIONS.get(script) or lane.other_version()


async def _reached(lane: Lane, held: "asyncio.Future[Report]") -> bool:
    """Wait until a process is suspended at the point, or the deployment has ended without reaching it."""
    deadline = time.monotonic() + REACH_SECONDS
    while not held.done() and time.monotonic() < deadline:
        await asyncio.wait({held}, timeout=LOOK_SECONDS)
        if not held.done() and _outcomes(lane):
            await asyncio.wait({held}, timeout=1.0)
            break
    return held.done()


async def _harm(lane: Lane, wanted: Round, begun: float) -> frozenset[int] | None:
    """Do what the round is about, and return the ids of the processes that were killed; None where it came too late."""
    point = wanted.point
    match wanted.kind:
        case Kind.RANDOM:
            return await _kill_at_random(lane, wanted, begun)
        case Kind.DAEMON:
            await faults.restart_engine(lane, live_restore=wanted.live_restore)
        case Kind.HANGS if point is not None:
            if not await asyncio.to_thread(faults.signal_all, lane, point.role, signal.SIGSTOP):
                return None
            lane.gate.release()
            if wanted.wakes:
                await asyncio.sleep(wanted.seconds)
                await asyncio.to_thread(faults.signal_all, lane, point.role, signal.SIGCONT)
        case Kind.USURPED if point is not None:
            stopped = await asyncio.to_thread(faults.signal_all, lane, point.role, signal.SIGSTOP)
            if not stopped or not await faults.usurp(lane):
                return None
        case Kind.TORN if point is not None:
            return await faults.kill_when_created(lane, point.role, _service(point), wanted.seconds) or None
        case Kind.STEPS:
            roles = roles_of(wanted.victim)
            killed = await asyncio.to_thread(faults.kill, lane, roles)
            return killed if len(killed) == len(roles) else None
    return frozenset()


async def _kill_at_random(lane: Lane, wanted: Round, begun: float) -> frozenset[int] | None:
    await asyncio.sleep(max(0.0, begun + wanted.moment * lane.length_seconds - time.monotonic()))
    ended = [deployment for deployment in lane.reader.look(lane.mark).deployments if deployment.finished]
    if ended:  # the machine has become faster
        lane.length_seconds = ended[0].duration_seconds or lane.length_seconds
        return None
    killed = await asyncio.to_thread(_kill, lane, wanted.victim)
    if wanted.second_fault is not None:
        victim, delay = wanted.second_fault
        await asyncio.sleep(delay)
        killed |= await asyncio.to_thread(_kill, lane, victim)
    return killed or None


def _kill(lane: Lane, victim: Victim) -> frozenset[int]:
    """Kill a victim; without a successor (or a predecessor any more), the one that is there."""
    roles = roles_of(victim)
    return faults.kill(lane, roles) or faults.kill(lane, tuple(Role))


def _service(point: Point) -> str:
    return point.step.removesuffix(" creating").rpartition(" ")[2]


def _outcomes(lane: Lane) -> tuple[str, ...]:
    deployments = lane.reader.look(lane.mark).deployments
    return tuple(str(deployment.outcome) for deployment in deployments if deployment.finished)
