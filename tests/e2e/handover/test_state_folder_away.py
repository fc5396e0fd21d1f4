"""A state folder that cannot be used is waited for, in true words, and Docker is told the truth meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from testbed.container_processes import until
from testbed.home_stack import Home
from tests.e2e.handover.conftest import other_version, rows
from tests.integration.sandbox.channel import outcome, start

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


def validated(home: Home, deployment_id: str) -> bool:
    """Tell whether a deployment is beyond its validation."""
    question = "SELECT 1 FROM phases WHERE deployment_id = ? AND name = 'validation' AND status = 'success'"
    return bool(rows(home, question, deployment_id))


async def test_mute_bot_is_not_healthy_to_docker(home, people):
    # Until a bot was healthy once, Docker counts no failure for as long as its start may take.
    await until(lambda: health(home)[0] == "healthy" or None, "never well", seconds=SECONDS)
    with unreadable(home):
        await until(lambda: health(home)[0] == "unhealthy" or None, "still healthy", seconds=SECONDS)
        assert "journal unreadable" in health(home)[1]
    await until(lambda: health(home)[0] == "healthy" or None, "not well again", seconds=SECONDS)
    assert health(home)[1].startswith("200")


async def test_unreadable_folder_is_waited_for(home, people, images):
    """In the middle of a deployment: it goes on afterwards, and no release is said to be gone."""
    deployment_id = await start(people, "dora", "deploy", environment="dev", version=other_version(home, images))
    # Before that, validation itself looks at the folder and refuses, with nothing changed.
    await until(lambda: validated(home, deployment_id) or None, "never validated", seconds=SECONDS)
    with unreadable(home):
        await until(lambda: "cannot be used" in home.logs() or None, "nothing was noticed", seconds=SECONDS)
    told = await outcome(people, deployment_id)
    assert "succeeded" in told.text, told.text
    assert "not kept any more" not in home.logs(lines=500)
    assert len(home.bots(stopped=True)) == 1
