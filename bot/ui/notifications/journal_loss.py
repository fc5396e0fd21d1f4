"""Post to the ops channel that this bot lost its journal: not through the outbox, which is in that very journal."""

import hashlib

import discord

from roas.backoff import PATIENTLY, Backoff
from roas.concurrency import pause
from roas.log import get_logger
from roas.models.ownership import JournalLoss
from roas.settings import Settings
from roas.ui.drawing import Drawing
from roas.ui.limits import CONTENT, clip, marked_up
from roas.ui.notifications.ops_channel import MessageRefusedError, OpsChannel, PostError
from roas.ui.translation import _, using_locale

log = get_logger(__name__)

NONCE_LENGTH = 24


class JournalLossNotifier:
    """Post once, however long Discord is unavailable."""

    def __init__(self, client: discord.Client, settings: Settings) -> None:
        self._client = client
        self._guild_id = settings.discord_guild_id
        self._channel_id = settings.discord_ops_channel_id

    async def run(self, loss: JournalLoss) -> None:
        """Post until it is posted, or never will be."""
        if self._guild_id is None or self._channel_id is None:
            return
        channel = OpsChannel(self._client, self._guild_id, self._channel_id)
        nonce = hashlib.sha256(repr((loss, id(self))).encode()).hexdigest()[:NONCE_LENGTH]
        backoff = Backoff(PATIENTLY)
        while True:
            try:
                with using_locale(await channel.locale()):
                    await channel.send(draw_journal_loss(loss), nonce=nonce)
            except MessageRefusedError as error:
                log.error("loss of the journal could not be posted", error=str(error))
                return
            except (PostError, RuntimeError, AttributeError) as error:  # the client may have no session yet
                log.warning("post delayed", subject="journal lost", error=str(error))
            else:
                return
            await pause(backoff.failed())


def draw_journal_loss(loss: JournalLoss) -> Drawing:
    """Say in plain text, which needs no other permission than to post, what happened and what to do."""
    parts = [
        _("🛑 **This bot has stopped acting**"),
        marked_up(loss.message, CONTENT // 4),
        _("Where it runs: `docker exec {container} …`", container=loss.container) if loss.container else "",
        *(
            _("`{deployment}` was interrupted; services of two releases may be running.", deployment=one)
            for one in loss.interrupted
        ),
        _("A copy of what this bot still had of it: `{path}`", path=loss.rescued) if loss.rescued else "",
        _("What to do: {hint}", hint=marked_up(loss.hint, CONTENT // 4)),
    ]
    return Drawing("journal lost", (), clip("\n".join(part for part in parts if part), CONTENT))
