"""A bot whose state folder cannot be used does not tell Docker that it is well; see test_discord_away for the rest."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from testbed.container_processes import until
from testbed.home_stack import Home

pytestmark = pytest.mark.timeout(300)

SECONDS = 60.0


@contextmanager
def unreadable(home: Home) -> Iterator[None]:
    """Take every right from the bot's user, who has no capability to do without."""
    folder = home.folder / "state"
    folder.chmod(0)
    try:
        yield
    finally:
        folder.chmod(0o700)


def health(home: Home) -> tuple[str, str]:
    """Return what Docker shows of the only bot: its health, and what the last check said."""
    (bot,) = home.bots()
    found = home.client.api.inspect_container(bot.id)["State"]["Health"]
    return found["Status"], found["Log"][-1]["Output"] if found["Log"] else ""


async def test_mute_bot_is_not_healthy_to_docker(home, people):
    # Until a bot was healthy once, Docker counts no failure for as long as its start may take.
    await until(lambda: health(home)[0] == "healthy" or None, "never well", seconds=SECONDS)
    with unreadable(home):
        await until(lambda: health(home)[0] == "unhealthy" or None, "still healthy", seconds=SECONDS)
        assert "journal unreadable" in health(home)[1]
    await until(lambda: health(home)[0] == "healthy" or None, "not well again", seconds=SECONDS)
    assert health(home)[1].startswith("200")
