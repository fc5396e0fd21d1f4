"""`history`, `releases` and `events`: what the journal has of the past, and what happens now."""

import csv
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer

from roas.cli.output import add_row, at, discard, image, make_table, person, release
from roas.cli.running import (
    AnyEnvironment,
    EnvironmentName,
    ExitCode,
    Json,
    Session,
    find_environment,
    open_journal,
    run_command,
)
from roas.concurrency import pause
from roas.errors import InvalidRequestError
from roas.messages.message import counted
from roas.models.check import ValidationReport
from roas.models.deployment import Deployment, Outcome
from roas.models.release import Release
from roas.models.state_change import StateChange
from roas.state.deployments.figures import DeliveryFigures, DeploymentRecord
from roas.state.documents import hidden_json, to_json
from roas.state.manager import StateManager
from roas.ui.units import duration

STDOUT = Path("-")
OPTIONS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
MODE = 0o600
MOST = 100


@dataclass(frozen=True, slots=True)
class DeploymentList:
    """The output of `history --json`."""

    deployments: tuple[Deployment, ...]


@dataclass(frozen=True, slots=True)
class RecordList:
    """The output of `history --format json`."""

    deployments: tuple[DeploymentRecord, ...]
    delivery: tuple[DeliveryFigures, ...]


@dataclass(frozen=True, slots=True)
class ReleaseList:
    """The output of `releases --json`; `current` is the number of the running one."""

    environment: str
    current: int | None
    releases: tuple[Release, ...]


@dataclass(frozen=True, slots=True)
class ValidationReports:
    """The output of `doctor --json`."""

    passed: bool
    reports: tuple[ValidationReport, ...]


async def export_history(session: Session, target: Path, environment: str | None) -> int:
    """Write deployments and events, oldest first. Raises InvalidRequestError where the file cannot be made."""
    if environment is not None:
        find_environment(session.settings, environment)
    async with open_journal(session) as state:
        with _opened(target) as file:
            count = await _write(file, _lines(state, environment))
    where = "stdout" if target == STDOUT else str(target)
    session.terminal.say(f"{counted(count, 'line')} written to {where}.", on_err=True)
    return ExitCode.SUCCEEDED


async def _lines(state: StateManager, environment: str | None) -> AsyncIterator[str]:
    async for deployment in state.history.deployments():
        if environment in {None, deployment.environment}:
            yield f'{{"kind": "deployment", "document": {hidden_json(deployment)}}}'
    async for sequence, change in state.history.changes():
        if environment in {None, change.environment}:
            yield f'{{"kind": "event", "sequence": {sequence}, "document": {hidden_json(change)}}}'


async def _write(file: IO[str], lines: AsyncIterator[str]) -> int:
    count = 0
    async for line in lines:
        file.write(f"{line}\n")
        count += 1
    file.flush()
    return count


@contextmanager
def _opened(target: Path) -> Iterator[IO[str]]:
    """Open a new file, and remove it again where it cannot be written to its end: half of it would pass for all."""
    if target == STDOUT:
        try:
            yield sys.stdout
        except BrokenPipeError as error:
            discard(sys.stdout)
            raise InvalidRequestError("Not all was written: whatever reads stdout has closed it.") from error
        return
    try:
        descriptor = os.open(target, OPTIONS, MODE)
    except OSError as error:
        raise _refusal(target, error) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _refusal(target, error) from error
        raise


def _refusal(target: Path, error: OSError) -> InvalidRequestError:
    hint = "Name a new file in a folder that the bot's user may write, or `-` for stdout."
    return InvalidRequestError(f"{target} cannot be written: {error.strerror}", hint=hint)


OutcomeOption = Annotated[Outcome | None, typer.Option("--outcome", help="Only those that ended so.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, the newest first.")]
Export = Annotated[
    Path | None,
    typer.Option(
        "--export", metavar="FILE", help="Write all deployments and events that are kept to a new file; - is stdout."
    ),
]


class Format(StrEnum):
    """How the record of deployments is written."""

    JSON = "json"
    CSV = "csv"


FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="Write one record a deployment: who asked, who approved what, and its commit."),
]


def history(
    environment: AnyEnvironment = None,
    outcome: OutcomeOption = None,
    limit: Limit = 20,
    written_as: FormatOption = None,
    export: Export = None,
    as_json: Json = False,
) -> None:
    """List the last deployments, the newest first: who, what, when, and how it ended."""
    if export is not None:
        run_command(lambda session: export_history(session, export, environment), as_json=as_json)
    elif written_as is not None:
        run_command(lambda session: _write_records(session, environment, outcome, limit, written_as))
    else:
        run_command(lambda session: _history(session, environment, outcome, limit), as_json=as_json)


async def _write_records(
    session: Session, environment: str | None, outcome: Outcome | None, limit: int, written_as: Format
) -> int:
    """Write a record a deployment to stdout, and with JSON the four figures of delivery."""
    names = (
        [find_environment(session.settings, environment).name] if environment else session.settings.environment_names
    )
    async with open_journal(session) as state:
        found = await state.records.list(environment, limit=limit, outcome=outcome)
        figures = tuple([await state.records.delivery(name) for name in names])
    if written_as is Format.JSON:
        session.terminal.document(hidden_json(RecordList(found, figures)))
        return ExitCode.SUCCEEDED
    writer = csv.writer(sys.stdout)
    writer.writerow(field.name for field in fields(DeploymentRecord))
    for record in json.loads(hidden_json(found)):
        writer.writerow(_cell(value) for value in record.values())
    return ExitCode.SUCCEEDED


def _cell(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@"} else value


async def _history(session: Session, environment: str | None, outcome: Outcome | None, limit: int) -> int:
    if environment is not None:
        find_environment(session.settings, environment)
    async with open_journal(session) as state:
        found = await state.deployments.list(environment, limit=limit, outcome=outcome)
    if session.terminal.as_json:
        session.terminal.document(to_json(DeploymentList(found)))
    elif found:
        _show(session, found)
    else:
        found_none = f"No deployment ended {outcome}" if outcome else "No deployment yet"
        session.terminal.say(f"{found_none} (state folder: {session.state_dir}).")
    return ExitCode.SUCCEEDED


def _show(session: Session, deployments: tuple[Deployment, ...]) -> None:
    table = make_table("deployment", "environment", "version", "release", "by", "begun", "took", "outcome", "why")
    for deployment in deployments:
        cells = (
            deployment.id,
            deployment.environment,
            deployment.request.version or "-",
            f"{release(deployment.from_release)} → {release(deployment.to_release)}",
            person(deployment.request.requested_by),
            at(deployment.created_at),
            duration(deployment.duration_seconds),
            deployment.outcome or ("awaiting approval" if deployment.awaits_approval else "under way"),
            deployment.problem.message if deployment.problem else deployment.request.reason,
        )
        add_row(table, cells)
    session.terminal.out.print(table)


def releases(environment: EnvironmentName, as_json: Json = False) -> None:
    """List the releases that are kept, the newest first: what they are made of, and which one runs."""
    run_command(lambda session: _releases(session, environment), as_json=as_json)


async def _releases(session: Session, environment: str) -> int:
    find_environment(session.settings, environment)
    async with open_journal(session) as state:
        current = await state.releases.current(environment)
        kept = await state.releases.list(environment, limit=MOST)
    found = ReleaseList(environment, current.number if current else None, kept)
    if session.terminal.as_json:
        session.terminal.document(to_json(found))
    elif kept:
        _show_releases(session, found)
    else:
        session.terminal.say(f"{environment} has no release yet: its first deployment creates one.")
    return ExitCode.SUCCEEDED


def _show_releases(session: Session, found: ReleaseList) -> None:
    table = make_table("release", "version", "state", "made", "by", "images")
    for kept in found.releases:
        running = " (runs)" if kept.number == found.current else ""
        images = ", ".join(f"{s.name} {s.image.reference} {image(s.image.image_id)}" for s in kept.services)
        cells = (
            kept.label + running,
            kept.version or "-",
            str(kept.state),
            at(kept.created_at),
            person(kept.created_by),
            images,
        )
        add_row(table, cells, ("bold",) if running else ())
    session.terminal.out.print(table)


# Other processes write the journal: there is no event of theirs to wait for.
POLL_SECONDS = 0.25
AT_ONCE = 500

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")]
ChangeLimit = Annotated[int, typer.Option("--limit", min=0, max=10_000, help="How many of the past to show first.")]
Correlation = Annotated[
    str | None, typer.Option("--correlation", help="Only those that belong to one cause, by its correlation id.")
]


def events(
    environment: AnyEnvironment = None,
    follow: Follow = False,
    limit: ChangeLimit = 20,
    correlation: Correlation = None,
    as_json: Json = False,
) -> None:
    """Show the last changes of the journal, oldest first; with --json one document a line."""
    run_command(lambda session: _events(session, environment, follow, limit, correlation), as_json=as_json)


async def _events(session: Session, environment: str | None, follow: bool, limit: int, correlation: str | None) -> int:
    if environment is not None:
        find_environment(session.settings, environment)
    async with open_journal(session, read_only=not follow) as state:
        end = await state.last_sequence()
        past = await state.changes(environment, limit=limit) if limit else ()
        _show_changes(session, past, environment, correlation)
        if follow:
            await _follow(session, state, end, environment, correlation)
    return ExitCode.SUCCEEDED


async def _follow(
    session: Session, state: StateManager, sequence: int, environment: str | None, correlation: str | None
) -> None:
    """Show every change as it comes, until the reader has gone or interrupts."""
    while not session.terminal.out.quiet:
        before = sequence
        sequence, news = await state.changes_since(before, limit=AT_ONCE)
        _show_changes(session, news, environment, correlation)
        if sequence == before:
            await pause(POLL_SECONDS)


def _show_changes(
    session: Session,
    changes: "list[StateChange] | tuple[StateChange, ...]",
    environment: str | None,
    cause: str | None,
) -> None:
    for change in changes:
        if environment not in {None, change.environment} or cause not in {None, change.correlation_id}:
            continue
        if session.terminal.as_json:
            session.terminal.document(to_json(change))
        else:
            session.terminal.say(_line(change))


def _line(change: StateChange) -> str:
    """Write a change on one line: when, what, of what, from what to what, and what caused it."""
    place = "/".join(part for part in (change.environment, change.subject) if part)
    event = change.metadata.get("event")
    what = f"{change.old} → {change.new}" if change.old not in {None, ""} else str(change.new or "")
    parts = [f"{change.time:%H:%M:%S.%f}"[:-3], str(event or change.type.value), place, what, change.correlation_id]
    return "  ".join(" ".join(part.split()) for part in parts if part)
