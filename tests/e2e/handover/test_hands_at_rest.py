"""After the bot has replaced itself, and whatever hung up, Compose by hand knows the container as its own.

What hands do to the stack then is said within a minute: on /status, by the command line and by an alert.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from docker.errors import NotFound

from testbed.container_processes import ACTIVE, successor, until
from testbed.home_stack import BOT_SERVICE, IMAGE, Home
from tests.e2e.handover.conftest import clear_away, started
from tests.e2e.handover.versions import make_versions
from tests.integration.sandbox.channel import ask, outcome, start

pytestmark = pytest.mark.long

SECONDS = 60.0
END_SECONDS = 150.0
# Each costs two calls of the engine, which is to get on with the successor meanwhile.
HANGUP_SECONDS = 0.3
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
    (image,) = make_versions(home.client, f"{IMAGE}:base", {f"{IMAGE}:{PRUNED}": "v1"}).values()
    yield image
    env.write_text(settings)
    clear_away(home)  # its last release cannot be restored


def status(home: Home) -> str:
    """Type `roas status` in the bot's container."""
    output: bytes = home.bots()[0].exec_run(["roas", "status", "dev"], environment={"COLUMNS": "250"}).output
    return output.decode()


async def test_compose_by_hand_finds_its_own_and_is_named(home, people, by_hand):
    first = home.bots()[0].attrs["Image"]
    await replaced_among_hangups(home, people, by_hand)
    await assert_compose_changes_nothing(home)
    await plain_up_and_pruned_images_are_named(home, people, first, by_hand)
    await asyncio.to_thread(home.compose, "down")
    assert home.everything() == []


async def replaced_among_hangups(home, people, by_hand) -> None:
    """Deploy the other version; SIGHUP to both bots until the new one leads ends neither."""
    old = home.bots()[0]
    before = started(old)
    deployment_id = await start(people, "dora", "deploy", environment="dev", version=PRUNED)
    new = await successor(home, old.id, active=False)
    await until(lambda: runs_beside_root(new), "the successor's program does not start", seconds=END_SECONDS)
    while ACTIVE not in new.logs().decode():
        with suppress(NotFound):  # of the old one, as soon as the new one leads
            assert started(old) == before
            for bot in home.bots():
                await asyncio.to_thread(bot.kill, signal="SIGHUP")
        await asyncio.sleep(HANGUP_SECONDS)
    told = await outcome(people, deployment_id, seconds=END_SECONDS)
    assert "succeeded" in told.text, told.text
    (bot,) = home.bots(stopped=True)
    assert (bot.id, bot.status, bot.attrs["Image"]) == (new.id, "running", by_hand)
    assert bot.attrs["RestartCount"] == 0, "a hangup ended it"


def runs_beside_root(bot: Any) -> bool | None:
    """Tell whether the entrypoint has got so far: until it has read its first line, any signal ends any program."""
    return any("pass-signals" in " ".join(row) for row in bot.top(ps_args="-eo pid,args")["Processes"]) or None


async def assert_compose_changes_nothing(home) -> None:
    """Compose lists the new bot as the service's, and the release's own file is what runs."""
    (bot,) = home.bots(stopped=True)
    assert home.compose("ps", "-q", BOT_SERVICE).split() == [bot.id]
    assert ACTIVE in home.compose("logs", BOT_SERVICE)
    code, said = bot.exec_run(["python", "-m", "roas", "compose", "dev", "--", "up", "-d"])
    assert code == 0, said
    assert [one.id for one in home.bots(stopped=True)] == [bot.id]


async def plain_up_and_pruned_images_are_named(home, people, first: str, by_hand: str) -> None:
    """A plain `up -d` brings the old version back, and the images of the release that it left are pruned."""
    said = await asyncio.to_thread(home.compose, "up", "-d")
    assert "orphan" not in said
    assert [(bot.status, bot.attrs["Image"]) for bot in home.bots(stopped=True)] == [("running", first)]
    alert = await people.wait_for_message(lambda one: "dev: what runs is not what the release has" in one.text, SECONDS)
    assert f"{BOT_SERVICE} was changed by hand: it runs the image" in alert.text
    (store,) = (item for item in home.everything() if item not in home.bots())
    store.update(mem_limit="96m", memswap_limit="96m")
    told = await ask(people, "dora", "status", environment="dev")
    assert "Changed by hand" in told, told
    assert r"it was changed while it ran: mem\_limit" in told, told
    assert "annot be restored" not in told
    home.client.images.remove(by_hand, force=True)  # as `docker system prune -af` does where no container uses it
    told = await ask(people, "dora", "status", environment="dev")
    assert "Cannot be restored" in told, told
    typed = status(home)
    assert f"{BOT_SERVICE} was changed by hand" in typed, typed
    assert "cannot be restored: r" in typed, typed
