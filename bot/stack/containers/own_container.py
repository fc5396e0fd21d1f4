"""Find the container that this process runs in, keep this process from stopping it, and see what is mounted there."""

import os
import re
from functools import cache
from pathlib import Path

from roas.errors import OwnContainerError
from roas.messages.message import said

UNIX = "unix://"
CONTAINER_FOLDER = re.compile(r"/containers/([0-9a-f]{64})/")


def own_container_id(mount_table: str | None = None) -> str | None:
    """Return the id of the container that a process with this mount table (by default this one) runs in, or None.

    The engine binds /etc/hostname from a folder named by the id, whatever the host's name and the control groups are.
    """
    return _of_this_process() if mount_table is None else _of_table(mount_table)


@cache
def _of_this_process() -> str | None:
    """Read it once: no process moves to another container, and the table of a host with many of them is long."""
    try:
        return _of_table(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    except OSError:
        return None


def _of_table(table: str) -> str | None:
    own = (line for line in table.splitlines() if " /etc/hostname " in line or " /etc/resolv.conf " in line)
    return next((match.group(1) for line in own if (match := CONTAINER_FOLDER.search(line))), None)


def refuse_own_container(container_id: str, name: str) -> None:
    """Raise OwnContainerError if a container that is to be stopped or removed is the one that this process runs in."""
    if container_id == own_container_id():
        raise OwnContainerError(
            said(
                "{name} is the container that this bot itself runs in: the bot does not stop, remove or replace it.",
                name=name,
            ),
            hint=said(
                "The bot is replaced by a successor that a deployment starts beside it. To "
                "remove it for good, do it manually: `docker rm -f {name}`.",
                name=name,
            ),
        )


def is_socket_stale(address: str) -> bool:
    """Return whether the engine's socket is mounted into this container and was removed outside since.

    A mounted file stays the same inode. A restarted engine creates a new socket, which no process in here can
    see: only a new start of the container mounts that one. Where the socket is simply missing, it may come back.
    """
    if not address.startswith(UNIX):
        return False
    try:
        return os.stat(address.removeprefix(UNIX)).st_nlink == 0  # noqa: PTH116 - asked each second
    except OSError:
        return False
