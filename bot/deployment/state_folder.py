"""Refuse what would let the bot keep its state elsewhere: its successor would find an empty journal, and lead by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from roas.deployment.components import Components
from roas.deployment.leftovers import find_own_bot
from roas.deployment.peers import Standing
from roas.engine.machine.bot_places import (
    STATE_VARIABLE,
    has_variables_of_bot,
    mounts_of_service,
    variables_of_service,
)
from roas.errors import StateMovedError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.facts import BotPlace, OwnContainer
from roas.models.health import AT_WORK


@dataclass(frozen=True, slots=True)
class StateMove:
    """Describe a move of the bot's state by a model: the folder in the container, its source outside."""

    service: str
    old: tuple[str, str]
    new: tuple[str, str]

    def warning(self) -> str:
        """Return the message for the case that the bot stays as it is."""
        old, new = _place(self.old), _place(self.new)
        return said(
            "{service} stays as it is: this bot keeps its state in {old}, and that release in {new}.",
            service=self.service,
            old=old,
            new=new,
        )

    def refusal(self) -> StateMovedError:
        """Return the error, with instructions for moving the state by hand."""
        old, new = _place(self.old), _place(self.new)
        from_folder, to_folder = (one[1] or one[0] for one in (self.old, self.new))
        return StateMovedError(
            said(
                "{service} is this bot, and would keep its state in {new} instead of {old}: it "
                "would start with an empty journal.",
                service=self.service,
                new=new,
                old=old,
            ),
            hint=said(
                "To move it: `docker compose stop {service}`, then `mv {from_folder} "
                "{to_folder}`, set STATE_DIR in .env, then `docker compose up -d {service}`. To "
                "leave it: set STATE_DIR back.",
                service=self.service,
                from_folder=from_folder,
                to_folder=to_folder,
            ),
            service=self.service,
        )


async def refuse_moved_state(
    components: Components, environment: Environment, model: Mapping[str, Any], kept: frozenset[str] = frozenset()
) -> None:
    """Raise StateMovedError where a model moves the bot's state, or replaces a bot that is on another journal.

    Services that are `kept` stay as they are, whatever the model says of them.
    """
    bot = await find_own_bot(components, environment)
    if bot is None:
        await _refuse_bot_of_another_journal(components, environment, model, kept)
    elif bot.service not in kept:
        move = await state_move(components, environment, bot, model)
        if move is not None:
            raise move.refusal()


async def state_move(
    components: Components, environment: Environment, bot: OwnContainer, model: Mapping[str, Any]
) -> StateMove | None:
    """Return how a model would move the bot's state, compared with its container; None where it does not."""
    place = (await components.engine.bot_places(environment, [bot.id])).get(bot.id)
    variables = variables_of_service(model, bot.service)
    if place is None or variables is None:
        return None
    folder = _folder(variables.get(STATE_VARIABLE, ""), place.state_dir)
    wanted = BotPlace(folder, mounts_of_service(model, bot.service))
    old, new = ((one.state_dir.rstrip("/"), one.state_source) for one in (place, wanted))
    return None if old == new else StateMove(bot.service, old, new)


def _folder(named: str, today: str) -> str:
    """Return the folder that a variable names; a relative one means something within the image only."""
    parts = PurePosixPath(named).parts  # none for `.`, which means any folder
    is_same = not parts or (not named.startswith("/") and PurePosixPath(today).match(named))
    return today if is_same else named


async def _refuse_bot_of_another_journal(
    components: Components, environment: Environment, model: Mapping[str, Any], kept: frozenset[str]
) -> None:
    """Raise StateMovedError where a command line of another journal would replace a bot that lives."""
    if not environment.is_home:
        return
    services = [str(name) for name in model.get("services") or () if name not in kept]
    bots = {name for name in services if has_variables_of_bot(variables_of_service(model, name) or ())}
    there = await components.engine.containers(environment) if bots else ()
    living = [one for one in there if one.service in bots and one.state in AT_WORK]
    for judged in await components.peers.judge(environment, living):
        if judged.standing is not Standing.PEER:
            raise StateMovedError(
                said(
                    "{container} is a bot that is not on the journal in {folder}: {reason}.",
                    container=judged.container.name,
                    folder=components.state.folder,
                    reason=judged.reason,
                ),
                hint=said(
                    "Use the STATE_DIR of that bot, or use its commands in Discord; or stop it "
                    "first, if it is not needed."
                ),
                service=judged.container.service,
            )


def _place(place: tuple[str, str]) -> str:
    folder, source = place
    return folder if source in {"", folder} else said("{folder} ({source} on the host)", folder=folder, source=source)
