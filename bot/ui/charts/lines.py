"""Draw how much of something the services that use most of it have used."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roas.models.series import ServicePoint, ServiceSeries
from roas.ui.charts.canvas import MARKERS, Marker, Point, shortened
from roas.ui.charts.frame import LABEL, Frame
from roas.ui.charts.palette import FAINT, LINES, Colour
from roas.ui.charts.scale import Scale

Value = Callable[[ServicePoint], float | None]
SHOWN = len(LINES)
# Between points farther apart than this nothing was seen, and no line is drawn.
GAP_SECONDS = 95.0
MARKER_EVERY = 15
LEGEND_HEIGHT = 36.0


@dataclass(frozen=True, slots=True)
class Quantity:
    """Define what is drawn: its heading, how to read it from a point, its axis, and the format of a value."""

    heading: str
    value: Value
    scale: Callable[[float], Scale]
    write: Callable[[float], str]


def largest(series: Sequence[ServiceSeries], value: Value) -> list[ServiceSeries]:
    """Return the series that reached most, as many as there are colours for."""
    known = [one for one in series if any(value(point) is not None for point in one.points)]
    return sorted(known, key=lambda one: (-_peak(one, value), one.environment, one.service))[:SHOWN]


def draw_lines(
    frame: Frame, quantity: Quantity, series: Sequence[ServiceSeries], name: Callable[[ServiceSeries], str]
) -> None:
    """Draw the largest users of a quantity; the number of others is beside the heading."""
    shown = largest(series, quantity.value)
    scale = quantity.scale(max((_peak(one, quantity.value) for one in shown), default=0.0))
    heading_y = frame.top - 2 * LEGEND_HEIGHT - 24
    width = frame.canvas.text((frame.left, heading_y), quantity.heading, LABEL + 2)
    if others := len(series) - len(shown):
        text = f"the {len(shown)} largest; {others} others use less"
        frame.canvas.text((frame.left + width + 16, heading_y), text, LABEL - 4, FAINT)
    frame.draw_times(labels=True)
    frame.draw_values(scale)
    for number, one in enumerate(shown):
        colour, marker = LINES[number], MARKERS[number]
        _draw_line(frame, one, quantity.value, scale, colour, marker)
        _draw_legend(frame, number, f"{name(one)}", _latest(one, quantity), colour, marker)


def _draw_line(frame: Frame, series: ServiceSeries, value: Value, scale: Scale, colour: Colour, marker: Marker) -> None:
    for stretch in _stretches(series, value):
        points = [frame.at(age, height, scale) for age, height in stretch]
        if len(points) > 1:
            frame.canvas.line(points, colour, 4)
        for place in [*points[:-1:MARKER_EVERY], points[-1]]:
            frame.canvas.marker(place, marker, colour)


def _draw_legend(frame: Frame, number: int, name: str, latest: str, colour: Colour, marker: Marker) -> None:
    """Write one entry, two in a row; the value is the latest."""
    width = (frame.right - frame.left) / 2
    x = frame.left + width * (number % 2)
    y = frame.top - LEGEND_HEIGHT * (2 - number // 2) + 8
    frame.canvas.marker((x + 10, y - 9), marker, colour, 9)
    room = width - 40 - frame.canvas.text((x + width - 16, y), latest, LABEL, anchor="rs")
    frame.canvas.text((x + 28, y), shortened(name, LABEL, room - 16), LABEL)


def _stretches(series: ServiceSeries, value: Value) -> list[list[Point]]:
    """Return age and value of the points, parted where nothing was seen for a while."""
    found: list[list[Point]] = []
    before = float("inf")
    for point in series.points:
        height = value(point)
        if height is None:
            continue
        if before - point.age_seconds > GAP_SECONDS:
            found.append([])
        found[-1].append((point.age_seconds, height))
        before = point.age_seconds
    return found


def _peak(series: ServiceSeries, value: Value) -> float:
    return max((height for point in series.points if (height := value(point)) is not None), default=0.0)


def _latest(series: ServiceSeries, quantity: Quantity) -> str:
    known = [height for point in series.points if (height := quantity.value(point)) is not None]
    return quantity.write(known[-1])
