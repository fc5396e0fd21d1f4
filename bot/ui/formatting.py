"""Write times, images and people as a person on a phone wants to read them."""

from collections.abc import Iterable
from datetime import datetime

from roas.models.actor import Actor, ActorKind
from roas.ui.image_names import known_name
from roas.ui.limits import one_line
from roas.ui.translation import _

SHORT_ID = 12


def since(moment: datetime) -> str:
    """Format a time as a Discord timestamp, which every reader's client keeps up to date without an edit."""
    return f"<t:{int(moment.timestamp())}:R>"


def clock(moment: datetime) -> str:
    """Write a time of today in the reader's own time zone, to the second: it stays true without an edit."""
    return f"<t:{int(moment.timestamp())}:T>"


def at(moment: datetime) -> str:
    """Write a date and time in the reader's own time zone."""
    return f"<t:{int(moment.timestamp())}:f>"


def image(reference: str | None) -> str:
    """Shorten an image reference to what distinguishes two versions: its last name and tag, or the start of its id."""
    if not reference:
        return ""
    name, _at, digest = known_name(reference).partition("@")
    if name.startswith("sha256:"):
        return name.removeprefix("sha256:")[:SHORT_ID]
    last = name.rsplit("/", 1)[-1]
    short = digest.removeprefix("sha256:")[:SHORT_ID]
    return last if ":" in last or not short else f"{last}@{short}"


def image_change(old: str | None, new: str | None) -> str:
    """Write which image becomes which; only the tags where the names are the same, all where it is from elsewhere."""
    before, after = image(old), image(new)
    if old and new and _is_from_elsewhere(old, new):
        return f"{known_name(old).partition('@')[0]} → {known_name(new).partition('@')[0]}"
    if not before or not after or before == after:
        return after or before
    name, _colon, tag = after.partition(":")
    old_name, _colon, old_tag = before.partition(":")
    return f"{old_tag} → {tag}" if tag and old_tag and name == old_name else f"{before} → {after}"


def _is_from_elsewhere(old: str, new: str) -> bool:
    """Return whether an image comes from another repository; the bot's own names do not tell the registry."""
    before, after = _repository(known_name(old)), _repository(known_name(new))
    is_shortened = known_name(old) != old and after.endswith(f"/{before}")
    return bool(before and after) and before != after and not is_shortened


def _repository(reference: str) -> str:
    """Return the repository of an image, without its tag; empty for one that is named by its id alone."""
    name = reference.partition("@")[0]
    place, slash, last = name.rpartition("/")
    return "" if name.startswith("sha256:") else f"{place}{slash}{last.partition(':')[0]}"


def person(actor: Actor) -> str:
    """Name an actor: a mention, which pings nobody within an embed, or a name."""
    return f"<@{actor.id}>" if actor.kind is ActorKind.DISCORD and actor.id.isdigit() else one_line(actor.name, 80)


def mentions(roles: Iterable[int]) -> str:
    """Mention roles; this pings them only in a message's content, and only where the message allows it."""
    return " ".join(f"<@&{role}>" for role in roles)


def release(number: int | None) -> str:
    """Write a release as people do: `r12`."""
    return f"r{number}" if number is not None else _("none")
