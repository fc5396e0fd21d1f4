"""Play rounds: people use the bots, nodes are lost in the middle of it, and come back."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product

from roas.concurrency import end_tasks
from testbed.waiting import wait_until
from tools.campaigns.standby.ground import BAD, BOT_SECONDS, REPLICAS, Ground
from tools.campaigns.standby.lease_watch import LeaseWatch, acts_of_others, tokens_taken_twice
from tools.campaigns.standby.losses import How, Loss, Who
from tools.campaigns.standby.people import People, end_of, told_wrong

SETTLED_SECONDS = 150.0
LEADS_SECONDS = 120.0
REACHED_SECONDS = 60.0
LED_WITHIN_SECONDS = 60.0
REASON = "the fair"
HELD = "⛔"


class Phase(StrEnum):
    """What goes on when nodes are lost."""

    INITIALIZATION = "initialization"
    VALIDATION = "validation"
    PREPARATION = "preparation"
    APPROVAL = "approval"
    EXECUTION = "execution"
    WRITE = "write"
    VERIFICATION = "verification"
    COMPLETION = "completion"
    ROLLBACK = "rollback"
    FROZEN = "frozen"
    IDLE = "idle"


# At which step of the instrumented bot; of the others, people say when.
STEPS = {
    **{phase: f"after {phase}: phase in_progress" for phase in Phase},
    Phase.WRITE: "before execution: update services rounds-prod_web",
}
WITHOUT_STEP = (Phase.APPROVAL, Phase.FROZEN, Phase.IDLE)


@dataclass(frozen=True)
class Round:
    """Say what goes on when who is lost, and how."""

    phase: Phase
    who: Who
    how: How

    def __str__(self) -> str:
        return f"{self.phase}: {self.who} {self.how}"


@dataclass
class Played:
    """Hold how a round went; times count from the loss."""

    round: Round
    outcome: str = ""
    why: str = ""
    wrong: list[str] = field(default_factory=list)
    noticed: float | None = None
    led: float | None = None
    ended: float | None = None
    seconds: float = 0.0


def all_rounds() -> list[Round]:
    """Return each way in which each can be lost; without a quorum, nodes are killed."""
    alone, most = (Who.TASK, Who.LEADER, Who.RAFT, Who.STANDBY), (Who.MOST, Who.OTHERS)
    return [
        *(Round(phase, who, how) for phase, who, how in product(Phase, alone, (How.KILLED, How.FROZEN))),
        *(Round(phase, who, How.KILLED) for phase, who in product(Phase, most)),
        *(Round(phase, Who.BOTS, How.UPDATED) for phase in Phase),
    ]


async def first_run(ground: Ground) -> None:
    """Deploy v1, and a bad version, which is rolled back and on hold from then on. Raises RuntimeError."""
    for version, wanted in (("v1", "succeeded"), (BAD, "rolled_back")):
        messages = await ground.people.messages()
        people = People(ground.people, messages[-1].id if messages else 0)
        await people.deploy(version)
        await people.approve()
        if end_of(outcome := await people.outcome()) != wanted:
            raise RuntimeError(outcome.text)


async def play(ground: Ground, item: Round, number: int) -> Played:
    """Play a round, and leave the ground as it was found: three nodes, two bots, and one version."""
    began = time.monotonic()
    leader, standby = await asyncio.to_thread(ground.bots.wait_for_both, BOT_SECONDS)
    old = await asyncio.to_thread(_running, ground)
    messages = await ground.people.messages()
    people = People(ground.people, messages[-1].id if messages else 0)
    new = BAD if item.phase is Phase.ROLLBACK else "v2" if old == "v1" else "v1"
    await asyncio.to_thread(ground.commit, f"round {number}")
    loss = Loss(ground, item.who, item.how, leader, standby, number)
    played = Played(item)
    with LeaseWatch(ground.bots) as watch:
        try:
            await _people_act(ground, people, item, loss, new, played)
        except (TimeoutError, RuntimeError) as error:
            played.wrong.append(str(error))
        finally:
            loss.is_over.set() if played.wrong else None
            await asyncio.to_thread(_restore, ground, loss, played)
        await _judge(ground, people, watch, loss, played, (old, new))
    played.seconds = time.monotonic() - began
    return played


async def _people_act(ground: Ground, people: People, item: Round, loss: Loss, new: str, played: Played) -> None:
    """Do what the people of a round do, and lose the nodes in the middle of it."""
    if item.phase is Phase.FROZEN:
        await people.ask("lock", reason=REASON)
        await _lose(ground, loss)
        await _until_led(ground, loss)
        if REASON not in (await people.ask("deploy", version=new)).text:
            played.wrong.append("the freeze is lost")
        await people.ask("unlock")
    elif item.phase is Phase.IDLE:
        await _lose(ground, loss)
        await _until_led(ground, loss)
    if item.phase in WITHOUT_STEP:
        ground.gate.arm()
    else:
        ground.gate.arm(STEPS[item.phase], loss.begin)
    await people.deploy(new)
    if item.phase is Phase.APPROVAL:
        await people.approval()
        await _lose(ground, loss)
        await _until_led(ground, loss)
    approving = asyncio.create_task(people.approve())
    try:
        outcome = await people.outcome()
    finally:
        await end_tasks(approving)
    played.outcome, played.ended = end_of(outcome), time.monotonic() - loss.began
    if played.outcome != "succeeded":
        played.why = outcome.text
    if not loss.began:
        played.wrong.append("the step was never reached")


async def _lose(ground: Ground, loss: Loss) -> None:
    await asyncio.to_thread(loss.begin)


async def _until_led(ground: Ground, loss: Loss) -> None:
    """Wait until a bot leads that is not lost, where the one that led is; a person sees no more than that."""
    if loss.is_of_most:
        await asyncio.to_thread(loss.is_over.wait)
    if loss.lost_leader and not loss.is_of_most:
        await asyncio.to_thread(wait_until, lambda: _leads_elsewhere(ground, loss), LEADS_SECONDS, 0.3)


def _leads_elsewhere(ground: Ground, loss: Loss) -> bool:
    lease = ground.bots.lease()
    return lease is not None and lease.node not in loss.nodes


def _restore(ground: Ground, loss: Loss, played: Played) -> None:
    """Bring back what was lost, and wait for two bots; how the bots are then is a part of the verdict."""
    loss.end()
    with suppress(RuntimeError):
        ground.bots.wait_for_both(BOT_SECONDS)
        return
    played.wrong.append(f"there are not two bots of which one leads: {ground.bots.tasks()}, {ground.bots.lease()}")


async def _judge(
    ground: Ground, people: People, watch: LeaseWatch, loss: Loss, played: Played, versions: tuple[str, str]
) -> None:
    """Compare what was told with Docker, the lease and the channel."""
    old, new = versions
    wanted = {"succeeded": (new,), "failed": (old, new)}.get(played.outcome, (old,))
    if not await asyncio.to_thread(wait_until, lambda: _running(ground) in wanted, SETTLED_SECONDS, 0.5):
        there = await asyncio.to_thread(ground.view.containers, "/version", service="web")
        seen = ", ".join(f"{item.files[0]} on {item.node} ({item.health})" for item in there)
        played.wrong.append(f"it ended as {played.outcome or 'nothing'}, and not {wanted} but {seen} runs")
    played.wrong += told_wrong(await people.messages(), deployments=1)
    if f"{HELD} {BAD}" not in await people.status():
        played.wrong.append(f"the hold of {BAD} is lost")
    played.wrong += acts_of_others(watch, list(ground.gate.reports))
    played.wrong += tokens_taken_twice(watch.seen)
    played.wrong += [f"Discord would refuse {item}" for item in (await ground.people.violations())[:3]]
    if loss.began:
        played.noticed = None if loss.noticed is None else loss.noticed - loss.began
    if loss.lost_leader:
        led = watch.led_after(loss.began, loss.leader.node.hostname)
        played.led = None if led is None else led - loss.began
        if loss.noticed is not None and (led is None or led - loss.noticed > LED_WITHIN_SECONDS):
            played.wrong.append(f"no other bot led within {LED_WITHIN_SECONDS:.0f} s")


def _running(ground: Ground) -> str:
    """Return the version that runs on all nodes; empty where there are two, too few, or no answer."""
    with suppress(Exception):  # an engine that is away, or a manager without a leader: asked again
        found = ground.view.versions("web")
        if len(found) == 1 and found.total() == REPLICAS:
            return next(iter(found))
    return ""
