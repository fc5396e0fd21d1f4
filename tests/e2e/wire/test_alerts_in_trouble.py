"""Alerts outlive what they need: Discord, its gateway, and room for the journal."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from testbed.journal_view import documents, open_alerts
from testbed.ports import free_port
from tests.e2e.wire.bot_process import BotProcess
from tests.e2e.wire.test_alerts import about_alerts, an_alert, delivery, kill, shown
from tests.e2e.wire.test_service_recovery import alerts_until
from tests.integration.sandbox.channel import ask, outcome, start

pytestmark = pytest.mark.wire

TOKEN = "a token that only these tests know"
ROOM = 600 * 1024 * 1024  # a deployment asks for 512 MiB


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def bot_settings(bot_settings: dict[str, str], port: int) -> dict[str, str]:
    return bot_settings | {"HTTP_PORT": str(port), "WEBHOOK_TOKEN": TOKEN}


@pytest.fixture
def small_disk(bot_settings: dict[str, str]) -> Iterator[Path]:
    """Mount a small disk under STATE_DIR."""
    folder = Path(bot_settings["STATE_DIR"])
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
async def http(port: int) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as session:
        yield session


def fill(folder: Path) -> Path:
    """Write until there is no room left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        most = shutil.disk_usage(folder).free - 64 * 1024
        os.posix_fallocate(file.fileno(), 0, most)
        file.seek(most)
        with suppress(OSError):
            while True:
                file.write(b"x" * 4096)
    return filler


def processor_seconds(pid: int) -> float:
    """Return how long a process has had a processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.long
async def test_failing_discord_gets_alert_later_once(bot, bot_settings, sandbox, people, shop):
    shop.write(alone=True)
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    await people.add_fault(path="*/messages*", status=503, times=3)
    await people.add_fault(path="*/messages*", status=429, times=2, retry_after=0.2)
    await people.disconnect(resumable=False)
    kill(shop, "web")
    (alert,) = await alerts_until(Path(bot_settings["STATE_DIR"]), "resolved")
    # A machine that is busy with tests makes alerts about the bot itself, and those are resolved, too.
    over = await people.wait_for_message(lambda one: alert["id"] in one.text and "resolved" in one.text, 60.0)
    assert over.pinged_roles == [sandbox.roles["alert"]]
    assert [m.id for m in about_alerts(await people.messages()) if alert["id"] in m.text] == [over.id]


async def test_standby_takes_no_alert_until_leader(bot, bot_settings, http, tmp_path):
    second = free_port()
    standby = BotProcess(bot_settings | {"HTTP_PORT": str(second)}, tmp_path / "standby.log")
    await standby.start()

    async def answer_is(address: str, wanted: int) -> None:
        async with asyncio.timeout(30):
            while await posted(http, address) != wanted:  # noqa: ASYNC110 - another process says so
                await asyncio.sleep(0.1)

    try:
        await answer_is("/alerts", 200)
        await answer_is(f"http://127.0.0.1:{second}/alerts", 503)
        await bot.kill()
        await answer_is(f"http://127.0.0.1:{second}/alerts", 200)
        assert [alert["title"] for alert in open_alerts(Path(bot_settings["STATE_DIR"]))] == ["FromOutside"]
    finally:
        await standby.stop()


async def posted(http: aiohttp.ClientSession, address: str) -> int:
    try:
        async with http.post(address, json=delivery(an_alert("FromOutside"))) as answer:
            return answer.status
    except aiohttp.ClientError:
        return 0


async def test_bot_without_dependencies_waits_idle(bot_settings, http, tmp_path, port):
    """A bot that reaches nothing waits, and uses little CPU and few log lines."""
    nowhere = f"127.0.0.1:{free_port()}"
    away = {
        "DISCORD_API_URL": f"http://{nowhere}/api",
        "DISCORD_GATEWAY_URL": f"ws://{nowhere}",
        "REDIS_URL": f"redis://{nowhere}",
        "PROMETHEUS_URL": f"http://{nowhere}",
        "DOCKER_HOST": f"unix://{tmp_path}/nowhere.sock",
    }
    without_token = {name: value for name, value in bot_settings.items() if name != "WEBHOOK_TOKEN"}
    bot = BotProcess(without_token | away, tmp_path / "roas.log")
    await bot.start()
    try:
        async with asyncio.timeout(30):
            while not await is_alive(http):  # noqa: ASYNC110 - another process says so
                await asyncio.sleep(0.1)
        assert await posted(http, "/alerts") == 404, "what nobody gave a token for is not there"
        await asyncio.sleep(1)
        used, lines = processor_seconds(bot.pid), len(bot.log.read_text().splitlines())
        await asyncio.sleep(3)
        assert processor_seconds(bot.pid) - used < 0.8
        assert len(bot.log.read_text().splitlines()) - lines < 20
    finally:
        assert await bot.stop() == 0
    assert "Traceback" not in bot.log.read_text()


async def is_alive(http: aiohttp.ClientSession) -> bool:
    try:
        async with http.get("/health") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


@pytest.mark.long
async def test_full_disk_loses_nothing_and_is_reported(small_disk, bot, bot_settings, people, shop, http, image_ids):
    async def status(path: str, **options: Any) -> int:
        async with http.request("POST" if options else "GET", path, **options) as answer:
            await answer.read()
            return answer.status

    async def ready_is(wanted: int) -> None:
        async with asyncio.timeout(20):
            while await status("/ready") != wanted:  # noqa: ASYNC110 - another process says so
                await asyncio.sleep(0.2)

    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    await ready_is(200)
    filler = await asyncio.to_thread(fill, small_disk)
    await ready_is(503)
    used = processor_seconds(bot.pid)
    kill(shop, "web")
    assert await status("/alerts", json=delivery(an_alert("FromOutside"))) == 503
    await asyncio.sleep(2.5)
    assert processor_seconds(bot.pid) - used < 1.5, "it does not turn in circles"
    assert "web" in await ask(people, "dora", "status"), "it still answers"
    kill(shop, "store")
    assert bot.log.read_text().count("the journal cannot be written") < 5
    filler.unlink()
    await ready_is(200)
    assert await status("/alerts", json=delivery(an_alert("FromOutside"))) == 200
    await shown(people, "FromOutside")
    await shown(people, "could not be written")
    alerts = await alerts_until(small_disk, "resolved", count=2)
    told = {alert["service"]: alert["summary"] for alert in alerts}
    assert told == {name: f"{name} has ended with code 137." for name in ("web", "store")}
    assert "Traceback" not in bot.log.read_text()
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}
    refused = [alert for alert in documents(small_disk, "alerts") if "could not be written" in alert["title"]]
    assert [alert["state"] for alert in refused] == ["resolved"]
