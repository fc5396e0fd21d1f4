"""Draw how well the bot's own parts work together: the five figures, and which of them is beyond its limit."""

from collections.abc import Set as AbstractSet

import discord

from roas.monitoring.metrics.integration_figures import IntegrationFigures
from roas.monitoring.metrics.integration_monitor import (
    ERROR_RATE,
    EVENT_LATENCY,
    STATE_SYNC_LAG,
    SUCCESS_RATE,
    WAITING,
    Limit,
)
from roas.ui.icons import BAD, CAREFUL, GOOD
from roas.ui.limits import code
from roas.ui.translation import _


def draw_integration(
    figures: IntegrationFigures, firing: AbstractSet[str], *, is_engine_unavailable: bool = False
) -> discord.Embed:
    """Draw the figures; an icon before each says whether its alert fires. Without an engine nothing is called well."""
    latency = _milliseconds(figures.event_latency_seconds)
    if figures.slowest_subscriber:
        latency = _("{value}, slowest: {name}", value=latency, name=code(figures.slowest_subscriber, 50))
    lag, waiting = figures.state_sync_lag_seconds, figures.dependency_resolution_seconds
    parts = [
        _line(EVENT_LATENCY, firing, _("Event latency"), latency),
        _line(STATE_SYNC_LAG, firing, _("Redis sync lag"), _milliseconds(lag)),
        _line(WAITING, firing, _("Dependency resolution time"), "" if waiting is None else _waiting(waiting, figures)),
        _line(ERROR_RATE, firing, _("Integration error rate"), _percent(figures.error_ratio)),
        _line(SUCCESS_RATE, firing, _("Deployment success rate"), _percent(figures.success_ratio)),
    ]
    title, colour = _("🩺 Bot components: healthy"), GOOD
    if is_engine_unavailable:
        title, colour = _("⚠️ Bot components: running, but a Docker engine cannot be reached"), CAREFUL
    if firing:
        title, colour = _("⚠️ Bot components: {count} alerts", count=len(firing)), BAD
    return discord.Embed(title=title, description="\n".join(parts), colour=colour)


def _waiting(seconds: float, figures: IntegrationFigures) -> str:
    share = _percent(figures.dependency_share)
    return _("{seconds} s, {share} of the timeout", seconds=f"{seconds:.1f}", share=share)


def _line(limit: Limit, firing: AbstractSet[str], name: str, value: str) -> str:
    if not value:
        return f"▫️ {name}: {_('nothing to measure yet')}"
    icon = "🔴" if limit.name in firing else "🟢"
    allowed = f"{limit.threshold:g} {limit.unit}"
    side = _("at least {limit}", limit=allowed) if limit.low else _("at most {limit}", limit=allowed)
    return f"{icon} {name}: {value} ({side})"


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.0f} ms"


def _percent(ratio: float | None) -> str:
    if ratio is None:
        return ""
    percent = ratio * 100
    return _("under 0.1 %") if 0 < percent < 0.1 else f"{percent:.3g} %"
