"""Word the results of a check."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from roas.messages.message import joined, said
from roas.models.check import CheckResult, Severity


class Named(Protocol):
    """Have a name and a severity, as every check has."""

    name: str
    severity: Severity


def passed(check: Named, message: str) -> CheckResult:
    """Report that a check passed."""
    return CheckResult(check.name, check.severity, True, message)


def failed(check: Named, message: str, remedy: str, severity: Severity | None = None) -> CheckResult:
    """Report what is wrong and how to fix it; the severity is the check's own unless another is given."""
    return CheckResult(check.name, severity or check.severity, False, message, remedy)


def listed(names: Iterable[str]) -> str:
    """Return names as people list them: `a, b and c`."""
    found = list(names)
    if not found:
        return ""
    *first, last = found
    return said("{first} and {last}", first=joined(", ", first), last=last) if first else last


def existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())


def in_bytes(count: int) -> str:
    """Return a number of bytes as people read it, such as `1.5 GiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit in {"B", "KiB", "MiB"} else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
