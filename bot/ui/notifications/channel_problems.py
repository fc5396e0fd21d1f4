"""Report once, in the log and on `/status`, what keeps the bot from posting as it should, and when that is over."""

import time
from collections.abc import Set

from roas.log import get_logger
from roas.ui.missing_permission import MissingPermission
from roas.ui.translation import _, word

log = get_logger(__name__)

# For how long `/status` shows that messages were deleted.
RECENT_SECONDS = 3600.0
# The setting that names the channel, unless an environment has one of its own.
MAIN_SETTING = "DISCORD_OPS_CHANNEL_ID"


class ChannelProblems:
    """Remember what is wrong with the ops channel; the outbox reports it, people read it."""

    def __init__(self, channel_id: int, setting: str = MAIN_SETTING) -> None:
        self._channel_id = channel_id
        self._setting = setting
        self._closed: tuple[MissingPermission | None, str] | None = None
        self._missing_permissions: frozenset[MissingPermission] = frozenset()
        self._deleted: list[float] = []

    @property
    def missing_permissions(self) -> frozenset[MissingPermission]:
        """Return the permissions without which messages are posted as far as they go."""
        return self._missing_permissions

    @property
    def text(self) -> str:
        """Describe in the reader's language what is wrong; empty where nothing is."""
        now = time.monotonic()
        self._deleted = [moment for moment in self._deleted if now - moment < RECENT_SECONDS]
        parts = []
        if self._closed:
            parts.append(_("Nothing can be posted there: {reason}", reason=self._reason(*self._closed)))
        if self._missing_permissions:
            parts.append(
                _(
                    "The bot lacks {permissions} there: messages are posted without what needs it.",
                    permissions=_named(self._missing_permissions),
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

    def closed(self, missing_permission: MissingPermission | None, reason: str) -> None:
        """Record that nothing can be posted: the missing permission, or Discord's reason where that is not known."""
        known = self._closed and (self._closed[0] or self._closed[1])
        if known != (missing_permission or reason):
            self._closed = (missing_permission, reason)
            log.error(
                "ops channel is not accessible",
                channel_id=self._channel_id,
                missing=missing_permission and missing_permission.value,
                reason=reason,
                hint="Give the bot View Channel, Send Messages, Embed Links, Attach Files and Read Message History "
                f"there, or set {self._setting} to a channel that exists.",
            )

    def record_sent(self, *, with_: Set[MissingPermission], without: Set[MissingPermission]) -> None:
        """Record that a message was posted: the permissions that it used, and what had to be left out."""
        if self._closed:
            log.info("ops channel is accessible again", channel_id=self._channel_id)
        self._closed = None
        before, self._missing_permissions = self._missing_permissions, self._missing_permissions - with_ | without
        if self._missing_permissions - before:
            log.error(
                "permission missing in the ops channel; posting without it",
                channel_id=self._channel_id,
                missing=[missing_permission.value for missing_permission in sorted(self._missing_permissions)],
                hint="Give the bot Embed Links, Attach Files and Read Message History there.",
            )
        elif before and not self._missing_permissions:
            log.info("ops channel permissions are complete again", channel_id=self._channel_id)

    def record_deleted(self, subject: str, kind: str) -> None:
        """Record that a person deleted a message that was still needed."""
        self._deleted.append(time.monotonic())
        log.warning("a message was deleted and is posted again", subject=subject, kind=kind)

    def _reason(self, missing_permission: MissingPermission | None, reason: str) -> str:
        if missing_permission is None:
            return reason
        if missing_permission is MissingPermission.CHANNEL:
            return _("the channel is gone. Set {setting} to one that exists.", setting=self._setting)
        return _("the bot lacks {permissions}.", permissions=word(missing_permission))


def _named(missing_permissions: Set[MissingPermission]) -> str:
    return ", ".join(word(missing_permission) for missing_permission in sorted(missing_permissions))
