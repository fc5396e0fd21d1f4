"""`restore`: bring the journal back from one of its verified copies."""

import json
from pathlib import Path
from typing import Annotated

import typer

from roas.cli.output import at
from roas.cli.running import ExitCode, Json, Session, run_command
from roas.errors import InvalidRequestError, StateError
from roas.state.journal.copies import Backup, Backups, DamagedCopyError, verify_in_use
from roas.state.journal.place import JOURNAL_NAME
from roas.state.living_processes import INSTANCES, Instance
from roas.state.manager import StateManager

Name = Annotated[str | None, typer.Option("--from", metavar="COPY", help="Which copy; the newest if left out.")]
ListOnly = Annotated[bool, typer.Option("--list", help="List the copies and change nothing.")]
Replace = Annotated[bool, typer.Option("--yes", help="Replace a journal that is not damaged, too.")]
Keep = Annotated[bool, typer.Option("--keep", help="Take the journal that is there, though it is an earlier one.")]
New = Annotated[bool, typer.Option("--new", help="Begin a new, empty journal: the bot adopts what runs.")]
AFTER = "A bot that has stopped acting goes on by it by itself; one that is stopped has to be started."


def restore(
    from_copy: Name = None,
    new: New = False,
    keep: Keep = False,
    list_only: ListOnly = False,
    yes: Replace = False,
    as_json: Json = False,
) -> None:
    """Put the newest whole copy of the journal in its place, and keep the old one beside it.

    A bot that acts must be stopped first; one that said that it has stopped acting goes on by what it is given. What
    happened since that copy is missing from the history; what runs is not touched.
    """
    run_command(lambda session: _restore(session, from_copy, new, keep, list_only, yes), as_json=as_json)


async def _restore(session: Session, name: str | None, new: bool, keep: bool, list_only: bool, yes: bool) -> int:
    folder = session.state_dir
    backups = Backups(folder / JOURNAL_NAME)
    if list_only:
        return _list(session, backups)
    instance = Instance(folder / INSTANCES, "CLI")
    _announce(instance, folder)
    try:
        _refuse_beside_others(instance)
        if keep:
            return _keep(session, backups)
        chosen = None if new else _choose(backups, name)
        if not yes and instance.living("BOT") == instance.acting("BOT"):  # a bot that lost it knows that it is none
            await _refuse_over_whole(folder / JOURNAL_NAME)
        aside = backups.restore(chosen)
    finally:
        instance.withdraw()
    _report(session, chosen, aside)
    return ExitCode.SUCCEEDED


def _keep(session: Session, backups: Backups) -> int:
    backups.keep()
    if session.terminal.as_json:
        session.terminal.document(json.dumps({"restored": None, "made_at": None, "kept_as": None}))
    else:
        session.terminal.say(f"Kept the journal as it is. {AFTER}")
    return ExitCode.SUCCEEDED


def _announce(instance: Instance, folder: Path) -> None:
    try:
        instance.announce()
    except OSError as error:
        hint = "Set STATE_DIR to the bot's state folder, and run this as the user that owns it."
        raise StateError(f"The state folder {folder} cannot be used: {error.strerror}", hint=hint) from error


def _list(session: Session, backups: Backups) -> int:
    found = backups.all()
    if session.terminal.as_json:
        copies = [{"name": backup.path.name, "made_at": backup.made_at.isoformat()} for backup in found]
        session.terminal.document(json.dumps({"copies": copies}))
    for copy in () if session.terminal.as_json else found:
        session.terminal.say(f"{copy.path.name}  made {at(copy.made_at)}")
    if not found:
        session.terminal.say(f"There is no copy in {backups.folder} yet: the running bot makes one a day.")
    return ExitCode.SUCCEEDED


def _choose(backups: Backups, name: str | None) -> Backup:
    if name is None:
        return backups.newest_whole()
    found = next((backup for backup in backups.all() if backup.path.name == Path(name).name), None)
    if found is None:
        raise InvalidRequestError(f"There is no copy {name} in {backups.folder}.", hint="See `roas restore --list`.")
    return found


def _refuse_beside_others(instance: Instance) -> None:
    living = [*instance.acting("BOT"), *instance.living("CLI")]
    if living:
        raise InvalidRequestError(
            f"The journal is in use by {', '.join(living)}.",
            hint="A bot that acts is stopped first, and this is run where its state folder is, with its STATE_DIR.",
        )


async def _refuse_over_whole(journal: Path) -> None:
    """Raise InvalidRequestError where the journal is whole: its history would be lost for nothing."""
    try:
        verify_in_use(journal)
    except DamagedCopyError:
        return
    async with StateManager(journal.parent, instance_prefix="RESTORE") as state:
        if await state.last_sequence() == 0:
            return  # nothing ever happened by it
    raise InvalidRequestError(
        f"{journal.name} is not damaged; what happened by it would be lost.",
        hint="Add --yes to replace it all the same.",
    )


def _report(session: Session, chosen: Backup | None, aside: Path | None) -> None:
    if session.terminal.as_json:
        document = {
            "restored": None if chosen is None else chosen.path.name,
            "made_at": None if chosen is None else chosen.made_at.isoformat(),
            "kept_as": None if aside is None else str(aside),
        }
        session.terminal.document(json.dumps(document))
        return
    kept = "" if aside is None else f" The old one is kept as {aside.name}."
    if chosen is None:
        session.terminal.say(f"Began a new journal.{kept}\n{AFTER} What runs is adopted with the next deployment.")
        return
    session.terminal.say(
        f"Restored the journal as of {at(chosen.made_at)} ({chosen.path.name}).{kept}\n"
        f"{AFTER} Then compare `roas status` with what you know: deployments since then are not in the "
        "journal. If an environment runs another version than it says, deploy that version."
    )
