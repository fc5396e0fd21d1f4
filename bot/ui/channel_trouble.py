"""Say once, in the log and on `/status`, what keeps the bot from posting as it should, and when that is over."""

import time

import structlog

from bot.ui.translation import _

log = structlog.get_logger(__name__)

# For how long `/status` tells of messages that somebody deleted.
RECENT_SECONDS = 3600.0


class ChannelTrouble:
    """Remember what is wrong with the ops channel; the outbox tells, people read."""

    def __init__(self, channel_id: int) -> None:
        self._channel_id = channel_id
        self._closed = ""
        self._made_do = ""
        self._deleted: list[float] = []

    @property
    def text(self) -> str:
        """Say in the reader's language what is wrong; empty where all is well."""
        now = time.monotonic()
        self._deleted = [moment for moment in self._deleted if now - moment < RECENT_SECONDS]
        parts = []
        if self._closed:
            parts.append(_("Nothing can be posted there: {reason}", reason=self._closed))
        if self._made_do:
            parts.append(
                _(
                    "A permission is missing, so that messages are posted without what needs it: {reason}",
                    reason=self._made_do,
                )
            )
        if self._deleted:
            parts.append(
                _(
                    "Messages that somebody deleted in the last hour and that were posted again: {count}",
                    count=len(self._deleted),
                )
            )
        return "\n".join(parts)

    def closed(self, reason: str) -> None:
        """Note that nothing can be posted."""
        if self._closed != reason:
            self._closed = reason
            log.error(
                "the ops channel is closed to the bot",
                channel_id=self._channel_id,
                reason=reason,
                hint="Give the bot View Channel, Send Messages, Embed Links, Attach Files and Read Message History "
                "there, or set DISCORD_OPS_CHANNEL_ID to a channel that exists.",
            )

    def made_do(self, reason: str) -> None:
        """Note that a message was posted without its file, its embeds or what it answers."""
        self._open()
        if self._made_do != reason:
            self._made_do = reason
            log.error(
                "a permission is missing in the ops channel: messages are posted without what needs it",
                channel_id=self._channel_id,
                reason=reason,
                hint="Give the bot Embed Links, Attach Files and Read Message History there.",
            )

    def message_deleted(self, subject: str, kind: str) -> None:
        """Note that somebody deleted a message that is still needed."""
        self._deleted.append(time.monotonic())
        log.warning("a message was deleted and is posted again", subject=subject, kind=kind)

    def works(self, *, whole: bool) -> None:
        """Note that a message went out as it should; `whole` says that it needed every permission."""
        self._open()
        if whole and self._made_do:
            log.info("no permission is missing in the ops channel any more", channel_id=self._channel_id)
            self._made_do = ""

    def _open(self) -> None:
        if self._closed:
            log.info("the ops channel is open to the bot again", channel_id=self._channel_id)
        self._closed = ""
