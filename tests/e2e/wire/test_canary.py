"""A canary in the channel: both versions side by side, and buttons for what it asks."""

import re

import pytest

from testbed.compose_labels import of_service
from testbed.ports import free_port
from tests.e2e.acceptance.behind_proxy import QUICK, proxy_images
from tests.e2e.acceptance.test_canary import canary
from tests.e2e.wire.test_paused_rollout import question
from tests.integration.sandbox.channel import ask, button, live, outcome, press, start
from tools.campaigns.requests.recipe import write_recipe
from tools.campaigns.requests.users import users

pytestmark = [pytest.mark.wire, pytest.mark.timeout(400)]
__all__ = ["proxy_images"]

RATE = 30
# So many requests never come: a person is always asked.
ASKS = {"weight": 50, "pause": "1s", "deadline": "4s", "least_requests": 1_000_000}
FOLDER = {"    stop_grace_period: 10s": "    volumes: [./orders:/orders]\n    stop_grace_period: 10s"}


@pytest.fixture
def port(shop, proxy_images) -> int:
    """Write the stack with a HAProxy in front in the place of the shop's own; return the proxy's port."""
    port = free_port()
    (shop.folder / "docker-compose.yml").unlink()
    (shop.folder / "orders").mkdir()
    write_recipe(shop.folder, "HAProxy", port, **QUICK, **FOLDER, **canary(**ASKS), **{"replicas: 2": "replicas: 1"})
    return port


def images(shop) -> set[str]:
    web = of_service(shop.containers("dev"), "web")
    return {found.attrs["Config"]["Image"].rpartition(":")[2] for found in web}


async def test_canary_shows_both_versions_and_asks(port, bot, people, shop):
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    with users(port, rate=RATE):
        promoted = await start(people, "dora", "deploy", environment="dev", version="v2")
        shown = await live(people, promoted, "new version: 0 of ")
        assert "canary: step 1 of 1, 50 % of the requests" in shown.text
        assert re.search(r"new version: 0 of \d+ failed\n┗ old version: 0 of \d+ failed", shown.text)
        first = await question(people, promoted, 1)
        assert "too few requests to tell (1000000 are needed): 0 of " in first.text
        assert "Both versions serve." in first.text
        assert "it waits for" in (await live(people, promoted, "it waits for")).text
        assert "one of these roles is needed" in await press(people, "bob", first, "go-on")
        assert "is observed for as long again" in await press(people, "dora", first, "observe")
        second = await question(people, promoted, 2)
        assert button(await question(people, promoted, 1, waits=False), "go-on") is None
        assert images(shop) == {"v1", "v2"}
        assert "resumes" in await press(people, "dora", second, "go-on")
        assert "succeeded" in (await outcome(people, promoted)).text
        assert images(shop) == {"v2"}
        aborted = await start(people, "dora", "deploy", environment="dev", version="v1")
        asked = await question(people, aborted, 1)
        assert "it waits for" in await ask(people, "bob", "status", environment="dev")
        assert "is rolled back" in await press(people, "anna", asked, "take-back", reason="it stinks")
        assert "rolled back" in (await outcome(people, aborted)).text
        assert images(shop) == {"v2"}
