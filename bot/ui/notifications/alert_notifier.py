"""Post the alerts of a channel: each has one message, a storm of them shares one."""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from roas.errors import RoasError
from roas.log import get_logger
from roas.models.alert import Alert
from roas.models.post import Post
from roas.models.stored import new_id
from roas.state.alerts import PING_INTERVAL
from roas.state.manager import StateManager
from roas.ui.drawing import Drawing
from roas.ui.embeds.alert import Clean, draw_alert, draw_escalation, draw_group, draw_ping, draw_shared_ping
from roas.ui.notifications.notifier import ALERT, ESCALATION, GROUP, Notifier, Pace
from roas.ui.notifications.ops_channel import PostError
from roas.ui.notifications.outbox import Outbox, PostRequest
from roas.ui.redacted import Redact, without_secrets

log = get_logger(__name__)

PING = "call"
RELAPSE = "relapse"
PING_INTERVAL_SECONDS = PING_INTERVAL.total_seconds()


@dataclass(frozen=True, slots=True)
class PostedMessage:
    """Hold a message that shows alerts, and these with whether it has pinged about them."""

    post: Post
    alerts: Sequence[Alert]
    is_new: bool


class RolePings:
    """Ping a role when recovery is exhausted, and about alerts that became urgent after they were posted."""

    def __init__(
        self,
        outbox: Outbox,
        state: StateManager,
        clean: Clean,
        role: int | None,
        deliver: Callable[[PostRequest], Awaitable[Post]],
    ) -> None:
        self._outbox = outbox
        self._state = state
        self._clean = clean
        self._role = role
        self._deliver = deliver
        self._shared: tuple[str, float] = ("", float("-inf"))

    async def post_message(self, subject: str, kind: str, drawing: Drawing, alerts: Sequence[Alert]) -> PostedMessage:
        """Update the message that shows alerts; only where it is new does it ping.

        One that may be there already, from an attempt that was to ping nobody, pings nobody now either: a message of
        its own does that.
        """
        before = await self._outbox.post(subject, kind)
        called = any(alert.called for alert in alerts)
        if not called and await self._outbox.is_in_doubt(subject, kind):
            drawing = replace(drawing, pings=())
        if before is None or before.message_id is None:
            called = bool(drawing.pings)
            await self._mark_pinged(alerts, called=called)  # intent before action
        elif not any(alert.is_audible for alert in alerts):
            drawing = replace(drawing, pings=())  # a message that a person deleted is posted again
        post = await self._deliver(PostRequest(subject, kind, drawing, alerts[0].started_at))
        is_new = post.message_id is not None and (before is None or before.message_id != post.message_id)
        if is_new and drawing.pings and not called:
            called = True
            await self._mark_pinged(alerts, called=True)
        return PostedMessage(post, [replace(alert, called=called) for alert in alerts], is_new)

    async def _mark_pinged(self, alerts: Sequence[Alert], *, called: bool) -> None:
        if any(alert.called is not called for alert in alerts):
            await self._state.alerts.mark_pinged(alerts, called=called)

    async def is_due(self, alert: Alert) -> bool:
        """Return whether a message of its own that pings about an alert is still to be posted."""
        kind = self._kind(alert)
        if kind is None or not alert.is_audible:
            return False
        post = await self._outbox.post(alert.called_with or alert.id, kind)
        return post is None or (post.message_id is None and not post.finished)

    async def share(self, alerts: Sequence[Alert], within_seconds: float) -> None:
        """Let one message ping about these alerts and about those for which that was decided a moment ago."""
        name, since = self._shared
        now = time.monotonic()
        if not name or now - since > within_seconds:
            name = new_id("STORM")
        self._shared = (name, now)
        await self._state.alerts.assign_shared_ping(alerts, name)

    async def send(self, alert: Alert, about: Post) -> int:
        """Ping about an alert that has its own message, where that is due; returns how many messages were posted."""
        if alert.called_with:
            return await self.send_shared(alert.called_with, await self._state.alerts.of_shared_ping(alert.called_with))
        kind = self._kind(alert)
        if kind is None or not await self.is_due(alert):
            return 0
        draw = draw_escalation if kind.startswith(ESCALATION) else draw_ping
        posted = await self._post(alert.id, kind, draw(self._clean(alert), self._role), [alert], about)
        if kind == PING:
            await self._state.alerts.mark_pinged([alert], called=True)
        return posted

    async def send_shared(self, name: str, alerts: Sequence[Alert], about: Post | None = None) -> int:
        """Ping about many alerts at once, and keep the ping up to date; returns how many messages were posted."""
        members: dict[str, list[Alert]] = {}
        for alert in alerts:
            if (kind := self._kind(alert)) is not None:
                members.setdefault(kind, []).append(alert)
        posted = 0
        for kind, pinged in members.items():
            if any(alert.is_audible for alert in pinged) or await self._outbox.post(name, kind) is not None:
                drawing = draw_shared_ping(name, pinged, self._role, self._clean, for_help=kind.startswith(ESCALATION))
                posted += await self._post(name, kind, drawing, pinged, about)
        return posted

    async def _post(
        self, subject: str, kind: str, drawing: Drawing, alerts: Sequence[Alert], about: Post | None
    ) -> int:
        before = await self._outbox.post(subject, kind)
        since = min(alert.escalated_at or alert.relapsed_at or alert.started_at for alert in alerts)
        reply_to = about.message_id if about is not None else None
        alone = subject == alerts[0].id
        post = await self._deliver(PostRequest(subject, kind, drawing, since, finished=alone, reply_to=reply_to))
        return int(before is None or before.message_id != post.message_id)

    def _kind(self, alert: Alert) -> str | None:
        """Return which ping an alert needs now, whether it was posted or not."""
        if alert.escalated_at is not None:
            # What keeps failing pings once in a while, not every time.
            return f"{ESCALATION} {int(alert.escalated_at.timestamp() // PING_INTERVAL_SECONDS)}"
        if self._role is None or not alert.is_urgent:
            return None
        if alert.relapsed_at is not None and alert.pings_again:
            return f"{RELAPSE} {int(alert.relapsed_at.timestamp())}"
        return None if alert.called else PING


ALERTS = "alerts"
BETWEEN_PASSES_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class GroupingLimits:
    """Limit how many messages of their own alerts may have; times in seconds."""

    singles: int = 4
    window: float = 10.0
    at_once: int = 3
    group_open: float = 60.0


class AlertNotifier(Notifier):
    """Post all alerts of one channel, from the journal alone; runs until cancelled.

    `is_ours` returns whether the alerts of an environment belong there. One task posts all of them, since whether an
    alert has a message of its own depends on the others.
    """

    def __init__(
        self,
        subject: str,
        outbox: Outbox,
        pace: Pace,
        state: StateManager,
        redact: Redact,
        role: int | None = None,
        limits: GroupingLimits | None = None,
        *,
        is_ours: Callable[[str], bool] = lambda _environment: True,
    ) -> None:
        super().__init__(subject, outbox, pace)
        self._is_ours = is_ours
        self._state = state
        self._clean = partial(without_secrets, redact=redact)
        self._role = role
        self._pings = RolePings(outbox, state, self._clean, role, self._deliver)
        self._limits = limits or GroupingLimits()
        self._sent: deque[float] = deque()
        self._groups: dict[bool, tuple[str, float]] = {}
        self._held_back = False
        self._next_pass = 0.0

    async def _post_changes(self) -> bool:
        """Update every message from the journal. Raises PostError."""
        pending = await self._pending_subjects()
        if await self._group_new(pending):
            seen = {alert.id for alert in pending}  # those that came since then are for the next pass
            pending = tuple(alert for alert in await self._pending_subjects() if alert.id in seen)
        self._held_back = False
        for alert in pending:
            subjects = [subject for subject in (alert.id, alert.called_with) if subject]
            if not alert.group and all(self._may_edit(subject) for subject in subjects):
                await self._isolated(alert.id, self._post_single(alert))
        groups = sorted({alert.group for alert in pending if alert.group})
        for group in groups:
            if self._may_edit(group):
                await self._isolated(group, self._post_group(group))
        longest = max((self.outbox.edit_delay(group) for group in groups), default=0.0)
        self._next_pass = time.monotonic() + max(BETWEEN_PASSES_SECONDS, longest)
        return False

    async def _pending_subjects(self) -> tuple[Alert, ...]:
        """Return the alerts that this channel has yet to show.

        Alerts that share a message stay together, in the channel of the oldest, though the settings were changed.
        """
        pending = await self._state.alerts.pending_notification()
        grouped = {
            name: await self._state.alerts.group(name) for name in {alert.group for alert in pending if alert.group}
        }
        oldest = {name: alerts[0].environment for name, alerts in grouped.items() if alerts}
        return tuple(alert for alert in pending if self._is_ours(oldest.get(alert.group, alert.environment)))

    def _poll_seconds(self) -> float:
        return 0.0 if self._held_back else self._pace.poll

    def _hold_back_seconds(self) -> float:
        return self._next_pass - time.monotonic()

    def _may_edit(self, subject: str) -> bool:
        """Return whether its message may be edited now; if not, the next pass tries again."""
        ready = self.outbox.edit_delay(subject) <= 0
        self._held_back = self._held_back or not ready
        return ready

    async def _isolated(self, subject: str, posting: Awaitable[None]) -> None:
        """Post one alert; a fault in drawing it must not stop the others."""
        try:
            await posting
        except (PostError, RoasError):
            raise
        except Exception:
            log.exception("alert could not be posted", subject=subject)

    async def _post_single(self, alert: Alert) -> None:
        post, alerts = await self._post(alert.id, ALERT, draw_alert(self._clean(alert), self._role), [alert])
        self._count(await self._pings.send(alerts[0], post))
        await self._state.alerts.mark_notified([alert])

    async def _post_group(self, group: str) -> None:
        alerts = await self._state.alerts.group(group)
        drawing = draw_group(group, alerts, self._role, self._clean)
        post, members = await self._post(group, GROUP, drawing, alerts)
        self._count(await self._pings.send_shared(group, members, post))
        await self._state.alerts.mark_notified(alerts)

    async def _post(
        self, subject: str, kind: str, drawing: Drawing, alerts: Sequence[Alert]
    ) -> tuple[Post, Sequence[Alert]]:
        """Update a message; returns it, and its alerts with whether it has pinged about them."""
        posted = await self._pings.post_message(subject, kind, drawing, alerts)
        self._count(int(posted.is_new))
        return posted.post, posted.alerts

    async def _group_new(self, pending: Sequence[Alert]) -> bool:
        """Let new messages share one where they are too many; returns whether they do."""
        own = [alert for alert in pending if not alert.group]
        fresh = [alert for alert in own if await self._is_new(alert)]
        new = {alert.id for alert in fresh}
        due = [alert for alert in own if alert.id not in new and await self._pings.is_due(alert)]
        if len(fresh) + len(due) <= min(self._limits.at_once, self._remaining()):
            return False
        await self._assign_groups(fresh)
        await self._pings.share(due, self._limits.group_open)
        return True

    async def _assign_groups(self, alerts: Sequence[Alert]) -> None:
        """Group alerts that come too fast into shared messages: one that pings a role, one that does not."""
        now = time.monotonic()
        for urgent in (True, False):
            members = [alert for alert in alerts if alert.is_urgent is urgent]
            if not members:
                continue
            group, since = self._groups.get(urgent, ("", float("-inf")))
            if not group or now - since > self._limits.group_open:
                group = new_id("STORM")
            self._groups[urgent] = (group, now)
            await self._state.alerts.put_in_group(members, group)

    async def _is_new(self, alert: Alert) -> bool:
        return await self.outbox.post(alert.id, ALERT) is None

    def _count(self, messages: int) -> None:
        self._sent.extend([time.monotonic()] * messages)

    def _remaining(self) -> int:
        """Return how many more messages may be posted just now."""
        now = time.monotonic()
        while self._sent and now - self._sent[0] > self._limits.window:
            self._sent.popleft()
        return max(0, self._limits.singles - len(self._sent))
