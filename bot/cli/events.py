"""`events`: show what happened, and what happens, from the journal: whichever process it happened in."""

from typing import Annotated

import typer

from roas.cli.running import ExitCode, run_command
from roas.cli.session import AnyEnvironment, Json, Session, find_environment, open_journal
from roas.concurrency import pause
from roas.models.change import StateChange
from roas.state.documents import to_json
from roas.state.manager import StateManager

# Other processes write the journal: there is no event of theirs to wait for.
POLL_SECONDS = 0.25
AT_ONCE = 500

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")]
Limit = Annotated[int, typer.Option("--limit", min=0, max=10_000, help="How many of the past to show first.")]
Correlation = Annotated[
    str | None, typer.Option("--correlation", help="Only those that belong to one cause, by its correlation id.")
]


def events(
    environment: AnyEnvironment = None,
    follow: Follow = False,
    limit: Limit = 20,
    correlation: Correlation = None,
    as_json: Json = False,
) -> None:
    """Show the last changes of the journal, oldest first; with --json one document a line."""
    run_command(lambda session: _events(session, environment, follow, limit, correlation), as_json=as_json)


async def _events(session: Session, environment: str | None, follow: bool, limit: int, correlation: str | None) -> int:
    if environment is not None:
        find_environment(session.settings, environment)
    async with open_journal(session, only_looks=not follow) as state:
        end = await state.last_sequence()
        past = await state.changes(environment, limit=limit) if limit else ()
        _show(session, past, environment, correlation)
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
        _show(session, news, environment, correlation)
        if sequence == before:
            await pause(POLL_SECONDS)


def _show(
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
