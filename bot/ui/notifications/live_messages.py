"""Keep the channels in step with the journal: what it should show, and what it shows."""

import asyncio
import contextvars
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from roas.concurrency import end_tasks, wait_for
from roas.errors import RoasError
from roas.events import EventBus, Subscription
from roas.log import get_logger
from roas.models.deployment import SAVES, Deployment
from roas.models.events import (
    AlertEvent,
    ApprovalChanged,
    CandidateChanged,
    DeploymentBegan,
    DeploymentEnded,
    DeploymentEvent,
    DeploymentPaused,
    PauseDecided,
    PhaseChanged,
)
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from roas.ui.embeds.freeze import FREEZE_SUBJECTS
from roas.ui.notifications.alert_notifier import ALERTS, AlertNotifier
from roas.ui.notifications.deployment_notifier import (
    PLAN_SUBJECTS,
    PROPOSAL_SUBJECTS,
    ApprovalNotifier,
    DeploymentNotifier,
    ProposalNotifier,
    has_message,
)
from roas.ui.notifications.freeze_notifier import FreezeNotifier, TypedFreezes
from roas.ui.notifications.notifier import APPROVAL, LIVE, OUTCOME, PROPOSAL, Notifier, Pace
from roas.ui.notifications.outbox import Outbox, Outboxes
from roas.ui.redacted import Redact

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PingRoles:
    """Name the roles that the bot may ping: one for urgent alerts, the approvers for a plan that waits for them."""

    alert_role: int | None = None
    approver_roles: tuple[int, ...] = ()


# A deployment that ended longer ago is not posted any more; its outcome is in the history.
NEWS = timedelta(hours=24)
SEARCHED_DEPLOYMENTS = 100
# How long those that have something to post at the start are waited for, so that they post in order.
ORDERING_SECONDS = 5.0
URGENT = (DeploymentBegan, DeploymentPaused, PauseDecided, DeploymentEnded)


class LiveMessages:
    """Post deployments and plans, each in a task of its own, and alerts; nothing ever waits for Discord.

    Events only wake: what is posted is read from the journal, and a slow poll of the journal finds what no event
    announced (a deployment that another process runs, or what happened while this bot was unavailable).
    """

    def __init__(
        self,
        state: StateManager,
        bus: EventBus,
        outboxes: Outboxes,
        *,
        leadership: Leadership | None = None,
        pace: Pace | None = None,
        ping_roles: PingRoles | None = None,
        redact: Redact = str,
    ) -> None:
        self._outboxes = outboxes
        self._state = state
        self._bus = bus
        self._leadership = leadership or Leadership()
        self._pace = pace or Pace()
        self._ping_roles = ping_roles or PingRoles()
        self._redact = redact
        self._freezes = TypedFreezes(state, NEWS)
        self._notifiers: dict[str, tuple[Notifier, asyncio.Task[None]]] = {}
        self._subscriptions: list[Subscription] = []
        self._watch: asyncio.Task[None] | None = None
        self._look = asyncio.Event()
        self._online = asyncio.Event()

    def start(self) -> None:
        """Begin to listen; nothing is posted before `online`."""
        for kind, handle in (
            (DeploymentEvent, self._handle_deployment_event),
            (AlertEvent, self._handle_alert_event),
            (CandidateChanged, self._handle_candidate_event),
        ):
            self._subscriptions.append(_detached(self._bus.subscribe, kind, handle, name="live messages"))
        self._watch = _detached(asyncio.create_task, self._run(), name="live messages")

    def online(self) -> None:
        """Note that Discord can be reached (again): pending posts are tried at once."""
        self._online.set()
        self._look.set()
        for notifier, _task in self._notifiers.values():
            notifier.notify(urgent=True)

    def follow(self, subject: str, environment: str) -> Notifier:
        """Follow a deployment, or a plan that waits for a second person; it may be followed already.

        It is posted in the channel of its environment.
        """
        return self._follow_in(self._outboxes.of(environment), subject)

    def _follow_in(self, outbox: Outbox, subject: str) -> Notifier:
        known = self._notifiers.get(subject)
        if known is not None:
            return known[0]
        notifier = self._create_notifier(subject, outbox)
        task: asyncio.Task[None] = _detached(asyncio.create_task, self._follow(notifier), name=f"notifier of {subject}")
        self._notifiers[subject] = (notifier, task)
        return notifier

    def _create_notifier(self, subject: str, outbox: Outbox) -> Notifier:
        parts = (outbox, self._pace, self._state, self._redact)
        if _is_alerts(subject):
            return AlertNotifier(
                subject, *parts, self._ping_roles.alert_role, is_ours=lambda name: self._outboxes.of(name) is outbox
            )
        if subject.startswith(PLAN_SUBJECTS):
            return ApprovalNotifier(subject, *parts, self._ping_roles.approver_roles)
        if subject.startswith(PROPOSAL_SUBJECTS):
            return ProposalNotifier(subject, *parts)
        if subject.startswith(FREEZE_SUBJECTS):
            return FreezeNotifier(subject, *parts)
        return DeploymentNotifier(subject, *parts)

    def _follow_alerts(self) -> list[Notifier]:
        """Post alerts, in the channel of each environment."""
        return [self._follow_in(outbox, self._alerts_of(outbox)) for outbox in self._outboxes.all()]

    def _alerts_of(self, outbox: Outbox) -> str:
        return ALERTS if outbox is self._outboxes.main else f"{ALERTS}:{outbox.channel.id}"

    async def link(self, subject: str, environment: str, *, within_seconds: float) -> str:
        """Return the address of a live message or an approval, or of the channel where that takes too long."""
        notifier = self.follow(subject, environment)
        await wait_for(notifier.posted, within_seconds)
        return await self.known_link(subject, environment)

    async def known_link(self, subject: str, environment: str) -> str:
        """Return the address of a message that was posted before, or of the channel."""
        post = await self._state.posts.get(subject, APPROVAL if subject.startswith(PLAN_SUBJECTS) else LIVE)
        posted_in = self._outboxes.of_channel(post.channel_id) if post is not None else None
        if post is None or posted_in is None:
            return self._outboxes.of(environment).channel.link()
        return posted_in.channel.link(post.message_id)

    def trouble(self, environment: str) -> str:
        """Say in the reader's language what is wrong with an environment's channel, and with the ops channel.

        It is empty where there is none.
        """
        own, main = self._outboxes.of(environment), self._outboxes.main
        if own is main:
            return main.trouble.text
        return "\n".join(f"<#{item.channel.id}>: {item.trouble.text}" for item in (own, main) if item.trouble.text)

    async def settled(self) -> None:
        """Wait until everything that is followed now and has an end is posted to its end."""
        ending = [task for subject, (_notifier, task) in self._notifiers.items() if not _is_alerts(subject)]
        await asyncio.gather(*ending, return_exceptions=True)

    async def close(self) -> None:
        """Stop; what is not posted yet is posted by the next bot."""
        for subscription in self._subscriptions:
            await self._bus.unsubscribe(subscription)
        tasks = [task for _notifier, task in self._notifiers.values()]
        tasks += [self._watch] if self._watch is not None else []
        await end_tasks(*tasks)

    async def _handle_deployment_event(self, event: DeploymentEvent) -> None:
        if isinstance(event, ApprovalChanged) and event.plan_id:
            self.follow(event.plan_id, event.environment).notify(urgent=True)
        if not event.deployment_id or event.deployment_id.startswith(SAVES):  # it is scheduled, and not begun
            return
        self.follow(event.deployment_id, event.environment).notify(
            urgent=isinstance(event, URGENT), prompt=isinstance(event, PhaseChanged)
        )

    async def _handle_alert_event(self, _event: AlertEvent) -> None:
        for notifier in self._follow_alerts():
            notifier.notify()

    async def _handle_candidate_event(self, event: CandidateChanged) -> None:
        self.follow(event.proposal, event.environment).notify(urgent=True)

    async def _run(self) -> None:
        """Look for what no event announced: at the start, when woken, and periodically."""
        # Nothing new is posted until all notifiers are queued, or the quickest to read would be first.
        async with AsyncExitStack() as held_queues:
            for outbox in self._outboxes.all():
                await held_queues.enter_async_context(outbox.queue.hold("start"))
            await self._online.wait()
            await self._leadership.wait_until_leader()
            await self._follow_pending()
            await asyncio.gather(*map(self._all_asked, self._outboxes.all()))
        while True:
            await wait_for(self._look, self._pace.poll)
            self._look.clear()
            await self._follow_pending()

    async def _all_asked(self, outbox: Outbox) -> None:
        senders = [subject for subject, (notifier, _task) in self._notifiers.items() if notifier.outbox is outbox]
        await outbox.queue.wait_for_all(senders, ORDERING_SECONDS)

    async def _follow_pending(self) -> None:
        """Follow everything that is not fully posted."""
        try:
            self._follow_alerts()
            for subject, environment in await self._pending_subjects():
                self.follow(subject, environment)
        except RoasError as error:
            log.error("the journal cannot be read for posts", error=error.message)
        except Exception:  # otherwise nothing would ever be posted again
            log.exception("pending messages could not be listed")

    async def _pending_subjects(self) -> list[tuple[str, str]]:
        """Return the plans and deployments whose messages are not in their last state, oldest first, and where."""
        state = self._state
        recent = await state.deployments.list(limit=SEARCHED_DEPLOYMENTS, whole=False, with_saves=False)
        unfinished = await state.posts.unfinished((LIVE, OUTCOME, APPROVAL, PROPOSAL))
        subjects = {post.subject for post in unfinished}
        proposals = await self._pending_proposals(post.subject for post in unfinished if post.kind == PROPOSAL)
        plans = {p.id: p.environment for p in await state.approvals.open() if p.is_shown}
        for post in unfinished:
            if post.kind == APPROVAL and (plan := await state.approvals.get(post.subject)) is not None:
                plans[plan.id] = plan.environment
        deployments = [
            (deployment.id, deployment.environment)
            for deployment in reversed(recent)
            if await self._is_pending(deployment, subjects)
        ]
        pending = [*sorted(plans.items()), *proposals, *await self._freezes.pending(), *deployments]
        return [item for item in pending if item[0] not in self._notifiers]

    async def _pending_proposals(self, unfinished: Iterable[str]) -> list[tuple[str, str]]:
        """Return the proposals whose message is to be posted, or not in its last state, and where."""
        candidates = self._state.candidates
        found = {entry.proposal: entry.environment for entry in await candidates.open() if has_message(entry)}
        for proposal in unfinished:
            for candidate in await candidates.of_proposal(proposal):
                found[proposal] = candidate.environment
        return sorted(found.items())

    async def _is_pending(self, deployment: Deployment, unfinished: set[str]) -> bool:
        is_old = deployment.ended_at is not None and datetime.now(UTC) - deployment.ended_at > NEWS
        if is_old or deployment.request.part_of:
            return False
        if not deployment.finished or deployment.id in unfinished:
            return True
        outcome = await self._state.posts.get(deployment.id, OUTCOME)
        return outcome is None or not outcome.finished

    async def _follow(self, notifier: Notifier) -> None:
        try:
            await self._online.wait()
            while True:
                await self._leadership.run_while_leader(notifier.run)
                if not notifier.has_news:  # which may come after the notifier looked for the last time
                    break
        except Exception:  # a fault in drawing one thing must not stop the others; the next look tries again
            log.exception("message could not be posted", subject=notifier.subject)
        finally:
            self._notifiers.pop(notifier.subject, None)


def _is_alerts(subject: str) -> bool:
    return subject.partition(":")[0] == ALERTS


def _detached(start: Any, what: Any, *arguments: Any, **options: Any) -> Any:
    """Start something that lives longer than its caller, without the caller's context (such as its log fields)."""
    return contextvars.Context().run(start, what, *arguments, **options)
