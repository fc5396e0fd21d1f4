"""Choose the colours: of those of Okabe and Ito, which stay apart for colour-blind eyes, and grey, on a dark ground."""

from roas.models.health import Verdict

Colour = tuple[int, int, int]

GROUND: Colour = (30, 31, 34)
TEXT: Colour = (242, 243, 245)
FAINT: Colour = (181, 186, 193)
GRID: Colour = (63, 65, 71)

SKY: Colour = (86, 180, 233)
ORANGE: Colour = (230, 159, 0)
YELLOW: Colour = (240, 228, 66)
SILVER: Colour = (150, 155, 163)
GREEN: Colour = (0, 158, 115)
VERMILION: Colour = (213, 94, 0)

LINES: tuple[Colour, ...] = (SKY, ORANGE, YELLOW, SILVER)
# The height of a verdict's bar repeats its colour: the worse, the higher.
VERDICTS: dict[Verdict, tuple[Colour, float]] = {
    Verdict.HEALTHY: (GREEN, 0.35),
    Verdict.UNVERIFIED: (SKY, 0.35),
    Verdict.DEGRADED: (YELLOW, 0.65),
    Verdict.UNHEALTHY: (VERMILION, 1.0),
    Verdict.UNKNOWN: (FAINT, 0.15),
}
