"""Read what `.env.example` says of each setting."""

import re
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
ASSIGNMENT = re.compile(r"^#?([A-Z][A-Z0-9_]*)=(.*)$")
HEADING = re.compile(r"^# -{4} (.+?) -+$")


@dataclass(frozen=True, slots=True)
class Explained:
    """Hold one variable of the example: its heading, its description, the value that it shows."""

    name: str
    heading: str
    text: str
    shown: str


def explained(text: str | None = None) -> dict[str, Explained]:
    """Return every variable; several that follow one comment share it."""
    found: dict[str, Explained] = {}
    heading, comment, fresh = "", [""], True
    for line in (EXAMPLE.read_text(encoding="utf-8") if text is None else text).splitlines():
        if match := HEADING.match(line):
            heading, comment, fresh = match[1], [], True
        elif match := ASSIGNMENT.match(line):
            found[match[1]] = Explained(match[1], heading, " ".join(comment), match[2])
            fresh = True
        elif line.startswith("#"):
            comment = [line[1:].strip()] if fresh else [*comment, line[1:].strip()]
            fresh = False
        else:
            fresh = True
    return found
