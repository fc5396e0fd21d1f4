"""Read and write durations as the Compose Specification does: `1m30s`, `500ms`."""

import re

from roas.messages.message import number, said

UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
}
DECIMALS = 9
PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)")


def read_duration(value: object) -> float:
    """Return seconds; a bare number is seconds already. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip()
    parts = PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(said("{text} is not a duration (write it like 10s, 500ms or 1m30s)", text=repr(text)))
    # 30000000000ns are 30 seconds: Docker writes them so, and what is the same must be equal.
    return round(float(sum(float(number) * UNITS[unit] for number, unit in parts)), DECIMALS)


def write_duration(seconds: float) -> str:
    """Return a duration as text, such as `1.5s`."""
    return f"{number(seconds)}s" if seconds == 0 or seconds >= 1 else f"{number(seconds * 1000)}ms"


def as_compose_writes(seconds: float) -> str:
    """Return a duration as Compose writes it in a resolved model, such as `1m30s`; it needs none below a second."""
    if 0 < seconds < 1:
        return write_duration(seconds)
    minutes, rest = divmod(round(seconds, DECIMALS), 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{hours}h"] if hours else []
    parts += [f"{minutes}m"] if hours or minutes else []
    return "".join([*parts, f"{number(rest)}s"])
