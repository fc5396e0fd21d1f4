"""A rollout that pauses behind a proxy leaves nothing held: it may wait for a person for hours."""

import asyncio

import pytest

from roas.models.deployment import Outcome
from roas.models.rollout import Choice
from testbed.proxy_images import web_image
from testbed.waiting import wait_until
from tests.e2e.acceptance.behind_proxy import SOON, addresses, admin, orders, proxy_images, up, whole, write
from tests.e2e.acceptance.people import ANNA
from tests.e2e.acceptance.test_paused_rollouts import paused, waiting

pytestmark = pytest.mark.engine
__all__ = ["orders", "proxy_images", "write"]

PAUSES = "replicas: 2\n      update_config: {parallelism: 1, failure_action: pause}"
# Two for each replica: what failed and is let pass keeps the old one beside it.
FEW = {"server-template web 6": "server-template web 4"}


async def test_what_is_started_again_in_a_pause_gets_requests(application, people, stack, write):
    write("HAProxy", **{"replicas: 2": PAUSES, **SOON, **FEW})
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    old = addresses(stack)
    before = [one.id for one in stack.containers() if one.labels["com.docker.compose.service"] == "web"]
    web_image(stack.client, "shop/web:broken", version="broken", WARMING="3600")
    found = await paused(application, "broken")
    (failed,) = addresses(stack) - old
    names = {name for name, (address, _) in admin(stack).states().items() if address == failed}
    assert {one.removeprefix("web/") for one in admin(stack).set_aside() if one.startswith("web/")} <= names
    stack.client.containers.get(before[0]).restart(timeout=0)
    assert wait_until(lambda: up(stack) == addresses(stack) - {failed}, 20), (admin(stack).states(), addresses(stack))
    await asyncio.to_thread(stack.container("haproxy").kill)
    await application.orchestrator.decide(found.id, Choice.GO_ON, ANNA)
    again = await waiting(application, found.id, number=2)
    assert again.pause.service == "web", "the proxy was started again, and had a moment to answer"
    await application.orchestrator.decide(found.id, Choice.ROLL_BACK, ANNA, pause=2)
    assert (await application.orchestrator.wait(found.id)).outcome is Outcome.ROLLED_BACK
    assert wait_until(lambda: whole(stack), 10)
