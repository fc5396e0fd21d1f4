"""Read the versions that engines and Compose say of themselves."""

import re

# `v2.40.0`, and what a packager adds: `2.26.1-4`, `26.1.5+dfsg1`.
VERSION = re.compile(r"v?(\d+(?:\.\d+)*)(?:[-+~].*)?")


def numbers_of(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, which compare as it does; none for a text that is no version."""
    found = VERSION.fullmatch(text.strip())
    return tuple(map(int, found[1].split("."))) if found else ()
