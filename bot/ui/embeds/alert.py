"""Draw alerts: one by itself, many in one message, and the escalation when recovery did not help."""

from collections import Counter
from collections.abc import Callable, Sequence

import discord

from roas.models.alert import Alert, AlertState, RecoveryStatus, Severity
from roas.ui.drawing import (
    BAD,
    CAREFUL,
    FIELD_VALUE,
    GOOD,
    QUIET,
    RUNNING,
    Button,
    Drawing,
    add_field,
    code,
    fit,
    lines,
    marked_up,
    marked_up_line,
    more,
    one_line,
)
from roas.ui.formatting import at, mentions, person, since
from roas.ui.translation import _, translate, word

# Takes secrets out of an alert.
Clean = Callable[[Alert], Alert]

PREFIX = "roas:alert:"
ESCALATION_SUFFIX = " · escalation"
CALL_SUFFIX = " · call"
LISTED = 25
SEVERITIES: dict[Severity, tuple[str, discord.Colour]] = {
    Severity.CRITICAL: ("🔴", BAD),
    Severity.HIGH: ("🟠", BAD),
    Severity.WARNING: ("🟡", CAREFUL),
    Severity.INFO: ("🔵", RUNNING),
}
STATES: dict[AlertState, tuple[str, discord.Colour]] = {
    AlertState.ACKNOWLEDGED: ("👀", CAREFUL),
    AlertState.SILENCED: ("🔕", QUIET),
    AlertState.RESOLVED: ("✅", GOOD),
}


def _as_it_is(alert: Alert) -> Alert:
    return alert


def draw_alert(alert: Alert, role: int | None = None) -> Drawing:
    """Draw one alert; an urgent one that is not silenced pings a role where one is set."""
    icon, colour = STATES.get(alert.state, SEVERITIES[alert.severity])
    embed = discord.Embed(
        title=f"{icon} {_title(alert, 200)}", description=marked_up(alert.summary, 1500), colour=colour
    )
    add_field(embed, _("State"), _state(alert))
    if done := _done(alert):
        add_field(embed, _("What was done"), done)
    embed.set_footer(text=alert.id)
    shown, pings = _roles(role, [alert])
    return Drawing(alert.id, tuple(fit([embed])), mentions(shown), _buttons(alert), pings=pings)


def draw_group(group: str, alerts: Sequence[Alert], role: int | None = None, clean: Clean = _as_it_is) -> Drawing:
    """Draw many alerts that came at once: how many of which kind, and the worst of them by name, these cleaned."""
    still_open = [alert for alert in alerts if alert.is_open]
    order = list(Severity)
    worst = min((a.severity for a in still_open or alerts), key=order.index, default=Severity.INFO)
    icon, colour = SEVERITIES[worst] if still_open else STATES[AlertState.RESOLVED]
    counts = Counter(alert.severity for alert in still_open)
    parts = [f"{SEVERITIES[severity][0]} {counts[severity]} {word(severity)}" for severity in order if counts[severity]]
    resolved = len(alerts) - len(still_open)
    parts += [f"✅ {resolved} {word(AlertState.RESOLVED)}"] if resolved else []
    title = _title_of(alerts, 200, clean)
    embed = discord.Embed(title=f"{icon} {title}", description=" · ".join(parts), colour=colour)
    listing = _listing(alerts, FIELD_VALUE, clean)
    add_field(embed, _("Alerts"), listing)
    embed.set_footer(text=group)
    shown, pings = _roles(role, alerts)
    buttons = (_button(_("Acknowledge all"), "ack", group, "👀"), _button(_("Silence 1 h"), "silence", group, "🔕"))
    return Drawing(group, tuple(fit([embed])), mentions(shown), buttons if still_open else (), pings=pings)


def draw_escalation(alert: Alert, role: int | None = None) -> Drawing:
    """Draw an escalation: what was tried did not help, now a person is needed."""
    embed = discord.Embed(
        title=f"🆘 {_('Operator needed: {title}', title=_title(alert, 180))}",
        description=_actions(alert) or marked_up(alert.summary, 1000),
        colour=BAD,
    )
    _add_what_to_do(embed, [alert])
    return _ping_drawing(embed, f"{alert.id}{ESCALATION_SUFFIX}", role, [alert])


def draw_ping(alert: Alert, role: int | None = None) -> Drawing:
    """Draw the role ping for an alert that was posted without one, or came back."""
    icon, colour = SEVERITIES[alert.severity]
    embed = discord.Embed(
        title=f"{icon} {_urgent([alert], _title(alert, 180))}",
        description=marked_up(alert.summary, 1000),
        colour=colour,
    )
    return _ping_drawing(embed, f"{alert.id}{CALL_SUFFIX}", role, [alert])


def draw_shared_ping(
    name: str, alerts: Sequence[Alert], role: int | None = None, clean: Clean = _as_it_is, *, for_help: bool
) -> Drawing:
    """Draw one ping for many alerts: the worst of them by name, these cleaned, and how many there are besides."""
    title = _title_of(alerts, 180, clean)
    text = _("Operator needed: {title}", title=title) if for_help else _urgent(alerts, title)
    icon = "🆘" if for_help else SEVERITIES[_worst_first(alerts)[0].severity][0]
    embed = discord.Embed(title=f"{icon} {text}", description=_listing(alerts, 2000, clean), colour=BAD)
    if for_help:
        _add_what_to_do(embed, alerts)
    return _ping_drawing(embed, f"{name}{ESCALATION_SUFFIX if for_help else CALL_SUFFIX}", role, alerts)


def _urgent(alerts: Sequence[Alert], title: str) -> str:
    came_back = all(alert.pings_again for alert in alerts)
    return _("It is back: {title}", title=title) if came_back else _("Now urgent: {title}", title=title)


def draw_open_alerts(alerts: Sequence[Alert], clean: Clean = _as_it_is) -> discord.Embed | None:
    """Draw what is open now, for `/status`, what is named cleaned; None where nothing is."""
    if not alerts:
        return None
    icon, colour = SEVERITIES[_worst_first(alerts)[0].severity]
    title = f"{icon} {_('Open alerts: {count}', count=len(alerts))}"
    return discord.Embed(title=title, description=_listing(alerts, 1200, clean), colour=colour)


def _ping_drawing(embed: discord.Embed, key: str, role: int | None, alerts: Sequence[Alert]) -> Drawing:
    embed.set_footer(text=key)
    shown = () if role is None else (role,)
    pings = shown if any(alert.is_audible for alert in alerts) else ()
    return Drawing(key, tuple(fit([embed])), mentions(shown), pings=pings)


def _add_what_to_do(embed: discord.Embed, alerts: Sequence[Alert]) -> None:
    """Say what to do about alerts, if all are of one environment."""
    environments = {alert.environment for alert in alerts}
    environment = environments.pop()
    if environments or not environment:
        return
    hint = _(
        "Read the logs, then deploy a release that works, or go back with /rollback {environment}.",
        environment=one_line(environment, 60),
    )
    if all(alert.is_of_engine for alert in alerts):
        hint = _(
            "Check on the machine whether Docker runs (`systemctl status docker`), and start it. Until it answers, "
            "nothing can be deployed or rolled back; afterwards the bot continues by itself."
        )
    add_field(embed, _("What to do"), hint)


def _state(alert: Alert) -> str:
    parts = [f"{word(alert.severity)} · {word(alert.state)}"]
    if alert.state is AlertState.ACKNOWLEDGED and alert.acknowledged_by is not None:
        parts.append(person(alert.acknowledged_by))
    if alert.state is AlertState.SILENCED and alert.silenced_until is not None:
        parts.append(_("until {when}", when=at(alert.silenced_until)))
    parts.append(_("since {when}", when=at(alert.started_at)))
    if alert.resolved_at is not None:
        parts.append(_("resolved {when}", when=since(alert.resolved_at)))
    if alert.count > 1:
        parts.append(_("reported {count} {count|time|times}", count=alert.count))
    parts.append(_("source: {source}", source=word(alert.source)))
    return " · ".join(parts)


def _done(alert: Alert) -> str:
    shown = _actions(alert)
    if alert.healing is RecoveryStatus.UNDER_WAY:
        return f"{shown}\n🔧 {_('recovery in progress')}".strip()
    return shown


def _actions(alert: Alert) -> str:
    return lines([f"• {marked_up_line(action, 250)}" for action in reversed(alert.actions)], FIELD_VALUE - 60)


def _worst_first(alerts: Sequence[Alert]) -> list[Alert]:
    order = list(Severity)
    return sorted(alerts, key=lambda alert: (not alert.is_open, order.index(alert.severity), alert.id))


def _listing(alerts: Sequence[Alert], limit: int, clean: Clean) -> str:
    """Name the worst, as many as there is room for, and count the rest."""
    named = [_line(clean(alert)) for alert in _worst_first(alerts)[:LISTED]]
    while True:
        left_out = len(alerts) - len(named)
        rest = [more(left_out)] if left_out else []
        text = "\n".join([*named, *rest])
        if len(text) <= limit or not named:
            return text
        named.pop()


def _line(alert: Alert) -> str:
    icon = STATES.get(alert.state, SEVERITIES[alert.severity])[0]
    times = f" ×{alert.count}" if alert.count > 1 else ""
    place = f" {code(alert.service, 40)}" if alert.service else ""
    return f"{icon} {_title(alert, 100)}{place}{times}"


def _title(alert: Alert, limit: int) -> str:
    return one_line(translate(alert.title), limit)


def _title_of(alerts: Sequence[Alert], limit: int, clean: Clean) -> str:
    return _title(clean(alerts[0]), limit) if len(alerts) == 1 else _("{count} {count|alert|alerts}", count=len(alerts))


def _roles(role: int | None, alerts: Sequence[Alert]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the role that a message shows, and the same where posting the message pings it."""
    shown = () if role is None or not any(alert.is_urgent for alert in alerts) else (role,)
    return shown, shown if any(alert.pings_at_first for alert in alerts) else ()


def _buttons(alert: Alert) -> tuple[Button, ...]:
    if not alert.is_open:
        return ()
    buttons = []
    if alert.state is not AlertState.ACKNOWLEDGED:
        buttons.append(_button(_("Acknowledge"), "ack", alert.id, "👀"))
    if alert.state is not AlertState.SILENCED:
        buttons.append(_button(_("Silence 1 h"), "silence", alert.id, "🔕"))
    if alert.environment and alert.service:
        buttons.append(_button(_("Logs"), "logs", alert.id, "📄"))
    if alert.environment and alert.service and not alert.is_of_engine:
        buttons.append(_button(_("Restart"), "restart", alert.id, "🔄"))
    if alert.is_of_drift:
        buttons.append(_button(_("Restore the release"), "restore", alert.id, "♻️"))
        buttons.append(_button(_("Keep it"), "keep", alert.id, "📌"))
    elif alert.environment and not alert.is_of_engine:
        buttons.append(_button(_("Roll back"), "rollback", alert.id, "↩️"))
    return tuple(buttons)


def _button(label: str, action: str, subject: str, emoji: str) -> Button:
    return Button(label, f"{PREFIX}{action}:{subject}", emoji=emoji)
