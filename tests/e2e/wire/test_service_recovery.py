"""A service whose process is killed is recovered by itself, and the journal says what was done."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from testbed.compose_labels import of_service
from testbed.inherited import chosen_programs
from testbed.journal_view import documents
from testbed.preloaded import PreloadedPopen
from testbed.sample import CHECK, WATCHED
from tests.e2e.wire.bot_process import ROOT
from tests.integration.sandbox.channel import outcome, start

pytestmark = pytest.mark.wire

HEALED_SECONDS = 30.0
# Started again while it is unhealthy, that takes a minute to show: as long is a recovery under way.
SICKLY = (
    CHECK | WATCHED | {"test": ["CMD-SHELL", "[ ! -e /tmp/sick ]"], "start_period": "60s", "start_interval": "500ms"}
)


def of_services(state_dir: Path) -> list[dict[str, Any]]:
    """Return the alerts about services; a machine that is busy with tests makes some about the bot itself."""
    return [alert for alert in documents(state_dir, "alerts") if alert["source"] == "health"]


async def alerts_until(state_dir: Path, state: str, *, count: int = 1) -> list[dict[str, Any]]:
    """Wait until the journal has alerts in a state."""
    async with asyncio.timeout(HEALED_SECONDS):
        while True:
            found = [alert for alert in of_services(state_dir) if alert["state"] == state]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.1)


def kill(shop, service: str) -> None:
    """Kill a service's process as an accident would: from outside the engine."""
    (container,) = of_service(shop.containers("dev"), service)
    pid = container.attrs["State"]["Pid"]
    assert pid > 0, f"{service} does not run"  # 0 would be our own process group
    os.kill(pid, signal.SIGKILL)


async def killed_service_recovered_under_one_cause(bot_settings, shop, image_ids):
    """Whoever follows the events sees it live, under one correlation ID."""
    state_dir = Path(bot_settings["STATE_DIR"])
    async with following(bot_settings) as lines:
        kill(shop, "web")
        told = await told_until(lines, {"monitoring.alert.resolved", "monitoring.health_check.completed"})
    (alert,) = await alerts_until(state_dir, "resolved")
    assert (alert["service"], alert["healing"], alert["actions"]) == ("web", "succeeded", ["restart: recovered"])
    assert shop.running("dev") == {"web": image_ids["v2"]}
    of_one_cause = [item for item in told if item["correlation_id"] == alert["correlation_id"]]
    events = [item["metadata"]["event"] for item in of_one_cause if "event" in item["metadata"]]
    ended = events.index("monitoring.alert.resolved")
    assert events[ended - 1] != "monitoring.alert.triggered", "it is over once the service has recovered"
    assert [
        event for event in events if event not in {"monitoring.alert.resolved", "monitoring.health_check.completed"}
    ] == [
        "monitoring.alert.triggered",
        "monitoring.alert.triggered",  # and that it is to be dealt with
        "error.recovery.completed",
        "error.recovery.completed",  # and that it is to be looked at
    ]
    assert "monitoring.health_check.completed" in events
    text = [item["new"] for item in of_one_cause]
    assert "recovery recovered: restart: it has recovered" in text
    assert "health check: healthy" in text


@asynccontextmanager
async def following(bot_settings: dict[str, str]) -> AsyncIterator[asyncio.StreamReader]:
    """Run `roas events --follow` beside the bot."""
    environment = {**chosen_programs(), "PYTHONPATH": str(ROOT), "STATE_DIR": bot_settings["STATE_DIR"]}
    command = ["roas", "events", "--follow", "--json", "--limit", "1"]
    child = PreloadedPopen(
        command, env=environment, cwd=bot_settings["STACK_DIR"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    lines = asyncio.StreamReader()
    reading, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), child.stdout
    )
    try:
        await lines.readline()  # the past; what follows happens from now on
        yield lines
    finally:
        child.terminate()
        await asyncio.to_thread(child.wait)
        reading.close()


async def told_until(lines: asyncio.StreamReader, last: set[str]) -> list[dict[str, Any]]:
    """Read what is told until certain events were, each line within seconds of what it tells of."""
    told: list[dict[str, Any]] = []
    async with asyncio.timeout(HEALED_SECONDS):
        while not last <= {item["metadata"].get("event") for item in told}:
            told.append(json.loads(await lines.readline()))
            assert datetime.now(UTC) - datetime.fromisoformat(told[-1]["time"]) < timedelta(seconds=5)
    return told


@pytest.mark.long
async def test_killed_recovery_finished_by_next_bot(bot, bot_settings, people, shop, image_ids):
    """The next bot ends it once."""
    shop.write(alone=True, web={"healthcheck": SICKLY})
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    (web,) = of_service(shop.containers("dev"), "web")
    web.exec_run(["touch", "/tmp/sick"])
    kill(shop, "web")
    state_dir = Path(bot_settings["STATE_DIR"])
    async with asyncio.timeout(HEALED_SECONDS):
        while web.status != "running" or not is_under_way(state_dir):
            await asyncio.sleep(0.05)
            web.reload()
        await bot.kill()
        await bot.start()
        while not (alert := of_services(state_dir)[0])["actions"]:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)
        assert alert["actions"] == ["restart: interrupted, the bot stopped in the middle of it"]
        web.exec_run(["rm", "/tmp/sick"])
    (over,) = await alerts_until(state_dir, "resolved")
    assert (over["healing"], over["actions"]) == ("succeeded", alert["actions"])
    ends = [
        change["new"]
        for change in documents(state_dir, "changes", "correlation_id = ?", over["correlation_id"])
        if "recovery recovered" in str(change["new"])
    ]
    assert ends == ["recovery recovered: it has recovered"]
    assert shop.running("dev") == {"web": image_ids["v1"]}
    told = await people.wait_for_message(lambda m: over["id"] in m.text and "resolved" in m.text)
    assert [m.id for m in await people.messages() if over["id"] in m.text] == [told.id]


def is_under_way(state_dir: Path) -> bool:
    return any(alert["healing"] == "under_way" for alert in of_services(state_dir))


async def wait_until_recovered(state_dir: Path, times: int) -> None:
    """Wait until services have recovered so many times."""
    while True:
        actions = [action for alert in of_services(state_dir) for action in alert["actions"]]
        if sum("recovered" in action for action in actions) >= times and not is_under_way(state_dir):
            return
        await asyncio.sleep(0.1)


async def test_failing_service_is_left_to_people_at_last(bot, bot_settings, people, shop, image_ids, sandbox):
    """Each time that it is killed, more is tried, until there is nothing left to try; it is one alert all along.

    Its version was sound, so that an older one mends nothing: nothing is rolled back, but by a click.
    """
    shop.write(alone=True)
    for version in ("v1", "v2"):
        await outcome(people, await start(people, "dora", "deploy", environment="dev", version=version))
    state_dir = Path(bot_settings["STATE_DIR"])
    await killed_service_recovered_under_one_cause(bot_settings, shop, image_ids)
    async with asyncio.timeout(150):
        for recovered in range(2, 5):
            kill(shop, "web")
            await wait_until_recovered(state_dir, recovered)
        assert shop.running("dev") == {"web": image_ids["v2"]}
        kill(shop, "web")
        asked = await people.wait_for_message(lambda m: "Operator needed" in m.text, deadline_seconds=60)
    (alert,) = of_services(state_dir)
    assert documents(state_dir, "deployments", "id LIKE 'ROLLBACK%'") == []
    assert "a person decides" in asked.text
    assert alert["healing"] == "given_up"
    assert alert["count"] >= 5
    done = [action.partition(":")[0] for action in alert["actions"]]
    assert done[:4] == ["restart", "restart", "restart", "recreate from the release"]
    buttons = [button.custom_id for m in await people.messages() if alert["id"] in m.text for button in m.buttons]
    assert f"roas:alert:rollback:{alert['id']}" in buttons
    about = [m for m in await people.messages() if alert["id"] in m.text and "outcome" not in m.text]
    assert len([m for m in about if m.pinged_roles == [sandbox.roles["alert"]]]) == 2, "the alert, and the call"
