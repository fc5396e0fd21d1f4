"""`restore`: bring the journal back from one of its verified copies."""

import json
from pathlib import Path
from typing import Annotated

import typer

from roas.commands.arguments import Json
from roas.commands.command_runner import run_command
from roas.commands.exit_codes import ExitCode
from roas.commands.formatting import at
from roas.commands.session import Session
from roas.errors import InvalidRequestError, StateError
from roas.state.backups import Backup, Backups, DamagedCopyError, verify_in_use
from roas.state.instance import INSTANCES, Instance
from roas.state.looked_at import JOURNAL_NAME

Name = Annotated[str | None, typer.Option("--from", metavar="COPY", help="Which copy; the newest if left out.")]
ListOnly = Annotated[bool, typer.Option("--list", help="List the copies and change nothing.")]
Replace = Annotated[bool, typer.Option("--yes", help="Replace a journal that is not damaged, too.")]


def restore(from_copy: Name = None, list_only: ListOnly = False, yes: Replace = False, as_json: Json = False) -> None:
    """Put the newest whole copy of the journal in its place, and keep the old one beside it; the bot must be stopped.

    What happened since that copy is missing from the history; what runs is not touched.
    """
    run_command(lambda session: _restore(session, from_copy, list_only, yes), as_json=as_json)


async def _restore(session: Session, name: str | None, list_only: bool, yes: bool) -> int:
    folder = session.state_dir
    backups = Backups(folder / JOURNAL_NAME)
    if list_only:
        return _list(session, backups)
    instance = Instance(folder / INSTANCES, "CLI")
    _announce(instance, folder)
    try:
        _refuse_beside_others(instance)
        chosen = _choose(backups, name)
        if not yes:
            _refuse_over_whole(folder / JOURNAL_NAME)
        aside = backups.restore(chosen)
    finally:
        instance.withdraw()
    _report(session, chosen, aside)
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
        copies = [{"name": one.path.name, "made_at": one.made_at.isoformat()} for one in found]
        session.terminal.document(json.dumps({"copies": copies}))
    for one in () if session.terminal.as_json else found:
        session.terminal.say(f"{one.path.name}  made {at(one.made_at)}")
    if not found:
        session.terminal.say(f"There is no copy in {backups.folder} yet: the running bot makes one a day.")
    return ExitCode.SUCCEEDED


def _choose(backups: Backups, name: str | None) -> Backup:
    if name is None:
        return backups.newest_whole()
    found = next((one for one in backups.all() if one.path.name == Path(name).name), None)
    if found is None:
        raise InvalidRequestError(f"There is no copy {name} in {backups.folder}.", hint="See `roas restore --list`.")
    return found


def _refuse_beside_others(instance: Instance) -> None:
    living = [*instance.living("BOT"), *instance.living("CLI")]
    if living:
        raise InvalidRequestError(
            f"The journal is in use by {', '.join(living)}.",
            hint="Stop the bot first (in the shipped stack: `docker compose stop discord-bot`).",
        )


def _refuse_over_whole(journal: Path) -> None:
    """Raise InvalidRequestError where the journal is whole: its history would be lost for nothing."""
    try:
        verify_in_use(journal)
    except DamagedCopyError:
        return
    raise InvalidRequestError(
        f"{journal.name} is not damaged; a copy would only lose what happened since it was made.",
        hint="Add --yes to go back to the copy all the same.",
    )


def _report(session: Session, chosen: Backup, aside: Path) -> None:
    if session.terminal.as_json:
        document = {"restored": chosen.path.name, "made_at": chosen.made_at.isoformat(), "kept_as": str(aside)}
        session.terminal.document(json.dumps(document))
        return
    session.terminal.say(
        f"Restored the journal as of {at(chosen.made_at)} ({chosen.path.name}). The old one is kept as {aside.name}.\n"
        "Start the bot again. Then compare `roas status` with what you know: deployments since then are not in the "
        "journal. If an environment runs another version than it says, deploy that version."
    )
