"""What hands change behind the bot's back is in the channel soon, and over once it is undone."""

import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from testbed.engine import manual_environment
from tests.e2e.wire.shop import SERVICE_LABEL
from tests.e2e.wire.test_alerts import shown
from tests.integration.sandbox.channel import ask, outcome, start

pytestmark = pytest.mark.wire

# Two rounds of ten seconds; the rest is for a busy machine.
SOON_SECONDS = 30.0


def disconnect(shop: Any, web: Any) -> Callable[[], object]:
    network = shop.client.networks.get(f"{shop.base_name}-dev_default")
    network.disconnect(web)
    return lambda: network.connect(web, aliases=["web"])


def rename(shop: Any, web: Any) -> Callable[[], object]:
    name = web.name
    web.rename(f"mine-{name}")
    return lambda: web.rename(name)


@pytest.mark.parametrize(("hand", "key"), [(disconnect, "networks: "), (rename, "container")])
async def test_change_in_place_is_told_soon(bot, people, shop, hand, key):
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    (web,) = [one for one in shop.containers("dev") if one.labels[SERVICE_LABEL] == "web"]
    changed = time.monotonic()
    undo = hand(shop, web)
    told = await shown(people, f"web was changed by hand: it was changed while it ran: {key}", SOON_SECONDS)
    print(f"told after {time.monotonic() - changed:.1f} s")
    assert f"≠ **web** it was changed while it ran: {key}" in await ask(people, "dora", "status")
    undo()
    assert (await shown(people, "resolved", SOON_SECONDS)).id == told.id


async def test_up_in_the_folder_is_told_soon(bot, people, shop, docker_host):
    """A plain `docker compose up -d` makes the services of the release anew: it knows nothing of the release."""
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    own = manual_environment(docker_host) | {"VERSION": "v1", "COMPOSE_PROJECT_NAME": f"{shop.base_name}-dev"}
    before = {one.id for one in shop.containers("dev")}
    changed = time.monotonic()
    subprocess.run(["docker", "compose", "up", "-d"], cwd=shop.folder, env=own, check=True, capture_output=True)
    took = time.monotonic() - changed
    assert before != {one.id for one in shop.containers("dev")}
    told = await shown(people, "was changed by hand: its configuration is not that of r", SOON_SECONDS)
    print(f"up took {took:.1f} s, told after {time.monotonic() - changed:.1f} s")
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    assert (await shown(people, "resolved", SOON_SECONDS)).id == told.id
