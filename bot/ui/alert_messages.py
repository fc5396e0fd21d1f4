"""Keep the ops channel in step with the alerts: each has one embed, a storm of them shares one."""

import asyncio
import contextvars
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from bot.concurrency import happens
from bot.errors import RoasError
from bot.events import Event, EventBus, Subscription
from bot.models.alert import Alert, AlertState
from bot.models.identifiers import new_id
from bot.state.manager import StateManager
from bot.ui.alert_posts import AlertPosts
from bot.ui.embeds.alert import draw_alert, draw_escalation, draw_group
from bot.ui.ops_channel import ChannelClosedError, OpsChannel, PostError
from bot.ui.secrets import Redact, without_secrets
from bot.ui.translation import speaking
from bot.ui.voice import Voice

log = structlog.get_logger(__name__)

ALERT = "alert"
GROUP = "alerts"
ESCALATION = "escalation"
CALL_EVERY_SECONDS = 900


@dataclass(frozen=True, slots=True)
class AlertPace:
    """Say how many messages of their own alerts may have, and how often messages are edited; times in seconds."""

    singles: int = 4
    window: float = 10.0
    at_once: int = 3
    group_open: float = 60.0
    between_passes: float = 0.3
    between_group_edits: float = 2.0
    poll: float = 15.0
    longest_retry: float = 60.0


class AlertMessages:
    """Tell of alerts, from the journal alone: events only wake, and a bot that comes later goes on."""

    def __init__(
        self,
        state: StateManager,
        bus: EventBus,
        channel: OpsChannel,
        *,
        voice: Voice | None = None,
        role: int | None = None,
        redact: Redact = str,
        pace: AlertPace | None = None,
    ) -> None:
        self._state = state
        self._bus = bus
        self._channel = channel
        self._posts = AlertPosts(state, channel)
        self._voice = voice or Voice()
        self._role = role
        self._redact = redact
        self._pace = pace or AlertPace()
        self._news = asyncio.Event()
        self._online = asyncio.Event()
        self._sent: deque[float] = deque()
        self._groups: dict[bool, tuple[str, float]] = {}
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        self._failures = 0

    def start(self) -> None:
        """Begin to listen; nothing is posted before `online`."""
        context = contextvars.Context()
        self._subscription = context.run(self._bus.subscribe, "monitoring.alert.*", self._hear, name="alert messages")
        self._task = context.run(asyncio.create_task, self._run(), name="alert messages")

    def online(self) -> None:
        """Say that Discord can be reached (again)."""
        self._online.set()
        self._news.set()

    async def close(self) -> None:
        """Stop; what is not told yet is told by the next bot."""
        if self._subscription is not None:
            await self._bus.unsubscribe(self._subscription)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _hear(self, event: Event) -> None:
        self._news.set()

    async def _run(self) -> None:
        await self._online.wait()
        while True:
            self._news.clear()
            await self._voice.wait_active()
            rest = await self._pass()
            await happens(asyncio.Event(), rest)
            await happens(self._news, self._pace.poll)

    async def _pass(self) -> float:
        """Tell what is untold; returns the seconds to rest before the next pass."""
        try:
            grouped = await self._tell()
            self._failures = 0
        except ChannelClosedError as error:
            log.error("the ops channel is closed to the bot: an alert cannot be told", reason=str(error))
        except (PostError, RoasError) as error:
            log.warning("alerts are told later", reason=str(error))
        except Exception:  # one alert that cannot be drawn must not silence the others for good
            log.exception("alerts cannot be told")
        else:
            return self._pace.between_group_edits if grouped else self._pace.between_passes
        self._news.set()  # try again
        self._failures += 1
        longest: float = min(0.5 * 2.0 ** min(self._failures, 16), self._pace.longest_retry)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter

    async def _tell(self) -> bool:
        """Bring every message to what the journal says; returns whether one tells of many. Raises PostError."""
        untold = await self._state.alerts.untold()
        if not untold:
            return False
        with speaking(await self._channel.locale()):
            fresh = [alert for alert in untold if not alert.group and not await self._is_posted(alert)]
            room = self._room()
            if len(fresh) > self._pace.at_once or len(fresh) > room:
                await self._gather(fresh)
                seen = {alert.id for alert in untold}  # those that came since then are for the next pass
                untold = tuple(alert for alert in await self._state.alerts.untold() if alert.id in seen)
            for alert in untold:
                if not alert.group:
                    await self._tell_one(alert)
            groups = sorted({alert.group for alert in untold if alert.group})
            for group in groups:
                await self._tell_group(group)
            for alert in untold:
                await self._escalate(alert)
        return bool(groups)

    async def _tell_one(self, alert: Alert) -> None:
        drawing = draw_alert(without_secrets(alert, self._redact), self._role)
        if await self._posts.bring(alert.id, ALERT, drawing, since=alert.started_at):
            self._sent.append(time.monotonic())
        await self._state.alerts.told([alert])

    async def _tell_group(self, group: str) -> None:
        alerts = await self._state.alerts.group(group)
        drawing = draw_group(group, [without_secrets(one, self._redact) for one in alerts], self._role)
        if await self._posts.bring(group, GROUP, drawing, since=alerts[0].started_at):
            self._sent.append(time.monotonic())
        await self._state.alerts.told(alerts)

    async def _escalate(self, alert: Alert) -> None:
        """Call for help once, in a message of its own: an edit calls nobody."""
        if alert.escalated_at is None or alert.state in {AlertState.RESOLVED, AlertState.SILENCED}:
            return
        # What breaks again and again calls once in a while, not every time.
        kind = f"{ESCALATION} {int(alert.escalated_at.timestamp() // CALL_EVERY_SECONDS)}"
        if await self._posts.is_posted(alert.id, kind):
            return
        about = await self._posts.message_id(*((alert.group, GROUP) if alert.group else (alert.id, ALERT)))
        drawing = draw_escalation(without_secrets(alert, self._redact), self._role)
        await self._posts.bring(alert.id, kind, drawing, since=alert.escalated_at, reply_to=about)
        self._sent.append(time.monotonic())

    async def _gather(self, alerts: Sequence[Alert]) -> None:
        """Put alerts that come too many at once into messages that tell of many: one that calls people, one not."""
        now = time.monotonic()
        for urgent in (True, False):
            members = [alert for alert in alerts if alert.is_urgent is urgent]
            if not members:
                continue
            group, since = self._groups.get(urgent, ("", float("-inf")))
            if not group or now - since > self._pace.group_open:
                group = new_id("STORM")
            self._groups[urgent] = (group, now)
            await self._state.alerts.put_in_group(members, group)

    async def _is_posted(self, alert: Alert) -> bool:
        return await self._posts.is_posted(alert.id, ALERT)

    def _room(self) -> int:
        """Return how many more messages may be posted just now."""
        now = time.monotonic()
        while self._sent and now - self._sent[0] > self._pace.window:
            self._sent.popleft()
        return max(0, self._pace.singles - len(self._sent))
