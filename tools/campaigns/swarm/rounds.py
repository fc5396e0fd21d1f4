"""Play rounds: a deployment, and somebody who dies in the middle of it."""

import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from threading import Thread

import docker.errors
import requests.exceptions

from testbed.swarm import SwarmNode, client_of
from testbed.waiting import wait_until
from tools.campaigns.swarm.ground import COMMAND_SECONDS, ENVIRONMENT, FAILING_JOB, STACK, Ground
from tools.campaigns.swarm.judge import SUCCEEDED, Before, Ended, before, judge
from tools.campaigns.swarm.worker import RESUME

NOTICED_SECONDS = 60.0
HONEST_SECONDS = 60.0
QUORUM_AWAY_SECONDS = 20.0
LEFT = "may still run there, and answer, as"
BLAMES = ("somebody else", "changed outside this deployment", "changed the service")
TOLD = ("no quorum", "no leader", "managers of the Swarm")
WRITE = re.compile(r"after \S+: (create|update|remove) \S+s( |$)")


class Kind(StrEnum):
    """Who dies; the leader of the managers only stalls."""

    BOT = "bot"
    NODE = "node"
    QUORUM = "quorum"
    LEADER = "leader"


@dataclass(frozen=True)
class Round:
    """Say who dies at which step of a deployment of which version, empty for the good one that does not run.

    The bot that takes over after one that died may die, too, at the step `again`.
    """

    kind: Kind
    step: str
    version: str = ""
    again: str = ""

    def __str__(self) -> str:
        then = f", and the next one {self.again}" if self.again else ""
        act = "stalls" if self.kind is Kind.LEADER else "dies"
        return f"{self.kind} {act} {self.step}{then}" + (f" of {self.version}" if self.version else "")


@dataclass(frozen=True)
class Played:
    """Hold how a round ended; `noticed` is for how long the deployment went on after Swarm knew of the death."""

    round: Round
    ended: Ended
    wrong: tuple[str, ...]
    seconds: float
    noticed: float | None = None


def clean_run(ground: Ground, version: str = "") -> list[str]:
    """Deploy without disturbing it; returns the steps that it went through."""
    known = _begin(ground, version)
    ground.gate.arm()
    child = ground.start("deploy", ENVIRONMENT, known.new)
    out, err = child.communicate(timeout=COMMAND_SECONDS)
    steps = list(ground.gate.trace)
    ended, wrong = judge(ground, known)
    if wrong or (ended.outcome != SUCCEEDED) != bool(version):
        raise RuntimeError(f"a clean run of {known.new} ended as {ended}: {wrong}\n{out[-2000:]}\n{err[-2000:]}")
    return steps


def first_run(ground: Ground) -> None:
    """Deploy the first version ever. Raises RuntimeError where it does not succeed."""
    ground.say("hello v1")
    done = ground.run("deploy", ENVIRONMENT, "v1")
    if done.returncode:
        raise RuntimeError(done.stderr)


def play(ground: Ground, one: Round) -> Played:
    """Play a round, and leave the ground as it was found: all nodes live."""
    began = time.monotonic()
    known = _begin(ground, one.version)
    played = {Kind.BOT: _bot, Kind.NODE: _node, Kind.QUORUM: _quorum, Kind.LEADER: _leader}[one.kind]
    ended, wrong, noticed = played(ground, one, known)
    if not ground.gate.reached:
        wrong = (*wrong, "the step was never reached")
    if ended.outcome == "failed":  # an operator was asked for, and deploys again
        ground.say(known.old_text)
        again = ground.run("deploy", ENVIRONMENT, known.old)
        wrong = wrong if not again.returncode else (*wrong, f"it cannot be deployed again: {again.stderr[-500:]}")
    return Played(one, ended, wrong, time.monotonic() - began, noticed)


def _begin(ground: Ground, version: str) -> Before:
    known = before(ground, version)
    ground.say(known.new_text)
    return known


def _bot(ground: Ground, one: Round, known: Before) -> tuple[Ended, tuple[str, ...], None]:
    told = _killed(ground, one.step, "deploy", ENVIRONMENT, known.new)
    if one.again and ground.gate.reached:
        told = _killed(ground, one.again, RESUME)
    if not ground.gate.reached:
        return judge(ground, known)[0], (f"it was not killed, and said: {told[-1000:]}",), None
    if one.version == FAILING_JOB:  # while no bot lives
        wait_until(lambda: _last_run(ground) == "failed", NOTICED_SECONDS)
    resumed = ground.run_module("tools.campaigns.swarm.resume")
    if resumed.returncode:
        return Ended(""), (f"the next bot does not start: {resumed.stderr[-1000:]}",), None
    return *judge(ground, known), None


def _killed(ground: Ground, step: str, *arguments: str) -> str:
    """Start a bot that is killed at a step; returns all that it says."""
    children: list[subprocess.Popen[str]] = []
    ground.gate.arm(step, lambda: children[0].kill())
    children.append(ground.start(*arguments))
    return "".join(children[0].communicate(timeout=COMMAND_SECONDS))


def _last_run(ground: Ground) -> str:
    """Return the state of the job's last task."""
    tasks = sorted(ground.look.tasks("migrate"), key=lambda one: str(one["CreatedAt"]))
    return str(tasks[-1]["Status"]["State"])


def _node(ground: Ground, one: Round, known: Before) -> tuple[Ended, tuple[str, ...], float]:
    """Kill the last node's engine with all its processes."""
    node, noticed = ground.swarm.nodes[-1], []
    left: list[str] = []

    def watch() -> None:
        wait_until(lambda: ground.look.node_state(node) == "down", NOTICED_SECONDS)
        noticed.append(time.monotonic())

    watching = Thread(target=watch)

    def kill() -> None:
        there = ground.look.containers("/version", service="web")
        left.extend(container.files[0] for container in there if container.node == node.hostname)
        node.stop(kill=True)
        watching.start()

    try:
        _run_through(ground, one, known, kill)
        over = time.monotonic()
        if not ground.gate.reached:
            return *judge(ground, known), 0.0
        watching.join()
        ended, wrong = judge(ground, known)
        # What was there as before runs again with the node: a success has to say so.
        if ended.outcome == SUCCEEDED and known.old in left and not any(LEFT in text for text in ended.warnings):
            wrong = (*wrong, f"nobody is told that {known.old} may still run on {node.hostname}: {ended.warnings}")
    finally:
        if node.pid is None:
            node.start()
            ground.swarm.wait_until_ready(len(ground.swarm.nodes))
    late = over - noticed[0]
    if late > HONEST_SECONDS:
        wrong = (*wrong, f"it went on for {late:.0f} s after Swarm had noticed")
    return ended, wrong, max(0.0, late)


def _quorum(ground: Ground, one: Round, known: Before) -> tuple[Ended, tuple[str, ...], None]:
    """Kill two of three managers at once, and bring them back a while later."""
    lost, away = ground.swarm.nodes[1:], []

    def back() -> None:
        time.sleep(QUORUM_AWAY_SECONDS)  # for how long they are away, no wait for anything
        away.append(time.monotonic())
        for node in lost:
            node.start()

    returning = Thread(target=back)

    def kill() -> None:
        for node in lost:
            node.stop(kill=True)
        away.append(time.monotonic())
        returning.start()

    try:
        told = _run_through(ground, one, known, kill)
    finally:
        if ground.gate.reached:
            returning.join()
        ground.swarm.wait_until_ready(len(ground.swarm.nodes))
    ended, wrong = judge(ground, known)
    _end_repeats(ground)
    if not one.version and ended.outcome != SUCCEEDED:
        wrong = (*wrong, "it did not go on when they were back")
    return ended, (*wrong, *(_without_quorum(ground, told, *away) if away else ())), None


def _leader(ground: Ground, one: Round, known: Before) -> tuple[Ended, tuple[str, ...], None]:
    """Stall the manager that leads, which is not the one that is asked, and let it go on a while later."""
    leader = _other_leader(ground)

    def stall() -> None:
        leader.pause()
        returning.start()

    def back() -> None:
        time.sleep(QUORUM_AWAY_SECONDS)  # for how long it stalls, no wait for anything
        leader.resume()

    returning = Thread(target=back)
    try:
        told = _run_through(ground, one, known, stall)
    finally:
        if ground.gate.reached:
            returning.join()
        ground.swarm.wait_until_ready(len(ground.swarm.nodes))
    ended, wrong = judge(ground, known)
    wrong = (*wrong, *(f"it blames somebody: {text}" for text in BLAMES if text in " ".join(told.split())))
    if not one.version and ended.outcome != SUCCEEDED:
        wrong = (*wrong, "it did not go on when another one led")
    return ended, wrong, None


def _other_leader(ground: Ground) -> SwarmNode:
    """Return the manager that leads; where it is the one that bots ask, it stalls until another one does."""
    asked, *others = ground.swarm.nodes

    def leads(node: SwarmNode) -> bool:
        with suppress(docker.errors.APIError, requests.exceptions.RequestException), client_of(node) as client:
            own = client.nodes.get(client.info()["Swarm"]["NodeID"])
            return bool(own.attrs["ManagerStatus"].get("Leader"))
        return False

    if leads(asked):
        asked.pause()
        elected = wait_until(lambda: any(map(leads, others)), NOTICED_SECONDS)
        asked.resume()
        if not elected:
            raise RuntimeError("no other manager was elected")
        ground.swarm.wait_until_ready(len(ground.swarm.nodes))
    return next(node for node in others if leads(node))


def _end_repeats(ground: Ground) -> None:
    """Restart the engine of the manager that was never killed: it runs jobs again and again (moby/moby#53632)."""
    survivor = ground.swarm.manager
    survivor.restart()
    ground.swarm.wait_until_ready(len(ground.swarm.nodes))


def _without_quorum(ground: Ground, told: str, began: float, ended: float) -> Iterator[str]:
    """Name the writes to the Swarm that were answered between two moments; whoever writes later had to say why."""
    writes = [
        (step, at)
        for step, at in zip(ground.gate.trace, ground.gate.times, strict=True)
        if at > began and WRITE.match(step)
    ]
    for step, at in writes:
        if at < ended:
            yield f"it wrote {at - began:.1f} s after the quorum was lost: {step}"
    if writes and not any(item in told for item in TOLD):
        yield "it was not told that there is no quorum"


def _run_through(ground: Ground, one: Round, known: Before, act: Callable[[], None]) -> str:
    """Deploy; returns all that the command says."""
    ground.gate.arm(one.step, act)
    return "".join(ground.start("deploy", ENVIRONMENT, known.new).communicate(timeout=COMMAND_SECONDS))


def way_back(steps: Sequence[str]) -> list[str]:
    """Return the steps from the moment on in which a deployment begins to go back."""
    return list(steps[next(at for at, step in enumerate(steps) if " rollback: " in step) :])


def phase_steps(steps: Iterable[str]) -> list[str]:
    """Return the steps at which a phase has just begun."""
    return [step for step in steps if step.startswith("after ") and step.endswith("phase in_progress")]


def write_of(steps: Iterable[str], service: str) -> str:
    """Return the step at which a service has just been written: Swarm begins to update it."""
    return next(step for step in steps if step.startswith("after") and step.endswith(f"services {STACK}_{service}"))
