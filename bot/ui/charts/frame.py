"""Place a panel on a canvas, and time within it: an hour ago at the left, now at the right."""

from dataclasses import dataclass

from bot.ui.charts.canvas import Canvas, Point
from bot.ui.charts.palette import FAINT, GRID
from bot.ui.charts.scale import Scale

SPAN_SECONDS = 3600.0
TIMES = (
    (3600.0, "60 min ago", "ls"),
    (2700.0, "45", "ms"),
    (1800.0, "30", "ms"),
    (900.0, "15", "ms"),
    (0.0, "now", "rs"),
)
LABEL = 26.0


@dataclass(frozen=True, slots=True)
class Frame:
    """Bound a panel's area on the canvas."""

    canvas: Canvas
    left: float
    top: float
    right: float
    bottom: float

    def x(self, age_seconds: float) -> float:
        """Return where a moment is."""
        return self.right - (self.right - self.left) * min(age_seconds, SPAN_SECONDS) / SPAN_SECONDS

    def y(self, value: float, scale: Scale) -> float:
        """Return where a value is."""
        return self.bottom - (self.bottom - self.top) * value / scale.top

    def at(self, age_seconds: float, value: float, scale: Scale) -> Point:
        """Return the place of a value at a moment."""
        return self.x(age_seconds), self.y(value, scale)

    def draw_times(self, *, labels: bool) -> None:
        """Draw a line for every quarter of an hour; `labels` names them below."""
        for age, words, anchor in TIMES:
            x = self.x(age)
            self.canvas.line([(x, self.top), (x, self.bottom)], GRID, 1.5)
            if labels:
                self.canvas.text((x, self.bottom + LABEL + 8), words, LABEL, FAINT, anchor)

    def draw_values(self, scale: Scale) -> None:
        """Draw a line for every round value, named at the left."""
        for value in scale.ticks:
            y = self.y(value, scale)
            self.canvas.line([(self.left, y), (self.right, y)], GRID, 1.5)
            self.canvas.text((self.left - 12, y), scale.write(value), LABEL, FAINT, "rm")
