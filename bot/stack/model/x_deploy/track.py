"""Read what is tracked of a service's image: `x-deploy.track`, and put tags in the order of their versions."""

import re
from collections.abc import Mapping
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.models.stack import Track
from roas.stack.model.durations import read_duration
from roas.stack.model.x_deploy.entry import Entry

ENTRY = Entry("track", frozenset({"versions", "prereleases", "pattern", "digest_of", "min_age"}))
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
NUMBERS = re.compile(r"\d+")
LONGEST_PATTERN = 200
# What makes an expression try again, and what tries again what does so: with few of the first and none of the second,
# and with tags of this length, it takes a moment at most. The whole bot waits for it.
TRIES_AGAIN, NESTED = re.compile(r"(?<!\\)[*+{|]|(?<![\\(])\?"), re.compile(r"(?<!\\)\)[*+{]")
MOST_TRIES, LONGEST_TAG = 5, 64
Order = tuple[int, ...]


def track_of(name: str, service: Mapping[str, Any]) -> Track | None:
    """Return what is tracked of a service, or None where nothing is. Raises ComposeFileError."""
    written = ENTRY.written_in(service)
    if written is None:
        return None
    entry = {"versions": written} if isinstance(written, str) else written
    if not isinstance(entry, Mapping) or set(entry) - ENTRY.known:
        raise _wrong(name)
    if sum(key in entry for key in ("versions", "pattern", "digest_of")) != 1:
        raise _wrong(name)
    try:
        SpecifierSet(str(entry.get("versions", "")))  # raises InvalidSpecifier, a ValueError
        re.compile(pattern := str(entry.get("pattern", "")))
        tag = str(entry.get("digest_of", ""))
        is_slow = len(TRIES_AGAIN.findall(pattern)) > MOST_TRIES or NESTED.search(pattern) is not None
        if len(pattern) > LONGEST_PATTERN or is_slow or (tag and not TAG.fullmatch(tag)):
            raise _wrong(name)
        min_age = read_duration(entry.get("min_age", 0))
    except (ValueError, re.error, OverflowError) as error:
        raise _wrong(name) from error
    prereleases = entry.get("prereleases") is True
    return Track(str(entry.get("versions", "")), pattern, tag, prereleases=prereleases, min_age_seconds=min_age)


def order_of(track: Track, tag: str) -> Order | None:
    """Return the place of a tag among the others: by its version, or by the numbers in it; None where it is none."""
    if track.pattern:
        found = re.fullmatch(track.pattern, tag) if len(tag) <= LONGEST_TAG else None
        return tuple(int(number) for number in NUMBERS.findall("".join(found.groups("") or (tag,)))) if found else None
    try:
        version = Version(tag)
    except InvalidVersion:
        return None
    taken = SpecifierSet(track.versions).contains(version, prereleases=track.prereleases)
    return _sortable(version) if taken and (track.prereleases or not version.is_prerelease) else None


def _sortable(version: Version) -> Order:
    """Return a version's numbers, a prerelease before its release."""
    release = (*version.release, 0, 0, 0, 0)[:4]
    pre = {"a": 0, "b": 1, "rc": 2}.get(version.pre[0], 0) if version.pre else 3
    return (version.epoch, *release, pre, version.pre[1] if version.pre else 0, version.post or 0)


def _wrong(name: str) -> ComposeFileError:
    return ComposeFileError(
        said("x-deploy of {name} is not valid: {reason}.", name=name, reason="track"), hint=ENTRY.hint
    )
