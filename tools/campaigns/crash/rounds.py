"""Choose what each round does, drawn by seed; another file runs it."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tools.campaigns.crash.points import Point, Report, Role, Victim, possible_victims
from tools.campaigns.crash.renewing import STEM

# A second fault, in so many of the random rounds, up to so many seconds after the first.
SECOND_FAULT = 0.25
SECOND_FAULT_SECONDS = 8.0
TORN_SECONDS = 0.3
# Random moments of downgrades: most of what happens then, the bot of the release before does, which stops at no gate.
DOWNGRADES = 20
# Longer than a lease, so that another bot takes over meanwhile.
ASLEEP_SECONDS = 10.0


class Kind(StrEnum):
    """What sort of fault a round has; also what `--only` takes."""

    STEPS = "steps"
    RANDOM = "random"
    DAEMON = "daemon"
    HANGS = "hangs"
    USURPED = "usurped"
    TORN = "torn"


class Script(StrEnum):
    """What is deployed: a good version, one whose bot never starts, or one whose bot becomes unhealthy after takeover.

    With the second all is rolled back without a handover; with the third the predecessor takes back first. With the
    last, the bot of the release before takes over, which stops at no gate, and brings today's back in the end.
    """

    REPLACE = "replace"
    REVERT = "revert"
    TAKE_BACK = "take back"
    DOWNGRADE = "downgrade"


@dataclass(frozen=True, slots=True)
class Round:
    """Describe one round; fields that its kind has no use for keep their defaults."""

    kind: Kind
    script: Script = Script.REPLACE
    point: Point | None = None
    victim: Victim = Victim.PREDECESSOR
    # The part of a deployment's length after which the fault comes (random).
    moment: float = 0.0
    # Seconds from the creation to the kill (torn), until it wakes (hangs).
    seconds: float = 0.0
    second_fault: tuple[Victim, float] | None = None
    live_restore: bool = False
    wakes: bool = False

    def __str__(self) -> str:
        match self.kind:
            case Kind.RANDOM:
                again = f", then {self.second_fault[0]} +{self.second_fault[1]:.2f} s" if self.second_fault else ""
                text = f"kill {self.victim} after {self.moment:.1%} of it{again}"
            case Kind.DAEMON:
                text = f"restart dockerd (live-restore {'on' if self.live_restore else 'off'}) {self.point}"
            case Kind.HANGS:
                ends = f"waking after {self.seconds:g} s" if self.wakes else "for good"
                text = f"stop {self.victim} {ends} {self.point}"
            case Kind.USURPED:
                text = f"take over by force from a stopped owner {self.point}"
            case Kind.TORN:
                text = f"kill {self.victim} {self.seconds:.2f} s after a container is created {self.point}"
            case _:
                text = f"kill {self.victim} {self.point}"
        return f"{self.kind} {self.script}: {text}"


# Which kind of rounds can see a planted defect; no-intent shows in every one.
SEEN_BY = {"no-fence": Kind.USURPED, "no-sweep": Kind.TORN, "no-watchdog": Kind.HANGS}


def all_rounds(traces: Mapping[Script, Sequence[Report]], number: int, seed: int) -> Iterator[Round]:
    """Yield every round; random ones come last, since one more or less of them matters least."""
    trace = traces[Script.REPLACE]
    for script in traces:
        yield from daemon_rounds(script, traces[script])
    for script in traces:
        yield from step_rounds(script, traces[script])
    if Script.DOWNGRADE in traces:
        yield from random_rounds(DOWNGRADES, seed, Script.DOWNGRADE)
    yield from hang_rounds(trace)
    yield from usurped_rounds(trace)
    yield from torn_rounds(trace, seed)
    yield from random_rounds(number, seed)


def relevant_first(rounds: Sequence[Round], plant: str) -> list[Round]:
    """Order rounds so that those that can see a planted defect come first."""
    return sorted(rounds, key=lambda one: one.kind is not SEEN_BY.get(plant, one.kind))


def step_rounds(script: Script, trace: Iterable[Report]) -> Iterator[Round]:
    """Yield a round for each step and each victim that there is at it."""
    for report in trace:
        for victim in possible_victims(report.present):
            yield Round(Kind.STEPS, script, report.point, victim)


def random_rounds(number: int, seed: int, script: Script = Script.REPLACE) -> Iterator[Round]:
    """Yield rounds with faults spread evenly over the length of a deployment."""
    for index in range(number):
        dice = random.Random(f"{seed}:random:{'' if script is Script.REPLACE else script}{index}")  # noqa: S311 - reproducible on purpose
        victim = dice.choice(list(Victim))
        second = None
        if dice.random() < SECOND_FAULT:
            second = (dice.choice(list(Victim)), dice.uniform(0, SECOND_FAULT_SECONDS))
        yield Round(Kind.RANDOM, script, victim=victim, moment=dice.random(), second_fault=second)


def daemon_rounds(script: Script, trace: Iterable[Report]) -> Iterator[Round]:
    """Yield a restart of the engine in each phase that the trace has, with live-restore and without."""
    begun = [r.point for r in trace if r.point.step.endswith(": phase in_progress") and r.point.when == "after"]
    for live_restore in (False, True):
        for point in begun:
            yield Round(Kind.DAEMON, script, point, live_restore=live_restore)


def hang_rounds(trace: Iterable[Report]) -> Iterator[Round]:
    """Yield suspensions of the owner around the handover: permanent, and until another bot has taken over."""
    for report in trace:
        point = report.point
        passing = point.role is Role.PREDECESSOR and point.step.endswith("leadership transferred")
        watched = point.role is Role.SUCCESSOR and Role.PREDECESSOR in report.present and _is_act(point)
        if passing or watched:
            victim = Victim(point.role.value)
            yield Round(Kind.HANGS, point=point, victim=victim)
            yield Round(Kind.HANGS, point=point, victim=victim, wakes=True, seconds=ASLEEP_SECONDS)


def usurped_rounds(trace: Iterable[Report]) -> Iterator[Round]:
    """Yield takeovers from an owner that is stopped between its check and its act."""
    for report in trace:
        if _is_act(report.point) and report.point.step.startswith("execution"):
            yield Round(Kind.USURPED, point=report.point, victim=Victim(report.point.role.value))


def torn_rounds(trace: Iterable[Report], seed: int, *, times: int = 3) -> Iterator[Round]:
    """Yield kills of a bot and its Compose in the middle of making containers."""
    for report in trace:
        if _creates(report):
            for index in range(times):
                dice = random.Random(f"{seed}:torn:{report.point}:{index}")  # noqa: S311 - reproducible on purpose
                seconds = dice.uniform(0, TORN_SECONDS) if index else 0.0
                yield Round(Kind.TORN, point=report.point, victim=Victim(report.point.role.value), seconds=seconds)


def _creates(report: Report) -> bool:
    """Return whether a container is created next: what is new, right after its intent, with all else that has none."""
    step = report.point.step
    if step.rpartition(" ")[2] == STEM:
        return False
    return (report.is_act and ": create_service " in step) or (
        report.point.when == "after" and step.endswith(f": {STEM} creating")
    )


def _is_act(point: Point) -> bool:
    return point.when == "before" and any(f": {act}" in point.step for act in ("create_service", "start", "remove"))
