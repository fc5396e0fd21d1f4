"""What a hand changed is restored or kept, as people decide below its alert, or as the settings say."""

import re
import subprocess
from typing import Any

import pytest

from sandbox.views import Message
from testbed.compose_labels import SERVICE_LABEL
from testbed.engine import manual_environment
from tests.e2e.wire.shop import CALM, Shop
from tests.e2e.wire.test_alerts import resolved
from tests.integration.sandbox.channel import DEPLOYMENT_ID, ask, button, confirm, outcome, start

pytestmark = pytest.mark.wire

SOON_SECONDS = 40.0
BY_HAND = "web was changed by hand: its configuration is not that of r"
VALUE = "known-to-nobody"
CHANGED = CALM | {"environment": {"GREETING": VALUE}}


@pytest.fixture
def bot_settings(bot_settings: dict[str, str]) -> dict[str, str]:
    return bot_settings | {"ENVIRONMENTS__STAGING__DRIFT": "restore"}


def web(shop: Shop, environment: str) -> Any:
    """Return the only container of the web."""
    (found,) = [item for item in shop.containers(environment) if item.labels[SERVICE_LABEL] == "web"]
    return found


def is_changed(shop: Shop, environment: str) -> bool:
    """Return whether the web has what the hand gave it."""
    return f"GREETING={VALUE}" in web(shop, environment).attrs["Config"]["Env"]


def is_asked(message: Message) -> bool:
    """Return whether a message asks what becomes of a change in dev."""
    is_of_dev = "dev: what runs is not what the release has" in message.text
    return is_of_dev and BY_HAND in message.text and button(message, "keep") is not None


async def test_drift_is_restored_or_kept(bot, start_bot, people, shop, docker_host, image_ids, long_lane):
    """Dev is asked for, and staging restores by itself. No value is shown.

    In the long lane, a change is kept, too, and that outlives the bot.
    """
    shop.write(alone=True, web=CALM)
    await outcome(people, await start(people, "dora", "deploy", environment="staging", version="v1"))
    shop.write(store=CALM, web=CALM)
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    both = {"store": image_ids["v1"], "web": image_ids["v1"]}
    store = {item.id for item in shop.containers("dev")} - {web(shop, "dev").id}
    shop.write(store=CALM, web=CHANGED)

    def change(environment: str) -> None:
        own = manual_environment(docker_host) | {"VERSION": "v1"}
        own["COMPOSE_PROJECT_NAME"] = f"{shop.base_name}-{environment}"
        command = ["docker", "compose", "up", "-d", "--no-deps", "web"]
        subprocess.run(command, cwd=shop.folder, env=own, check=True, capture_output=True)
        assert is_changed(shop, environment)

    change("staging")
    change("dev")
    told = await people.wait_for_message(is_asked, deadline_seconds=SOON_SECONDS)
    assert "GREETING" in told.text
    assert {"Restore the release", "Keep it"} <= {item.label for item in told.buttons}
    restored = await outcome(people, await decide(people, told, "restore", "web"))
    assert "succeeded" in restored.text
    assert not is_changed(shop, "dev")
    await resolved(people, told, SOON_SECONDS)

    if long_lane:
        change("dev")
        by_hand = web(shop, "dev").id
        again = await people.wait_for_message(is_asked, deadline_seconds=SOON_SECONDS)
        begun = await decide(people, again, "keep", "web is kept: its configuration is not")
        await bot.kill()
        await start_bot()
        kept = await outcome(people, begun)
        # One that was made, and not yet named when the bot died, is made again under the next number.
        assert re.search(r"\*\*dev\*\* runs r[23] \(before: r1\)", kept.text), kept.text
        await resolved(people, again, SOON_SECONDS)
        assert (is_changed(shop, "dev"), web(shop, "dev").id) == (True, by_hand)
        assert store < {item.id for item in shop.containers("dev")}
        assert shop.running("dev") == both
        assert "changed by hand" not in await ask(people, "dora", "status", environment="dev")

    by_itself = await people.wait_for_message(
        lambda m: "ROLLBACK-" in m.text and "· outcome" in m.text and "staging" in m.text, deadline_seconds=90.0
    )
    assert "succeeded" in by_itself.text
    assert not is_changed(shop, "staging")
    assert not [m for m in await people.messages() if VALUE in m.text]


async def decide(people: Any, told: Any, what: str, planned: str) -> str:
    """Press a button below an alert, and confirm its plan; returns the id of what that started."""
    answer = await people.answer(await people.click("dora", told, button(told, what)))
    assert answer.error is None, answer.error
    assert planned in answer.message.text
    assert VALUE not in answer.message.text
    started = DEPLOYMENT_ID.search(await confirm(people, "dora", answer.message))
    assert started is not None
    return started.group()
