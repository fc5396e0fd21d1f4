"""Write times, images and people as a person at a terminal wants to read them."""

from datetime import datetime

from roas.models.actor import Actor
from roas.ui.image_names import known_name

SHORT_ID = 12


def at(moment: datetime | None) -> str:
    """Write a moment in the time zone of this machine, and name the zone."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S %Z}" if moment else ""


def image(reference: str | None) -> str:
    """Shorten the hashes in an image reference to what distinguishes two of them."""
    if not reference:
        return "-"
    name, mark, digest = reference.rpartition("sha256:")
    return f"{name}{mark}{digest[:SHORT_ID]}" if mark else known_name(reference)


def person(actor: Actor) -> str:
    """Name who did something, and where from."""
    return f"{actor.name} ({actor.kind})"


def release(number: int | None) -> str:
    """Write a release as people do: `r12`."""
    return f"r{number}" if number is not None else "-"
