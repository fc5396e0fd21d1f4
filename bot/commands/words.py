"""Write durations, times, sizes, images and people as a person at a terminal wants to read them."""

from datetime import datetime

from bot.models.actor import Actor

SHORT_ID = 12


def duration(seconds: float | None) -> str:
    """Write a length of time: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def at(moment: datetime | None) -> str:
    """Write a moment in the time zone of this machine, and name the zone."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S %Z}" if moment else ""


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


def image(reference: str | None) -> str:
    """Shorten the hashes in an image reference to what tells two of them apart."""
    if not reference:
        return "-"
    name, mark, digest = reference.rpartition("sha256:")
    return f"{name}{mark}{digest[:SHORT_ID]}" if mark else reference


def person(actor: Actor) -> str:
    """Name who did something, and where from."""
    return f"{actor.name} ({actor.kind})"


def release(number: int | None) -> str:
    """Write a release as people do: `r12`."""
    return f"r{number}" if number is not None else "-"
