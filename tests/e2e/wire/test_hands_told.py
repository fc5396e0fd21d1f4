"""What hands change behind the bot's back is in the channel soon, and over once it is undone."""

import subprocess
import time

import pytest

from testbed.compose_labels import SERVICE_LABEL
from testbed.engine import manual_environment
from tests.e2e.wire.shop import CALM
from tests.e2e.wire.test_alerts import resolved, shown
from tests.integration.sandbox.channel import ask, outcome, start

pytestmark = pytest.mark.wire

# Two rounds of ten seconds; the rest is for a busy machine.
SOON_SECONDS = 30.0


@pytest.mark.long
async def test_changes_by_hand_are_told_soon(bot, people, shop, docker_host):
    """In dev, services are changed while they run; in staging, a plain `up` makes one anew.

    `docker compose up -d` knows nothing of the release: here its files name another version.
    """
    for environment, alone in (("dev", False), ("staging", True)):
        shop.write(networked=True, alone=alone, store=CALM, web=CALM)
        await outcome(people, await start(people, "dora", "deploy", environment=environment, version="v1"))
    before = {container.labels[SERVICE_LABEL]: container for container in shop.containers("dev")}
    network = shop.client.networks.get(f"{shop.base_name}-dev_default")
    in_place = [f"{item} was changed by hand: it was changed while it ran: " for item in ("store", "web")]
    staged = {container.id for container in shop.containers("staging")}
    own = manual_environment(docker_host) | {"VERSION": "v2", "COMPOSE_PROJECT_NAME": f"{shop.base_name}-staging"}
    changed = time.monotonic()
    subprocess.run(["docker", "compose", "up", "-d"], cwd=shop.folder, env=own, check=True, capture_output=True)
    print(f"up took {time.monotonic() - changed:.1f} s")
    network.disconnect(before["web"])
    before["store"].rename(f"mine-{before['store'].name}")
    changed = time.monotonic()
    assert staged != {container.id for container in shop.containers("staging")}
    told = await shown(people, f"{in_place[0]}container", SOON_SECONDS)
    await shown(people, f"{in_place[1]}networks: ", SOON_SECONDS)
    of_up = await shown(people, "was changed by hand: its configuration is not that of r", SOON_SECONDS)
    print(f"told after {time.monotonic() - changed:.1f} s")
    assert time.monotonic() - changed < SOON_SECONDS
    assert told.id != of_up.id
    status = await ask(people, "dora", "status", environment="dev")
    assert "≠ **store** it was changed while it ran: container" in status, status
    assert "≠ **web** it was changed while it ran: networks: " in status, status
    before["store"].rename(f"{shop.base_name}-dev-store-1")
    network.connect(before["web"], aliases=["web"])
    await outcome(people, await start(people, "dora", "deploy", environment="staging", version="v1"))
    await resolved(people, told, SOON_SECONDS)
    await resolved(people, of_up, SOON_SECONDS)
