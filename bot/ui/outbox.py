"""Bring messages in the ops channel to what they should show: each posted once, in the order in which they came."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from bot.models.post import Post
from bot.state.manager import StateManager
from bot.ui.drawing import Drawing
from bot.ui.ops_channel import ChannelClosedError, MessageGoneError, MessageRefusedError, OpsChannel

log = structlog.get_logger(__name__)

NONCE_LENGTH = 25


@dataclass(frozen=True, slots=True)
class Errand:
    """Say which message is meant: of what, which kind, how it should look, and whether it will look so for good."""

    subject: str
    kind: str
    wanted: Drawing
    since: datetime
    finished: bool = False
    reply_to: int | None = None


class Outbox:
    """Post and edit what people should see. What was posted is in the journal, so that any process can go on."""

    def __init__(self, state: StateManager, channel: OpsChannel) -> None:
        self.channel = channel
        self._state = state
        self._refused: dict[tuple[str, str], str] = {}
        self._turn = asyncio.Lock()
        self._holder = ""
        self._wake_holder: Callable[[], None] = lambda: None

    async def bring(self, errand: Errand, wake: Callable[[], None]) -> Post:
        """Make a message look as wanted, posting it where it is missing; returns what stands there now.

        A new message waits until those before it are posted; `wake` is called to try again, where others wait for
        this one. Raises PostError, after which the same errand is to be tried again.
        """
        post = await self._state.posts.get(errand.subject, errand.kind)
        if post is not None and post.finished:
            return post
        if errand.wanted.content_hash == self._refused.get((errand.subject, errand.kind)):
            return post or Post(errand.subject, errand.kind, self.channel.id)
        try:
            post = await self._put(errand, post, wake)
        except MessageRefusedError as error:
            self._refused[errand.subject, errand.kind] = errand.wanted.content_hash
            log.error("Discord refuses a message", subject=errand.subject, kind=errand.kind, reason=str(error))
            post = post or Post(errand.subject, errand.kind, self.channel.id)
        if errand.finished:
            post = replace(post, finished=True)
            await self._state.posts.save(post)
        return post

    def leave(self, subject: str) -> None:
        """Forget a subject of which nothing more is told; whoever waits for its turn goes on."""
        self._pass_turn(subject)
        for key in [key for key in self._refused if key[0] == subject]:
            del self._refused[key]

    async def _put(self, errand: Errand, post: Post | None, wake: Callable[[], None]) -> Post:
        if post is None or post.channel_id != self.channel.id:
            await self._take_turn(errand.subject, wake)
            # Intent before action: whoever finds this row without a message looks for the message before posting.
            post = Post(errand.subject, errand.kind, self.channel.id)
            await self._state.posts.save(post)
            return await self._send(errand, post)
        if post.message_id is None:
            await self._take_turn(errand.subject, wake)
            found = await self._find(errand)
            if found is None:
                return await self._send(errand, post)
            self._pass_turn(errand.subject)
            post = replace(post, message_id=found)
        if post.content_hash == errand.wanted.content_hash:
            return post
        return await self._edit(errand, post)

    async def _send(self, errand: Errand, post: Post, replaces: int | None = None) -> Post:
        """Post a message; the turn is kept where that has to be tried again, so that none overtakes it."""
        try:
            message_id = await self.channel.send(errand.wanted, nonce=nonce(post, replaces), reply_to=errand.reply_to)
        except MessageRefusedError:
            self._pass_turn(errand.subject)
            raise
        self._pass_turn(errand.subject)
        return await self._remember(post, message_id, errand.wanted)

    async def _edit(self, errand: Errand, post: Post) -> Post:
        if post.message_id is None:
            return post
        try:
            await self.channel.edit(post.message_id, errand.wanted)
        except MessageGoneError:
            log.info("a message was deleted and is posted again", subject=post.subject, kind=post.kind)
            return await self._send(errand, post, replaces=post.message_id)
        return await self._remember(post, post.message_id, errand.wanted)

    async def _find(self, errand: Errand) -> int | None:
        """Look for a message whose id was lost with a process that died; a channel we cannot read hides it."""
        with suppress(ChannelClosedError):
            return await self.channel.find(errand.wanted.key, after=errand.since)
        return None

    async def _remember(self, post: Post, message_id: int, wanted: Drawing) -> Post:
        post = replace(post, message_id=message_id, content_hash=wanted.content_hash)
        await self._state.posts.save(post)
        return post

    async def _take_turn(self, subject: str, wake: Callable[[], None]) -> None:
        """Wait until every new message before this one is posted; whoever is at it is asked to try at once."""
        if self._holder == subject:
            return
        if self._turn.locked():
            self._wake_holder()
        await self._turn.acquire()
        self._holder, self._wake_holder = subject, wake

    def _pass_turn(self, subject: str) -> None:
        if self._holder == subject:
            self._holder, self._wake_holder = "", lambda: None
            self._turn.release()


def nonce(post: Post, replaces: int | None = None) -> str:
    """Return what makes Discord post one message once; one that replaces a deleted message is another."""
    text = f"{post.subject}|{post.kind}|{post.channel_id}|{replaces or ''}"
    return hashlib.sha256(text.encode()).hexdigest()[:NONCE_LENGTH]
