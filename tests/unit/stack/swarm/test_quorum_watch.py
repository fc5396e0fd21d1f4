"""How long a Swarm had no quorum is known by what was answered, to whoever asked."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.errors import EngineError, EngineUnavailableError, NoQuorumError
from roas.models.environment import Environment
from roas.models.swarm import Absence, QuorumLosses
from roas.stack.docker.api_errors import ApiError
from roas.stack.docker.engine import Engine
from roas.stack.swarm.writing import writer as module
from roas.stack.swarm.writing.writer import SwarmWriter

DEV = Environment("dev", "shop", Path(), ())


class Manager:
    """Answer each question after so many seconds, with a leader or without one."""

    def __init__(self, clock: SimpleNamespace) -> None:
        self.clock, self.seconds = clock, 0.0
        self.sdk = SimpleNamespace(raw=None)
        self.address, self.project, self.environment = "unix:///run/docker.sock", DEV.project, DEV

    async def call(self, question: Any) -> Any:
        self.clock.now += self.seconds
        return question(self)


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    return Manager(clock)


@pytest.fixture
def writer(manager: Manager) -> SwarmWriter:
    return SwarmWriter(cast("Engine", manager))


async def ask(writer: SwarmWriter, manager: Manager, seconds: float, *, leads: bool) -> None:
    manager.seconds = seconds

    def question(_calls: object) -> None:
        if not leads:
            raise ApiError(503, "The swarm does not have a leader.")

    if leads:
        await writer.ask(question)
    else:
        with pytest.raises(NoQuorumError):
            await writer.ask(question)


async def test_time_counts_from_the_question_until_an_answer(writer: SwarmWriter, manager: Manager) -> None:
    await ask(writer, manager, 1, leads=True)
    assert writer.quorum_losses() == QuorumLosses()
    await ask(writer, manager, 9, leads=False)
    assert writer.quorum_losses() == QuorumLosses(1, 9.0)
    manager.clock.now += 2
    await ask(writer, manager, 4, leads=False)
    assert writer.quorum_losses() == QuorumLosses(2, 15.0)
    await ask(writer, manager, 5, leads=True)
    manager.clock.now += 60
    assert writer.quorum_losses() == QuorumLosses(2, 20.0), "a manager has answered"
    await ask(writer, manager, 3, leads=False)
    assert writer.quorum_losses() == QuorumLosses(3, 23.0)


async def test_what_was_answered_meanwhile_is_no_absence(writer: SwarmWriter, manager: Manager) -> None:
    """Who asks again and again sees the managers before another one's question is given up."""

    async def call(question: Any) -> Any:
        manager.clock.now += 10
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(manager, "call", whole)
            await ask(writer, manager, 2, leads=True)
        manager.clock.now += 8
        return question(manager)

    whole = manager.call
    manager.call = call  # type: ignore[method-assign]
    await ask(writer, manager, 0, leads=False)
    assert writer.quorum_losses() == QuorumLosses(1, 8.0)


async def test_write_that_hangs_counts_as_time_alone(writer: SwarmWriter, manager: Manager) -> None:
    """Why there was no answer is not known, and what failed then is not done anew for it."""

    def question(_calls: object) -> None:
        manager.clock.now += 30
        raise EngineUnavailableError("timed out")

    with pytest.raises(EngineUnavailableError):
        await writer.ask(question)
    await ask(writer, manager, 2, leads=True)
    assert writer.quorum_losses() == QuorumLosses(0, 32.0)


async def test_answer_that_waited_for_a_leader_counts(writer: SwarmWriter, manager: Manager) -> None:
    await ask(writer, manager, 9, leads=True)
    assert writer.quorum_losses() == QuorumLosses()
    await ask(writer, manager, 19, leads=True)
    assert writer.quorum_losses() == QuorumLosses(0, 19.0)


async def test_other_faults_say_nothing_of_a_quorum(writer: SwarmWriter, manager: Manager) -> None:
    def question(_calls: object) -> None:
        raise EngineError("refused")

    with pytest.raises(EngineError):
        await writer.ask(question)
    assert writer.quorum_losses() == QuorumLosses()


async def test_question_that_a_manager_keeps_is_an_absence_while_it_lasts(
    writer: SwarmWriter, manager: Manager
) -> None:
    """People are told meanwhile; it is counted once it is answered, or given up."""
    seen: list[float] = []

    def question(_calls: object) -> None:
        for seconds in (8, 3, 4):
            manager.clock.now += seconds
            seen.append(writer.quorum_losses().away_seconds)

    await writer.ask(question)
    assert seen == [0.0, 11.0, 15.0]
    assert writer.quorum_losses().away_seconds == 0.0
    with pytest.raises(ZeroDivisionError):
        await writer.ask(lambda _calls: 1 // 0)
    manager.clock.now += 60
    assert writer.quorum_losses().away_seconds == 0.0, "it is open no more"


NO_MANAGER = "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state."
LOCKED = (
    'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.'
)


@pytest.mark.parametrize(
    ("text", "hint", "absence"),
    [
        (NO_MANAGER, "docker node promote", Absence.NO_MANAGER),
        (LOCKED, "docker swarm unlock", Absence.LOCKED),
        ("The swarm does not have a leader.", "More than half of the managers", Absence.NO_QUORUM),
    ],
)
async def test_why_nobody_answers_is_known(
    writer: SwarmWriter, manager: Manager, text: str, hint: str, absence: Absence
) -> None:
    """One that was demoted says nothing of the others, and one that is locked waits for a person."""

    def question(_calls: object) -> None:
        raise ApiError(503, text)

    with pytest.raises(NoQuorumError) as raised:
        await writer.ask(question)
    assert hint in raised.value.hint
    manager.clock.now += 9
    losses = writer.quorum_losses()
    assert (losses.times, losses.away_seconds, losses.absence) == (1, 9.0, absence)
    await ask(writer, manager, 1, leads=False)  # it is back, and finds the others
    assert writer.quorum_losses().absence is absence
    await ask(writer, manager, 1, leads=True)
    assert writer.quorum_losses().absence is absence, "it was that"
    await ask(writer, manager, 19, leads=True)
    assert writer.quorum_losses().absence is Absence.NO_QUORUM
