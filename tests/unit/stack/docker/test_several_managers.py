"""Of several managers, the next one is asked where one does not answer; no other Swarm is asked anything."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roas.errors import EngineError, EngineUnavailableError, NoQuorumError, OtherSwarmError
from roas.models.environment import EngineKind, Environment
from roas.models.swarm import KnownSwarm
from roas.stack.docker import engine as engine_client
from roas.stack.docker.engine import EngineClients
from roas.stack.swarm.same_swarm import SameSwarm
from roas.stack.swarm.writing.writer import SwarmWriter

FIRST, SECOND, THIRD = (f"unix:///{name}.sock" for name in ("first", "second", "third"))
PROD = Environment("prod", "shop", Path(), (), docker_host=FIRST, managers=(SECOND, THIRD), engine=EngineKind.SWARM)
SECONDS = 10.0


class Manager:
    """Answer with its address, or as the test says."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.fault: Exception | None = None
        self.hangs = self.opens_slowly = False
        self.swarm = "swarm-1"
        self.asked = 0
        self.released = threading.Event()

    def answer(self) -> str:
        self.asked += 1
        if self.hangs:
            assert self.released.wait(SECONDS)
        if self.fault is not None:
            raise self.fault
        return self.address

    def ping_within(self, _seconds: float) -> None:
        if self.hangs or isinstance(self.fault, OSError):
            raise TimeoutError("no ping")

    def ping(self) -> bool:
        return bool(self.answer())

    def cluster_id(self) -> str:
        self.answer()
        return self.swarm

    def close(self) -> None:
        self.released.set()


@pytest.fixture
def managers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Manager]:
    made = {address: Manager(address) for address in (FIRST, SECOND, THIRD)}

    def opened(address: str) -> Manager:
        if made[address].opens_slowly:
            assert made[address].released.wait(SECONDS)
        return made[address]

    monkeypatch.setattr(engine_client, "EngineClient", opened)
    monkeypatch.setattr(engine_client, "SILENT_SECONDS", 0.05)
    return made


@pytest.fixture
async def clients(managers: dict[str, Manager]) -> AsyncIterator[EngineClients]:
    made = EngineClients()
    yield made
    for manager in managers.values():
        manager.released.set()
    await made.close()


def ask(client: Any) -> str:
    answer: str = client.answer()
    return answer


async def test_next_manager_is_asked_and_stays(clients: EngineClients, managers: dict[str, Manager]) -> None:
    engine = clients.of(PROD)
    assert (await engine.call(ask), engine.address) == (FIRST, FIRST)
    managers[FIRST].fault = ConnectionRefusedError("it was killed")
    assert (await engine.call(ask), engine.address) == (SECOND, SECOND)
    assert await engine.unresponsive_addresses() == (FIRST,)
    managers[FIRST].fault, asked = None, managers[FIRST].asked
    assert await engine.call(ask) == SECOND, "the one that answered last"
    assert managers[FIRST].asked == asked
    assert await engine.unresponsive_addresses() == ()
    managers[SECOND].fault = FileNotFoundError("its socket is gone")
    assert await clients.of(PROD).call(ask) == THIRD, "others who ask know it, too"


async def test_silent_manager_is_left_within_seconds(clients: EngineClients, managers: dict[str, Manager]) -> None:
    """It keeps the question, as one that is stopped does; the thread ends when its own limit does."""
    managers[FIRST].hangs = True
    async with asyncio.timeout(SECONDS / 2):
        assert await clients.of(PROD).call(ask) == SECOND


async def test_manager_that_is_silent_from_the_start_is_left(
    clients: EngineClients, managers: dict[str, Manager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even its client can be opened, also not for a stream."""
    monkeypatch.setattr(engine_client, "OPENING_SECONDS", 0.05)
    managers[FIRST].opens_slowly = True
    async with asyncio.timeout(SECONDS / 2):
        assert await clients.of(PROD).call(ask) == SECOND
        assert (await clients.of(replace(PROD, managers=(THIRD,))).client()).address == THIRD


async def test_slow_manager_that_lives_is_waited_for(clients: EngineClients, managers: dict[str, Manager]) -> None:
    first = managers[FIRST]

    def slowly(client: Any) -> str:
        assert not first.released.wait(0.5)
        return str(client.address)

    assert await clients.of(PROD).call(slowly) == FIRST


async def test_manager_without_a_leader_is_left(clients: EngineClients, managers: dict[str, Manager]) -> None:
    for address in (FIRST, SECOND):
        managers[address].fault = NoQuorumError("it has no leader")
    engine = clients.of(PROD)
    assert await engine.call(ask) == THIRD
    managers[THIRD].fault = ConnectionRefusedError("it was killed")
    with pytest.raises(NoQuorumError):  # that says more than that another one is away
        await engine.call(ask)


async def test_refusal_is_an_answer(clients: EngineClients, managers: dict[str, Manager]) -> None:
    managers[FIRST].fault = EngineError("it is refused")
    with pytest.raises(EngineError, match="it is refused"):
        await clients.of(PROD).call(ask)
    assert managers[SECOND].asked == 0


class Journal:
    """Keep which Swarm it is."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    async def id_of(self, environment: str) -> str:
        return self.known.get(environment, "")

    async def note(self, known: KnownSwarm) -> None:
        self.known[known.environment] = known.id


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roas.stack.swarm.writing.writer.SwarmCalls", lambda client, *_more: client)


@pytest.mark.usefixtures("calls")
async def test_no_other_swarm_is_asked(clients: EngineClients, managers: dict[str, Manager]) -> None:
    """Which one it is, is known from the first write on; a manager of it that is asked next is another matter."""
    journal = Journal()

    def writer(environment: Environment = PROD) -> SwarmWriter:
        return SwarmWriter(clients.of(environment), same_swarm=SameSwarm(environment, journal))

    question: Callable[[Any], str] = ask
    first = writer()
    assert await first.ask(question) == FIRST
    assert journal.known == {}, "nothing was written yet"
    await first._note_swarm()
    assert journal.known == {"prod": "swarm-1"}
    managers[FIRST].fault, managers[SECOND].swarm = ConnectionRefusedError("it was killed"), "swarm-2"
    assert await writer().ask(question) == THIRD
    managers[THIRD].fault = managers[FIRST].fault
    with pytest.raises(OtherSwarmError, match="is a manager of the Swarm swarm-2") as refused:
        await writer().ask(question)
    assert "set `swarm_id` of prod to swarm-2" in str(refused.value.hint)
    meant = writer(replace(PROD, swarm_id="swarm-2"))
    assert await meant.ask(question) == SECOND
    await meant._note_swarm()
    assert journal.known == {"prod": "swarm-2"}
    assert isinstance(refused.value, EngineUnavailableError)


async def test_programs_are_given_a_manager_that_answers(clients: EngineClients, managers: dict[str, Manager]) -> None:
    """What is run, such as Compose to build an image, gets an address and cannot ask another one."""
    engine = clients.of(PROD)
    assert await engine.reached() == FIRST
    managers[FIRST].fault = ConnectionRefusedError("gone")
    assert await engine.reached() == SECOND
