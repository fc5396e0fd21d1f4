"""Say what to do about a state folder that cannot be used: where it holds a journal, no other one takes its place."""

import errno
import os
from pathlib import Path

from roas.errors import StateError
from roas.messages.message import Message, said

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
REFUSED = frozenset({errno.EACCES, errno.EPERM})


def folder_unusable(folder: Path, error: OSError) -> StateError:
    """Create the error for a state folder in which nothing can be written."""
    message = said("The state folder {folder} cannot be used: {strerror}", folder=folder, strerror=error.strerror)
    return StateError(message, hint=_hint(folder, error))


def _hint(folder: Path, error: OSError) -> Message:
    if error.errno in FULL:
        return said("Make room, for instance with `docker image prune` and `docker builder prune`.")
    if not folder.is_dir():
        return said("Set STATE_DIR to a folder that this user may write.")
    if error.errno == errno.EROFS:
        return said(
            "{folder} lies on a file system that is mounted read-only: `findmnt -T {folder}` shows it. Mount the right "
            "one, writable. Do not name another STATE_DIR: it would begin without releases to go back to.",
            folder=folder,
        )
    if error.errno in REFUSED:
        return said(
            "Give it and what is in it to the user that the bot runs as: `chown -R {user} {folder}`. Do not name "
            "another STATE_DIR: it would begin without releases to go back to.",
            user=os.geteuid(),
            folder=folder,
        )
    return said(
        "Find out why {folder} cannot be written, for instance by `dmesg`, and mend that. Do not name another "
        "STATE_DIR: it would begin without releases to go back to.",
        folder=folder,
    )
