"""`backups`: list the backups of services' data, read them again, restore them, and copy one to a file."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from roas.app.foundation import open_foundation
from roas.cli.deploy import ReleaseNumber, planned_command, request_rollback
from roas.cli.output import add_row, at, make_table, release
from roas.cli.running import (
    EnvironmentName,
    ExitCode,
    Grant,
    Json,
    Reason,
    Session,
    find_environment,
    open_journal,
    run_command,
)
from roas.concurrency import in_thread
from roas.errors import BackupError, InvalidRequestError
from roas.messages.message import counted
from roas.models.backup import BackupReason, DataBackup
from roas.models.deployment import DeploymentRequest
from roas.stack.backups.files import BACKUPS, FILE_MODE, OPTIONS, BackupFiles
from roas.state.documents import to_json
from roas.ui.units import duration, size

# What is said of a backup in the column `before`.
REASONS = {BackupReason.DEPLOYMENT: "deployment", BackupReason.RESTORE: "restore", BackupReason.SCHEDULE: "schedule"}


@dataclass(frozen=True, slots=True)
class BackupList:
    """The output of `backups list --json` and of `backups verify --json`; `damaged` names those that are not good."""

    environment: str
    backups: tuple[DataBackup, ...]
    damaged: tuple[str, ...] = ()


BackupId = Annotated[str, typer.Argument(metavar="BACKUP", help="Which backup, by its id.")]
AnyBackup = Annotated[str | None, typer.Argument(metavar="[BACKUP]", help="Which backup; all of them if left out.")]
BackupIds = Annotated[list[str], typer.Argument(metavar="BACKUP...", help="Which backups, by their ids.")]
Target = Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")]


def backups() -> typer.Typer:
    """Gather the commands about backups."""
    commands = typer.Typer(
        name="backups",
        help="List, verify, restore and copy the backups of services' data.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )
    commands.command("list", short_help="List the backups of an environment.")(list_backups)
    commands.command(short_help="Read backups again, whole.")(verify)
    commands.command(short_help="Restore backups, with the release that they belong to.")(restore)
    commands.command(short_help="Copy a backup to a file of yours.")(export)
    return commands


def list_backups(environment: EnvironmentName, as_json: Json = False) -> None:
    """List the backups of an environment, the newest first."""
    run_command(lambda session: _list(session, environment), as_json=as_json)


def verify(environment: EnvironmentName, backup: AnyBackup = None, as_json: Json = False) -> None:
    """Read backups whole, compare their hashes, and run `verify` where there is one: exit code 0 when all are good."""
    run_command(lambda session: _verify(session, environment, backup), as_json=as_json)


@planned_command
def restore(
    session: Session,
    environment: EnvironmentName,
    backups: BackupIds,
    to: ReleaseNumber = None,
    reason: Reason = "",
    grant: Grant = None,
) -> DeploymentRequest:
    """Restore backups by a rollback with data; --to left out is the release beside which the first was made."""
    return request_rollback(session, environment, to=to, data=backups, reason=reason, grant=grant)


def export(environment: EnvironmentName, backup: BackupId, target: Target, as_json: Json = False) -> None:
    """Read a backup whole, and copy it to a new file that nobody else can read."""
    run_command(lambda session: _export(session, environment, backup, target), as_json=as_json)


async def _list(session: Session, environment: str) -> int:
    found = await _known(session, environment)
    if session.terminal.as_json:
        session.terminal.document(to_json(BackupList(environment, found)))
    elif not found:
        session.terminal.say(f"{environment} has no backup: see `x-deploy.backup` in the documentation.")
    else:
        is_sent = find_environment(session.settings, environment).restic is not None
        session.terminal.out.print(_table(found, is_sent=is_sent))
    return ExitCode.SUCCEEDED


def _table(found: Sequence[DataBackup], *, is_sent: bool) -> Table:
    """Return the backups as a table; where they are sent to is a column of environments that have a repository."""
    headers = ["backup", "service", "made", "before", "of", "size", "took", "encrypted"]
    table = make_table(*headers, *(["sent to"] if is_sent else []))
    for backup in found:
        cells = [
            backup.id,
            backup.service,
            at(backup.created_at),
            f"{REASONS[backup.reason]} {backup.deployment_id}",
            release(backup.release),
            size(backup.size),
            duration(backup.seconds),
            "yes" if backup.recipient else "no",
        ]
        add_row(table, (*cells, *([backup.sent_to or "not sent yet"] if is_sent else [])))
    return table


async def _known(session: Session, environment: str, backup_id: str | None = None) -> tuple[DataBackup, ...]:
    """Return the backups of an environment, or the one of an id. Raises InvalidRequestError."""
    find_environment(session.settings, environment)
    async with open_journal(session) as state:
        known = await state.data_backups.list(environment)
    found = tuple(backup for backup in known if backup_id in {None, backup.id})
    if backup_id is not None and not found:
        hint = f"`roas backups list {environment}` lists those there are."
        raise InvalidRequestError(f"{environment} has no backup {backup_id!r}.", hint=hint)
    return found


async def _verify(session: Session, environment: str, backup_id: str | None) -> int:
    found, damaged = await _known(session, environment, backup_id), list[str]()
    async with open_foundation(session.settings, instance_prefix="CLI", read_only=True) as base:
        data = base.stacks.of(find_environment(session.settings, environment)).data
        for backup in found:
            try:
                await data.verify(backup)
                await data.try_out(backup)
            except BackupError as error:
                damaged.append(backup.id)
                session.terminal.say(error.message, style="red")
    if session.terminal.as_json:
        session.terminal.document(to_json(BackupList(environment, found, tuple(damaged))))
    else:
        session.terminal.say(f"{counted(len(found), 'backup')} read, {len(damaged)} damaged, missing or refused.")
    return ExitCode.FAILED if damaged else ExitCode.SUCCEEDED


async def _export(session: Session, environment: str, backup_id: str, target: Path) -> int:
    (backup,) = await _known(session, environment, backup_id)
    files = BackupFiles(session.state_dir / BACKUPS)
    await in_thread(files.verify, backup)
    await in_thread(_copy, files, backup, target)
    session.terminal.say(f"{backup.id} was copied to {target} ({size(backup.size)}).")
    if session.terminal.as_json:
        session.terminal.document(to_json(backup))
    return ExitCode.SUCCEEDED


def _copy(files: BackupFiles, backup: DataBackup, target: Path) -> None:
    try:
        descriptor = os.open(target, OPTIONS, FILE_MODE)
    except OSError as error:
        raise InvalidRequestError(f"{target} cannot be written: {error.strerror}", hint="Name a new file.") from error
    try:
        with os.fdopen(descriptor, "wb") as file, files.reading(backup) as source:
            shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InvalidRequestError(f"{target} cannot be written: {error.strerror}") from error
        raise
