"""Parse what people typed, and reject wrong values with the nearest valid ones."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from discord import app_commands

from roas.deploy.orchestrator import VERSION_PATTERN
from roas.errors import InvalidRequestError, invalid_version
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.release import Release, ReleaseState
from roas.ui.drawing import CHOICE, CHOICES, clip
from roas.ui.translation import _

SERVICE_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
RELEASE_PATTERN = re.compile(r"[rR]?(\d{1,9})")
REASON_LENGTH = 500
NEAREST = 3
SINCE_PATTERN = re.compile(r"(\d{1,5})\s*([smhd])")
SECONDS_OF = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read_environment(text: str, environments: Mapping[str, Environment]) -> Environment:
    """Return the environment of a name. Raises InvalidRequestError."""
    found = environments.get(text.strip())
    if found is None:
        raise InvalidRequestError(
            said("There is no environment {name}.", name=as_typed(text)), hint=nearest(text, environments)
        )
    return found


def read_version(text: str) -> str:
    """Return a version that may become `VERSION` in a compose file. Raises InvalidRequestError."""
    version = text.strip()
    if not VERSION_PATTERN.fullmatch(version):
        raise invalid_version(as_typed(text))
    return version


def read_services(text: str | None, known: Iterable[str]) -> tuple[str, ...]:
    """Return the services named, once each; none named means all. Raises InvalidRequestError."""
    wanted = tuple(dict.fromkeys((text or "").replace(",", " ").split()))
    names = tuple(known)
    for name in wanted:
        if not SERVICE_PATTERN.fullmatch(name) or (names and name not in names):
            raise InvalidRequestError(
                said("The stack has no service {name}.", name=as_typed(name)), hint=nearest(name, names)
            )
    return wanted


def read_release(text: str | None, known: Sequence[Release]) -> int | None:
    """Return the number of a release that is kept; nothing means the one before. Raises InvalidRequestError."""
    if text is None or not text.strip():
        return None
    matched = RELEASE_PATTERN.fullmatch(text.strip())
    number = int(matched.group(1)) if matched else None
    if number is None or number not in {release.number for release in known}:
        raise InvalidRequestError(
            _("There is no release {name} to go back to.", name=as_typed(text)),
            hint=nearest(text, [release.label for release in known if _restorable(release)]),
        )
    return number


def read_reason(text: str | None, *, needed: bool = False) -> str:
    """Return a reason on one line. Raises InvalidRequestError."""
    reason = " ".join((text or "").split())
    if needed and not reason:
        raise InvalidRequestError(_("A reason is needed."))
    if len(reason) > REASON_LENGTH:
        raise InvalidRequestError(_("The reason is too long: {count} characters at most.", count=REASON_LENGTH))
    return reason


def read_since(text: str | None) -> timedelta | None:
    """Parse a time span to look back: `90s`, `15m`, `2h`, `3d`. Raises InvalidRequestError."""
    if text is None or not text.strip():
        return None
    matched = SINCE_PATTERN.fullmatch(text.strip().lower())
    if matched is None:
        raise InvalidRequestError(_("{value} is not a duration, such as 90s, 15m, 2h or 3d.", value=as_typed(text)))
    return timedelta(seconds=int(matched[1]) * SECONDS_OF[matched[2]])


def as_typed(text: str) -> str:
    """Return what was typed, cut to a length that can be read."""
    text = " ".join(text.split())
    return f"“{text if len(text) <= 80 else text[:79] + '…'}”"


def nearest(text: str, known: Iterable[str]) -> str:
    """Name the right values that are most like a wrong one, or simply the right ones."""
    names = list(known)
    if not names:
        return ""
    close = difflib.get_close_matches(text.strip().lower(), names, n=NEAREST, cutoff=0.4)
    if close:
        return _("Did you mean {names}?", names=_(" or ").join(close))
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return said("There {count|is|are} {known}.", count=len(names), known=shown)


def matching(typed: str, values: Iterable[str]) -> list[app_commands.Choice[str]]:
    """Return the values that contain what was typed: those that begin with it first, in their own order otherwise."""
    wanted = typed.strip().lower()
    fitting = [value for value in dict.fromkeys(values) if wanted in value.lower() and len(value) <= CHOICE]
    fitting.sort(key=lambda value: not value.lower().startswith(wanted))
    return [app_commands.Choice(name=value, value=value) for value in fitting[:CHOICES]]


def matching_last(typed: str, values: Iterable[str]) -> list[app_commands.Choice[str]]:
    """Complete the last of several names; those named already stay and are not suggested again."""
    parts = typed.replace(",", " ").split()
    unfinished = parts.pop() if parts and not typed.endswith((" ", ",")) else ""
    before = " ".join(parts)
    rest = [value for value in values if value not in parts]
    completed = [f"{before} {choice.value}".strip() for choice in matching(unfinished, rest)]
    return [app_commands.Choice(name=value, value=value) for value in completed if len(value) <= CHOICE]


def releases(typed: str, known: Sequence[Release], current: Release | None) -> list[app_commands.Choice[str]]:
    """Suggest the releases that one can go back to, newest first, with version and date."""
    wanted = typed.strip().lower()
    labelled = [
        (
            clip(f"{release.label} · {release.version or '-'} · {release.created_at:%Y-%m-%d %H:%M} UTC", CHOICE),
            release.label,
        )
        for release in known
        if _restorable(release) and (current is None or release.number != current.number)
    ]
    return [app_commands.Choice(name=name, value=label) for name, label in labelled if wanted in name.lower()][:CHOICES]


def _restorable(release: Release) -> bool:
    return release.state in {ReleaseState.SUCCEEDED, ReleaseState.ADOPTED}
