"""Draw lines, boxes and text on a picture; drawn at twice its size, so that nothing is jagged."""

import io
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from roas.ui.charts.palette import GROUND, TEXT, Colour

FINENESS = 2
# What the font that comes with Pillow can write: Latin letters, digits and signs. Others would be empty boxes.
WRITABLE = frozenset(chr(code) for code in range(32, 127))
UNWRITABLE = "?"

Point = tuple[float, float]
Marker = Literal["circle", "square", "triangle", "diamond"]
MARKERS: tuple[Marker, ...] = ("circle", "square", "triangle", "diamond")


class Canvas:
    """Hold a picture in progress; every length and place is in pixels of the finished picture."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._image = Image.new("RGB", (width * FINENESS, height * FINENESS), GROUND)
        self._draw = ImageDraw.Draw(self._image)

    def text(self, at: Point, label: str, size: float, colour: Colour = TEXT, anchor: str = "ls") -> float:
        """Write text at its `anchor` (as Pillow names it; left and base line by default) and return its width."""
        self._draw.text(_fine(at), writable(label), fill=colour, font=_font(size), anchor=anchor)
        return text_width(label, size)

    def line(self, points: list[Point], colour: Colour, width: float = 3.0) -> None:
        """Draw a line through points."""
        fine = round(width * FINENESS)
        self._draw.line([_fine(point) for point in points], fill=colour, width=fine, joint="curve")

    def box(self, left_top: Point, right_bottom: Point, colour: Colour) -> None:
        """Fill a box."""
        self._draw.rectangle((_fine(left_top), _fine(right_bottom)), fill=colour)

    def marker(self, at: Point, kind: Marker, colour: Colour, radius: float = 7.0) -> None:
        """Draw a small marker that distinguishes lines without relying on colour."""
        (x, y), r = at, radius
        match kind:
            case "circle":
                self._draw.ellipse((_fine((x - r, y - r)), _fine((x + r, y + r))), fill=colour)
            case "square":
                self.box((x - r * 0.9, y - r * 0.9), (x + r * 0.9, y + r * 0.9), colour)
            case "triangle":
                self._polygon([(x, y - r * 1.2), (x + r * 1.1, y + r), (x - r * 1.1, y + r)], colour)
            case "diamond":
                self._polygon([(x, y - r * 1.3), (x + r * 1.3, y), (x, y + r * 1.3), (x - r * 1.3, y)], colour)

    def png(self) -> bytes:
        """Return the finished picture."""
        finished = self._image.resize((self.width, self.height), Image.Resampling.BOX)
        written = io.BytesIO()
        finished.save(written, "PNG")
        return written.getvalue()

    def _polygon(self, points: list[Point], colour: Colour) -> None:
        self._draw.polygon([_fine(point) for point in points], fill=colour)


def text_width(label: str, size: float) -> float:
    """Return the width of a text, in pixels of the finished picture."""
    return _font(size).getlength(writable(label)) / FINENESS


def shortened(label: str, size: float, width: float) -> str:
    """Cut the middle of a text until it is narrow enough: names differ at both ends."""
    if text_width(label, size) <= width:
        return label
    kept = len(label)
    while kept > 2:
        kept -= 1
        short = f"{label[: (kept + 1) // 2]}..{label[-(kept // 2) :]}"
        if text_width(short, size) <= width:
            return short
    return label[:1]


def writable(label: str) -> str:
    """Replace the characters that the font cannot write."""
    return "".join(char if char in WRITABLE else UNWRITABLE for char in label)


def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size * FINENESS)
    if not isinstance(font, ImageFont.FreeTypeFont):  # a Pillow that was built without FreeType
        raise TypeError("Pillow cannot draw fonts here: it needs to be built with FreeType")
    return font


def _fine(point: Point) -> Point:
    return point[0] * FINENESS, point[1] * FINENESS
