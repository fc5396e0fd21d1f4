"""Notice that the engine socket mounted into this container is stale."""

import os

UNIX = "unix://"


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
