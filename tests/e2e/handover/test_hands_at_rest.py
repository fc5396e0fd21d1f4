"""What hands do to a stack at rest is said within a minute: on /status, by the command line and by an alert."""

import asyncio
from collections.abc import Iterator

import pytest

from roas.monitoring.alerts.drift_alerts import alert_title
from testbed.container_processes import until
from testbed.home_stack import BOT_SERVICE, IMAGE, Home
from tests.e2e.handover.conftest import clear_away
from tests.e2e.handover.versions import make_version
from tests.integration.sandbox.channel import ask, outcome, start

pytestmark = pytest.mark.timeout(300)

SECONDS = 60.0
PRUNED = "pruned"


@pytest.fixture
def by_hand(home: Home, images: dict[str, str]) -> Iterator[str]:
    """Let the file say the version that runs, as it was started by hand; returns another one's image."""
    runs = home.bots()[0].attrs["Image"]
    version = next(name for name, image in images.items() if image == runs)
    env = home.folder / ".env"
    settings = env.read_text()
    lines = [line for line in settings.splitlines() if not line.startswith("VERSION=")]
    env.write_text("\n".join([*lines, f"VERSION={version}"]) + "\n")
    yield make_version(home.client, f"{IMAGE}:base", f"{IMAGE}:{PRUNED}", "v1")
    env.write_text(settings)
    clear_away(home)  # its last release cannot be restored


def status(home: Home) -> str:
    """Type `roas status` in the bot's container."""
    output: bytes = home.bots()[0].exec_run(["roas", "status", "dev"], environment={"COLUMNS": "250"}).output
    return output.decode()


async def test_plain_up_and_pruned_images_are_named(home, people, by_hand):
    """A plain `up -d` brings the old version back, and the images of the release that it left are pruned."""
    first = home.bots()[0].attrs["Image"]
    deployment_id = await start(people, "dora", "deploy", environment="dev", version=PRUNED)
    assert "succeeded" in (await outcome(people, deployment_id)).text
    assert [bot.attrs["Image"] for bot in home.bots()] == [by_hand]
    await asyncio.to_thread(home.compose, "up", "-d")
    assert [bot.attrs["Image"] for bot in home.bots()] == [first]
    alert = await people.wait_for_message(lambda one: alert_title("dev") in one.text, SECONDS)
    assert f"{BOT_SERVICE} was changed by hand: it runs the image" in alert.text
    (store,) = (one for one in home.everything() if one not in home.bots())
    store.update(mem_limit="96m", memswap_limit="96m")
    told = await ask(people, "dora", "status", environment="dev")
    assert "Changed by hand" in told, told
    assert r"it was changed while it ran: mem\_limit" in told, told
    assert f"{BOT_SERVICE} was changed by hand" in await until(lambda: status(home), "no status", seconds=SECONDS)
    assert "annot be restored" not in told
    home.client.images.remove(by_hand, force=True)  # as `docker system prune -af` does where no container uses it
    told = await ask(people, "dora", "status", environment="dev")
    assert "Cannot be restored" in told, told
    assert "cannot be restored: r" in status(home)
