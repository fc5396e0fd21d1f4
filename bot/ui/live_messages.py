"""Keep the channels in step with the journal: what it should show, and what it shows."""

import asyncio
import contextvars
from contextlib import AsyncExitStack
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
from bot.ui.outboxes import Outboxes
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
        outboxes: Outboxes,
        *,
        voice: Voice | None = None,
        pace: Pace | None = None,
        calls: Calls | None = None,
        redact: Redact = str,
    ) -> None:
        self._outboxes = outboxes
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

    def follow(self, subject: str, environment: str) -> Telling:
        """Tell of a deployment, or of a plan that waits for a second person; it may be followed already.

        It is told in the channel of its environment.
        """
        return self._follow_in(self._outboxes.of(environment), subject)

    def _follow_in(self, outbox: Outbox, subject: str) -> Telling:
        known = self._tellings.get(subject)
        if known is not None:
            return known[0]
        telling = self._telling(subject, outbox)
        task: asyncio.Task[None] = _outliving(asyncio.create_task, self._follow(telling), name=f"tell {subject}")
        self._tellings[subject] = (telling, task)
        return telling

    def _telling(self, subject: str, outbox: Outbox) -> Telling:
        parts = (outbox, self._pace, self._state, self._redact)
        if _is_alerts(subject):
            return AlertTelling(
                subject, *parts, self._calls.alert_role, is_ours=lambda name: self._outboxes.of(name) is outbox
            )
        if subject.startswith(PROPOSAL):
            return ProposalTelling(subject, *parts, self._calls.approver_roles)
        return DeploymentTelling(subject, *parts)

    def _follow_alerts(self) -> list[Telling]:
        """Tell of alerts, in each channel of those that belong there."""
        return [self._follow_in(outbox, self._alerts_of(outbox)) for outbox in self._outboxes.all()]

    def _alerts_of(self, outbox: Outbox) -> str:
        return ALERTS if outbox is self._outboxes.main else f"{ALERTS}:{outbox.channel.id}"

    async def link(self, subject: str, environment: str, *, within_seconds: float) -> str:
        """Return the address of a live message or an approval, or of the channel where that takes too long."""
        telling = self.follow(subject, environment)
        await happens(telling.posted, within_seconds)
        return await self.known_link(subject, environment)

    async def known_link(self, subject: str, environment: str) -> str:
        """Return the address of a message that was posted before, or of the channel."""
        post = await self._state.posts.get(subject, APPROVAL if subject.startswith(PROPOSAL) else LIVE)
        posted_in = self._outboxes.of_channel(post.channel_id) if post is not None else None
        if post is None or posted_in is None:
            return self._outboxes.of(environment).channel.link()
        return posted_in.channel.link(post.message_id)

    def trouble(self, environment: str) -> str:
        """Say in the reader's language what is wrong with an environment's channel, and with the ops channel.

        It is empty where all is well.
        """
        own, main = self._outboxes.of(environment), self._outboxes.main
        if own is main:
            return main.trouble.text
        return "\n".join(f"<#{one.channel.id}>: {one.trouble.text}" for one in (own, main) if one.trouble.text)

    async def settled(self) -> None:
        """Wait until everything that is followed now and has an end is told to it."""
        ending = [task for subject, (_telling, task) in self._tellings.items() if not _is_alerts(subject)]
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
        deployment_id, environment = event.data.get("deployment_id"), event.data.get("environment")
        if isinstance(deployment_id, str) and isinstance(environment, str):
            self.follow(deployment_id, environment).notify(urgent=event.type in URGENT)

    async def _hear_alert(self, _event: Event) -> None:
        for telling in self._follow_alerts():
            telling.notify()

    async def _run(self) -> None:
        """Look for what nobody tells of: at the start, when woken, and every once in a while."""
        # Nothing new is posted until all have said when theirs was decided, or the quickest to read would be first.
        async with AsyncExitStack() as kept:
            for outbox in self._outboxes.all():
                await kept.enter_async_context(outbox.turn.kept("start"))
            await self._online.wait()
            await self._voice.wait_active()
            await self._take_up()
            await asyncio.gather(*map(self._all_asked, self._outboxes.all()))
        while True:
            await happens(self._look, self._pace.poll)
            self._look.clear()
            await self._take_up()

    async def _all_asked(self, outbox: Outbox) -> None:
        tellers = [subject for subject, (telling, _task) in self._tellings.items() if telling.outbox is outbox]
        await outbox.turn.all_asked(tellers, ORDERING_SECONDS)

    async def _take_up(self) -> None:
        """Follow everything that is not told."""
        try:
            self._follow_alerts()
            for subject, environment in await self._untold():
                self.follow(subject, environment)
        except RoasError as error:
            log.error("the journal cannot be read for posts", reason=error.message)
        except Exception:  # nobody would look for what is to be told, for good
            log.exception("it cannot be found out what is to be told")

    async def _untold(self) -> list[tuple[str, str]]:
        """Return the plans and deployments whose messages are not in their last state, oldest first, and where."""
        recent = await self._state.deployments.list(limit=SEARCHED_DEPLOYMENTS)
        unfinished = await self._state.posts.unfinished((LIVE, OUTCOME, APPROVAL))
        subjects = {post.subject for post in unfinished}
        plans = {p.id: p.environment for p in await self._state.approvals.open() if p.state is ProposalState.AWAITING}
        for post in unfinished:
            if post.kind == APPROVAL and (plan := await self._state.approvals.get(post.subject)) is not None:
                plans[plan.id] = plan.environment
        deployments = [(one.id, one.environment) for one in reversed(recent) if await self._is_untold(one, subjects)]
        return [one for one in [*sorted(plans.items()), *deployments] if one[0] not in self._tellings]

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


def _is_alerts(subject: str) -> bool:
    return subject.partition(":")[0] == ALERTS


def _outliving(start: Any, what: Any, *arguments: Any, **options: Any) -> Any:
    """Start something that lives longer than its caller, without the caller's context (such as its log fields)."""
    return contextvars.Context().run(start, what, *arguments, **options)
