"""Say how two pinned models differ, by key and by file, for who approves the change: old, then new.

Values are shown but for secrets. Characters that nobody sees, or that turn the direction of a text, are written out.
"""

import difflib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from roas.messages.message import said, spelled, visible
from roas.stack.model.services import LIVE, OF_BOT, services_of
from roas.stack.sources.contents import SECRET_PREFIX

# What is bound is compared by what is in it, and what makes no container different is told elsewhere or nowhere.
BESIDE = frozenset({"image", "build", "pull_policy", "volumes"})
SHARED = ("networks", "volumes")
MOST_LINES = 2000
# Of the lines in all: a file that is attached to a message holds them.
MOST_SHOWN = 192 << 10
MOST_BYTES = 256 << 10
LONGEST = 500
# So many lines around a change are shown, and so many pairs of lines are compared with each other.
CONTEXT, MOST_PAIRS = 3, 1 << 20
HUNK = re.compile(r"([-+])(\d+)")

Redact = Callable[[str], str]


def describe_changes(old: Mapping[str, Any], new: Mapping[str, Any], contents: Path, redact: Redact) -> tuple[str, ...]:
    """Return the lines of a diff; the last one says so where there are more.

    A line that begins with `-`, `+`, a space or `@@` is of the service, or of the file, that is named above it.
    """
    lines: list[str] = []
    size = 0
    for line in map(redact, _changes(old, new, contents, redact)):  # names may hold one, too
        size += len(line.encode(errors="replace")) + 1
        if len(lines) >= MOST_LINES or size > MOST_SHOWN:
            return *lines, said("… cut: there are more than {most_lines} lines.", most_lines=len(lines))
        lines.append(line)
    return tuple(lines)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], contents: Path, redact: Redact) -> Iterator[str]:
    before, after = services_of(old), services_of(new)
    for name in sorted({*before, *after}):
        own, other = before.get(name) or {}, after.get(name) or {}
        plain, changed = ({key: item[key] for key in item.keys() - BESIDE} for item in map(_as_written, (own, other)))
        yield from _headed(name, _keys("", plain, changed, redact))
        yield from _mounts(name, own, other, contents, redact)
    for kind in SHARED:
        yield from _headed(kind, _keys("", old.get(kind) or {}, new.get(kind) or {}, redact))


def _as_written(service: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a service without what only the bot says of it in `x-deploy`."""
    extension = service.get("x-deploy")
    if not isinstance(extension, Mapping):
        return service
    kept = {key: value for key, value in extension.items() if key not in OF_BOT}
    return {**service, "x-deploy": kept or None}


def _headed(place: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    yield from (f"{shown(place)}:", *found) if found else ()


def _keys(place: str, old: Any, new: Any, redact: Redact) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, Mapping | None) and isinstance(new, Mapping | None):
        before, after = old or {}, new or {}
        for key in sorted({*before, *after}, key=str):
            name = spelled(str(key))
            below = f"{place}.{name}" if place else name
            if key in before and key in after:
                yield from _keys(below, before[key], after[key], redact)
            elif place and (before if key in before else after)[key] is None:  # a network, or a variable of the host's
                yield f"{'-' if key in before else '+'}{shown(below)}"
            else:
                yield from _keys(below, before.get(key), after.get(key), redact)
        return
    # Whoever approves it has to know that they do not see it.
    texts = [redact(f"{place.rpartition('.')[2]}={_text(value)}").partition("=")[2] for value in (old, new)]
    if texts[0] == texts[1] or any(text != _text(value) for text, value in zip(texts, (old, new), strict=True)):
        yield said("{place} changed: it looks like a secret, and is not shown.", place=shown(place))
        return
    if old is not None:
        yield f"-{shown(place)}: {shown(texts[0])}"
    if new is not None:
        yield f"+{shown(place)}: {shown(texts[1])}"


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
        sources = [_source(fields, item) for fields, item in ((old, own), (new, other))]
        if own == other and sources[0] == sources[1]:
            continue
        place = f"{service}:{target}"
        if any(source.name.startswith(SECRET_PREFIX) for source in sources):
            yield said("{place} changed: it looks like a secret, and is not shown.", place=shown(place))
            continue
        rest = [{key: item[key] for key in item if key != "source"} if item else None for item in (own, other)]
        if rest[0] != rest[1] or not all(source.parent == contents for source in sources):
            yield from _headed(place, _keys("", own, other, redact))
        files = [_files(source) if source.parent == contents else {} for source in sources]
        for name in sorted({*files[0], *files[1]}):
            yield from _file(f"{place}{name}", files[0].get(name), files[1].get(name), redact)


def _source(fields: Mapping[str, Any], volume: Mapping[str, Any] | None) -> Path:
    """Return where the content of a mount is: of what a proxy reads again, its service says so."""
    source = str((volume or {}).get("source") or "")
    live = (fields.get("x-deploy") or {}).get(LIVE)
    return Path(str(live.get(source, source)) if isinstance(live, Mapping) else source)


def _files(source: Path) -> dict[str, Path]:
    """Return the files and links of what is kept, by their place below it."""
    if not source.is_dir():
        return {"": source}
    found = (path for path in sorted(source.rglob("*")) if path.is_symlink() or path.is_file())
    return {f"/{path.relative_to(source)}": path for path in found}


def _read(path: Path | None) -> bytes | None:
    """Return what a kept file holds; of a link where it leads, since what is there is not the stack's to show."""
    try:
        if path is None or path.is_symlink():
            return None if path is None else b"-> " + os.fsencode(path.readlink())
        return path.read_bytes()
    except OSError:
        return b""


def _file(place: str, before: Path | None, after: Path | None, redact: Redact) -> Iterator[str]:
    old, new = _read(before), _read(after)
    modes = _mode(before), _mode(after)
    mode = list(_keys("mode", *modes, redact)) if all(modes) else []
    if old == new:
        yield from _headed(place, mode)
        return
    try:
        texts = [(content or b"").decode() for content in (old, new)]
    except UnicodeDecodeError:
        texts = []
    if not texts or any(len(content or b"") > MOST_BYTES or b"\0" in (content or b"") for content in (old, new)):
        yield from _headed(place, mode)
        yield said("{place} changed: it is no text, or too large to be shown.", place=shown(place))
        return
    clean = [redact(text) for text in texts]
    # Not by what else may end a line: that is a character, which counts. A file without a line is still there.
    ours, theirs = (
        [] if content is None else text.split("\n") for content, text in zip((old, new), clean, strict=True)
    )
    if all(rows[-1:] == [""] or not rows for rows in (ours, theirs)):  # each line has an end, as it should
        ours, theirs = (rows[:-1] if len(rows) > 1 else rows for rows in (ours, theirs))
    yield from _headed(place, (*mode, *map(shown, _unified(ours, theirs))))
    if ours == theirs:
        yield said("{place} changed: it looks like a secret, and is not shown.", place=shown(place))
    elif clean != texts:
        yield said(
            "{place} has what looks like a secret: whether that changed cannot be read here.", place=shown(place)
        )


def _unified(ours: list[str], theirs: list[str]) -> Iterator[str]:
    """Return how lines differ, in a time that grows with their number alone: whoever wrote them chose them.

    Where too many lines lie between the first and the last that differ, all of these are shown as others.
    """
    same = _same(ours, theirs)
    end = _same(ours[same:][::-1], theirs[same:][::-1])
    first, after = max(0, same - CONTEXT), max(0, end - CONTEXT)
    before, now = ours[first : len(ours) - after], theirs[first : len(theirs) - after]
    if len(before) * len(now) <= MOST_PAIRS:
        for line in islice(difflib.unified_diff(before, now, lineterm=""), 2, None):
            yield HUNK.sub(lambda found: found[1] + str(int(found[2]) + first), line) if line[0] == "@" else line
        return
    gone, come = ours[same : len(ours) - end], theirs[same : len(theirs) - end]
    yield f"@@ -{same + 1},{len(gone)} +{same + 1},{len(come)} @@"
    yield from (f"-{line}" for line in gone)
    yield from (f"+{line}" for line in come)


def _same(ours: list[str], theirs: list[str]) -> int:
    """Return how many lines are the same from the beginning on."""
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((at for at, (own, other) in pairs if own != other), min(len(ours), len(theirs)))


def _mode(path: Path | None) -> str:
    return "" if path is None or path.is_symlink() or not path.exists() else f"{path.stat().st_mode & 0o777:o}"


def shown(text: str) -> str:
    """Return a text in which every character can be seen; a long one is cut, and says so."""
    text = visible(text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)})"
