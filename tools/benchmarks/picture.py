"""Draw figures as bars: the bot, its peer, and the limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABEL_WIDTH, BAR, GAP = 760, 330, 14, 18
COLORS = {"bot": "#4f6bed", "docker compose": "#9aa0a6", "the limit": "#34a853"}


@dataclass(frozen=True, slots=True)
class Bars:
    """Hold the figures of one row, in seconds."""

    name: str
    bot: float
    peer: float | None
    limit: float | None


def draw(rows: Sequence[Bars]) -> str:
    """Return an SVG picture; each row has its own scale, so that a short one can be read beside a long one."""
    parts: list[str] = []
    y = _legend(parts)
    for row in rows:
        figures = [item for item in zip(COLORS, (row.bot, row.peer, row.limit), strict=True) if item[1] is not None]
        longest = max(figure for _, figure in figures if figure is not None)
        middle = y + BAR * len(figures) / 2 + 4
        parts.append(
            f'<text x="{LABEL_WIDTH - 10}" y="{middle:.0f}" text-anchor="end">{escape(_plain(row.name))}</text>'
        )
        for side, figure in figures:
            assert figure is not None
            width = (WIDTH - LABEL_WIDTH - 60) * figure / longest
            parts.append(
                f'<rect x="{LABEL_WIDTH}" y="{y}" width="{width:.0f}" height="{BAR - 2}" fill="{COLORS[side]}"/>'
            )
            parts.append(f'<text x="{LABEL_WIDTH + width + 5:.0f}" y="{y + 10}">{figure:.2f} s</text>')
            y += BAR
        y += GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="11">'
    return "\n".join((head, f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>', *parts, "</svg>")) + "\n"


def _legend(parts: list[str]) -> int:
    x = LABEL_WIDTH
    for side, color in COLORS.items():
        parts.append(f'<rect x="{x}" y="10" width="10" height="10" fill="{color}"/>')
        parts.append(f'<text x="{x + 14}" y="19">{side}</text>')
        x += 130
    return 36


def _plain(name: str) -> str:
    return name.replace("`", "")
