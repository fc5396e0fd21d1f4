"""Write all that the journal has of the past to a file, one JSON document a line."""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from roas.commands.console import discard
from roas.commands.environment import find_environment
from roas.commands.exit_codes import ExitCode
from roas.commands.journal import open_journal
from roas.commands.session import Session
from roas.errors import InvalidRequestError
from roas.state.document_texts import hidden_json
from roas.state.manager import StateManager

STDOUT = Path("-")
OPTIONS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
MODE = 0o600


async def export_history(session: Session, target: Path, environment: str | None) -> int:
    """Write deployments and events, oldest first. Raises InvalidRequestError where the file cannot be made."""
    if environment is not None:
        find_environment(session.settings, environment)
    async with open_journal(session) as state:
        with _opened(target) as file:
            count = await _write(file, _lines(state, environment))
    where = "stdout" if target == STDOUT else str(target)
    session.terminal.say(f"{count} deployments and events written to {where}.", on_err=True)
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
