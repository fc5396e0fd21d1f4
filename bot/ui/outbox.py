"""Bring messages in one channel to what they should show: each posted once, in the order in which they came.

Every post of the product goes this way: deployments, plans and alerts. What was decided and not sent when a bot died is
sent by the next one, since whoever decided (a `Telling`) reads it from the journal again.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations

from bot.log import get_logger
from bot.models.post import Post
from bot.state.manager import StateManager
from bot.ui.channel_trouble import MAIN_SETTING, ChannelTrouble
from bot.ui.drawing import Drawing
from bot.ui.lack import Lack
from bot.ui.ops_channel import (
    ChannelClosedError,
    MessageGoneError,
    MessageRefusedError,
    OpsChannel,
    PermissionMissingError,
)
from bot.ui.turn import Turn

log = get_logger(__name__)

NONCE_LENGTH = 25
BETWEEN_EDITS_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Errand:
    """Say which message is meant: of what, which kind, how it should look, and whether it will look so for good.

    `since` is when it was decided: older ones are posted first, and it is not looked for before that.
    """

    subject: str
    kind: str
    wanted: Drawing
    since: datetime
    finished: bool = False
    reply_to: int | None = None


class Outbox:
    """Post and edit what people should see. What was posted is in the journal, so that any process can go on."""

    def __init__(
        self,
        state: StateManager,
        channel: OpsChannel,
        *,
        between_edits: float = BETWEEN_EDITS_SECONDS,
        setting: str = MAIN_SETTING,
    ) -> None:
        self.channel = channel
        self.trouble = ChannelTrouble(channel.id, setting)
        self._state = state
        self._between_edits = between_edits
        self._touched: dict[str, float] = {}
        self._refused: dict[tuple[str, str], str] = {}
        self.turn = Turn()

    async def bring(self, errand: Errand, teller: str, wake: Callable[[], None]) -> Post:
        """Make a message look as wanted, posting it where it is missing; returns what stands there now.

        A new message waits until those before it are posted; `wake` is called to let `teller` try again, where others
        wait for it. Raises PostError, after which the teller is to try again.
        """
        post = await self._state.posts.get(errand.subject, errand.kind)
        if post is not None and post.finished and errand.finished:
            return post
        if errand.wanted.content_hash == self._refused.get((errand.subject, errand.kind)):
            return post or Post(errand.subject, errand.kind, self.channel.id)
        try:
            post = await self._put(errand, post, teller, wake)
        except MessageRefusedError as error:
            self._refused[errand.subject, errand.kind] = errand.wanted.content_hash
            log.error("Discord refuses a message", subject=errand.subject, kind=errand.kind, reason=str(error))
            post = post or Post(errand.subject, errand.kind, self.channel.id)
        if errand.finished:
            post = replace(post, finished=True)
            await self._state.posts.save(post)
        return post

    async def post(self, subject: str, kind: str) -> Post | None:
        """Return what was posted to this channel, or begun to be."""
        post = await self._state.posts.get(subject, kind)
        return post if post is not None and post.channel_id == self.channel.id else None

    def rest(self, subject: str) -> float:
        """Return after how many seconds the message of a subject may be edited again; 0 where it may be now."""
        return max(0.0, self._touched.get(subject, float("-inf")) + self._between_edits - time.monotonic())

    def leave(self, subject: str) -> None:
        """Forget a subject of which nothing more is told; whoever waits for its turn goes on."""
        self.pass_turn(subject)
        for key in [key for key in self._refused if key[0] == subject]:
            del self._refused[key]

    def pass_turn(self, teller: str) -> None:
        """Let others post new messages; of no effect where it is not this teller's turn."""
        self.turn.pass_on(teller)

    async def _put(self, errand: Errand, post: Post | None, teller: str, wake: Callable[[], None]) -> Post:
        if post is None or post.channel_id != self.channel.id:
            await self.turn.take(teller, errand.since, wake)
            # Intent before action: whoever finds this row without a message looks for the message before posting.
            post = Post(errand.subject, errand.kind, self.channel.id)
            await self._state.posts.save(post)
            return await self._send(errand, post)
        if post.message_id is None:
            await self.turn.take(teller, errand.since, wake)
            found = await self._find(errand)
            if found is None:
                return await self._send(errand, post)
            post = replace(post, message_id=found)
        if post.content_hash == errand.wanted.content_hash:
            return post
        self.turn.pass_on(teller)  # nobody waits for an edit
        return await self._edit(errand, post)

    async def _send(self, errand: Errand, post: Post, replaces: int | None = None) -> Post:
        """Post a message; the turn is kept for trying again and for what this teller posts next."""
        sign = nonce(post, replaces)

        async def send(drawing: Drawing, reply_to: int | None) -> int:
            return await self.channel.send(drawing, nonce=sign, reply_to=reply_to)

        message_id = await self._allowed(errand.wanted, errand.reply_to, send)
        return await self._remember(post, message_id, errand.wanted)

    async def _edit(self, errand: Errand, post: Post) -> Post:
        message_id = post.message_id
        if message_id is None:
            return post

        async def edit(drawing: Drawing, _reply_to: int | None) -> int:
            await self.channel.edit(message_id, drawing)
            return message_id

        try:
            await self._allowed(errand.wanted.without({Lack.FILES}), None, edit)
        except MessageGoneError:
            post = await self._send(errand, post, replaces=message_id)
            self.trouble.message_deleted(errand.subject, errand.kind)
            return post
        return await self._remember(post, message_id, errand.wanted)

    async def _allowed(
        self, wanted: Drawing, reply_to: int | None, put: Callable[[Drawing, int | None], Awaitable[int]]
    ) -> int:
        """Put a message as it should be or, where a permission is missing for that, as far as it goes without."""
        needed = wanted.needs | (set() if reply_to is None else {Lack.HISTORY})
        for lacking in _fewer_and_fewer(needed, self.trouble.lacking):
            with suppress(PermissionMissingError):
                message_id = await put(wanted.without(lacking), None if Lack.HISTORY in lacking else reply_to)
                self.trouble.went_out(with_=needed - lacking, without=lacking)
                return message_id
        raise ChannelClosedError("Missing Permissions", Lack.SEND)

    async def _find(self, errand: Errand) -> int | None:
        """Look for a message whose id was lost with a process that died; a channel we cannot read hides it."""
        with suppress(ChannelClosedError):
            return await self.channel.find(errand.wanted.key, after=errand.since)
        return None

    async def _remember(self, post: Post, message_id: int, wanted: Drawing) -> Post:
        now = time.monotonic()
        self._touched = {key: at for key, at in self._touched.items() if now - at < self._between_edits}
        self._touched[post.subject] = now
        post = replace(post, message_id=message_id, content_hash=wanted.content_hash)
        await self._state.posts.save(post)
        return post


def _fewer_and_fewer(needed: Set[Lack], missed: Set[Lack]) -> Iterator[frozenset[Lack]]:
    """Yield what to do without: nothing, then what was missing before, then ever more."""
    ordered = sorted(needed)
    every = [frozenset(some) for size in range(len(ordered) + 1) for some in combinations(ordered, size)]
    yield from sorted(every, key=lambda some: (bool(some), some != missed & needed, len(some)))


def nonce(post: Post, replaces: int | None = None) -> str:
    """Return what makes Discord post one message once; one that replaces a deleted message is another."""
    text = f"{post.subject}|{post.kind}|{post.channel_id}|{replaces or ''}"
    return hashlib.sha256(text.encode()).hexdigest()[:NONCE_LENGTH]
