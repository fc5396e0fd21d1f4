"""Draw the last hour of services: how well they were, the processors and the memory that they used.

Text in the picture is Latin: the font that comes with Pillow has no other letters, and the names of services
are Latin by Compose's own rule. The sentence that is read out in its place is in the reader's language.
"""

from collections.abc import Sequence

from roas.models.health import Verdict
from roas.models.series import ServicePoint, ServiceSeries
from roas.ui.charts.canvas import Canvas
from roas.ui.charts.frame import SPANS_SECONDS, Frame, span_of
from roas.ui.charts.lines import Quantity, draw_lines, largest
from roas.ui.charts.scale import memory_scale, percent_scale, write_memory, write_percent
from roas.ui.charts.verdicts import ROW_HEIGHT, draw_verdict_legend, draw_verdicts, rows_of, worst_first
from roas.ui.drawing import Picture
from roas.ui.translation import _, word

NAME = "last-hour.png"
WIDTH = 1000
LEFT, RIGHT = 200.0, 970.0
TITLE_SIZE = 34.0
TITLE_Y = 50.0
VERDICTS_TOP = 112.0
PANEL_HEIGHT = 190.0
PANEL_HEAD = 130.0
PANEL_FOOT = 46.0
NAMED = 4


def _cpu(point: ServicePoint) -> float | None:
    return point.cpu_percent


def _memory(point: ServicePoint) -> float | None:
    return point.memory_bytes


QUANTITIES = (
    Quantity("CPU, % of one processor", _cpu, percent_scale, write_percent),
    Quantity("Memory", _memory, memory_scale, write_memory),
)


def draw_last_hour(series: Sequence[ServiceSeries]) -> Picture | None:
    """Draw the series, or return None where there is nothing to draw yet; takes a moment, so not in the event loop."""
    if not any(one.points for one in series):
        return None
    environments = sorted({one.environment for one in series})

    def name(one: ServiceSeries) -> str:
        return one.service if len(environments) == 1 else f"{one.environment}/{one.service}"

    verdicts_bottom = VERDICTS_TOP + ROW_HEIGHT * rows_of(series)
    panel = PANEL_HEAD + PANEL_HEIGHT + PANEL_FOOT
    canvas = Canvas(WIDTH, round(verdicts_bottom + panel * len(QUANTITIES)))
    span = span_of(max(point.age_seconds for one in series for point in one.points))
    time = "the last hour" if span == SPANS_SECONDS[-1] else f"the last {span / 60:.0f} minutes"
    canvas.text((24, TITLE_Y), f"{', '.join(environments)}: {time}", TITLE_SIZE)
    bars = Frame(canvas, LEFT, VERDICTS_TOP, RIGHT, verdicts_bottom, span)
    draw_verdict_legend(bars, VERDICTS_TOP - 20)
    draw_verdicts(bars, series, name)
    for number, quantity in enumerate(QUANTITIES):
        top = verdicts_bottom + panel * number + PANEL_HEAD
        draw_lines(Frame(canvas, LEFT, top, RIGHT, top + PANEL_HEIGHT, span), quantity, series, name)
    return Picture(NAME, canvas.png(), _description(series, span))


def _description(series: Sequence[ServiceSeries], span: float) -> str:
    """Describe the picture as text."""
    if span == SPANS_SECONDS[-1]:
        parts = [_("Chart of the last hour: {count} services.", count=len(series))]
    else:
        minutes = round(span / 60)
        parts = [_("Chart of the last {minutes} minutes: {count} services.", minutes=minutes, count=len(series))]
    troubled = [one for one in worst_first(series) if any(p.verdict in _TROUBLE for p in one.points)]
    if troubled:
        named = ", ".join(f"{one.service} ({word(_worst(one))})" for one in troubled[:NAMED])
        more = len(troubled) - NAMED
        if more > 0:
            named = _("{services} and {count} more", services=named, count=more)
        parts.append(_("Unhealthy at times: {services}.", services=named))
    else:
        parts.append(_("All services were healthy."))
    for quantity, text in zip(QUANTITIES, (_("Most CPU"), _("Most memory")), strict=True):
        if users := largest(series, quantity.value)[:2]:
            named = ", ".join(f"{one.service} {quantity.write(_peak(one, quantity))}" for one in users)
            parts.append(f"{text}: {named}.")
    return " ".join(parts)


_TROUBLE = frozenset({Verdict.UNHEALTHY, Verdict.DEGRADED})


def _worst(series: ServiceSeries) -> Verdict:
    verdicts = {point.verdict for point in series.points}
    return Verdict.UNHEALTHY if Verdict.UNHEALTHY in verdicts else Verdict.DEGRADED


def _peak(series: ServiceSeries, quantity: Quantity) -> float:
    return max(value for point in series.points if (value := quantity.value(point)) is not None)
