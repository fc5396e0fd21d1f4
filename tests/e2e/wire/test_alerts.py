"""The channel hears of trouble at once and once, of what was done about it, and of its end."""

import asyncio
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.views import Message
from testbed.compose_labels import of_service
from testbed.journal_view import documents, open_alerts
from tests.e2e.wire.bot_process import BotProcess
from tests.e2e.wire.conftest import COMMANDS, CONNECT_SECONDS
from tests.e2e.wire.shop import STAYS
from tests.integration.sandbox.channel import DEPLOYMENT_ID, ask, confirm, outcome, start

pytestmark = pytest.mark.wire

TOKEN = "a token that only the tests know"
IN_CHANNEL = re.compile(r"/(?:v\d+/)?channels/\d+/messages(?:/\d+)?")
FIVE_SECONDS = timedelta(seconds=5)


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def bot_settings(bot_settings: dict[str, str], port: int) -> dict[str, str]:
    return bot_settings | {"HTTP_PORT": str(port), "WEBHOOK_TOKEN": TOKEN}


@pytest.fixture
async def web(bot: BotProcess, port: int) -> AsyncIterator[Callable[..., Any]]:
    """Send alerts to the bot, as Alertmanager does."""
    async with aiohttp.ClientSession() as session:

        async def post(body: Any, token: str | None = TOKEN, **options: Any) -> tuple[int, Any]:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            sent = {"data": body} if isinstance(body, bytes) else {"json": body}
            address = f"http://127.0.0.1:{port}/alerts"
            async with session.post(address, headers=headers, **sent, **options) as answer:
                return answer.status, await answer.json()

        yield post


def delivery(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "roas", "alerts": list(alerts), **more}


def an_alert(name: str, *, status: str = "firing", severity: str = "warning", **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name, "severity": severity, **labels},
        "annotations": {"summary": f"{name} went wrong"},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": name,
    }


def kill(shop: Any, service: str) -> None:
    """Kill a service's process as an accident would: from outside the engine."""
    (container,) = of_service(shop.containers("dev"), service)
    pid = container.attrs["State"]["Pid"]
    assert pid > 0, f"{service} does not run"  # 0 would be our own process group
    os.kill(pid, signal.SIGKILL)


def title(message: Message) -> str:
    return str(message.embeds[0].get("title")) if message.embeds else ""


def about_alerts(messages: list[Message]) -> list[Message]:
    marks = ("ALERT-", "STORM-")
    return [m for m in messages if m.embeds and (m.embeds[0].get("footer") or {}).get("text", "").startswith(marks)]


async def shown(people: Any, text: str, seconds: float = 30.0) -> Message:
    """Wait until a message about an alert shows certain words."""
    return await people.wait_for_message(lambda m: text in m.text and bool(about_alerts([m])), deadline_seconds=seconds)


async def resolved(people: Any, told: Message, seconds: float = 30.0) -> Message:
    """Wait until an alert's own message says that it is over."""
    return await people.wait_for_message(lambda m: m.id == told.id and "resolved" in m.text, deadline_seconds=seconds)


async def all_told(state_dir: Path) -> None:
    """Wait until the channel shows what the journal says."""
    async with asyncio.timeout(60):
        while documents(state_dir, "alerts", "told < version"):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.2)


def button(message: Message, label: str) -> str:
    return next(str(one.custom_id) for one in message.buttons if one.label == label)


async def test_trouble_of_a_service_is_told(bot, bot_settings, sandbox, people, shop, web, image_ids):
    """One that was killed is recovered, one that a person stopped is left, and one that is well is not touched.

    The buttons of an alert work for the bot that is there when they are clicked.
    """
    shop.write(store=STAYS)
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    await killed_service_is_recovered(sandbox, people, shop, image_ids)
    await manual_stop_is_left_alone(people, shop)
    await external_alert_restarts_no_healthy_service(people, shop, web)
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v2"))
    await buttons_work_after_restart(bot, bot_settings, people, shop, web, image_ids)


async def external_alert_restarts_no_healthy_service(people, shop, web):
    before = {c.id: c.attrs["State"]["StartedAt"] for c in shop.containers("dev")}
    await web(delivery(an_alert("WebDown", severity="critical", environment="dev", service="web")))
    told = await shown(people, "no automatic recovery")
    assert "WebDown" in told.text
    assert {c.id: c.attrs["State"]["StartedAt"] for c in shop.containers("dev")} == before


async def killed_service_is_recovered(sandbox, people, shop, image_ids):
    killed = time.monotonic()
    kill(shop, "web")
    told = await shown(people, "web is down")
    assert time.monotonic() - killed < 20.0, "the slow look behind the events comes after 30 s"
    assert told.pinged_roles == [sandbox.roles["alert"]]
    assert told.content == f"<@&{sandbox.roles['alert']}>"
    over = await resolved(people, told)
    assert title(over) == "✅ dev: web is down"
    assert "restart: recovered" in over.text
    assert not over.buttons
    assert len([m for m in about_alerts(await people.messages()) if "web is down" in m.text]) == 1
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}


async def manual_stop_is_left_alone(people, shop):
    (store,) = of_service(shop.containers("dev"), "store")
    store.stop(timeout=1)
    told = await shown(people, "stopped manually")
    assert told.pinged_roles == []
    store.reload()
    assert store.status == "exited"
    store.start()
    await resolved(people, told)


@pytest.mark.long
async def test_storm_makes_few_messages_and_loses_nothing(bot, bot_settings, people, web):
    begun = time.monotonic()
    for part in range(100):
        status, _ = await web(delivery(*(an_alert(f"Trouble{part}-{n}", severity="high") for n in range(10))))
        assert status == 200
        await asyncio.sleep(max(0.0, begun + part / 10 - time.monotonic()))
    await shown(people, " alerts")
    state_dir = Path(bot_settings["STATE_DIR"])
    await all_told(state_dir)
    assert sum(alert["source"] == "alertmanager" for alert in open_alerts(state_dir)) == 1000
    messages = about_alerts(await people.messages())
    assert 1 <= len(messages) <= 10
    assert re.search(r"Open alerts: 100\d", await ask(people, "dora", "status"))
    assert_slow_enough(await people.requests())


def assert_slow_enough(requests: list[dict[str, Any]]) -> None:
    """Discord takes five new messages of a channel in five seconds, and as many edits; it answers 429 to more."""
    assert not [request for request in requests if request.get("status") == 429]
    for method in ("POST", "PATCH"):
        made = [
            request for request in requests if request["method"] == method and IN_CHANNEL.fullmatch(request["path"])
        ]
        times = [datetime.fromisoformat(item["time"]) for item in made]
        assert len(times) > 0
        assert [
            after - first for first, after in zip(times, times[5:], strict=False) if after - first < FIVE_SECONDS
        ] == []


async def test_what_others_send_is_told(bot, bot_settings, people, web, sandbox):
    await missing_token_or_invalid_body_is_explained(web)
    await external_alert_pings_once_urgent(people, web, sandbox)
    await hostile_text_pings_nobody_and_leaks_nothing(bot, bot_settings, people, web, sandbox)


async def external_alert_pings_once_urgent(people, web, sandbox):
    """It fires and ends once."""
    assert (await web(delivery(an_alert("DiskFull"))))[1] == {"received": 1, "triggered": 1, "resolved": 0}
    assert (await web(delivery(an_alert("DiskFull"))))[1]["triggered"] == 0
    told = await shown(people, "DiskFull")
    await web(delivery(an_alert("DiskFull", status="resolved")))
    over = await shown(people, "resolved")
    assert over.id == told.id
    assert (await web(delivery(an_alert("DiskFull"))))[1]["triggered"] == 0
    relapse = an_alert("DiskFull", severity="high") | {"startsAt": "2026-01-01T00:05:00Z"}
    assert (await web(delivery(relapse)))[1]["triggered"] == 1
    called = await shown(people, "Now urgent: DiskFull")
    assert called.pinged_roles == [sandbox.roles["alert"]]
    assert f"<@&{sandbox.roles['alert']}>" in called.content
    assert (await web(delivery(an_alert("DiskFull", status="resolved"))))[1]["resolved"] == 0, (
        "an earlier one has ended"
    )
    await web(delivery(relapse | {"status": "resolved"}))
    again = await shown(people, "✅ DiskFull")
    assert again.id == told.id
    assert again.pinged_roles == []


async def missing_token_or_invalid_body_is_explained(web):
    assert (await web(delivery(), token=None))[0] == 401
    assert (await web(delivery(), token="another"))[0] == 401
    assert (await web(delivery(), token="ünlike"))[0] == 401
    assert (await web(b"x" * (5 * 1024 * 1024)))[0] == 413
    for rubbish in (b"", b"{", b"[]", b"null", b"{}", b'{"version":"4","alerts":{}}', b"\xff\xfe", b"[" * 100_000):
        status, answer = await web(rubbish)
        assert (status, bool(answer["error"])) == (400, True), rubbish[:20]
    assert (await web(delivery()))[0] == 200


async def hostile_text_pings_nobody_and_leaks_nothing(bot, bot_settings, people, web, sandbox):
    secret = bot_settings["DISCORD_TOKEN"]
    text = (
        f"@everyone @here <@&{sandbox.roles['deployer']}> <@{sandbox.users['dora']}> [bank](https://evil.example) "
        f"\x1b[31m\u202e\x00 {secret} {secret[:9]}\u200b{secret[9:]} password=hunter2hunter2 "
        f"```\n**{'x' * 10_000}** </deploy:1> ||y||"
    )
    hostile = an_alert("Hostile", severity="critical") | {"annotations": {"summary": text, "description": text}}
    hostile["labels"]["alertname"] = text
    assert (await web(delivery(hostile)))[0] == 200
    told = await shown(people, "evil.example")
    assert told.pinged_roles == [sandbox.roles["alert"]]
    assert told.pinged_users == []
    assert not told.pinged_everyone
    assert "[bank]\\(https" in told.text, "a masked link must not be one"
    for leak in (secret, secret[9:], "hunter2hunter2", "\x1b", "\u202e", "\x00", "@everyone", "@here"):
        assert leak not in told.text
    assert TOKEN not in bot.log.read_text()
    assert secret not in bot.log.read_text()


async def buttons_work_after_restart(bot, bot_settings, people, shop, web, image_ids):
    await web(delivery(an_alert("Slow", environment="dev", service="web")))
    told = await shown(people, "Slow")
    secret = bot_settings["DISCORD_TOKEN"]
    (container,) = of_service(shop.containers("dev"), "web")
    container.exec_run(["sh", "-c", f"echo 'it knows {secret} and password=hunter2hunter2 too' > /proc/1/fd/1"])
    await bot.kill()
    await bot.start()
    await people.wait_for_commands(*COMMANDS, deadline_seconds=CONNECT_SECONDS)
    await people.wait_until_connected(deadline_seconds=CONNECT_SECONDS)
    await people.add_user("mallory")
    assert "You may not do this" in await click(people, "mallory", told, "Acknowledge")
    assert "acknowledged by you" in await click(people, "dora", told, "Acknowledge")
    await shown(people, "acknowledged")
    assert "silenced for an hour" in await click(people, "dora", told, "Silence 1 h")
    silenced = await shown(people, "silenced")
    assert silenced.id == told.id
    logs = await log_file(people, told)
    assert "it knows [redacted] and password=[redacted] too" in logs
    assert secret not in logs
    assert "You may not do this" in await click(people, "mallory", told, "Restart")
    restarted = DEPLOYMENT_ID.search(await click(people, "dora", told, "Restart"))
    assert restarted is not None
    assert "succeeded" in (await outcome(people, restarted.group())).text
    was = container.attrs["State"]["StartedAt"]
    container.reload()
    assert container.attrs["State"]["StartedAt"] > was
    plan = (await people.answer(await people.click("dora", told, button(told, "Roll back")))).message
    assert plan is not None
    rolled_back = DEPLOYMENT_ID.search(await confirm(people, "dora", plan))
    assert rolled_back is not None
    await outcome(people, rolled_back.group())
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}


async def log_file(people: Any, told: Message) -> str:
    """Ask for the logs of what an alert tells of, and open the file that comes."""
    answer = await people.answer(await people.click("dora", told, button(told, "Logs")))
    assert answer.message is not None
    (file,) = answer.message.attachments
    assert file["filename"].endswith("-web.txt")
    async with aiohttp.ClientSession() as session, session.get(file["url"]) as response:
        assert response.status == 200
        return await response.text()


async def click(people: Any, who: str, message: Message, label: str) -> str:
    answer = await people.answer(await people.click(who, message, button(message, label)))
    assert answer.error is None, answer.error
    assert answer.message is not None
    return str(answer.message.text)
