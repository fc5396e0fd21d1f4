"""Write names of images, lengths of time, sizes and progress as plain text, for Discord and for terminals."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from roas.models.deployment import PhaseResult, ServiceProgress, ServiceStep
from roas.ui.translation import _, word

UNDER_WAY = frozenset(step for step in ServiceStep if step.value.endswith("ing")) - {ServiceStep.PENDING}

# As `stack/images/readable_names.py` writes it: without the registry, with the first digits of the image's id.
OWN_NAME = re.compile(r"roas/(?P<known>.+:.+)-[0-9a-f]{12}")


def known_name(reference: str) -> str:
    """Return the name that people know; that of the registry is missing where it was one of the bot's own."""
    own = OWN_NAME.fullmatch(reference)
    return own["known"] if own is not None else reference


def duration(seconds: float | None) -> str:
    """Write a length of time: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`."""
    if seconds is None:
        return ""
    if seconds < 10:
        return _("{seconds} s", seconds=f"{max(seconds, 0.0):.1f}")
    whole = round(seconds)
    if whole < 60:
        return _("{seconds} s", seconds=whole)
    if whole < 3600:
        return _("{minutes} min {seconds} s", minutes=whole // 60, seconds=whole % 60)
    return _("{hours} h {minutes} min", hours=whole // 3600, minutes=whole % 3600 // 60)


def size(count: int | None) -> str:
    """Write a number of bytes."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Write rows of cells as lines whose columns begin below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def phase_detail(phase: PhaseResult) -> str:
    """Return what a phase said of itself, or what stopped it."""
    return phase.summary or (phase.problem.message if phase.problem else "")


def step_text(progress: ServiceProgress, clock: Callable[[datetime], str], *, finished: bool = False) -> str:
    """Say how far a service is; of one without a health check, until when it is watched.

    In a deployment that is `finished` nothing waits any more, whatever was reported of it last.
    """
    if finished and progress.step is ServiceStep.PENDING:
        return _("not reached")
    if finished:
        return _("interrupted") if progress.step in UNDER_WAY else word(progress.step)
    canary = progress.rollout.canary if progress.rollout is not None else None
    if canary is not None and canary.bakes_until is not None:
        return _("{step}, bakes until {when}", step=word(progress.step), when=clock(canary.bakes_until))
    if progress.watched_until is None:
        return word(progress.step)
    until = clock(progress.watched_until)
    if progress.step is ServiceStep.UNVERIFIED:
        return _("running, unverified until {when}", when=until)
    return _("{step}, unverified until {when}", step=word(progress.step), when=until)
