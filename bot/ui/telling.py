"""Tell the ops channel of one deployment, from its first phase to its outcome."""

import asyncio
import hashlib
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from bot.concurrency import happens
from bot.errors import RoasError
from bot.models.deployment import Deployment
from bot.models.post import Post
from bot.state.manager import StateManager
from bot.ui.drawing import Drawing
from bot.ui.embeds.live import draw_live
from bot.ui.embeds.outcome import draw_outcome
from bot.ui.ops_channel import ChannelClosedError, MessageGoneError, MessageRefusedError, OpsChannel, PostError
from bot.ui.secrets import Redact, without_secrets

log = structlog.get_logger(__name__)

LIVE = "live"
OUTCOME = "outcome"
NONCE_LENGTH = 25


@dataclass(frozen=True, slots=True)
class Pace:
    """Say how often to edit, how long to wait for news, and how to back off, in seconds."""

    between_edits: float = 1.5
    poll: float = 15.0
    first_retry: float = 1.0
    longest_retry: float = 60.0
    longest_retry_closed: float = 300.0


class Telling:
    """Bring one deployment's messages to what the journal says; the journal is read again before every post."""

    def __init__(
        self,
        deployment_id: str,
        state: StateManager,
        channel: OpsChannel,
        pace: Pace,
        redact: Redact = str,
    ) -> None:
        self.deployment_id = deployment_id
        self.posted = asyncio.Event()
        self._state = state
        self._channel = channel
        self._pace = pace
        self._redact = redact
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
        self._last_post = float("-inf")
        self._failures = 0
        self._refused: str = ""

    def notify(self, *, urgent: bool = False) -> None:
        """Say that there is something new; an urgent one is not held back for the pace."""
        self._news.set()
        if urgent:
            self._urgent.set()

    async def run(self, closed: Callable[[PostError], None]) -> None:
        """Go on until the outcome is told; `closed` hears of a channel that nobody can post to."""
        while True:
            self._news.clear()
            self._urgent.clear()
            try:
                if await self._tell():
                    return
                self._failures = 0
                await self._wait_for_news()
            except ChannelClosedError as error:
                closed(error)
                await self._wait_before_retry(self._pace.longest_retry_closed)
            except (PostError, RoasError) as error:
                log.warning("post delayed", deployment_id=self.deployment_id, reason=str(error))
                await self._wait_before_retry(self._pace.longest_retry)

    async def _tell(self) -> bool:
        """Post what differs from the journal; returns whether everything was told."""
        deployment = await self._state.deployments.get(self.deployment_id)
        if deployment is None:
            return True
        deployment = without_secrets(deployment, self._redact)
        live = await self._bring(deployment, LIVE, draw_live(deployment))
        if not deployment.finished:
            return False
        await self._bring(deployment, OUTCOME, draw_outcome(deployment), reply_to=live.message_id)
        return True

    async def _bring(self, deployment: Deployment, kind: str, wanted: Drawing, *, reply_to: int | None = None) -> Post:
        """Make a message look as wanted, posting it where it is missing; returns what stands there now."""
        post = await self._state.posts.get(deployment.id, kind)
        if post is not None and post.finished:
            self.posted.set()
            return post
        if wanted.content_hash == self._refused:
            return post or Post(deployment.id, kind, self._channel.id)
        try:
            post = await self._put(deployment, kind, wanted, post, reply_to)
        except MessageRefusedError as error:
            self._refused = wanted.content_hash
            log.error("Discord refuses a message", deployment_id=deployment.id, kind=kind, reason=str(error))
            post = post or Post(deployment.id, kind, self._channel.id)
        if deployment.finished:
            post = replace(post, finished=True)
            await self._state.posts.save(post)
        self.posted.set()
        return post

    async def _put(
        self, deployment: Deployment, kind: str, wanted: Drawing, post: Post | None, reply_to: int | None
    ) -> Post:
        if post is None or post.channel_id != self._channel.id:
            # Intent before action: whoever finds this row without a message looks for the message before posting.
            post = Post(deployment.id, kind, self._channel.id)
            await self._state.posts.save(post)
            return await self._send(wanted, post, reply_to)
        if post.message_id is None:
            found = await self._find(deployment, wanted)
            if found is None:
                return await self._send(wanted, post, reply_to)
            post = replace(post, message_id=found)
        if post.content_hash == wanted.content_hash:
            return post
        return await self._edit(wanted, post, reply_to)

    async def _send(self, wanted: Drawing, post: Post, reply_to: int | None, replaces: int | None = None) -> Post:
        message_id = await self._channel.send(wanted, nonce=nonce(post, replaces), reply_to=reply_to)
        return await self._remember(post, message_id, wanted)

    async def _edit(self, wanted: Drawing, post: Post, reply_to: int | None) -> Post:
        if post.message_id is None:
            return post
        try:
            await self._channel.edit(post.message_id, wanted)
        except MessageGoneError:
            log.info("a message was deleted and is posted again", deployment_id=post.subject, kind=post.kind)
            return await self._send(wanted, post, reply_to, replaces=post.message_id)
        return await self._remember(post, post.message_id, wanted)

    async def _find(self, deployment: Deployment, wanted: Drawing) -> int | None:
        """Look for a message whose id was lost with a process that died; a channel we cannot read hides it."""
        with suppress(ChannelClosedError):
            return await self._channel.find(wanted.key, after=deployment.created_at)
        return None

    async def _remember(self, post: Post, message_id: int, wanted: Drawing) -> Post:
        self._last_post = time.monotonic()
        post = replace(post, message_id=message_id, content_hash=wanted.content_hash)
        await self._state.posts.save(post)
        return post

    async def _wait_for_news(self) -> None:
        """Wait for something new (or look again after a while), then for the pace, unless it is urgent."""
        await happens(self._news, self._pace.poll)
        rest = self._last_post + self._pace.between_edits - time.monotonic()
        if rest > 0:
            await happens(self._urgent, rest)

    async def _wait_before_retry(self, longest: float) -> None:
        """Back off exponentially, with jitter; being online again ends the wait."""
        delay = min(self._pace.first_retry * 2 ** min(self._failures, 16), longest)
        self._failures += 1
        self._urgent.clear()
        await happens(self._urgent, delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter


def nonce(post: Post, replaces: int | None = None) -> str:
    """Return what makes Discord post one message once; one that replaces a deleted message is another."""
    text = f"{post.subject}|{post.kind}|{post.channel_id}|{replaces or ''}"
    return hashlib.sha256(text.encode()).hexdigest()[:NONCE_LENGTH]
