"""Say that somebody locked or unlocked an environment: below the command in the channel, or in a message of its own."""

from collections.abc import Mapping
from datetime import datetime

import discord

from roas.models.actor import Actor, ActorKind
from roas.models.state_change import StateChange
from roas.ui.drawing import CAREFUL, GOOD, Drawing, one_line
from roas.ui.formatting import at, person
from roas.ui.translation import _

REASON_LENGTH = 500
FREEZE_SUBJECTS = "FREEZE-"
LOCKED = "frozen"


def locked_text(environment: str, actor: Actor, reason: str, until: datetime | None) -> str:
    """Say who locked an environment, why, and until when."""
    text = _(
        "🧊 **{environment}** is locked by {person}: {reason}",
        environment=environment,
        person=person(actor),
        reason=one_line(reason, REASON_LENGTH),
    )
    return text if until is None else text + "\n⏳ " + _("until {when}", when=at(until))


def unlocked_text(environment: str, actor: Actor) -> str:
    """Say who unlocked an environment."""
    return _("**{environment}** is unlocked by {person}.", environment=environment, person=person(actor))


def draw_freeze(change: StateChange) -> Drawing:
    """Draw, in a message of its own, what somebody typed at a terminal: nobody else would see it."""
    facts, environment = change.metadata, change.environment or ""
    actor = Actor(ActorKind(str(facts["kind"])), str(facts["id"]), str(facts["by"]))
    is_locked = change.new == LOCKED
    text = (
        locked_text(environment, actor, str(facts["reason"]), _until(facts))
        if is_locked
        else unlocked_text(environment, actor)
    )
    subject = f"{FREEZE_SUBJECTS}{change.id}"
    embed = discord.Embed(description=text, colour=CAREFUL if is_locked else GOOD).set_footer(text=subject)
    return Drawing(subject, (embed,))


def _until(facts: Mapping[str, object]) -> datetime | None:
    until = str(facts.get("until") or "")
    return datetime.fromisoformat(until) if until else None
