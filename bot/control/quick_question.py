"""Ask a running bot one question and wait for the answer, with no more than a socket: not even an event loop."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

from roas.control.socket_path import SOCKET_NAME, short_path

END_OF_HEAD = b"\r\n\r\n"
GOOD = (b"HTTP/1.0 200 ", b"HTTP/1.1 200 ")
LENGTH = b"content-length:"
PIECE_BYTES = 1 << 16


def quick_answer(
    folder: Path,
    target: str,
    seconds: float,
    *,
    silent_seconds: float | None = None,
    lives: Callable[[], bool] = lambda: False,
) -> str | None:
    """Return the document that the bot of a state folder answers; None where it gives none, or says what is wrong.

    Where it says nothing for `silent_seconds`, it is waited for only as long as it `lives`. Raises OSError, ValueError
    where the bot cannot be asked, or does not answer within so many seconds.
    """
    deadline = time.monotonic() + seconds
    if not (folder / SOCKET_NAME).exists():
        return None
    with short_path(folder) as path, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(path)
        connection.sendall(f"GET {target} HTTP/1.0\r\nHost: bot\r\n\r\n".encode("ascii"))
        answer = _until_its_end(connection, deadline, seconds if silent_seconds is None else silent_seconds, lives)
    head, _, body = answer.partition(END_OF_HEAD)
    is_whole = any(line.lower() == b"%s %d" % (LENGTH, len(body)) for line in head.splitlines())
    return body.decode() if head.startswith(GOOD) and is_whole else None


def _until_its_end(
    connection: socket.socket, deadline: float, silent_seconds: float, lives: Callable[[], bool]
) -> bytes:
    received = bytearray()
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(min(left, silent_seconds))
        try:
            piece = connection.recv(PIECE_BYTES)
        except TimeoutError:
            if not lives():
                raise
            continue
        if not piece:
            return bytes(received)
        received += piece
    raise TimeoutError
