"""Discord is down for the whole of a deployment in which the bot replaces itself, its state folder for a part of it.

What cannot be used is waited for, in true words, and people are notified afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from testbed.container_processes import until
from testbed.home_stack import Home
from tests.e2e.handover.conftest import CONNECT_SECONDS, other_version, rows
from tests.integration.sandbox.channel import ask, outcome

END_SECONDS = 150.0
VALIDATED = (
    "SELECT 1 FROM phases WHERE name = 'validation' AND status = 'success' "
    "AND deployment_id IN (SELECT id FROM deployments WHERE rowid > ?)"
)
ENDED = "SELECT id, outcome, document FROM deployments WHERE outcome IS NOT NULL AND rowid > ?"


@contextmanager
def unreadable(home: Home) -> Iterator[None]:
    """Take every right from the bot's user, who has no capability to do without."""
    folder = home.folder / "state"
    folder.chmod(0)
    try:
        yield
    finally:
        folder.chmod(0o700)


def is_not_well_to_docker(bot: Any) -> bool:
    """Run what Docker runs to see whether a bot is well; it fails where the journal is to blame."""
    code, said = bot.exec_run(["healthcheck"])
    return bool(code != 0 and b"journal unreadable" in said)


def is_validated(home: Home, known: int) -> bool:
    """Tell whether the deployment is beyond its validation, which looks at the folder and refuses by itself."""
    return bool(rows(home, VALIDATED, known))


@pytest.mark.long
async def test_handover_without_discord_posted_later(home, people, images):
    """Posts arrive in order and once, when Discord is back; no release is said to be gone."""
    version, before = other_version(home, images), (await people.messages())[-1:]
    [[known]] = rows(home, "SELECT coalesce(max(rowid), 0) FROM deployments")
    old = home.bots()[0]
    await people.take_gateway_away()
    await people.add_fault(path="/channels/*", status=429, times=100_000, retry_after=1.0)
    await people.add_fault(status=503, times=100_000)
    try:
        old.exec_run(["python", "-m", "roas", "deploy", "dev", version], detach=True)
        await until(lambda: is_validated(home, known) or None, "never validated", seconds=END_SECONDS)
        with unreadable(home):
            await until(lambda: "cannot be used" in home.logs() or None, "nothing was noticed", seconds=END_SECONDS)
            await until(lambda: is_not_well_to_docker(old) or None, "it is well to Docker", seconds=END_SECONDS)
        [(deployment_id, end, document)] = await until(
            lambda: rows(home, ENDED, known) or None, "it did not end", seconds=END_SECONDS
        )
        assert end == "succeeded", document
        assert "could not be verified" in document
        assert (await people.messages())[-1:] == before
    finally:
        await people.clear_faults()
        await people.bring_gateway_back()

    assert "not kept any more" not in home.logs(lines=500)
    bots = home.bots(stopped=True)
    assert [bot.attrs["Image"] for bot in bots] == [images[version]]
    assert bots[0].id != old.id
    assert "succeeded" in (await outcome(people, deployment_id)).text
    await people.wait_until_connected(CONNECT_SECONDS)
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
    told = [message for message in await people.messages() if deployment_id in message.text]
    assert [f"{deployment_id} · outcome" in message.text for message in told] == [False, True]
