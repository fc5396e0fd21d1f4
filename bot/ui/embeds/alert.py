"""Draw alerts: one by itself, many in one message, and the call for help when healing has come to its end."""

from collections import Counter
from collections.abc import Sequence

import discord

from bot.models.alert import Alert, AlertState, Healing, Severity
from bot.ui.drawing import Button, Drawing
from bot.ui.limits import FIELD_VALUE, add_field, code, fit, lines, one_line, plain
from bot.ui.signs import BAD, CAREFUL, GOOD, QUIET, RUNNING
from bot.ui.translation import _, told, word
from bot.ui.words import mentions, person, since

PREFIX = "roas:alert:"
ESCALATION_SUFFIX = " · escalation"
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


def draw_alert(alert: Alert, role: int | None = None) -> Drawing:
    """Draw one alert; an urgent one calls a role where there is one."""
    sign, colour = STATES.get(alert.state, SEVERITIES[alert.severity])
    embed = discord.Embed(
        title=f"{sign} {one_line(told(alert.title), 200)}", description=plain(told(alert.summary), 1500), colour=colour
    )
    add_field(embed, _("State"), _state(alert))
    if done := _done(alert):
        add_field(embed, _("What was done"), done)
    embed.set_footer(text=alert.id)
    called = _called(role) if alert.is_urgent else ()
    return Drawing(alert.id, tuple(fit([embed])), mentions(called), _buttons(alert), pings=called)


def draw_group(group: str, alerts: Sequence[Alert], role: int | None = None) -> Drawing:
    """Draw many alerts that came at once: how many of which kind, and the worst of them by name."""
    still_open = [alert for alert in alerts if alert.is_open]
    order = list(Severity)
    worst = min((a.severity for a in still_open or alerts), key=order.index, default=Severity.INFO)
    sign, colour = SEVERITIES[worst] if still_open else STATES[AlertState.RESOLVED]
    counts = Counter(alert.severity for alert in still_open)
    parts = [f"{SEVERITIES[one][0]} {counts[one]} {word(one)}" for one in order if counts[one]]
    resolved = len(alerts) - len(still_open)
    parts += [f"✅ {resolved} {word(AlertState.RESOLVED)}"] if resolved else []
    listed = sorted(alerts, key=lambda alert: (not alert.is_open, order.index(alert.severity), alert.id))
    title = _("{count} alerts at once", count=len(alerts)) if len(alerts) > 1 else one_line(alerts[0].title, 200)
    embed = discord.Embed(title=f"{sign} {title}", description=" · ".join(parts), colour=colour)
    add_field(embed, _("The worst") if len(alerts) > LISTED else _("Alerts"), _listing(listed))
    if len(still_open) > LISTED:
        add_field(embed, _("All of them"), _("See `/status` and the journal; none is lost."))
    embed.set_footer(text=group)
    urgent = any(alert.is_urgent for alert in alerts)
    called = _called(role) if urgent else ()
    buttons = (_button(_("Acknowledge all"), "ack", group, "👀"), _button(_("Silence 1 h"), "silence", group, "🔕"))
    return Drawing(group, tuple(fit([embed])), mentions(called), buttons if still_open else (), pings=called)


def draw_escalation(alert: Alert, role: int | None = None) -> Drawing:
    """Draw the call for help: what was tried did not help, now a person is needed."""
    embed = discord.Embed(
        title=f"🆘 {_('Somebody is needed: {title}', title=one_line(told(alert.title), 180))}",
        description=_actions(alert) or plain(told(alert.summary), 1000),
        colour=BAD,
    )
    if alert.environment:
        hint = _(
            "Read the logs, then deploy a release that works, or go back with /rollback {environment}.",
            environment=one_line(alert.environment, 60),
        )
        add_field(embed, _("What to do"), hint)
    key = f"{alert.id}{ESCALATION_SUFFIX}"
    embed.set_footer(text=key)
    called = _called(role)
    return Drawing(key, tuple(fit([embed])), mentions(called), pings=called)


def draw_open_alerts(alerts: Sequence[Alert]) -> discord.Embed | None:
    """Draw what is open now, for `/status`; None where nothing is."""
    if not alerts:
        return None
    order = list(Severity)
    listed = sorted(alerts, key=lambda alert: (order.index(alert.severity), alert.id))
    return discord.Embed(
        title=f"{SEVERITIES[listed[0].severity][0]} {_('Open alerts: {count}', count=len(alerts))}",
        description=lines([_line(alert) for alert in listed], 1200),
        colour=SEVERITIES[listed[0].severity][1],
    )


def _state(alert: Alert) -> str:
    parts = [f"{word(alert.severity)} · {word(alert.state)}"]
    if alert.state is AlertState.ACKNOWLEDGED and alert.acknowledged_by is not None:
        parts.append(person(alert.acknowledged_by))
    if alert.state is AlertState.SILENCED and alert.silenced_until is not None:
        parts.append(_("until {when}", when=since(alert.silenced_until)))
    parts.append(_("since {when}", when=since(alert.started_at)))
    if alert.resolved_at is not None:
        parts.append(_("over {when}", when=since(alert.resolved_at)))
    if alert.count > 1:
        parts.append(_("reported {count} times", count=alert.count))
    parts.append(_("told by {source}", source=word(alert.source)))
    return " · ".join(parts)


def _done(alert: Alert) -> str:
    shown = _actions(alert)
    if alert.healing is Healing.UNDER_WAY:
        return f"{shown}\n🔧 {_('it is being healed')}".strip()
    return shown


def _actions(alert: Alert) -> str:
    return lines([f"• {one_line(told(action), 250)}" for action in reversed(alert.actions)], FIELD_VALUE - 60)


def _listing(alerts: Sequence[Alert]) -> str:
    return lines([_line(alert) for alert in alerts[:LISTED]], FIELD_VALUE)


def _line(alert: Alert) -> str:
    sign = STATES.get(alert.state, SEVERITIES[alert.severity])[0]
    times = f" ×{alert.count}" if alert.count > 1 else ""
    place = f" {code(alert.service, 40)}" if alert.service else ""
    return f"{sign} {one_line(told(alert.title), 100)}{place}{times}"


def _called(role: int | None) -> tuple[int, ...]:
    return () if role is None else (role,)


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
    if alert.environment:
        buttons.append(_button(_("Roll back"), "rollback", alert.id, "↩️"))
    return tuple(buttons)


def _button(label: str, deed: str, subject: str, emoji: str) -> Button:
    return Button(label, f"{PREFIX}{deed}:{subject}", emoji=emoji)
