"""Draw how well the services were: a bar each for the worst, one for all the others together."""

from collections.abc import Callable, Sequence

from roas.models.health import Verdict
from roas.models.series import ServicePoint, ServiceSeries
from roas.ui.charts.canvas import shortened
from roas.ui.charts.frame import LABEL, Frame
from roas.ui.charts.palette import VERDICTS
from roas.ui.icons import WORST_FIRST

ROWS = 6
ROW_HEIGHT = 42.0
BAR_HEIGHT = 30.0
STEP_SECONDS = 30.0
# A little longer than a step, so that bars of one verdict touch.
BAR_SECONDS = STEP_SECONDS * 1.4


def worst_first(series: Sequence[ServiceSeries]) -> list[ServiceSeries]:
    """Order by how long services were unhealthy, then degraded, then unknown."""

    def badness(one: ServiceSeries) -> tuple[int, ...]:
        verdicts = [point.verdict for point in one.points]
        return tuple(-verdicts.count(verdict) for verdict in WORST_FIRST[:3])

    return sorted(series, key=lambda one: (badness(one), one.environment, one.service))


def rows_of(series: Sequence[ServiceSeries]) -> int:
    """Return how many rows the bars take."""
    return min(len(series), ROWS)


def draw_verdicts(frame: Frame, series: Sequence[ServiceSeries], name: Callable[[ServiceSeries], str]) -> None:
    """Draw the bars from the top of a frame."""
    ordered = worst_first(series)
    alone = ordered if len(ordered) <= ROWS else ordered[: ROWS - 1]
    rest = ordered[len(alone) :]
    rows = [(name(one), list(one.points)) for one in alone]
    if rest:
        rows.append((f"{len(rest)} others", [point for one in rest for point in one.points]))
    frame.draw_times(labels=False)
    for number, (label, points) in enumerate(rows):
        bottom = frame.top + ROW_HEIGHT * (number + 1) - 6
        text = shortened(label, LABEL, frame.left - 28)
        frame.canvas.text((frame.left - 12, bottom - 4), text, LABEL, anchor="rs")
        _draw_bar(frame, bottom, points)


def draw_verdict_legend(frame: Frame, y: float) -> None:
    """Explain the colours and heights."""
    x = frame.left
    for verdict in reversed(WORST_FIRST):
        colour, share = VERDICTS[verdict]
        frame.canvas.box((x, y - BAR_HEIGHT * 0.7 * share), (x + 18, y), colour)
        x += 26 + frame.canvas.text((x + 26, y), verdict.value, LABEL - 5) + 20


def _draw_bar(frame: Frame, bottom: float, points: Sequence[ServicePoint]) -> None:
    """Draw the points; where several share a moment, the worst of them."""
    worst: dict[float, Verdict] = {}
    for point in points:
        known = worst.get(point.age_seconds, point.verdict)
        worst[point.age_seconds] = min(known, point.verdict, key=WORST_FIRST.index)
    for age, verdict in worst.items():
        colour, share = VERDICTS[verdict]
        left, right = frame.x(age + BAR_SECONDS), frame.x(age)
        frame.canvas.box((left, bottom - BAR_HEIGHT * share), (right, bottom), colour)
