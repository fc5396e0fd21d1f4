"""Find the container that this process runs in, and protect it from being stopped by this process."""

import re
from functools import cache
from pathlib import Path

from roas.errors import OwnContainerError
from roas.messages.message import said

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
