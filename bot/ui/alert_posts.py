"""Post and edit the messages that tell of alerts; what was posted is in the journal, so that any process can go on."""

import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import structlog

from bot.models.post import Post
from bot.state.manager import StateManager
from bot.ui.drawing import Drawing
from bot.ui.ops_channel import ChannelClosedError, MessageGoneError, MessageRefusedError, OpsChannel

log = structlog.get_logger(__name__)

NONCE_LENGTH = 25


class AlertPosts:
    """Make a message look as wanted, posting it where it is missing: once, whoever dies in between."""

    def __init__(self, state: StateManager, channel: OpsChannel) -> None:
        self._state = state
        self._channel = channel

    async def is_posted(self, subject: str, kind: str) -> bool:
        """Tell whether there is a message already."""
        post = await self._state.posts.get(subject, kind)
        return post is not None and post.channel_id == self._channel.id

    async def bring(
        self, subject: str, kind: str, wanted: Drawing, *, since: datetime, reply_to: int | None = None
    ) -> bool:
        """Post or edit; returns whether a new message was posted. Raises PostError, except for a refused message."""
        try:
            return await self._bring(subject, kind, wanted, since, reply_to)
        except MessageRefusedError as error:
            log.error("Discord refuses an alert", subject=subject, kind=kind, reason=str(error))
            return False

    async def message_id(self, subject: str, kind: str) -> int | None:
        """Return the id of a message, where there is one."""
        post = await self._state.posts.get(subject, kind)
        return post.message_id if post is not None and post.channel_id == self._channel.id else None

    async def _bring(self, subject: str, kind: str, wanted: Drawing, since: datetime, reply_to: int | None) -> bool:
        post = await self._state.posts.get(subject, kind)
        if post is None or post.channel_id != self._channel.id:
            # Intent before action: whoever finds this row without a message looks for the message before posting.
            post = Post(subject, kind, self._channel.id, finished=True)
            await self._state.posts.save(post)
            return await self._send(post, wanted, reply_to)
        if post.message_id is None:
            post = replace(post, message_id=await self._find(wanted, since))
        if post.message_id is None:
            return await self._send(post, wanted, reply_to)
        if post.content_hash == wanted.content_hash:
            return False
        try:
            await self._channel.edit(post.message_id, wanted)
        except MessageGoneError:
            # Somebody deleted it: they have seen it. A change of it is told in the next message.
            return await self._send(replace(post, message_id=post.message_id), wanted, reply_to)
        await self._state.posts.save(replace(post, content_hash=wanted.content_hash))
        return False

    async def _send(self, post: Post, wanted: Drawing, reply_to: int | None) -> bool:
        text = f"{post.subject}|{post.kind}|{post.channel_id}|{post.message_id or ''}"
        nonce = hashlib.sha256(text.encode()).hexdigest()[:NONCE_LENGTH]
        message_id = await self._channel.send(wanted, nonce=nonce, reply_to=reply_to)
        await self._state.posts.save(replace(post, message_id=message_id, content_hash=wanted.content_hash))
        return True

    async def _find(self, wanted: Drawing, since: datetime) -> int | None:
        """Look for a message whose id was lost with a process that died; a channel we cannot read hides it."""
        with suppress(ChannelClosedError):
            return await self._channel.find(wanted.key, after=since)
        return None
