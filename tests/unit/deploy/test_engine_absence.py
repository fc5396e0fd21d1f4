"""A deployment to a Swarm without a quorum waits until it is back, says so, and does not wait for ever."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from roas.deploy import engine_absence
from roas.deploy.engine_absence import wait_for_quorum
from roas.errors import EngineError, EngineUnavailableError
from roas.models.swarm import QuorumLosses, SwarmFacts, SwarmNode

LOST = "lost"  # a manager that does not answer
NODES = {
    count: tuple(
        SwarmNode(f"n{number}", f"node{number}", reachability="reachable" if number < count else "unreachable")
        for number in range(3)
    )
    for count in (1, 2, 3)
}


class Context:
    """Keeps what is said of a Swarm that shows so many of three managers, look by look; the last again and again."""

    def __init__(self, looks: Iterable[object]) -> None:
        self.looks = list(looks)
        self.allowed: list[float] = []
        self.warnings: list[str] = []
        self.cancel = asyncio.Event()
        self.environment = SimpleNamespace(on_swarm=True)
        self.absence_told = QuorumLosses()
        self.stack = self
        self.allow, self.warn = self.allowed.append, self.warnings.append

    def quorum_losses(self) -> QuorumLosses:
        return QuorumLosses()

    async def swarm(self) -> SwarmFacts:
        shown = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if not isinstance(shown, int):
            raise EngineUnavailableError("no leader")
        return SwarmFacts("s", "n0", NODES[shown])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Let each look take four seconds."""
    now = SimpleNamespace(seconds=0.0)

    async def look(_seconds: float) -> None:
        now.seconds += 4.0

    monkeypatch.setattr(engine_absence, "pause", look)
    monkeypatch.setattr(engine_absence.time, "monotonic", lambda: now.seconds)
    return now


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([2], []),
        ([LOST, 2], []),
        ([1, LOST, LOST, 2], ["For at least 12 s nothing was written to the Swarm: no quorum."]),
    ],
)
async def test_quorum_that_comes_back_is_waited_for(clock: Any, looks: list[object], told: list[str]) -> None:
    """What is waited is no part of the phase's time."""
    context = Context(looks)
    await wait_for_quorum(context)  # type: ignore[arg-type]
    assert context.warnings == told
    assert sum(context.allowed) == clock.seconds


async def test_quorum_that_stays_away_is_given_up(clock: Any) -> None:
    context = Context([LOST])
    with pytest.raises(EngineError, match="For 604 s nothing could be written to the Swarm: no quorum"):
        await wait_for_quorum(context)  # type: ignore[arg-type]


async def test_cancellation_ends_the_wait(clock: Any) -> None:
    context = Context([LOST])
    context.cancel.set()
    await wait_for_quorum(context)  # type: ignore[arg-type]
    assert clock.seconds == 0
