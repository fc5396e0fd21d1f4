"""Know where the control socket is: by a path that fits the kernel's limit however deep the state folder is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET_NAME = "control.sock"
# `sun_path` has 108 bytes, the last of which is the zero at the end.
LONGEST_PATH_BYTES = 107


@contextmanager
def short_path(folder: Path) -> Iterator[str]:
    """Provide a path to the folder's control socket that can be bound or connected to, for the length of the block."""
    path = str(folder / SOCKET_NAME)
    if len(os.fsencode(path)) <= LONGEST_PATH_BYTES:
        yield path
        return
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)
