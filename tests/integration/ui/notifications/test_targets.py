"""Apprise against real counterparts on loopback: delivered once, in order, after the target was away, or the bot was.

What each service is asked for is Apprise's; the servers here take it as theirs do.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email import message_from_string, policy
from pathlib import Path

import apprise.plugins
import pytest
from aiohttp import web

from roas.alerts.alert_service import AlertService
from roas.apprise_target import Tone, send, unusable_targets
from roas.concurrency import end_tasks
from roas.configuration.settings import GivenSettings
from roas.configuration.tables import NotifySettings
from roas.events import EventBus
from roas.limits import Retries
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.redaction import Redactor
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from roas.ui.notifications.targets import TargetParts, Targets
from testbed.ports import free_port
from tests.unit.conftest import bus, state
from tests.unit.ui.story import until

__all__ = ["bus", "state"]
SECRET = "A1b2C3d4E5f6G7h8A1b2C3d4"
KINDS = ["smtp", "slack", "ntfy", "gotify"]


@dataclass
class Counterpart:
    """Be a server of one kind on a port of its own, which can be away."""

    kind: str
    port: int = 0
    taken: list[str] = field(default_factory=list)
    is_broken: bool = False
    opened: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.port = free_port()

    @property
    def address(self) -> str:
        place = f"127.0.0.1:{self.port}"
        return {
            "smtp": f"mailto://{place}?mode=insecure&from=roas@example.org&to=ops@example.org",
            "slack": f"slack://T1A2B3C4D/B1A2B3C4D/{SECRET}/#ops",
            "ntfy": f"ntfy://{place}/{SECRET}",
            "gotify": f"gotify://{place}/{SECRET}",
        }[self.kind]

    async def open(self) -> None:
        if self.kind == "smtp":
            server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
            self.opened.callback(server.close)
            return
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        self.opened.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", self.port).start()

    async def close(self) -> None:
        await self.opened.aclose()

    async def _take(self, request: web.Request) -> web.Response:
        if self.is_broken:
            return web.Response(status=503)
        document = json.loads(await request.text())
        match self.kind:
            case "slack":  # its incoming webhooks
                assert request.path == f"/T1A2B3C4D/B1A2B3C4D/{SECRET}"
                (attachment,) = document["attachments"]
                self.taken.append(attachment["title"])
                return web.Response(text="ok")
            case "gotify":
                assert (request.path, request.headers["X-Gotify-Key"]) == ("/message", SECRET)
            case "ntfy":
                assert document["topic"] == SECRET
        self.taken.append(document["title"])
        return web.json_response({"id": len(self.taken)})

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take mail as RFC 5321 has it."""
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                text = (await reader.readuntil(b"\r\n.\r\n")).decode()
                self.taken.append(str(message_from_string(text, policy=policy.default)["Subject"]))
            writer.write(b"451 later\r\n" if self.is_broken and line.upper().startswith(b"MAIL") else b"250 OK\r\n")
            await writer.drain()
            if line.upper().startswith(b"QUIT"):
                break
        writer.close()


@pytest.fixture
async def counterpart(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counterpart]:
    found = Counterpart(request.param)
    apprise.Apprise.instantiate("json://loads-all-plugins")
    monkeypatch.setattr("roas.ui.notifications.targets.PATIENTLY", Retries(0.05, 0.2))
    slack = apprise.plugins.N_MGR["slack"]
    monkeypatch.setattr(slack, "webhook_url", f"http://127.0.0.1:{found.port}")
    monkeypatch.setattr(slack, "request_rate_per_sec", 0)
    yield found
    await found.close()


class Bots:
    """Run the targets of one bot after the other on a journal."""

    def __init__(self, state: StateManager, bus: EventBus) -> None:
        self.alerts = AlertService(state.alerts, bus, str)
        self.state, self.bus = state, bus
        self.redactor = Redactor()

    def start(self, **addresses: str) -> Targets:
        named = {name: NotifySettings(url=address) for name, address in addresses.items()}

        async def sends(settings: NotifySettings, title: str, body: str, tone: Tone) -> None:
            await send(settings, title, body, tone, self.redactor.add)

        settings = GivenSettings(notify=named)
        parts = TargetParts(self.state, self.alerts, settings, self.redactor.redact, sends, pace=0.1)
        targets = Targets(parts, self.bus, Leadership())
        targets.start()
        return targets

    async def knows(self, name: str) -> bool:
        return await self.state.targets.get(name) is not None

    async def fire(self, *names: str) -> None:
        for name, title in zip(names, titles(*names), strict=True):
            report = AlertReport(name, AlertSource.HEALTH, Severity.HIGH, title, environment="prod")
            await self.alerts.take([report])


def titles(*names: str) -> list[str]:
    return [f"{name} is down, 無法連線" for name in names]


def delivered(counterpart: Counterpart, *names: str) -> Callable[[], bool]:
    return lambda: len(counterpart.taken) >= len(names)


@pytest.mark.parametrize("counterpart", KINDS, indirect=True)
@pytest.mark.parametrize("trouble", ["not there", "refuses"])
async def test_each_comes_once_and_in_order_though_it_was_away(
    counterpart: Counterpart, state: StateManager, bus: EventBus, trouble: str
) -> None:
    if trouble == "refuses":
        counterpart.is_broken = True
        await counterpart.open()
    bots = Bots(state, bus)
    first = bots.start(team=counterpart.address)
    await until(lambda: bots.knows("team"))
    await bots.fire("a", "b", "c")
    # It is told of in the channel, once, and then the bot leaves for another one.
    await until(lambda: is_away(state), 20.0)
    await first.close()
    second = bots.start(team=counterpart.address)
    await bots.fire("d")
    counterpart.is_broken = False
    if trouble == "not there":
        await counterpart.open()
    await until(delivered(counterpart, "a", "b", "c", "d"), 30.0)
    await until(lambda: is_back(state))
    await second.close()
    assert counterpart.taken == titles("a", "b", "c", "d")
    if SECRET in counterpart.address:
        assert SECRET not in bots.redactor.redact(f"see {counterpart.address} or {SECRET}")


async def is_away(state: StateManager) -> bool:
    return any(alert.fingerprint == "notify:team" for alert in await state.alerts.open())


async def is_back(state: StateManager) -> bool:
    return not await is_away(state)


PROGRAM = """
import asyncio, sys
from pathlib import Path
from roas.events import EventBus
from roas.state.manager import StateManager
from tests.integration.ui.notifications.test_targets import Bots

async def run():
    async with StateManager(Path(sys.argv[1])) as state:
        bots = Bots(state, EventBus())
        bots.start(team=sys.argv[2])
        while not await bots.knows("team"):
            await asyncio.sleep(0.01)
        await bots.fire(*sys.argv[3:])
        await asyncio.Event().wait()

asyncio.run(run())
"""


@pytest.mark.parametrize("counterpart", ["gotify"], indirect=True)
async def test_next_bot_goes_on_where_one_was_killed(counterpart: Counterpart, tmp_path: Path) -> None:
    await counterpart.open()

    async def play(*names: str, until_taken: int) -> None:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, str(tmp_path / "state"), counterpart.address, *names
        )
        try:
            await until(lambda: len(set(counterpart.taken)) >= until_taken, 40.0)  # one may come twice
        finally:
            started.send_signal(signal.SIGKILL)
            await started.wait()

    await play("a", "b", until_taken=2)
    counterpart.is_broken = True
    before = counterpart.taken.copy()
    refused = asyncio.create_task(play("c", "d", until_taken=99))
    await until_fired(tmp_path / "state", "d")
    await end_tasks(refused)
    assert counterpart.taken == before
    counterpart.is_broken = False
    await play("e", until_taken=5)
    assert list(dict.fromkeys(counterpart.taken)) == titles("a", "b", "c", "d", "e")
    # Only what the killed one had on its way may come a second time.
    assert len(counterpart.taken) - len(set(counterpart.taken)) <= 1


async def until_fired(folder: Path, name: str) -> None:
    async with StateManager(folder, instance_prefix="CLI") as state:

        async def fired() -> bool:
            return any(alert.fingerprint == name for alert in await state.alerts.open())

        await until(fired, 40.0)


async def test_doctor_knows_what_apprise_does() -> None:
    found = await unusable_targets(
        {
            "good": NotifySettings(url="ntfys://ntfy.sh/topic"),
            "unknown": NotifySettings(url="nonsense://x"),
            "incomplete": NotifySettings(url="slack://only-one-token"),
            "missing": NotifySettings(url_file=Path("/nowhere/at/all")),
        }
    )
    assert {name: str(error.message) for name, error in found.items()} == {
        "unknown": "Apprise does not know its address.",
        "incomplete": "Apprise does not know its address.",
        "missing": "/nowhere/at/all cannot be read: No such file or directory.",
    }
