"""Discord is down for the whole of a deployment in which the bot replaces itself: people are notified afterwards."""

import pytest

from testbed.container_processes import until
from tests.e2e.handover.conftest import CONNECT_SECONDS, other_version, rows
from tests.integration.sandbox.channel import ask, outcome

pytestmark = pytest.mark.timeout(300)

END_SECONDS = 150.0
ENDED = "SELECT id, outcome, document FROM deployments WHERE outcome IS NOT NULL AND rowid > ?"


async def test_handover_without_discord_posted_later(home, people, images):
    """Posts arrive in order and once, when Discord is back."""
    version, before = other_version(home, images), (await people.messages())[-1:]
    [[known]] = rows(home, "SELECT coalesce(max(rowid), 0) FROM deployments")
    old = home.bots()[0]
    await people.take_gateway_away()
    await people.add_fault(path="/channels/*", status=429, times=100_000, retry_after=1.0)
    await people.add_fault(status=503, times=100_000)
    try:
        old.exec_run(["python", "-m", "roas", "deploy", "dev", version], detach=True)
        [(deployment_id, end, document)] = await until(
            lambda: rows(home, ENDED, known) or None, "it did not end", seconds=END_SECONDS
        )
        assert end == "succeeded", document
        assert "could not be verified" in document
        assert (await people.messages())[-1:] == before
    finally:
        await people.clear_faults()
        await people.bring_gateway_back()

    bots = home.bots(stopped=True)
    assert [bot.attrs["Image"] for bot in bots] == [images[version]]
    assert bots[0].id != old.id
    assert "succeeded" in (await outcome(people, deployment_id)).text
    await people.wait_until_connected(CONNECT_SECONDS)
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
    told = [one for one in await people.messages() if deployment_id in one.text]
    assert [f"{deployment_id} · outcome" in one.text for one in told] == [False, True]
