"""SimCord's in-memory Discord, with what a real socket needs on top.

What is used of it is private to SimCord, so its version is checked exactly, and nothing but the files `simcord_*.py`
knows it.
"""

from __future__ import annotations

import hmac
import importlib.metadata
import secrets
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import quote

from simcord._clock import Clock
from simcord.backend import Backend
from simcord.backend.cdn import CdnStore
from simcord.backend.errors import BackendError
from simcord.backend.models import Interaction, Message
from simcord.enums import MessageType

SIMCORD_VERSION = "3.2.1"
_LOG_LENGTH = 200  # SimCord keeps a transcript for its own assertions; a sandbox that stays up must not grow by it.


def check_version() -> None:
    """Refuse any SimCord but the one whose insides these files were written against."""
    found = importlib.metadata.version("simcord")
    if found != SIMCORD_VERSION:
        raise RuntimeError(f"the sandbox needs simcord {SIMCORD_VERSION}, found {found}: pip install -e '.[sandbox]'")


check_version()


class _MonotonicClock(Clock):
    """UTC that starts at the wall clock and then follows the monotonic one, so that deadlines never jump."""

    def __init__(self) -> None:
        super().__init__()
        self._epoch = datetime.now(UTC)
        self._started = time.monotonic()

    def now(self) -> datetime:
        """Return the time: what it was at the start, and what has passed since."""
        return self._epoch + timedelta(seconds=time.monotonic() - self._started + self.elapsed)


class _Cdn(CdnStore):
    """Attachments whose URLs lead back to the sandbox, so that they can be downloaded."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self._secret = secrets.token_bytes(32)
        self.files: dict[str, tuple[bytes, str]] = {}

    def store_attachment(
        self, attachment_id: int, channel_id: int, filename: str, data: bytes, description: str | None
    ) -> dict[str, Any]:
        """Keep a file, and return its attachment with addresses that the sandbox serves."""
        stored = super().store_attachment(attachment_id, channel_id, filename, data, description)
        path = f"{channel_id}/{attachment_id}/{filename}"
        self.files[path] = (data, stored["content_type"])
        stored["url"] = f"{self._base}/attachments/{quote(path)}?hm={self.signature(path)}"
        stored["proxy_url"] = stored["url"]
        return stored

    def signature(self, path: str) -> str:
        """Return what an address must hold beside its path, which can be guessed."""
        return hmac.new(self._secret, path.encode(), "sha256").hexdigest()


class SandboxBackend(Backend):
    """SimCord's backend with what a real socket needs on top."""

    def __init__(self, cdn_base: str) -> None:
        super().__init__(clock=_MonotonicClock())
        self.cdn: _Cdn = _Cdn(cdn_base)
        self.transcript = cast("list[Any]", deque(maxlen=_LOG_LENGTH))
        self.http_requests = cast("list[Any]", deque(maxlen=_LOG_LENGTH))
        self.pinged: dict[int, tuple[list[int], list[int], bool]] = {}
        # Applications made since 2017 share their id with their bot user, and discord.py's users rely on it.
        del self.users[self.bot_user.id]
        self.bot_user.id = self.application_id
        self.users[self.bot_user.id] = self.bot_user

    def create_system_message(
        self, channel_id: int, message_type: MessageType, author_id: int, **about: Any
    ) -> Message:
        """Post what Discord says by itself. Of a thread below a message it says nothing in the channel."""
        message_id = about.get("referenced_message_id")
        if message_type is MessageType.THREAD_CREATED and message_id is not None:
            return self.messages[channel_id][message_id]
        return super().create_system_message(channel_id, message_type, author_id, **about)

    def new_interaction(self, type: int, channel_id: int, user_id: int, guild_id: int | None) -> Interaction:  # noqa: A002
        """Record an interaction, under a token that nobody can guess."""
        record = super().new_interaction(type, channel_id, user_id, guild_id)
        # SimCord's token can be guessed, and the token alone authorises an answer.
        del self.interaction_tokens[record.token]
        record.token = secrets.token_urlsafe(96)
        self.interaction_tokens[record.token] = record.id
        return record

    def interaction_by_token(self, token: str) -> Interaction:
        """Return the interaction of a token, which is void after its time."""
        interaction_id = self.interaction_tokens.get(token)
        record = self.interactions[interaction_id] if interaction_id is not None else None
        if record is not None and record.expires_at is not None and self.now_iso() >= record.expires_at:
            raise BackendError(401, 50027, "Invalid Webhook Token")
        return super().interaction_by_token(token)

    def commit_message(self, message: Message, *, broadcast: bool = True) -> Message:
        """Post a message, and keep whom it notified."""
        self._resolve_embeds(message.embeds, message.attachments)
        if not message.is_ephemeral:
            # Kept apart from the message, because later edits change its mentions and notify nobody.
            self.pinged[message.id] = (
                list(message.ping_user_ids),
                list(message.ping_role_ids),
                message.mention_everyone,
            )
        return super().commit_message(message, broadcast=broadcast)

    def edit_message(self, channel_id: int, message_id: int, fields: dict[str, Any]) -> Message:
        """Edit a message; its embeds may show what is attached to it."""
        if fields.get("embeds"):
            attachments = fields.get("attachments")
            if attachments is None:
                attachments = self.get_message(channel_id, message_id).attachments
            self._resolve_embeds(fields["embeds"], attachments)
        return super().edit_message(channel_id, message_id, fields)

    @staticmethod
    def _resolve_embeds(embeds: list[dict[str, Any]], attachments: list[dict[str, Any]]) -> None:
        """Convert `attachment://name` to the attachment's address, as Discord does in its responses."""
        urls = {f"attachment://{item['filename']}": item["url"] for item in attachments}
        for embed in embeds:
            for key in ("image", "thumbnail"):
                media = embed.get(key)
                if isinstance(media, dict) and media.get("url") in urls:
                    media["url"] = media["proxy_url"] = urls[media["url"]]
