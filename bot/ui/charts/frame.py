"""Place a panel on a canvas, and time within it: the past at the left, now at the right."""

from dataclasses import dataclass

from roas.ui.charts.canvas import Canvas, Point
from roas.ui.charts.palette import FAINT, GRID
from roas.ui.charts.scale import Scale

# How much time is shown: as little as holds all that there is.
SPANS_SECONDS = (1200.0, 3600.0)
QUARTERS = ((1.0, "ls"), (0.75, "ms"), (0.5, "ms"), (0.25, "ms"), (0.0, "rs"))
LABEL = 26.0


@dataclass(frozen=True, slots=True)
class Frame:
    """Bound a panel's area on the canvas."""

    canvas: Canvas
    left: float
    top: float
    right: float
    bottom: float
    span_seconds: float = SPANS_SECONDS[-1]

    def x(self, age_seconds: float) -> float:
        """Return where a moment is."""
        return self.right - (self.right - self.left) * min(age_seconds, self.span_seconds) / self.span_seconds

    def y(self, value: float, scale: Scale) -> float:
        """Return where a value is."""
        return self.bottom - (self.bottom - self.top) * value / scale.top

    def at(self, age_seconds: float, value: float, scale: Scale) -> Point:
        """Return the place of a value at a moment."""
        return self.x(age_seconds), self.y(value, scale)

    def draw_times(self, *, labels: bool) -> None:
        """Draw a line for every quarter of the span; `labels` names them below."""
        for quarter, anchor in QUARTERS:
            x = self.x(quarter * self.span_seconds)
            self.canvas.line([(x, self.top), (x, self.bottom)], GRID, 1.5)
            if labels:
                minutes = f"{quarter * self.span_seconds / 60:.0f}"
                text = {1.0: f"{minutes} min ago", 0.0: "now"}.get(quarter, minutes)
                self.canvas.text((x, self.bottom + LABEL + 8), text, LABEL, FAINT, anchor)

    def draw_values(self, scale: Scale) -> None:
        """Draw a line for every round value, named at the left."""
        for value in scale.ticks:
            y = self.y(value, scale)
            self.canvas.line([(self.left, y), (self.right, y)], GRID, 1.5)
            self.canvas.text((self.left - 12, y), scale.write(value), LABEL, FAINT, "rm")


def span_of(oldest_age_seconds: float) -> float:
    """Return how much time to show, in seconds, so that what is known of little fills more than the edge."""
    return next((span for span in SPANS_SECONDS if oldest_age_seconds < span), SPANS_SECONDS[-1])
