"""Tell targets outside of Discord, by Apprise: alerts by their severity, and deployments that need a person.

What is told follows from the changes in the journal, in their order; up to where each target was told is there, too.
So whichever bot leads tells what the one before could not, and a target that is away holds up neither Discord nor
another target.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from roas.alerts.alert_service import AlertService
from roas.alerts.bot_alerts import OwnAlert
from roas.apprise_target import TargetError, Tone
from roas.concurrency import end_tasks, pause, wait_for
from roas.configuration.settings import Settings
from roas.configuration.tables import NotifySettings
from roas.errors import RoasError
from roas.events import EventBus, Subscription
from roas.limits import PATIENTLY, Backoff
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.alert import Alert, AlertState, Severity
from roas.models.deployment import Deployment, Operation, Outcome
from roas.models.environment import whole_of
from roas.models.events import AlertEvent, DeploymentEnded, Event
from roas.models.post import TargetPosition, WaitingAlert
from roas.models.state_change import ChangeType, StateChange
from roas.redaction import hide
from roas.state.alerts import RESOLVED
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from roas.ui.embeds.outcome import next_step
from roas.ui.formatting import ending, headline
from roas.ui.redacted import Redact
from roas.ui.translation import _, translate, using_locale, word
from roas.ui.units import duration

log = get_logger(__name__)

# What happened longer ago is not told any more: who is told of it could do nothing about it.
NEWS = timedelta(hours=24)
POLL_SECONDS = 15.0
# A target is said to be away after so many failures in a row, and after one that has not ended for so long.
FAILURES_BEFORE_ALERT = 2
HANGS_SECONDS = 60.0
# How long a bot that leaves waits for a message that is on its way.
LEAVE_SECONDS = 3.0
OWN_ALERTS = "notify:"
LONGEST_TITLE, LONGEST_BODY = 200, 1500
TONES = {
    Severity.CRITICAL: Tone.FAILURE,
    Severity.HIGH: Tone.FAILURE,
    Severity.WARNING: Tone.WARNING,
    Severity.INFO: Tone.INFO,
}
ESCAPE = re.compile(r"\\([^\w\s]|_)")

# Sends one message: the target, its title, its text and its tone. Raises TargetError.
Send = Callable[[NotifySettings, str, str, Tone], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class TargetMessage:
    """Hold one message, in the language of its target."""

    title: str
    body: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class TargetParts:
    """Hold what all targets work with; `pace` is how long is waited for news, in seconds."""

    state: StateManager
    alert_service: AlertService
    settings: Settings
    redact: Redact
    send: Send
    pace: float = POLL_SECONDS
    hangs_seconds: float = HANGS_SECONDS


class TargetNotifier:
    """Tell one target, one message after the other."""

    def __init__(self, name: str, settings: NotifySettings, parts: TargetParts) -> None:
        self.name = name
        self.news = asyncio.Event()
        self._settings = settings
        self._parts = parts
        self._backoff, self._failures = Backoff(PATIENTLY), 0
        title = said("the target {target} cannot be reached", target=name)
        self._alert = OwnAlert(parts.alert_service, f"{OWN_ALERTS}{name}", Severity.WARNING, title)

    async def run(self) -> None:
        """Tell what is new until cancelled."""
        while True:
            self.news.clear()
            try:
                await self.send_pending()
            except TargetError as error:
                await pause(await self._delay_after(error))
            except RoasError as error:
                log.error("a target could not be told", target=self.name, error=error.message)
                await pause(self._parts.pace)
            except Exception:  # otherwise it would never be told anything again
                log.exception("a target could not be told", target=self.name)
                await pause(self._parts.pace)
            else:
                await wait_for(self.news, self._parts.pace)

    async def send_pending(self) -> None:
        """Tell all that is due, the oldest first. Raises TargetError, StateError."""
        targets = self._parts.state.targets
        position = await targets.get(self.name)
        if position is None:  # what was before it was named is no news to it
            position = TargetPosition(await self._parts.state.last_sequence())
            await targets.save(self.name, position)
        while changes := await targets.news(position.sequence):
            for sequence, change in changes:
                message, after = await self._judge(change, replace(position, sequence=sequence))
                is_news = datetime.now(UTC) - change.time <= NEWS
                position = await self._deliver(message if is_news else None, after)
        for waiting in position.waiting:
            position = await self._escalate(waiting, position)

    async def _judge(self, change: StateChange, after: TargetPosition) -> tuple[TargetMessage | None, TargetPosition]:
        """Return what is to be told of a change, and what is known after that."""
        environment = whole_of(change.environment or "")
        if self._settings.environments and environment not in {"", *self._settings.environments}:
            return None, after
        if change.type is ChangeType.DEPLOYMENT_FINISHED:
            return await self._of_deployment(change.subject), after
        alert = await self._parts.state.alerts.get(change.subject)
        if alert is None or alert.fingerprint == f"{OWN_ALERTS}{self.name}":
            return None, after
        if change.metadata.get("event") == RESOLVED:
            waiting = tuple(item for item in after.waiting if item.alert_id != alert.id)
            told = tuple(item for item in after.told if item != alert.id)
            message = self._of_alert(alert, _resolved) if told != after.told else None
            return message, replace(after, waiting=waiting, told=told)
        if not self._wants(Severity(str(change.metadata.get("severity")))) or alert.state is AlertState.SILENCED:
            return None, after
        if self._settings.after_seconds is None:
            return self._of_alert(alert, _raised), _with_notified(after, alert.id)
        if any(item.alert_id == alert.id for item in after.waiting):
            return None, after
        return None, replace(after, waiting=(*after.waiting, WaitingAlert(alert.id, change.time)))

    async def _escalate(self, waiting: WaitingAlert, position: TargetPosition) -> TargetPosition:
        """Tell of an alert that nobody has acknowledged in time; it waits no more where somebody has."""
        alert = await self._parts.state.alerts.get(waiting.alert_id)
        is_open = alert is not None and alert.state is AlertState.FIRING
        over = replace(position, waiting=tuple(item for item in position.waiting if item != waiting))
        passed = datetime.now(UTC) - waiting.since
        if alert is None or not is_open or passed > NEWS:
            return await self._deliver(None, over)
        if passed.total_seconds() < (self._settings.after_seconds or 0.0):
            return position
        return await self._deliver(self._of_alert(alert, _unacknowledged), _with_notified(over, alert.id))

    async def _of_deployment(self, deployment_id: str) -> TargetMessage | None:
        """Return what is told of a deployment that ended; nothing of one that needs nobody."""
        deployment = await self._parts.state.deployments.get(deployment_id)
        if deployment is None or deployment.request.part_of or self._settings.after_seconds is not None:
            return None
        severity = severity_of(deployment)
        if severity is None or not self._wants(severity):
            return None
        with using_locale(self._settings.language):
            title, body = _deployment_text(deployment)
            return self._message(title, (*body, self._link(deployment.environment)), TONES[severity])

    def _of_alert(self, alert: Alert, draw: Callable[[Alert], str]) -> TargetMessage:
        with using_locale(self._settings.language):
            body = (*_alert_lines(alert), self._link(alert.environment))
            tone = Tone.SUCCESS if draw is _resolved else TONES[alert.severity]
            return self._message(draw(alert), body, tone)

    def _message(self, title: str, lines: tuple[str, ...], tone: Tone) -> TargetMessage:
        """Return a message without secrets; clipping comes last, so that no part of one is left at the edge."""
        body = "\n".join(line for line in lines if line)
        return TargetMessage(
            _clipped(" ".join(self._hidden(title).split()), LONGEST_TITLE),
            _clipped(self._hidden(body), LONGEST_BODY),
            tone,
        )

    def _hidden(self, text: str) -> str:
        return hide(self._parts.redact(text))

    def _link(self, environment: str) -> str:
        """Return where Discord has more of it."""
        guild, channel = self._parts.settings.discord_guild_id, self._parts.settings.channel_of(environment)[0]
        return f"https://discord.com/channels/{guild}/{channel}" if guild and channel else ""

    def _wants(self, severity: Severity) -> bool:
        ranks = list(Severity)
        return ranks.index(severity) <= ranks.index(Severity(self._settings.severity))

    async def _deliver(self, message: TargetMessage | None, after: TargetPosition) -> TargetPosition:
        """Send a message, then remember it; returns what is remembered. Raises TargetError.

        A bot that dies between the two leaves it to the next one, which sends it again. One that is only asked to
        leave waits for it a moment.
        """
        if message is not None:
            sent = self._parts.send(self._settings, message.title, message.body, message.tone)
            sending = asyncio.ensure_future(sent)
            try:
                done, _pending = await asyncio.wait({sending}, timeout=self._parts.hangs_seconds)
                if not done:  # its thread cannot be ended, and a second one would hang, too
                    await self._alert.report(said("It takes a message and does not answer."))
                await asyncio.wait({sending})
            except asyncio.CancelledError:
                await asyncio.wait({sending}, timeout=LEAVE_SECONDS)
                if not sending.done():
                    await end_tasks(sending)
                elif sending.exception() is None:
                    await self._parts.state.targets.save(self.name, after)
                raise
            sending.result()
            self._backoff.succeeded()
            self._failures = 0
        await self._parts.state.targets.save(self.name, after)
        if message is not None:
            await self._alert.report("")
        return after

    async def _delay_after(self, error: TargetError) -> float:
        """Return how long to wait, the longer the more often it failed in a row; the channel is told of that once."""
        self._failures += 1
        delay = self._backoff.failed()
        log.warning("a target was not told", target=self.name, error=error.message, seconds=round(delay))
        if self._failures >= FAILURES_BEFORE_ALERT:
            try:
                await self._alert.report(joined(" ", filter(None, (error.message, error.hint))))
            except RoasError as fault:
                log.error("that a target is away could not be written", target=self.name, error=fault.message)
        return delay


class Targets:
    """Tell all targets while this bot leads, each in a task of its own; it needs no Discord."""

    def __init__(self, parts: TargetParts, bus: EventBus, leadership: Leadership) -> None:
        self._bus = bus
        self._leadership = leadership
        self._notifiers = [TargetNotifier(name, own, parts) for name, own in parts.settings.notify.items()]
        self._subscriptions: list[Subscription] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to tell, where there is a target."""
        if not self._notifiers:
            return
        for kind in (AlertEvent, DeploymentEnded):
            self._subscriptions.append(self._bus.subscribe(kind, self._wake, name="targets"))
        for notifier in self._notifiers:
            work = self._leadership.run_while_leader(notifier.run)
            self._tasks.append(asyncio.create_task(work, name=f"target {notifier.name}"))

    async def close(self) -> None:
        """Stop; the next leader tells the rest."""
        while self._subscriptions:
            await self._bus.unsubscribe(self._subscriptions.pop())
        await end_tasks(*self._tasks)

    async def _wake(self, _event: Event) -> None:
        for notifier in self._notifiers:
            notifier.news.set()


def severity_of(deployment: Deployment) -> Severity | None:
    """Return how much the end of a deployment matters to people; None where it needs nobody.

    Of a backup on schedule an alert tells.
    """
    if deployment.request.operation is Operation.SAVE:
        return None
    match deployment.outcome:
        case Outcome.FAILED:
            return Severity.CRITICAL if deployment.touched else Severity.HIGH
        case Outcome.ROLLED_BACK:
            return Severity.HIGH
    return None


def _deployment_text(deployment: Deployment) -> tuple[str, tuple[str, ...]]:
    problem = deployment.problem
    title = f"{headline(deployment)}: {ending(deployment)}"
    body = (
        translate(problem.message) if problem is not None else "",
        translate(next_step(deployment, problem)) if problem is not None else "",
        _("by {person}", person=deployment.request.requested_by.name),
        deployment.id,
    )
    return ESCAPE.sub(r"\1", title), body


def _alert_lines(alert: Alert) -> tuple[str, ...]:
    place = " · ".join(part for part in (word(alert.severity), alert.environment, alert.service) if part)
    latest = translate(alert.actions[-1]) if alert.actions else ""
    return place, translate(alert.summary), latest, f"{alert.id} · {alert.started_at:%Y-%m-%d %H:%M} UTC"


def _raised(alert: Alert) -> str:
    return translate(alert.title)


def _resolved(alert: Alert) -> str:
    return _("Resolved: {title}", title=translate(alert.title))


def _unacknowledged(alert: Alert) -> str:
    since = (datetime.now(UTC) - (alert.relapsed_at or alert.started_at)).total_seconds()
    return _("Not acknowledged for {duration}: {title}", duration=duration(since), title=translate(alert.title))


def _with_notified(position: TargetPosition, alert_id: str) -> TargetPosition:
    return position if alert_id in position.told else replace(position, told=(*position.told, alert_id))


def _clipped(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
