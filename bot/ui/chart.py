"""Draw the last hour of services for `/status`: how well they were, the processors and the memory that they used.

Text in the picture is Latin: the font that comes with Pillow has no other letters. The sentence that is read out in
its place is in the reader's language. Colours are those of Okabe and Ito, which stay apart for colour-blind eyes; the
height of a bar repeats its colour, and each line has its name beside it.
"""

import asyncio
import contextvars
import io
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

from roas.extras import load_pillow
from roas.log import get_logger
from roas.models.health import WORST_FIRST, ServicePoint, ServiceSeries, Verdict
from roas.ui.drawing import Picture, more
from roas.ui.translation import _, word
from roas.ui.units import size

log = get_logger(__name__)

Colour = tuple[int, int, int]
GROUND, TEXT, FAINT, GRID = (30, 31, 34), (242, 243, 245), (181, 186, 193), (63, 65, 71)
LINES: tuple[Colour, ...] = ((86, 180, 233), (230, 159, 0), (240, 228, 66), (150, 155, 163))
# The worse, the higher.
VERDICTS: dict[Verdict, tuple[Colour, float]] = {
    Verdict.HEALTHY: ((0, 158, 115), 0.35),
    Verdict.UNVERIFIED: ((86, 180, 233), 0.35),
    Verdict.DEGRADED: ((240, 228, 66), 0.65),
    Verdict.UNHEALTHY: ((213, 94, 0), 1.0),
    Verdict.UNKNOWN: (FAINT, 0.15),
}
TROUBLE = frozenset({Verdict.UNHEALTHY, Verdict.DEGRADED})

NAME = "last-hour.png"
FINENESS = 2  # drawn at twice its size, so that nothing is jagged
WIDTH, LEFT, RIGHT = 1000, 200.0, 970.0
ROWS, ROW_HEIGHT, BAR_HEIGHT = 6, 42.0, 30.0
BARS_TOP, PANEL_HEAD, PANEL_HEIGHT, PANEL_FOOT = 112.0, 130.0, 190.0, 46.0
LABEL = 26.0
SPAN_SECONDS, STEP_SECONDS = 3600.0, 30.0
GAP_SECONDS = 95.0  # between points farther apart than this nothing was seen
NAMED = 4


@dataclass(frozen=True, slots=True)
class Quantity:
    """Describe what a panel shows: its heading, how to read it from a point, and how to write it.

    Its axis reaches the `least`, so that an idle stack shows as idle, or as many times two of that as are needed.
    """

    heading: str
    value: Callable[[ServicePoint], float | None]
    write: Callable[[float], str]
    least: float


def write_percent(value: float) -> str:
    """Write a share of a processor."""
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.1f} %"


CPU = Quantity("CPU, % of one processor", lambda point: point.cpu_percent, write_percent, 4.0)
MEMORY = Quantity("Memory", lambda point: point.memory_bytes, lambda count: size(int(count)), 1024.0**2)


class Painter:
    """Draw one picture at a time, outside of the event loop.

    One thread, since each thread that ever drew a picture keeps the memory of its largest one (25 MiB).
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="painter")

    async def last_hour(self, series: Sequence[ServiceSeries]) -> Picture | None:
        """Draw the last hour in the reader's language; None where there is nothing to draw, or where it fails."""
        language, loop = contextvars.copy_context(), asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, lambda: language.run(draw_last_hour, series))
        except (OSError, TypeError, ValueError, RuntimeError):  # of Pillow where it lacks something, or of a thread
            log.exception("the chart of the last hour could not be drawn")
            return None

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def draw_last_hour(series: Sequence[ServiceSeries]) -> Picture | None:
    """Draw the series, or return None where there is nothing to draw yet; takes a moment, so not in the event loop."""
    if not any(service.points for service in series):
        return None
    environments = sorted({service.environment for service in series})

    def name(service: ServiceSeries) -> str:
        return service.service if len(environments) == 1 else f"{service.environment}/{service.service}"

    bars_bottom = BARS_TOP + ROW_HEIGHT * min(len(series), ROWS)
    panel = PANEL_HEAD + PANEL_HEIGHT + PANEL_FOOT
    canvas = _Canvas(round(bars_bottom + 2 * panel))
    canvas.text(24, 50, f"{', '.join(environments)}: the last hour", 34)
    _draw_verdicts(canvas, bars_bottom, worst_first(series), name)
    for number, quantity in enumerate((CPU, MEMORY)):
        _draw_panel(canvas, bars_bottom + panel * number + PANEL_HEAD, quantity, series, name)
    return Picture(NAME, canvas.png(), _description(series))


def worst_first(series: Sequence[ServiceSeries]) -> list[ServiceSeries]:
    """Order by how long services were unhealthy, then degraded, then unknown."""

    def badness(service: ServiceSeries) -> tuple[int, ...]:
        verdicts = [point.verdict for point in service.points]
        return tuple(-verdicts.count(verdict) for verdict in WORST_FIRST[:3])

    return sorted(series, key=lambda service: (badness(service), service.environment, service.service))


def largest(series: Sequence[ServiceSeries], quantity: Quantity) -> list[ServiceSeries]:
    """Return the series that reached most, as many as there are colours for."""
    known = [service for service in series if any(quantity.value(point) is not None for point in service.points)]
    known.sort(key=lambda service: (-_peak(service, quantity), service.environment, service.service))
    return known[: len(LINES)]


def _draw_verdicts(
    canvas: "_Canvas", bottom: float, ordered: list[ServiceSeries], name: Callable[[ServiceSeries], str]
) -> None:
    """Draw a bar each for the worst services, and one for all others together."""
    canvas.times(BARS_TOP, bottom)
    x = LEFT
    for verdict in reversed(WORST_FIRST):
        colour, share = VERDICTS[verdict]
        canvas.box(x, BARS_TOP - 20 - BAR_HEIGHT * 0.7 * share, x + 18, BARS_TOP - 20, colour)
        x += 46 + canvas.text(x + 26, BARS_TOP - 20, verdict.value, LABEL - 5)
    alone = ordered if len(ordered) <= ROWS else ordered[: ROWS - 1]
    rows = [(name(service), list(service.points)) for service in alone]
    if rest := ordered[len(alone) :]:
        rows.append((f"{len(rest)} others", [point for service in rest for point in service.points]))
    for number, (label, points) in enumerate(rows, 1):
        base = BARS_TOP + ROW_HEIGHT * number - 6
        canvas.text(LEFT - 12, base - 4, label, LABEL, anchor="rs", room=LEFT - 28)
        for point in sorted(points, key=lambda point: WORST_FIRST.index(point.verdict), reverse=True):  # worst on top
            colour, share = VERDICTS[point.verdict]
            left = canvas.x(point.age_seconds + STEP_SECONDS * 1.4)
            canvas.box(left, base - BAR_HEIGHT * share, canvas.x(point.age_seconds), base, colour)


def _draw_panel(
    canvas: "_Canvas",
    top: float,
    quantity: Quantity,
    series: Sequence[ServiceSeries],
    name: Callable[[ServiceSeries], str],
) -> None:
    """Draw the largest users of a quantity, each with its name and latest value; others are counted."""
    shown, bottom = largest(series, quantity), top + PANEL_HEIGHT
    heading = quantity.heading
    if others := len(series) - len(shown):
        heading += f" (the {len(shown)} largest; {others} others use less)"
    canvas.text(LEFT, top - 96, heading, LABEL)
    canvas.times(top, bottom, labels=True)
    highest = max((_peak(service, quantity) for service in shown), default=0.0)
    reach = quantity.least * 2.0 ** max(0, math.ceil(math.log2(max(highest, 1e-9) / quantity.least)))
    for number in range(5):
        y = bottom - PANEL_HEIGHT * number / 4
        canvas.line([(LEFT, y), (RIGHT, y)], GRID, 1.5)
        canvas.text(LEFT - 12, y, quantity.write(reach * number / 4), LABEL, FAINT, "rm")
    for number, (service, colour) in enumerate(zip(shown, LINES, strict=False)):
        seen = [
            (point.age_seconds, height) for point in service.points if (height := quantity.value(point)) is not None
        ]
        for (age, height), (next_age, next_height) in pairwise(seen):
            if age - next_age <= GAP_SECONDS:
                ends = ((age, height), (next_age, next_height))
                canvas.line([(canvas.x(a), bottom - PANEL_HEIGHT * h / reach) for a, h in ends], colour, 4)
        x, y = LEFT + (RIGHT - LEFT) / 2 * (number % 2), top - 64 + 36 * (number // 2)
        canvas.box(x, y - 14, x + 18, y - 4, colour)
        latest = canvas.text(x + 370, y, quantity.write(seen[-1][1]), LABEL, anchor="rs")
        canvas.text(x + 28, y, name(service), LABEL, room=326 - latest)


def _peak(service: ServiceSeries, quantity: Quantity) -> float:
    return max((height for point in service.points if (height := quantity.value(point)) is not None), default=0.0)


def _description(series: Sequence[ServiceSeries]) -> str:
    """Describe the picture as text."""
    parts = [_("Chart of the last hour: {count} {count|service|services}.", count=len(series))]
    troubled = [service for service in worst_first(series) if any(p.verdict in TROUBLE for p in service.points)]
    if troubled:
        named = ", ".join(f"{service.service} ({word(_worst(service))})" for service in troubled[:NAMED])
        if (hidden := len(troubled) - NAMED) > 0:
            named = f"{named} {more(hidden)}"
        parts.append(_("Unhealthy at times: {services}.", services=named))
    else:
        parts.append(_("All services were healthy."))
    for quantity, text in ((CPU, _("Most CPU")), (MEMORY, _("Most memory"))):
        if users := largest(series, quantity)[:2]:
            named = ", ".join(f"{service.service} {quantity.write(_peak(service, quantity))}" for service in users)
            parts.append(f"{text}: {named}.")
    return " ".join(parts)


def _worst(service: ServiceSeries) -> Verdict:
    verdicts = {point.verdict for point in service.points}
    return Verdict.UNHEALTHY if Verdict.UNHEALTHY in verdicts else Verdict.DEGRADED


class _Canvas:
    """Hold a picture in progress; every length and place is in pixels of the finished picture."""

    def __init__(self, height: int) -> None:
        self._size = (WIDTH, height)
        self._pillow = load_pillow()
        self._image = self._pillow.Image.new("RGB", (WIDTH * FINENESS, height * FINENESS), GROUND)
        self._draw = self._pillow.ImageDraw.Draw(self._image)

    def x(self, age_seconds: float) -> float:
        """Return where a moment is: the past at the left, now at the right."""
        return RIGHT - (RIGHT - LEFT) * min(age_seconds, SPAN_SECONDS) / SPAN_SECONDS

    def times(self, top: float, bottom: float, *, labels: bool = False) -> None:
        """Draw a line for every quarter of an hour; `labels` names them below."""
        for minutes, anchor in ((60, "ls"), (45, "ms"), (30, "ms"), (15, "ms"), (0, "rs")):
            x = self.x(minutes * 60.0)
            self.line([(x, top), (x, bottom)], GRID, 1.5)
            if labels:
                self.text(x, bottom + 34, {60: "60 min ago", 0: "now"}.get(minutes, str(minutes)), LABEL, FAINT, anchor)

    def text(
        self,
        x: float,
        y: float,
        label: str,
        height: float,
        colour: Colour = TEXT,
        anchor: str = "ls",
        room: float = math.inf,
    ) -> float:
        """Write text at its `anchor`, as Pillow names it, and return its width; its middle is cut to fit `room`."""
        font = self._pillow.ImageFont.load_default(height * FINENESS)
        if not isinstance(font, self._pillow.ImageFont.FreeTypeFont):  # a Pillow that was built without FreeType
            raise TypeError("Pillow cannot draw fonts here: it needs to be built with FreeType")
        written = full = "".join(char if " " <= char <= "~" else "?" for char in label)
        kept = len(full)
        while font.getlength(written) / FINENESS > room and kept > 2:
            kept -= 1
            written = f"{full[: (kept + 1) // 2]}..{full[-(kept // 2) :]}"
        self._draw.text((x * FINENESS, y * FINENESS), written, fill=colour, font=font, anchor=anchor)
        return float(font.getlength(written)) / FINENESS

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, width: float) -> None:
        """Draw a line through points."""
        fine = [(x * FINENESS, y * FINENESS) for x, y in points]
        self._draw.line(fine, fill=colour, width=round(width * FINENESS), joint="curve")

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a box."""
        self._draw.rectangle([edge * FINENESS for edge in (left, top, right, bottom)], fill=colour)

    def png(self) -> bytes:
        """Return the finished picture."""
        written = io.BytesIO()
        self._image.resize(self._size, self._pillow.Image.Resampling.BOX).save(written, "PNG")
        return written.getvalue()
