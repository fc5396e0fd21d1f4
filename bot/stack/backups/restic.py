"""Send the file of a backup to a repository of restic."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from roas.concurrency import in_thread
from roas.errors import BackupError, cannot_read, not_installed
from roas.limits import RESTIC_LOCK_WAIT
from roas.messages.message import Message, said
from roas.models.backup import DataBackup
from roas.models.environment import ResticRepository
from roas.stack.compose.processes import end_process, start_process

RESTIC = "restic"
SENDING_SECONDS = 6 * 3600.0
NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 10, 11, 12
LONGEST_CAUSE = 300
# Of the variables of a store, what these names end with is no secret.
PLAIN_NAME = re.compile(r"(^|_)(REGION(_NAME)?|USER(_?NAME)?|PROFILE|ENDPOINT|(PROJECT|DOMAIN|TENANT)_NAME)$")
# What of this process's environment leads to repositories: keys of ssh are below HOME.
KEPT_VARIABLES = ("PATH", "HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


async def send_to(
    repository: ResticRepository,
    backup: DataBackup,
    files: tuple[Path, ...],
    cache: Path,
    hide: Callable[[str], str] = str,
) -> str:
    """Send the files of a backup, and return the id of the snapshot. Raises BackupError, EngineError.

    The snapshot is tagged with the backup, its service and its environment.
    """
    program = shutil.which(RESTIC)
    if program is None:
        raise BackupError(not_installed(RESTIC))
    tags = ",".join((backup.environment, backup.service, backup.id))
    command = (
        *(program, "--repo", repository.address, "--password-file", str(repository.password_file)),
        *("--cache-dir", str(cache), "--retry-lock", RESTIC_LOCK_WAIT, "--quiet", "--json"),
        *("backup", "--host", "roas", "--tag", tags, "--", *map(str, files)),
    )
    process = await start_process(command, await in_thread(_variables, repository), files[0].parent)
    try:
        async with asyncio.timeout(SENDING_SECONDS):
            output, errors = await process.communicate()
    except TimeoutError as error:
        limit = f"{SENDING_SECONDS / 3600:.0f}h"
        raise BackupError(said("it was not sent within {limit}", limit=limit)) from error
    finally:
        await end_process(process)
    if process.returncode:
        raise _refused(repository, process.returncode, hide(_last_message(errors)))
    return str(_summary(output).get("snapshot_id", ""))


def _variables(repository: ResticRepository) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.upper() in KEPT_VARIABLES}
    return {**kept, **read_variables(repository)}


def read_variables(repository: ResticRepository) -> dict[str, str]:
    """Return what the repository needs besides, such as the keys of an object store. Raises BackupError."""
    if repository.variables_file is None:
        return {}
    try:
        found = dotenv_values(stream=repository.variables_file.open(encoding="utf-8"), interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(cannot_read(repository.variables_file, error)) from error
    return {name: value for name, value in found.items() if value is not None}


def secrets_in(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the values that nobody is to read; the others, such as a region, are in names that people need."""
    return (value for name, value in variables.items() if PLAIN_NAME.search(name) is None)


def _refused(repository: ResticRepository, code: int, cause: str) -> BackupError:
    hints: Mapping[int, Message] = {
        NO_REPOSITORY: said("Create it once, by `restic init` with the same repository and password."),
        LOCKED: said("If no other restic is running, remove the stale lock with `restic unlock`."),
        WRONG_PASSWORD: said("Correct the file that `restic.password_file` names."),
    }
    text = said("restic ended with code {code}: {cause}", code=code, cause=cause[:LONGEST_CAUSE])
    return BackupError(text, hint=hints.get(code, ""))


def _last_message(errors: bytes) -> str:
    """Return the last thing that restic said on its standard error, which is JSON or text."""
    lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    try:
        found: Any = json.loads(last)
        return str(found["message"])
    except (ValueError, LookupError, TypeError):
        return last


def _summary(output: bytes) -> Mapping[str, Any]:
    for line in reversed(output.decode(errors="replace").splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and found.get("message_type") == "summary":
            return found
    return {}
