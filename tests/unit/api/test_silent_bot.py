"""A bot that hangs is not waited for by who only asks: `status` says so, and looks for itself."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roas.api.control_client import ControlClient
from roas.api.control_socket import serve_control_socket
from roas.api.documents import ControlUnavailableError
from roas.cli import connection
from roas.cli.connection import Connection
from roas.cli.deploy import UnansweredStartError, start_deployment
from roas.cli.follow import Interruption
from roas.models.deployment import Deployment, DeploymentRequest, Freeze, Outcome
from roas.state.documents import to_json
from roas.state.manager import StateManager
from roas.version import __version__
from tests.unit.api.conftest import PERSON, request
from tests.unit.played_orchestrator import PlayedOrchestrator

ROOT = Path(__file__).resolve().parents[3]
GREETING = json.dumps({"instance_id": "BOT-1", "version": __version__})
OF_THIS_VERSION = f"HTTP/1.0 200 OK\r\nContent-Length: {len(GREETING)}\r\n\r\n{GREETING}"
# One that is not greeted again is waited for longer than this.
SECONDS = 100.0


def environment(state: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "STATE_DIR": str(state), "STACK_DIR": str(state)}


class HangingBot:
    """Answer the first so many questions with a greeting, the next one with a piece of an answer, and then nothing."""

    def __init__(self, state: StateManager, greetings: int = 0, piece: str = "") -> None:
        self._path = state.folder / "control.sock"
        self._answers = [OF_THIS_VERSION] * greetings + [piece] * bool(piece)
        self._ends = [True] * greetings + [False] * bool(piece)
        self._held: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> None:
        self._server = await asyncio.start_unix_server(self._take, self._path)

    async def __aexit__(self, *_: object) -> None:
        for writer in self._held:
            writer.close()
        self._server.close()
        await self._server.wait_closed()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._held.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        if self._answers:
            writer.write(self._answers.pop(0).encode())
            await writer.drain()
            if self._ends.pop(0):
                writer.close()


HALF_A_STATUS = 'HTTP/1.0 200 OK\r\nContent-Length: 90\r\n\r\n{"environ'


@pytest.mark.parametrize(
    ("greetings", "piece", "arguments"),
    [pytest.param(1, HALF_A_STATUS, ("--json",), marks=pytest.mark.long), (0, "", ())],
    ids=["document", "drawn"],
)
async def test_status_beside_bot_that_hangs(
    state: StateManager, greetings: int, piece: str, arguments: tuple[str, ...]
) -> None:
    await state.freezes.put(Freeze("dev", PERSON, "the database is being moved", datetime.now(UTC)))
    nowhere = {"DOCKER_HOST": f"unix://{state.folder}/nowhere.sock"}
    async with HangingBot(state, greetings, piece), asyncio.timeout(SECONDS):
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "roas", "status", "dev", *arguments),
            env=environment(state.folder) | nowhere,
            cwd=state.folder,
            stdout=PIPE,
            stderr=PIPE,
        )
        out, err = await child.communicate()
    assert child.returncode == 69, err
    assert b"the database is being moved" in out, err
    assert b"This is what the journal and the engine show." in err
    if arguments:
        assert "This is what the journal and the engine show." in json.loads(out)["fault"]


@pytest.mark.parametrize("piece", ["", HALF_A_STATUS])
async def test_plan_of_bot_that_hangs(state: StateManager, piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roas.api.control_client.GREETING_SECONDS", 0.2)
    async with HangingBot(state, 1, piece), ControlClient(state.folder) as client, asyncio.timeout(SECONDS):
        await client.greet()
        with pytest.raises(ControlUnavailableError, match="not answer in time"):
            await client.plan(request())


async def test_bot_that_is_busy_is_waited_for(state, api, collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers greetings meanwhile: its engine takes long, or a registry."""
    monkeypatch.setattr("roas.api.control_client.SILENT_SECONDS", 0.05)
    greeted = asyncio.Semaphore(0)
    look, greet = collector.collect_all_metrics, ControlClient.greet

    async def counted(client: ControlClient) -> object:
        greeted.release()
        return await greet(client)

    async def slow(one: object) -> object:
        for _ in range(4):
            await asyncio.wait_for(greeted.acquire(), SECONDS)
        return await look(one)

    monkeypatch.setattr(ControlClient, "greet", counted)
    monkeypatch.setattr(collector, "collect_all_metrics", slow)
    async with serve_control_socket(api, state.folder), ControlClient(state.folder) as client:
        report = await client.status("dev")
    assert [one.environment for one in report.environments] == ["dev"]


async def test_bot_that_is_just_starting_is_waited_for(state, api, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lives, and does not listen yet: that is no silence, however short a silence may be."""
    monkeypatch.setattr("roas.api.control_client.GREETING_SECONDS", SECONDS)
    waited = asyncio.Event()
    looks = connection.running_bots

    def looked(folder: Path) -> tuple[str, ...]:
        waited.set()
        return looks(folder)

    monkeypatch.setattr(connection, "running_bots", looked)
    async with AsyncExitStack() as stack:
        finding = asyncio.create_task(connection.find_running_bot(state.folder, stack, unanswered_seconds=5.0))
        await asyncio.wait_for(waited.wait(), SECONDS)
        async with serve_control_socket(api, state.folder):
            client = await finding
            assert client is not None
            assert (await client.greet()).instance_id == state.instance_id


async def test_deployment_of_bot_that_hangs_is_not_followed_for_ever(
    state: StateManager, orchestrator: PlayedOrchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither through its socket nor, where no other bot resumes it, through the journal."""
    monkeypatch.setattr("roas.api.control_client.GREETING_SECONDS", 0.2)
    monkeypatch.setattr("roas.api.control_client.UNCHANGED_SECONDS", 0.1)
    monkeypatch.setattr(connection, "ORPHANED_SECONDS", 0.5)
    monkeypatch.setattr(connection, "LOOK_FOR_BOT_SECONDS", 0.1)
    started = await orchestrator.start(request())
    first = f"HTTP/1.0 200 OK\r\n\r\n{to_json(started)}\n"
    async with HangingBot(state, piece=first), ControlClient(state.folder) as client, asyncio.timeout(SECONDS):
        assert connection.running_bots(state.folder)
        async with aclosing(Connection(client, state.folder).follow(started.id)) as records:
            assert await anext(records) == started
            assert (await anext(records)).id == started.id, "the journal says the same"
            with pytest.raises(ControlUnavailableError, match="is gone, or hangs, and none has resumed it"):
                await anext(records)


@pytest.mark.parametrize("by_journal", [False, True])
async def test_deployment_that_waits_is_followed_as_long_as_its_bot_lives(
    state: StateManager, api, orchestrator: PlayedOrchestrator, monkeypatch: pytest.MonkeyPatch, by_journal: bool
) -> None:
    """It may be paused, until somebody decides."""
    monkeypatch.setattr("roas.api.control_client.UNCHANGED_SECONDS", 0.05)
    monkeypatch.setattr(connection, "ORPHANED_SECONDS", 0.1)
    monkeypatch.setattr(connection, "LOOK_FOR_BOT_SECONDS", 0.05)
    greeted = asyncio.Semaphore(0)
    greet = ControlClient.greet

    async def counted(client: ControlClient) -> object:
        greeted.release()
        return await greet(client)

    monkeypatch.setattr(ControlClient, "greet", counted)
    started = await orchestrator.start(request())
    async with serve_control_socket(api, state.folder), ControlClient(state.folder) as client, asyncio.timeout(SECONDS):
        followed = connection.follow_successor(state.folder, started.id) if by_journal else client.follow(started.id)
        async with aclosing(followed) as records:
            assert await anext(records) == started
            ending = asyncio.ensure_future(anext(records))
            for _ in range(5):
                await greeted.acquire()
            ended = replace(started, outcome=Outcome.SUCCEEDED, ended_at=datetime.now(UTC))
            await state.deployments.finish(ended, orchestrator.fences[started.id])
            assert (await ending).outcome is Outcome.SUCCEEDED


class Said:
    """Note what a command says."""

    def __init__(self) -> None:
        self.session: Any = SimpleNamespace(terminal=self)
        self.texts: list[str] = []
        self.more = asyncio.Event()

    def say(self, text: str, *, on_err: bool) -> None:
        assert on_err
        self.texts.append(text)
        self.more.set()

    async def next(self) -> str:
        await asyncio.wait_for(self.more.wait(), SECONDS)
        self.more.clear()
        return self.texts[-1]


async def test_start_that_is_not_answered_can_be_left(state: StateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[start_deployment.__module__], "UNANSWERED_SECONDS", 0.05)
    said, wanted = Said(), asyncio.Queue[Interruption]()
    bot = HangingBot(state)
    async with bot, ControlClient(state.folder) as client, asyncio.timeout(SECONDS):
        connected = Connection(client, state.folder)
        asked = asyncio.ensure_future(start_deployment(said.session, connected, request(), wanted, confirmed=False))
        assert "not answered yet" in await said.next()
        wanted.put_nowait(Interruption.CANCEL)
        assert "as soon as the bot has answered" in await said.next()
        wanted.put_nowait(Interruption.LEAVE)
        with pytest.raises(UnansweredStartError, match=r"may still start.*`roas status dev`.*`roas cancel dev`"):
            await asked
        assert len(bot._held) == 1, "it is asked once"


async def test_start_that_is_not_answered_in_time(state: StateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ControlClient._ask_text, "__kwdefaults__", {"seconds": 0.1})
    async with HangingBot(state), ControlClient(state.folder) as client, asyncio.timeout(SECONDS):
        connected = Connection(client, state.folder)
        with pytest.raises(ControlUnavailableError) as caught:
            await start_deployment(Said().session, connected, request(), asyncio.Queue(), confirmed=False)
    assert "before you ask again" in caught.value.hint


async def test_what_was_left_is_started_all_the_same(
    state: StateManager, api, orchestrator: PlayedOrchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So nobody is told that it is not: a bot carries out what it was asked for, whoever left meanwhile."""
    start, asked, goes_on = orchestrator.start, asyncio.Event(), asyncio.Event()
    made = asyncio.get_running_loop().create_future()

    async def late(one: DeploymentRequest) -> Deployment:
        asked.set()
        await goes_on.wait()
        made.set_result(await start(one))
        return await made

    monkeypatch.setattr(orchestrator, "start", late)
    wanted = asyncio.Queue[Interruption]()
    async with serve_control_socket(api, state.folder), asyncio.timeout(SECONDS):
        async with ControlClient(state.folder) as client:
            connected = Connection(client, state.folder)
            left = asyncio.ensure_future(start_deployment(Said().session, connected, request(), wanted, confirmed=True))
            await asked.wait()
            wanted.put_nowait(Interruption.LEAVE)
            with pytest.raises(UnansweredStartError):
                await left
        goes_on.set()
        assert await state.deployments.get((await made).id) is not None


async def test_cancelled_before_it_is_started(
    state: StateManager, api, orchestrator: PlayedOrchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, said, wanted = orchestrator.start, Said(), asyncio.Queue[Interruption]()

    async def late(one: DeploymentRequest) -> Deployment:
        wanted.put_nowait(Interruption.CANCEL)
        await said.next()
        return await start(one)

    monkeypatch.setattr(orchestrator, "start", late)
    async with serve_control_socket(api, state.folder), ControlClient(state.folder) as client, asyncio.timeout(SECONDS):
        connected = Connection(client, state.folder)
        await start_deployment(said.session, connected, request(), wanted, confirmed=True)
    assert wanted.get_nowait() is Interruption.CANCEL, "who follows it asks for that"


async def test_ctrl_c_twice_while_bot_does_not_start(state: StateManager, orchestrator: PlayedOrchestrator) -> None:
    plan = to_json(await orchestrator.plan(request()))
    planned = f"HTTP/1.0 200 OK\r\nContent-Length: {len(plan.encode())}\r\n\r\n{plan}"
    bot = HangingBot(state, 1)
    bot._answers.append(planned)
    bot._ends.append(True)
    async with bot, asyncio.timeout(SECONDS):
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "roas", "deploy", "dev", "v1", "--yes"),
            env=environment(state.folder),
            cwd=state.folder,
            stdout=PIPE,
            stderr=PIPE,
        )
        assert child.stderr is not None
        assert b"not answered yet" in await child.stderr.readline()
        child.send_signal(signal.SIGINT)
        assert b"as soon as the bot has answered" in await child.stderr.readline()
        child.send_signal(signal.SIGINT)
        _out, err = await child.communicate()
    assert b"Left before the bot had answered. The bot may still start" in err
    assert child.returncode == 130
    assert len(bot._held) == 3, "it is greeted, asked for the plan, and asked once to start"
