"""People are told that a bot lost its journal, once, without that journal, whatever Discord does meanwhile."""

import asyncio

import pytest

from roas.cogs import stopped_bot
from roas.cogs.stopped_bot import JournalLossNotifier
from roas.limits import Retries
from roas.models.leader_lease import JournalLoss
from tests.integration.discord_bot.conftest import Living

LOSS = JournalLoss(
    "journal.sqlite3 was deleted, moved or overwritten while this bot was running; the bot has stopped acting.",
    "Start it again.",
    "home-bot-1",
    ("DEPLOY-1",),
)


@pytest.mark.parametrize("faults", [0, 7])
async def test_loss_is_posted_once(living: Living, monkeypatch: pytest.MonkeyPatch, faults: int) -> None:
    monkeypatch.setattr(stopped_bot, "PATIENTLY", Retries(0.05, 60))
    bot = await living.start()
    bot.roas_leadership.lose()
    for path in living.application.state.folder.glob("journal.sqlite3*"):
        path.unlink()
    if faults:
        await living.people.add_fault(path="*/messages*", status=503, times=faults)
    async with asyncio.timeout(60):
        await JournalLossNotifier(bot, living.application.settings).run(LOSS)
    [message] = await living.people.messages()
    for text in (
        "has stopped acting",
        "was deleted",
        "docker exec home-bot-1",
        "`DEPLOY-1` was interrupted",
        "Start it again",
    ):
        assert text in message.content
    assert message.pinged_roles == []


async def test_loss_waits_for_a_client_that_starts(living: Living, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal may be lost before the bot has logged in to Discord."""
    monkeypatch.setattr(stopped_bot, "PATIENTLY", Retries(0.05, 60))
    bot = await living.start(wait=False)
    async with asyncio.timeout(30):
        await JournalLossNotifier(bot, living.application.settings).run(LOSS)
    assert len(await living.people.messages()) == 1
