"""Play canaries, and write what became of them as a table and a picture.

`python -m tools.campaigns.canary --rounds 2000 --table canary.md --picture docs/pictures/canary.png`. Returns 1 where a
good version was taken back, or a bad one promoted, more often than the judge allows.
"""

import argparse
import random
import statistics
import sys
from collections import Counter
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from roas.stack.updating.canary.judge import ERROR
from tools.campaigns.canary.playing import TRAFFICS, VERSIONS, End, Round, Users, Way, play, upper_bound

COLOURS = {End.PROMOTED: (0, 158, 115), End.ASKED: (240, 228, 66), End.TAKEN_BACK: (213, 94, 0)}
GROUND, TEXT = (255, 255, 255), (30, 31, 34)
ROW, LEFT, BAR, GAP = 26, 250, 230, 14
BAD = ("5 %", "20 %", "0.5 %, 3 times as slow")
Played = dict[tuple[str, float, Way], list[Round]]


def main() -> int:
    """Read the command line, play, and judge."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.canary", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    played: Played = {}
    for version in VERSIONS:
        for traffic in TRAFFICS:
            for way in Way:
                luck = random.Random(f"{given.seed} {version.name} {traffic} {way}")  # noqa: S311 - luck, not secrets
                played[version.name, traffic, way] = [
                    play(way, Users(traffic, version, luck)) for _ in range(given.rounds)
                ]
            print(f"{version.name} at {traffic:g}/s: played", file=sys.stderr, flush=True)
    text = table(played)
    print(text)
    if given.table is not None:
        given.table.write_text(text)
    if given.picture is not None:
        draw(played).save(given.picture, optimize=True)
    wrong = [*too_often(played, ("0 %", "0.5 %"), End.TAKEN_BACK), *too_often(played, BAD, End.PROMOTED)]
    for line in wrong:
        print(line, file=sys.stderr)
    return int(bool(wrong))


def too_often(played: Played, versions: tuple[str, ...], end: End) -> list[str]:
    """Return where our own judge was wrong more often than it may be, by more than luck."""
    found = []
    for (version, traffic, way), rounds in played.items():
        times = sum(item.end is end for item in rounds)
        if way is Way.SEQUENTIAL and version in versions and times > ERROR * len(rounds):
            found.append(f"{version} at {traffic:g}/s: {end} in {times} of {len(rounds)} rounds")
    return found


def table(played: Played) -> str:
    """Write what became of the canaries, in Markdown."""
    lines = [
        "| Version fails | Requests/s | Judged by | Promoted | Taken back | Asked | Median time | Met it | Failed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (version, traffic, way), rounds in played.items():
        ends = Counter(item.end for item in rounds)
        shares = [_share(ends[end], len(rounds)) for end in (End.PROMOTED, End.TAKEN_BACK, End.ASKED)]
        seconds = statistics.median(item.seconds for item in rounds)
        requests = max(1, sum(item.requests for item in rounds))
        met, failed = (sum(seen) / requests for seen in zip(*((item.met, item.failed) for item in rounds), strict=True))
        cells = [version, f"{traffic:g}", way.value, *shares, f"{seconds:.0f} s", f"{met:.1%}", f"{failed:.2%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _share(times: int, rounds: int) -> str:
    """Write a share; of what is rare, with what it is at most."""
    share = f"{times / rounds:.1%}"
    return f"{share} (≤ {upper_bound(times, rounds):.1%})" if times / rounds < 2 * ERROR else share


def draw(played: Played) -> Image.Image:
    """Draw, for each version and traffic, how often each way ended how."""
    rows = [(version.name, traffic) for version in VERSIONS for traffic in TRAFFICS]
    width, height = LEFT + len(Way) * (BAR + GAP), (len(rows) + 3) * ROW
    image = Image.new("RGB", (width, height), GROUND)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    for column, way in enumerate(Way):
        pen.text((LEFT + column * (BAR + GAP), 6), way.value, TEXT, font)
    for row, (version, traffic) in enumerate(rows, 1):
        top = row * ROW + 4
        pen.text((8, top), f"fails {version}, {traffic:g}/s", TEXT, font)
        for column, way in enumerate(Way):
            ends = Counter(item.end for item in played[version, traffic, way])
            left = float(LEFT + column * (BAR + GAP))
            for end, colour in COLOURS.items():
                right = left + BAR * ends[end] / max(1, ends.total())
                if ends[end]:
                    pen.rectangle((left, top, right, top + ROW - 8), colour)
                left = right
    for column, (end, colour) in enumerate(COLOURS.items()):
        left, top = LEFT + column * (BAR + GAP), (len(rows) + 1) * ROW + 8
        pen.rectangle((left, top, left + 16, top + 16), colour)
        pen.text((left + 24, top), end.value, TEXT, font)
    return image


if __name__ == "__main__":
    sys.exit(main())
