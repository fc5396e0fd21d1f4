"""Post one subject to a channel until nothing is left to post, at a pace that Discord and people can follow."""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass

from roas.concurrency import wait_for
from roas.errors import RoasError
from roas.limits import CLOSED_CHANNEL_SECONDS, POSTS, Backoff, Retries
from roas.log import get_logger
from roas.models.post import Post
from roas.ui.notifications.ops_channel import ChannelClosedError, PostError
from roas.ui.notifications.outbox import Outbox, PostRequest
from roas.ui.translation import using_locale

log = get_logger(__name__)

LIVE = "live"
OUTCOME = "outcome"
PAUSE = "pause"
APPROVAL = "approval"
PROPOSAL = "proposal"
DETAILS = "details"
FREEZE = "freeze"
ALERT = "alert"
GROUP = "alerts"
ESCALATION = "escalation"


@dataclass(frozen=True, slots=True)
class Pace:
    """Set how long to wait for changes, and how to back off, in seconds."""

    poll: float = 15.0
    first_retry: float = POSTS.first_seconds
    longest_retry: float = POSTS.longest_seconds
    longest_retry_closed: float = CLOSED_CHANNEL_SECONDS


class Notifier(ABC):
    """Update the messages of one subject from the journal; the journal is read again before every post.

    So what goes out is always the last state, however much happened while a post was held back.
    """

    def __init__(self, subject: str, outbox: Outbox, pace: Pace) -> None:
        self.subject = subject
        self.posted = asyncio.Event()
        self.outbox = outbox
        self._pace = pace
        self._below: Outbox | None = None
        self._news = asyncio.Event()
        self._prompt = asyncio.Event()
        self._urgent = asyncio.Event()
        self._backoff = Backoff(Retries(pace.first_retry, pace.longest_retry), spread=True)

    def notify(self, *, urgent: bool = False, prompt: bool = False) -> None:
        """Note that there is something new; an urgent change does not wait for the pace, a prompt one not for long."""
        self._news.set()
        if urgent or prompt:
            self._prompt.set()
        if urgent:
            self._urgent.set()

    @property
    def has_news(self) -> bool:
        """Return whether there is something new that was not looked at."""
        return self._news.is_set()

    async def run(self) -> None:
        """Run until everything is posted."""
        try:
            while True:
                self._news.clear()
                self._prompt.clear()
                self._urgent.clear()
                try:
                    with using_locale(await self.outbox.channel.locale()):
                        done = await self._post_changes()
                    if done and not self._news.is_set():
                        return
                    self._backoff.succeeded()
                    self.outbox.release_turn(self.subject)
                    await self._wait_for_news()
                except ChannelClosedError as error:
                    self.outbox.trouble.closed(error.missing_permission, str(error))
                    await self._wait_before_retry(self._pace.longest_retry_closed)
                except (PostError, RoasError) as error:
                    log.warning("post delayed", subject=self.subject, error=str(error))
                    await self._wait_before_retry(self._pace.longest_retry)
        finally:
            self.outbox.forget(self.subject)

    @abstractmethod
    async def _post_changes(self) -> bool:
        """Post what differs from the journal; returns whether everything was posted."""

    def _poll_seconds(self) -> float:
        """Return after how many seconds to look at the journal even without an event."""
        return self._pace.poll

    def _hold_back_seconds(self) -> float:
        """Return how many seconds what is new is held back, so that it goes out together with what follows."""
        return self.outbox.edit_delay(self.subject)

    async def _deliver_below(self, message_id: int, name: str, request: PostRequest) -> None:
        """Update a message in the thread below another one, opened where there is none."""
        if self._below is None:
            self._below = await self.outbox.below(message_id, name)
        await self._below.deliver(request, self.subject, lambda: self.notify(urgent=True))

    async def _deliver(self, request: PostRequest) -> Post:
        """Update a message."""
        post = await self.outbox.deliver(request, self.subject, lambda: self.notify(urgent=True))
        self.posted.set()
        return post

    async def _wait_for_news(self) -> None:
        """Wait for something new (or look again after a while), then for the pace, unless it is urgent."""
        poll = self._poll_seconds()
        await wait_for(self._news, poll)
        rest = self._hold_back_seconds()
        if rest > 0 and await wait_for(self._prompt, rest):
            await wait_for(self._urgent, self.outbox.edit_delay(self.subject, prompt=True))

    async def _wait_before_retry(self, longest: float) -> None:
        """Back off exponentially, with jitter; being online again ends the wait."""
        self._urgent.clear()
        await wait_for(self._urgent, self._backoff.failed(longest))
