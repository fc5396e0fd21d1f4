"""A service whose process is killed is healed by itself, and the journal says what was done."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from bot.models.alert import Alert, AlertSource, AlertState, Healing
from bot.models.change import StateChange
from bot.state.manager import StateManager
from tests.wire.channel import outcome, start

pytestmark = pytest.mark.wire

HEALED_SECONDS = 30.0


async def of_services(journal: StateManager) -> list[Alert]:
    """Return the alerts about services; a machine that is busy with tests makes some about the bot itself."""
    return [one for one in await journal.alerts.all() if one.source is AlertSource.HEALTH]


async def alerts_until(state_dir: Path, state: AlertState, *, count: int = 1) -> list[Alert]:
    """Wait until the journal has alerts in a state."""
    async with StateManager(state_dir, instance_prefix="TEST") as journal, asyncio.timeout(HEALED_SECONDS):
        while True:
            found = [one for one in await of_services(journal) if one.state is state]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.1)


async def changes(state_dir: Path, correlation_id: str) -> list[StateChange]:
    async with StateManager(state_dir, instance_prefix="TEST") as journal:
        return [one for one in await journal.changes(limit=1000) if one.correlation_id == correlation_id]


def kill(shop, service: str) -> None:
    """Kill a service's process as an accident would: from outside the engine."""
    (container,) = [c for c in shop.containers("dev") if c.labels["com.docker.compose.service"] == service]
    os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)


async def test_a_killed_service_is_started_again_and_its_alert_ends(bot, bot_settings, people, shop, image_ids):
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    kill(shop, "web")
    state_dir = Path(bot_settings["STATE_DIR"])
    (alert,) = await alerts_until(state_dir, AlertState.RESOLVED)
    assert alert.service == "web"
    assert alert.healing is Healing.SUCCEEDED
    assert alert.actions == ("restart: well again",)
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}
    told = [one.new for one in await changes(state_dir, alert.correlation_id)]
    assert told[0] == "dev: web is down"
    assert told[1] == "error.auto_handling.start"
    assert "recovery recovered: restart: it is well again" in told
    assert "monitoring.health_check.start" in told
    assert "health check: healthy" in told
    assert "resolved: dev: web is down" in told


async def test_a_flapping_service_is_one_alert_and_at_last_somebody_is_called(bot, bot_settings, people, shop, sandbox):
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    state_dir = Path(bot_settings["STATE_DIR"])
    async with asyncio.timeout(120):
        for healed in range(1, 5):
            kill(shop, "web")
            await times_healed(state_dir, healed)
        kill(shop, "web")  # there is no release to go back to
        await people.wait_for_message(lambda m: "Somebody is needed" in m.text, deadline_seconds=60)
    async with StateManager(state_dir, instance_prefix="TEST") as journal:
        (alert,) = await of_services(journal)
    assert alert.healing is Healing.GIVEN_UP
    assert alert.count >= 4
    done = [action.partition(":")[0] for action in alert.actions]
    assert done[:5] == ["restart", "restart", "restart", "recreate from the release", "roll back"]
    about = [m for m in await people.messages() if alert.id in m.text]
    assert len(about) == 2  # the alert, and the call
    assert all(m.pinged_roles == [sandbox.roles["alert"]] for m in about)


async def times_healed(state_dir: Path, times: int) -> None:
    """Wait until a service was healed so many times."""
    async with StateManager(state_dir, instance_prefix="TEST") as journal:
        while True:
            alerts = await of_services(journal)
            well = sum("well again" in action for alert in alerts for action in alert.actions)
            if well >= times and all(alert.healing is not Healing.UNDER_WAY for alert in alerts):
                return
            await asyncio.sleep(0.1)


async def test_a_service_that_stays_down_brings_the_release_before_back(bot, bot_settings, people, shop, image_ids):
    for version in ("v1", "v2"):
        await outcome(people, await start(people, "dora", "deploy", environment="dev", version=version))
    state_dir = Path(bot_settings["STATE_DIR"])
    async with asyncio.timeout(150):
        for healed in range(1, 6):
            kill(shop, "web")
            await times_healed(state_dir, healed)
    assert shop.running("dev") == {"store": image_ids["v1"], "web": image_ids["v1"]}
    async with StateManager(state_dir, instance_prefix="TEST") as journal:
        (alert,) = await of_services(journal)
        (rollback,) = [one for one in await journal.deployments.list("dev") if one.id.startswith("ROLLBACK")]
    assert rollback.correlation_id == alert.correlation_id
    assert alert.id in rollback.request.reason


async def test_a_deployment_under_way_is_not_disturbed(bot, bot_settings, people, shop, image_ids):
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v2"))
    assert "succeeded" in told.text
    assert shop.running("dev") == {"store": image_ids["v2"], "web": image_ids["v2"]}
    async with StateManager(Path(bot_settings["STATE_DIR"]), instance_prefix="TEST") as journal:
        assert await of_services(journal) == []
