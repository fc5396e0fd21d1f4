"""Suggest values while people type."""

from collections.abc import Iterable, Sequence

from discord import app_commands

from roas.models.release import Release, ReleaseState
from roas.ui.limits import CHOICE, CHOICES, clip


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
        (clip(f"{release.label} · {release.version} · {release.created_at:%Y-%m-%d %H:%M} UTC", CHOICE), release.label)
        for release in known
        if _restorable(release) and (current is None or release.number != current.number)
    ]
    return [app_commands.Choice(name=name, value=label) for name, label in labelled if wanted in name.lower()][:CHOICES]


def _restorable(release: Release) -> bool:
    return release.state in {ReleaseState.SUCCEEDED, ReleaseState.ADOPTED}
