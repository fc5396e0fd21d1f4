"""Say how two pinned models differ, by key and by file, for who approves the change: old, then new.

Values are shown but for secrets. Characters that nobody sees, or that turn the direction of a text, are written out.
"""

import difflib
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from roas.messages.message import said
from roas.stack.model.services import services_of
from roas.stack.sources.contents import SECRET_PREFIX

# What is bound is compared by what is in it, and what makes no container different is told elsewhere or nowhere.
BESIDE = frozenset({"image", "build", "pull_policy", "x-deploy", "volumes"})
SHARED = ("networks", "volumes")
MOST_LINES = 2000
MOST_FILES = 200
MOST_BYTES = 256 << 10
LONGEST = 500
# Characters of format and control, of no meaning, and separators that are no space.
UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})

Redact = Callable[[str], str]


def describe_changes(old: Mapping[str, Any], new: Mapping[str, Any], contents: Path, redact: Redact) -> tuple[str, ...]:
    """Return the lines of a diff; the last one says so where there are more.

    A line that begins with `-`, `+`, a space or `@@` is of the service, or of the file, that is named above it.
    """
    lines = list(islice(_changes(old, new, contents, redact), MOST_LINES + 1))
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [said("… cut: there are more than {most_lines} lines.", most_lines=MOST_LINES)]
    return tuple(lines)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], contents: Path, redact: Redact) -> Iterator[str]:
    before, after = services_of(old), services_of(new)
    for name in sorted({*before, *after}):
        own, other = before.get(name) or {}, after.get(name) or {}
        plain, changed = ({key: item[key] for key in item.keys() - BESIDE} for item in (own, other))
        yield from _headed(name, _keys("", plain, changed, redact))
        yield from _mounts(name, own, other, contents, redact)
    for kind in SHARED:
        yield from _headed(kind, _keys("", old.get(kind) or {}, new.get(kind) or {}, redact))


def _headed(place: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    yield from (f"{visible(place)}:", *found) if found else ()


def _keys(place: str, old: Any, new: Any, redact: Redact) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, Mapping | None) and isinstance(new, Mapping | None):
        before, after = old or {}, new or {}
        for key in sorted({*before, *after}, key=str):
            below = f"{place}.{key}" if place else str(key)
            if key in before and key in after:
                yield from _keys(below, before[key], after[key], redact)
            elif place and (before if key in before else after)[key] is None:  # a network, or a variable of the host's
                yield f"{'-' if key in before else '+'}{visible(below)}"
            else:
                yield from _keys(below, before.get(key), after.get(key), redact)
        return
    # Whoever approves it has to know that they do not see it.
    texts = [redact(f"{place.rpartition('.')[2]}={_text(value)}").partition("=")[2] for value in (old, new)]
    if texts[0] == texts[1] or any(text != _text(value) for text, value in zip(texts, (old, new), strict=True)):
        yield said("{place} changed: it looks like a secret, and is not shown.", place=visible(place))
        return
    if old is not None:
        yield f"-{visible(place)}: {visible(texts[0])}"
    if new is not None:
        yield f"+{visible(place)}: {visible(texts[1])}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _mounts(
    service: str, old: Mapping[str, Any], new: Mapping[str, Any], contents: Path, redact: Redact
) -> Iterator[str]:
    before, after = (
        {str(volume.get("target")): volume for volume in fields.get("volumes") or ()} for fields in (old, new)
    )
    for target in sorted({*before, *after}):
        own, other = before.get(target), after.get(target)
        if own == other:
            continue
        sources = [Path(str((item or {}).get("source") or "")) for item in (own, other)]
        place = f"{service}:{target}"
        if any(source.name.startswith(SECRET_PREFIX) for source in sources):
            yield said("{place} changed: it looks like a secret, and is not shown.", place=visible(place))
            continue
        rest = [{key: item[key] for key in item if key != "source"} if item else None for item in (own, other)]
        if rest[0] != rest[1] or not all(source.parent == contents for source in sources):
            yield from _headed(place, _keys("", own, other, redact))
        files = [_files(source) if source.parent == contents else {} for source in sources]
        for name in sorted({*files[0], *files[1]}):
            yield from _file(f"{place}{name}", files[0].get(name), files[1].get(name), redact)


def _files(source: Path) -> dict[str, bytes]:
    """Return what a kept file or folder holds, by its place below it."""
    found = (
        islice((path for path in sorted(source.rglob("*")) if path.is_file()), MOST_FILES)
        if source.is_dir()
        else [source]
    )
    return {f"/{item.relative_to(source)}" if item != source else "": _read(item) for item in found}


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError:
        return b""


def _file(place: str, old: bytes | None, new: bytes | None, redact: Redact) -> Iterator[str]:
    if old == new:
        return
    try:
        texts = [(content or b"").decode() for content in (old, new)]
    except UnicodeDecodeError:
        texts = []
    if not texts or any(len(content or b"") > MOST_BYTES or b"\0" in (content or b"") for content in (old, new)):
        yield said("{place} changed: it is no text, or too large to be shown.", place=visible(place))
        return
    shown = [redact(text) for text in texts]
    lines = difflib.unified_diff(shown[0].splitlines(), shown[1].splitlines(), lineterm="")
    yield from _headed(place, (visible(line) for line in islice(lines, 2, None)))
    if shown[0] == shown[1]:
        yield said("{place} changed: it looks like a secret, and is not shown.", place=visible(place))
    elif shown != texts:
        yield said(
            "{place} has what looks like a secret: whether that changed cannot be read here.", place=visible(place)
        )


def visible(text: str) -> str:
    """Return a text in which every character can be seen; a long one is cut, and says so."""
    shown = "".join(rf"\u{{{ord(char):x}}}" if unicodedata.category(char) in UNSEEN else char for char in text)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}… ({len(shown)})"
