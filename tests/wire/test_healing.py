"""A service whose process is killed is healed by itself, and the journal says what was done."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from bot.models.alert import Alert, AlertState, Healing
from bot.models.change import StateChange
from bot.state.manager import StateManager
from tests.wire.channel import outcome, start

pytestmark = pytest.mark.wire

HEALED_SECONDS = 30.0


async def alerts_until(state_dir: Path, state: AlertState, *, count: int = 1) -> list[Alert]:
    """Wait until the journal has alerts in a state."""
    async with StateManager(state_dir, instance_prefix="TEST") as journal, asyncio.timeout(HEALED_SECONDS):
        while True:
            found = [one for one in await journal.alerts.all() if one.state is state]
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
