"""Keep the messages of one channel as they should be: each posted once, in the order in which they came.

Every post of the product goes this way: deployments, plans and alerts. What was decided and not sent when a bot died is
sent by the next one, since its `Notifier` reads it from the journal again.
"""

import asyncio
import hashlib
import heapq
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Set
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import combinations, count

from roas.concurrency import wait_for
from roas.log import get_logger
from roas.models.environment import whole_of
from roas.models.post import Post
from roas.state.manager import StateManager
from roas.ui.drawing import Drawing, MissingPermission
from roas.ui.notifications.ops_channel import (
    ChannelClosedError,
    MessageGoneError,
    MessageRefusedError,
    OpsChannel,
    PermissionMissingError,
)
from roas.ui.translation import _, word

log = get_logger(__name__)

# For how long `/status` shows that messages were deleted.
RECENT_SECONDS = 3600.0
# The setting that names the channel, unless an environment has one of its own.
MAIN_SETTING = "DISCORD_OPS_CHANNEL_ID"
NONCE_LENGTH = 25
BETWEEN_EDITS_SECONDS = 1.5
# For what people wait for, like a change of phase: of a small stack, several phases are over in that time.
PROMPT_EDITS_SECONDS = 0.5


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


@dataclass(slots=True)
class _Waiting:
    """Hold the place of one notifier; two of the same moment go in the order in which they came."""

    decided_at: datetime
    number: int
    sender: str = field(compare=False)
    wake: Callable[[], None] = field(compare=False)
    future: asyncio.Future[None] = field(compare=False)

    def __lt__(self, other: "_Waiting") -> bool:
        return (self.decided_at, self.number) < (other.decided_at, other.number)


class PostQueue:
    """Let one notifier at a time post something new."""

    def __init__(self) -> None:
        self._holder = ""
        self._wake_holder: Callable[[], None] = lambda: None
        self._waiting: list[_Waiting] = []
        self._numbers = count()
        self._asked: set[str] | None = None  # set only during `wait_for_all`
        self._asked_one = asyncio.Event()

    async def acquire(self, sender: str, decided_at: datetime, wake: Callable[[], None]) -> None:
        """Wait for the head of the queue; the one that has it is woken, so that it tries at once.

        The head keeps it for its next message, unless another one waits with an older message.
        """
        self._note_asked(sender)
        if self._holder == sender and not self._has_older_request(decided_at):
            return
        if not self._holder:
            self._holder, self._wake_holder = sender, wake
            return
        self.release(sender)
        self._wake_holder()
        waiting = _Waiting(decided_at, next(self._numbers), sender, wake, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, waiting)
        await waiting.future

    def release(self, sender: str) -> None:
        """Let the next one post; without being at the head, this only answers `wait_for_all`."""
        self._note_asked(sender)
        if self._holder != sender:
            return
        self._holder, self._wake_holder = "", lambda: None
        self._forget_cancelled()
        if self._waiting:
            first = heapq.heappop(self._waiting)
            self._holder, self._wake_holder = first.sender, first.wake
            first.future.set_result(None)

    @asynccontextmanager
    async def hold(self, holder: str) -> AsyncIterator[None]:
        """Keep the head of the queue free within, so that `wait_for_all` can collect those that must go in order."""
        await self.acquire(holder, datetime.min.replace(tzinfo=UTC), lambda: None)
        try:
            self._asked = set()
            yield
        finally:
            self._asked = None
            self.release(holder)

    async def wait_for_all(self, senders: Iterable[str], within_seconds: float) -> None:
        """Wait, with the queue held, until each of these is queued, or has nothing to post."""
        missing = set(senders)
        deadline = asyncio.get_running_loop().time() + within_seconds
        while self._asked is not None and not missing <= self._asked:
            self._asked_one.clear()
            if not await wait_for(self._asked_one, deadline - asyncio.get_running_loop().time()):
                return

    def _has_older_request(self, decided_at: datetime) -> bool:
        self._forget_cancelled()
        return bool(self._waiting) and self._waiting[0].decided_at < decided_at

    def _forget_cancelled(self) -> None:
        while self._waiting and self._waiting[0].future.done():
            heapq.heappop(self._waiting)

    def _note_asked(self, sender: str) -> None:
        if self._asked is not None:
            self._asked.add(sender)
            self._asked_one.set()


@dataclass(frozen=True, slots=True)
class PostRequest:
    """Identify a message: its subject, its kind, the wanted content, and whether that is final.

    `since` is when it was decided: older ones are posted first, and it is not looked for before that. What `reopens` is
    not at its end for good: it may get another content, and another end.
    """

    subject: str
    kind: str
    wanted: Drawing
    since: datetime
    finished: bool = False
    reply_to: int | None = None
    reopens: bool = False


class Outbox:
    """Post and edit messages. What was posted is in the journal, so that any process can continue."""

    def __init__(
        self,
        state: StateManager,
        channel: OpsChannel,
        *,
        between_edits: float = BETWEEN_EDITS_SECONDS,
        setting: str = MAIN_SETTING,
    ) -> None:
        self.channel = channel
        self.trouble = ChannelProblems(channel.id, setting)
        self._state = state
        self._between_edits = between_edits
        self._touched: dict[str, float] = {}
        self._refused: dict[tuple[str, str], str] = {}
        # By subject, kind and nonce, what was wanted when a message was sent first, of which there is no answer yet.
        self._sent_first: dict[tuple[str, str, str], str] = {}
        self.queue = PostQueue()

    async def deliver(self, request: PostRequest, sender: str, wake: Callable[[], None]) -> Post:
        """Make a message look as wanted, posting it where it is missing; returns the message as it is now.

        A new message waits until those before it are posted; `wake` is called to let `sender` try again, where others
        wait for it. Raises PostError, after which `sender` is to try again.
        """
        post = await self._state.posts.get(request.subject, request.kind)
        if post is not None and post.finished and request.reopens:
            post = replace(post, finished=False)
        if post is not None and post.finished and request.finished:
            return post
        if request.wanted.content_hash == self._refused.get(_key(request)):
            return post or Post(request.subject, request.kind, self.channel.id)
        try:
            post = await self._put(request, post, sender, wake)
        except MessageRefusedError as error:
            self._refused[_key(request)] = request.wanted.content_hash
            log.error("Discord refuses a message", subject=request.subject, kind=request.kind, error=str(error))
            post = post or Post(request.subject, request.kind, self.channel.id)
        if request.finished:
            post = replace(post, finished=True)
            await self._state.posts.save(post)
        return post

    async def below(self, message_id: int, name: str) -> "Outbox":
        """Return the outbox of the thread below a message. Raises PostError."""
        return Outbox(self._state, await self.channel.below(message_id, name), between_edits=self._between_edits)

    async def post(self, subject: str, kind: str) -> Post | None:
        """Return what was posted to this channel, or begun to be."""
        post = await self._state.posts.get(subject, kind)
        return post if post is not None and post.channel_id == self.channel.id else None

    async def is_in_doubt(self, subject: str, kind: str) -> bool:
        """Return whether a message may be there already: it was sent before, and nobody knows what became of that."""
        post = await self.post(subject, kind)
        is_begun = post is not None and post.message_id is None
        return is_begun or any(key[:2] == (subject, kind) for key in self._sent_first)

    def edit_delay(self, subject: str, *, prompt: bool = False) -> float:
        """Return after how many seconds the message of a subject may be edited again; 0 where it may be now."""
        apart = min(self._between_edits, PROMPT_EDITS_SECONDS) if prompt else self._between_edits
        return max(0.0, self._touched.get(subject, float("-inf")) + apart - time.monotonic())

    def forget(self, subject: str) -> None:
        """Forget a subject that is finished; the next in the queue goes on."""
        self.release_turn(subject)
        self._refused = {key: item for key, item in self._refused.items() if key[0] != subject}
        self._sent_first = {key: item for key, item in self._sent_first.items() if key[0] != subject}

    def release_turn(self, sender: str) -> None:
        """Let others post new messages; no effect unless this notifier is at the head of the queue."""
        self.queue.release(sender)

    async def _put(self, request: PostRequest, post: Post | None, sender: str, wake: Callable[[], None]) -> Post:
        if post is None or post.channel_id != self.channel.id:
            await self.queue.acquire(sender, request.since, wake)
            # Intent before action: a process that finds this row without a message searches for one before it posts.
            post = Post(request.subject, request.kind, self.channel.id)
            await self._state.posts.save(post)
            return await self._send(request, post)
        if post.message_id is None:
            await self.queue.acquire(sender, request.since, wake)
            found = await self._find(request)
            if found is None:
                # How it looks where a bot before this one posted it, in a channel that hides it, is not known.
                self._sent_first.setdefault((*_key(request), nonce(post)), "")
                return await self._send(request, post)
            post = replace(post, message_id=found)
        if post.content_hash == request.wanted.content_hash:
            return post
        self.queue.release(sender)  # nobody waits for an edit
        return await self._edit(request, post)

    async def _send(self, request: PostRequest, post: Post, replaces: int | None = None) -> Post:
        """Post a message; the place in the queue is kept for retries and for the next message of this notifier.

        Where only an answer got lost, Discord posts nothing now: the message is as it was wanted then.
        """
        this_nonce = nonce(post, replaces)
        key = (*_key(request), this_nonce)
        first = self._sent_first.setdefault(key, request.wanted.content_hash)

        async def send(drawing: Drawing, reply_to: int | None) -> int:
            return await self.channel.send(drawing, nonce=this_nonce, reply_to=reply_to)

        message_id = await self._allowed(request.wanted, request.reply_to, send)
        post = await self._remember(post, message_id, first)
        self._sent_first.pop(key, None)
        return post if first == request.wanted.content_hash else await self._edit(request, post)

    async def _edit(self, request: PostRequest, post: Post) -> Post:
        message_id = post.message_id
        if message_id is None:
            return post

        async def edit(drawing: Drawing, _reply_to: int | None) -> int:
            await self.channel.edit(message_id, drawing)
            return message_id

        try:
            await self._allowed(request.wanted.without({MissingPermission.FILES}), None, edit)
        except MessageGoneError:
            post = await self._send(request, post, replaces=message_id)
            self.trouble.record_deleted(request.subject, request.kind)
            return post
        return await self._remember(post, message_id, request.wanted.content_hash)

    async def _allowed(
        self, wanted: Drawing, reply_to: int | None, put: Callable[[Drawing, int | None], Awaitable[int]]
    ) -> int:
        """Put a message as it should be or, where a permission is missing for that, as far as it goes without."""
        needed = wanted.needs | (set() if reply_to is None else {MissingPermission.HISTORY})
        for missing_permissions in _permission_subsets(needed, self.trouble.missing_permissions):
            with suppress(PermissionMissingError):
                message_id = await put(
                    wanted.without(missing_permissions),
                    None if MissingPermission.HISTORY in missing_permissions else reply_to,
                )
                self.trouble.record_sent(with_=needed - missing_permissions, without=missing_permissions)
                return message_id
        raise ChannelClosedError("Missing Permissions", MissingPermission.SEND)

    async def _find(self, request: PostRequest) -> int | None:
        """Look for a message whose id was lost with a process that died; a channel we cannot read hides it."""
        with suppress(ChannelClosedError):
            return await self.channel.find(request.wanted.key, after=request.since)
        return None

    async def _remember(self, post: Post, message_id: int, content_hash: str) -> Post:
        now = time.monotonic()
        self._touched = {key: at for key, at in self._touched.items() if now - at < self._between_edits}
        self._touched[post.subject] = now
        post = replace(post, message_id=message_id, content_hash=content_hash)
        await self._state.posts.save(post)
        return post


def _key(request: PostRequest) -> tuple[str, str]:
    return request.subject, request.kind


def _permission_subsets(
    needed: Set[MissingPermission], missed: Set[MissingPermission]
) -> Iterator[frozenset[MissingPermission]]:
    """Yield what to do without: nothing, then what was missing before, then ever more."""
    ordered = sorted(needed)
    every = [frozenset(some) for size in range(len(ordered) + 1) for some in combinations(ordered, size)]
    yield from sorted(every, key=lambda some: (bool(some), some != missed & needed, len(some)))


def nonce(post: Post, replaces: int | None = None) -> str:
    """Return the nonce that makes Discord post a message once; one that replaces a deleted message has another."""
    text = f"{post.subject}|{post.kind}|{post.channel_id}|{replaces or ''}"
    return hashlib.sha256(text.encode()).hexdigest()[:NONCE_LENGTH]


class Outboxes:
    """Hold one outbox for each channel: a channel that cannot be posted to delays no other."""

    def __init__(self, main: Outbox, own: Mapping[str, Outbox] | None = None) -> None:
        self.main = main
        self._own = dict(own or {})

    def of(self, environment: str) -> Outbox:
        """Return the outbox of an environment; what concerns none, or an unknown one, goes to the ops channel."""
        return self._own.get(whole_of(environment), self.main)

    def all(self) -> tuple[Outbox, ...]:
        """Return every outbox once, the ops channel's first."""
        return tuple(dict.fromkeys([self.main, *self._own.values()]))

    def of_channel(self, channel_id: int) -> Outbox | None:
        """Return the outbox of a channel, or None where nothing is posted there any more."""
        return next((outbox for outbox in self.all() if outbox.channel.id == channel_id), None)
