"""Check what has to stay the bot's own: its state folder, which holds every secret, and its token."""

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roas.checks.check import Finding, check, existing, failed, listed, passed, stack_check
from roas.checks.subject import Subject
from roas.concurrency import in_thread
from roas.messages.message import Message, said
from roas.models.check import CheckSeverity
from roas.stack.interface import ResolvedStack

OWN_BITS = 0o700


@check("state_folder", CheckSeverity.CRITICAL)
async def state_folder(subject: Subject) -> Finding:
    """Look at the folder of the journal, which holds every secret of every release."""
    return await in_thread(_judge_folder, subject.settings.state_dir)


def _judge_folder(folder: Path) -> Finding:
    try:
        found = folder.stat()
    except OSError as error:
        return _judge_unreadable(folder, error)
    if not stat.S_ISDIR(found.st_mode):
        return failed(_unusable(folder, errno.ENOTDIR))
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        remedy = said(
            "Change its owner to the bot's user: `chown -R {user} {folder}`. Do not set another STATE_DIR: it would "
            "start without releases to roll back to.",
            user=os.getuid(),
            folder=folder,
        )
        return failed(_unusable(folder, errno.EACCES), remedy)
    mode = stat.S_IMODE(found.st_mode)
    if mode & ~OWN_BITS & 0o777:
        message = said(
            "The state folder {folder} has mode {mode}; it holds secrets and is open to others.",
            folder=folder,
            mode=f"{mode:04o}",
        )
        # Whoever deploys closes it at its start.
        return failed(message, said("Close it: `chmod 700 {folder}`.", folder=folder), CheckSeverity.WARNING)
    return passed()


def _unusable(folder: Path, code: int) -> Message:
    reason = os.strerror(code)
    return said("The state folder {folder} cannot be used: {strerror}", folder=folder, strerror=reason)


def _judge_unreadable(folder: Path, error: OSError) -> Finding:
    if isinstance(error, FileNotFoundError) and os.access(existing(folder), os.W_OK | os.X_OK):
        return failed(
            said("The state folder {folder} does not exist yet; the first start makes it.", folder=folder),
            said("Where a bot runs already, use its settings: the same STATE_DIR, .env and roas.toml."),
            CheckSeverity.WARNING,
        )
    return failed(
        said("The state folder {folder} cannot be used: {strerror}", folder=folder, strerror=error.strerror),
        said("Create it: `install -d -m 700 {folder}`.", folder=folder),
    )


@stack_check("second_bot", CheckSeverity.CRITICAL)
async def second_bot(subject: Subject, _stack: ResolvedStack) -> list[Finding]:
    """Look for this bot's token and its state folder: two bots of one identity answer each command twice."""
    if subject.environment.is_home:
        return []
    duplicates = {name: _shared(subject, service) for name, service in sorted(subject.services.items())}
    remedy = said("Give it a token and a STATE_DIR of its own, or name this environment in HOME_ENVIRONMENT.")
    found = [
        failed(
            said("{name} would be a second bot with this bot's own {shared}.", name=name, shared=listed(shared)),
            remedy,
        )
        for name, shared in duplicates.items()
        if shared
    ]
    return found or [passed()]


def _shared(subject: Subject, service: Mapping[str, Any]) -> list[str]:
    """Describe what a service has in common with this bot."""
    token = subject.settings.discord_token
    state = subject.settings.state_dir.absolute()
    values = (service.get("environment") or {}).values()
    sources = [Path(str(mount["source"])) for mount in service.get("volumes") or () if mount.get("type") == "bind"]
    return [
        *(["DISCORD_TOKEN"] if token is not None and token.get_secret_value() in values else []),
        *(["STATE_DIR"] if state in sources else []),
    ]
