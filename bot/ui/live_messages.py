"""Keep the ops channel in step with the journal: what it should show, and what it shows."""

import asyncio
import contextvars
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.concurrency import happens
from bot.errors import RoasError
from bot.events import Event, EventBus, Subscription
from bot.log import get_logger
from bot.models.deployment import Deployment
from bot.models.proposal import ProposalState
from bot.state.manager import StateManager
from bot.ui.alert_telling import ALERTS, AlertTelling
from bot.ui.deployment_telling import DeploymentTelling
from bot.ui.outbox import Outbox
from bot.ui.proposal_telling import PREFIX as PROPOSAL
from bot.ui.proposal_telling import ProposalTelling
from bot.ui.secrets import Redact
from bot.ui.telling import APPROVAL, LIVE, OUTCOME, Pace, Telling
from bot.ui.voice import Voice

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Calls:
    """Say which roles the bot may call: one for urgent alerts, those who approve for a plan that waits for them."""

    alert_role: int | None = None
    approver_roles: tuple[int, ...] = ()


# A deployment that ended longer ago is no news any more; its outcome is in the history.
NEWS = timedelta(hours=24)
SEARCHED_DEPLOYMENTS = 100
# How long those that have something to post at the start are waited for, so that they post in order.
ORDERING_SECONDS = 5.0
URGENT = frozenset(
    {"deployment.initialization.started", "deployment.phase.changed", "deployment.orchestration.completed"}
)


class LiveMessages:
    """Tell of deployments and of plans, each in a task of its own, and of alerts; nothing ever waits for Discord.

    Events only wake: what is posted is drawn from the journal, and a slow look at the journal finds what no event
    told of (a deployment that another process carries, or what happened while this bot was away).
    """

    def __init__(
        self,
        state: StateManager,
        bus: EventBus,
        outbox: Outbox,
        *,
        voice: Voice | None = None,
        pace: Pace | None = None,
        calls: Calls | None = None,
        redact: Redact = str,
    ) -> None:
        self.channel = outbox.channel
        self._outbox = outbox
        self._state = state
        self._bus = bus
        self._voice = voice or Voice()
        self._pace = pace or Pace()
        self._calls = calls or Calls()
        self._redact = redact
        self._tellings: dict[str, tuple[Telling, asyncio.Task[None]]] = {}
        self._subscriptions: list[Subscription] = []
        self._watch: asyncio.Task[None] | None = None
        self._look = asyncio.Event()
        self._online = asyncio.Event()

    def start(self) -> None:
        """Begin to listen; nothing is posted before `online`."""
        for pattern, hear in (("deployment.*", self._hear), ("monitoring.alert.*", self._hear_alert)):
            self._subscriptions.append(_outliving(self._bus.subscribe, pattern, hear, name="live messages"))
        self._watch = _outliving(asyncio.create_task, self._run(), name="live messages")

    def online(self) -> None:
        """Say that Discord can be reached (again): whatever waits is tried at once."""
        self._online.set()
        self._look.set()
        for telling, _task in self._tellings.values():
            telling.notify(urgent=True)

    def follow(self, subject: str) -> Telling:
        """Tell of a deployment, of a plan that waits for a second person, or of alerts; it may be followed already."""
        known = self._tellings.get(subject)
        if known is not None:
            return known[0]
        telling = self._telling(subject)
        task: asyncio.Task[None] = _outliving(asyncio.create_task, self._follow(telling), name=f"tell {subject}")
        self._tellings[subject] = (telling, task)
        return telling

    def _telling(self, subject: str) -> Telling:
        parts = (self._outbox, self._pace, self._state, self._redact)
        if subject == ALERTS:
            return AlertTelling(*parts, self._calls.alert_role)
        if subject.startswith(PROPOSAL):
            return ProposalTelling(subject, *parts, self._calls.approver_roles)
        return DeploymentTelling(subject, *parts)

    async def link(self, subject: str, *, within_seconds: float) -> str:
        """Return the address of a live message or an approval, or of the channel where that takes too long."""
        telling = self.follow(subject)
        await happens(telling.posted, within_seconds)
        return await self.known_link(subject)

    async def known_link(self, subject: str) -> str:
        """Return the address of a message that was posted before, or of the channel."""
        post = await self._state.posts.get(subject, APPROVAL if subject.startswith(PROPOSAL) else LIVE)
        return self.channel.link(post.message_id if post else None)

    @property
    def trouble(self) -> str:
        """Say in the reader's language what is wrong with the channel; empty where all is well."""
        return self._outbox.trouble.text

    async def settled(self) -> None:
        """Wait until everything that is followed now and has an end is told to it."""
        ending = [task for subject, (_telling, task) in self._tellings.items() if subject != ALERTS]
        await asyncio.gather(*ending, return_exceptions=True)

    async def close(self) -> None:
        """Stop; what is not told yet is told by the next bot."""
        for subscription in self._subscriptions:
            await self._bus.unsubscribe(subscription)
        tasks = [task for _telling, task in self._tellings.values()]
        tasks += [self._watch] if self._watch is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear(self, event: Event) -> None:
        deployment_id = event.data.get("deployment_id")
        if isinstance(deployment_id, str):
            self.follow(deployment_id).notify(urgent=event.type in URGENT)

    async def _hear_alert(self, _event: Event) -> None:
        self.follow(ALERTS).notify()

    async def _run(self) -> None:
        """Look for what nobody tells of: at the start, when woken, and every once in a while."""
        # Nothing new is posted until all have said when theirs was decided, or the quickest to read would be first.
        async with self._outbox.turn.kept("start"):
            await self._online.wait()
            await self._voice.wait_active()
            await self._take_up()
            await self._outbox.turn.all_asked(self._tellings, ORDERING_SECONDS)
        while True:
            await happens(self._look, self._pace.poll)
            self._look.clear()
            await self._take_up()

    async def _take_up(self) -> None:
        """Follow everything that is not told."""
        try:
            for subject in [ALERTS, *await self._untold()]:
                self.follow(subject)
        except RoasError as error:
            log.error("the journal cannot be read for posts", reason=error.message)
        except Exception:  # nobody would look for what is to be told, for good
            log.exception("it cannot be found out what is to be told")

    async def _untold(self) -> list[str]:
        """Return the plans and deployments whose messages are not in their last state, oldest first."""
        recent = await self._state.deployments.list(limit=SEARCHED_DEPLOYMENTS)
        unfinished = await self._state.posts.unfinished((LIVE, OUTCOME, APPROVAL))
        subjects = {post.subject for post in unfinished}
        waiting = {p.id for p in await self._state.approvals.open() if p.state is ProposalState.AWAITING}
        waiting |= {post.subject for post in unfinished if post.kind == APPROVAL}
        deployments = [one.id for one in reversed(recent) if await self._is_untold(one, subjects)]
        return [subject for subject in [*sorted(waiting), *deployments] if subject not in self._tellings]

    async def _is_untold(self, deployment: Deployment, unfinished: set[str]) -> bool:
        if deployment.ended_at is not None and datetime.now(UTC) - deployment.ended_at > NEWS:
            return False
        if not deployment.finished or deployment.id in unfinished:
            return True
        outcome = await self._state.posts.get(deployment.id, OUTCOME)
        return outcome is None or not outcome.finished

    async def _follow(self, telling: Telling) -> None:
        try:
            await self._online.wait()
            await self._voice.while_active(telling.run)
        except Exception:  # a fault in drawing one thing must not silence the others; the next look tries again
            log.exception("it cannot be told", subject=telling.subject)
        finally:
            self._tellings.pop(telling.subject, None)


def _outliving(start: Any, what: Any, *arguments: Any, **options: Any) -> Any:
    """Start something that lives longer than its caller, without the caller's context (such as its log fields)."""
    return contextvars.Context().run(start, what, *arguments, **options)
