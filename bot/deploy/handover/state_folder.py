"""Refuse to act by a journal that is not the stack's: an empty one, and one that a deployment would move to."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from roas.concurrency import in_thread, run_concurrently
from roas.configuration.compose_yaml import read_compose
from roas.deploy.own_service import OwnService
from roas.errors import JournalMissingError, RoasError, StateMovedError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.facts import BotPlace, FoundProject, OwnContainer
from roas.models.health import AT_WORK
from roas.models.leader_lease import Standing
from roas.models.stored import moment_of
from roas.stack.machine.bot_places import (
    STATE_VARIABLE,
    has_variables_of_bot,
    mounts_of_service,
    variables_of_service,
)
from roas.stack.model.store import MODELS
from roas.stack.stack import Stack
from roas.stack.stacks import Stacks
from roas.state.manager import StateManager

# How long an engine may take to tell of a journal that has begun: who only looks waits for it.
LOOK_SECONDS = 5.0


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
        from_folder, to_folder = (item[1] or item[0] for item in (self.old, self.new))
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
                "{to_folder}`, set STATE_DIR in .env, then `docker compose up -d --no-deps {service}`. To "
                "leave it: set STATE_DIR back.",
                service=self.service,
                from_folder=from_folder,
                to_folder=to_folder,
            ),
            service=self.service,
        )


async def refuse_missing_journal(
    state: StateManager, stacks: Stacks, environments: Iterable[Environment], folder: Path
) -> None:
    """Raise JournalMissingError where the engines have what a journal did that this one knows nothing of.

    The disk of the state folder may not be mounted: Docker makes an empty folder in its place. Or another disk is, with
    an earlier journal or with that of another bot. An engine that does not answer tells nothing.
    """
    begun = await state.has_begun()
    asked = _newer_traces if begun else _traces
    traces = await run_concurrently(asked(state, stacks.of(environment), folder) for environment in environments)
    found = [trace for trace in traces if trace]
    if found and begun:
        raise JournalMissingError(
            said(
                "The journal in {folder} is an earlier one, or that of another bot. {traces}",
                folder=folder,
                traces=found[0],
            ),
            hint=said(
                "If another disk belongs at the state folder, mount it, and restart the bot. Else, where the bot "
                "runs, bring back a copy by `roas restore`, or take this journal as it is by `roas restore --keep`."
            ),
        )
    if found:
        raise JournalMissingError(
            said("The journal is missing: the one in {folder} is empty. {traces}", folder=folder, traces=found[0]),
            hint=said(
                "If the disk of the state folder is not mounted, mount it, and restart the bot. Else, where the bot "
                "runs, bring back a copy by `roas restore`, or begin a new journal by `roas restore --new`: it adopts "
                "what runs, and earlier releases and locks are forgotten."
            ),
        )


async def _newer_traces(state: StateManager, stack: Stack, folder: Path) -> str:
    """Say what another journal left of an environment that this one knows; empty where nothing is seen of it."""
    environment = stack.environment
    newest = await state.newest(environment.name)
    if newest.release < 0:  # it may have had another name
        return ""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            writer = await stack.releases.last_writer()
            if newest.deployed_at and moment_of(writer) > max(newest.deployed_at, newest.chosen_at):
                return _written_by(writer, environment)
            number = max(await _held(stack, await _projects(stack)), default=-1)
            journals = await stack.releases.journals()
    except (RoasError, TimeoutError):
        return ""
    if newest.chosen_at:
        return ""
    if writer and not await state.may_have_written(writer, environment.name):
        return _written_by(writer, environment)
    if journals and state.journal_id not in journals:
        return said(
            "{environment} was deployed last by {journal}, and this one is {id}.",
            environment=environment.name,
            journal=", ".join(sorted(journals)),
            id=state.journal_id,
        )
    return "" if number <= newest.release else _images_of(number, environment)


async def _traces(_state: StateManager, stack: Stack, folder: Path) -> str:
    """Say what an earlier journal left of an environment; empty where nothing is seen of it."""
    environment = stack.environment
    try:
        projects = await _projects(stack)
        numbers = await _held(stack, projects)
        writer = await stack.releases.last_writer()
    except RoasError:
        return ""
    if numbers:
        return _images_of(max(numbers), environment)
    if writer:
        return _written_by(writer, environment)
    files = (Path(file) for project in projects for file in project.files)
    gone = next((file for file in files if file.parent == folder / MODELS and not file.exists()), None)
    if gone is None:
        return ""
    return said("{environment} runs from {file}, which is not there.", environment=environment.name, file=gone)


async def _projects(stack: Stack) -> list[FoundProject]:
    return [project for project in await stack.probe().projects() if project.name == stack.environment.project]


async def _held(stack: Stack, projects: Iterable[FoundProject]) -> frozenset[int]:
    services = await in_thread(_written_services, stack.environment)
    services |= {service for project in projects for service in project.services}
    return await stack.releases.held(services)


def _images_of(number: int, environment: Environment) -> str:
    return said(
        "This engine has images of release {number} of {environment}.", number=number, environment=environment.name
    )


def _written_by(writer: str, environment: Environment) -> str:
    return said(
        "The Swarm has services of {environment} that {deployment} wrote.",
        environment=environment.name,
        deployment=writer,
    )


def _written_services(environment: Environment) -> set[str]:
    """Return the services that the compose files name by themselves; one that cannot be read names none."""
    found: set[str] = set()
    for path in environment.compose_files:
        with suppress(OSError, RoasError):
            for document in read_compose(path, path.read_bytes()):
                if isinstance(services := document.get("services"), dict):
                    found |= services.keys()
    return found


async def refuse_moved_state(
    own_service: OwnService, model: Mapping[str, Any], kept: frozenset[str] = frozenset()
) -> None:
    """Raise StateMovedError where a model moves the bot's state, or replaces a bot that is on another journal.

    Services that are `kept` stay as they are, whatever the model says of them.
    """
    bot = await own_service.bot()
    if bot is None:
        await _refuse_bot_of_another_journal(own_service, model, kept)
    elif bot.service not in kept:
        move = await state_move(own_service, bot, model)
        if move is not None:
            raise move.refusal()


async def state_move(own_service: OwnService, bot: OwnContainer, model: Mapping[str, Any]) -> StateMove | None:
    """Return how a model would move the bot's state, compared with its container; None where it does not."""
    place = (await own_service.stack.probe().bot_places([bot.id])).get(bot.id)
    variables = variables_of_service(model, bot.service)
    if place is None or variables is None:
        return None
    folder = _folder(variables.get(STATE_VARIABLE, ""), place.state_dir)
    wanted = BotPlace(folder, mounts_of_service(model, bot.service))
    old, new = ((bot_place.state_dir.rstrip("/"), bot_place.state_source) for bot_place in (place, wanted))
    return None if old == new else StateMove(bot.service, old, new)


def _folder(named: str, today: str) -> str:
    """Return the folder that a variable names; a relative one means something within the image only."""
    parts = PurePosixPath(named).parts  # none for `.`, which means any folder
    is_same = not parts or (not named.startswith("/") and PurePosixPath(today).match(named))
    return today if is_same else named


async def _refuse_bot_of_another_journal(
    own_service: OwnService, model: Mapping[str, Any], kept: frozenset[str]
) -> None:
    """Raise StateMovedError where a command line of another journal would replace a bot that lives."""
    components, environment = own_service.components, own_service.environment
    if not environment.is_home:
        return
    services = [str(name) for name in model.get("services") or () if name not in kept]
    bots = {name for name in services if has_variables_of_bot(variables_of_service(model, name) or ())}
    there = await own_service.stack.containers() if bots else ()
    living = [container for container in there if container.service in bots and container.state in AT_WORK]
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
