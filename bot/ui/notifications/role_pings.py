"""Ping the alert role: with the message that shows alerts where it is new, and in messages of their own later.

An edit pings nobody. So what became urgent later, and what needs help, pings once each, many of them together. Which
alerts may ping at all, and by which mention, is drawn by `embeds/alert.py`.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from roas.models.alert import Alert
from roas.models.identifiers import new_id
from roas.models.post import Post
from roas.state.alert_occurrences import PING_INTERVAL
from roas.state.manager import StateManager
from roas.ui.drawing import Drawing
from roas.ui.embeds.alert import Clean, draw_escalation, draw_ping, draw_shared_ping
from roas.ui.notifications.notifier import ESCALATION
from roas.ui.notifications.outbox import Outbox, PostRequest

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
            drawing = replace(drawing, pings=())  # a message that a person deleted is posted anew
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
