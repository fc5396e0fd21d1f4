"""Who is told outside of Discord is told though Discord is away, and once though the bot is killed."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from testbed.journal_view import open_alerts, rows
from testbed.ports import free_port
from tests.e2e.wire.bot_process import BotProcess
from tests.e2e.wire.test_alerts import TOKEN, an_alert, delivery
from tests.unit.ui.story import until

pytestmark = pytest.mark.wire
SECRET = "A1b2C3d4E5f6G7h8A1b2C3d4"


class Gotify:
    """Take messages as Gotify does, once it is there."""

    def __init__(self) -> None:
        self.port = free_port()
        self.taken: list[str] = []

    async def open(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/message", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        return runner

    async def _take(self, request: web.Request) -> web.Response:
        assert request.headers["X-Gotify-Key"] == SECRET
        document = await request.json()
        self.taken.append(document["title"])
        return web.json_response({"id": len(self.taken)})


@pytest.fixture
async def gotify() -> Gotify:
    return Gotify()


@pytest.fixture
async def away_from_discord(
    bot_settings: dict[str, str], http_port: int, gotify: Gotify, tmp_path: Path
) -> AsyncIterator[BotProcess]:
    nowhere = f"127.0.0.1:{free_port()}"
    (tmp_path / "team").write_text(f"gotify://127.0.0.1:{gotify.port}/{SECRET}\n")
    more = {
        "DISCORD_API_URL": f"http://{nowhere}/api",
        "DISCORD_GATEWAY_URL": f"ws://{nowhere}",
        "HTTP_PORT": str(http_port),
        "WEBHOOK_TOKEN": TOKEN,
        "ROAS_NOTIFY__TEAM__URL_FILE": str(tmp_path / "team"),
    }
    bot = BotProcess(bot_settings | more, tmp_path / "roas.log")
    yield bot
    await bot.stop()
    print(bot.log.read_text())


async def test_told_without_discord_and_after_a_kill(
    away_from_discord: BotProcess, bot_settings: dict[str, str], http_port: int, gotify: Gotify
) -> None:
    bot = away_from_discord
    await bot.start()
    state_dir = Path(bot_settings["STATE_DIR"])
    await until(lambda: is_known(state_dir), 60.0)
    for name in ("A", "B"):
        await until(lambda name=name: takes(http_port, name), 60.0)
    await until(lambda: is_away(state_dir), 60.0)
    await bot.kill()
    runner = await gotify.open()
    await bot.start()
    await until(lambda: takes(http_port, "C"), 60.0)
    await until(lambda: is_told(gotify, 3), 60.0)
    await until(lambda: is_back(state_dir), 60.0)
    await runner.cleanup()
    assert gotify.taken == ["A", "B", "C"]
    assert SECRET not in bot.log.read_text()


async def takes(port: int, name: str) -> bool:
    """Send an alert as Alertmanager does; returns whether a leader took it."""
    address, headers = f"http://127.0.0.1:{port}/alerts", {"Authorization": f"Bearer {TOKEN}"}
    try:
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(address, json=delivery(an_alert(name, severity="critical"))) as answer,
        ):
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def is_known(state_dir: Path) -> bool:
    """Return whether the bot, which may still be making its journal, has told of the target."""
    with suppress(sqlite3.OperationalError):
        return bool(rows(state_dir, "SELECT name FROM projections WHERE name = 'notify:team'"))
    return False


async def is_away(state_dir: Path) -> bool:
    return any(alert["fingerprint"] == "notify:team" for alert in open_alerts(state_dir))


async def is_back(state_dir: Path) -> bool:
    return not await is_away(state_dir)


async def is_told(gotify: Gotify, count: int) -> bool:
    return len(gotify.taken) >= count
