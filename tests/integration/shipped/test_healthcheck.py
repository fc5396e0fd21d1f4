"""The container's health check: what the bot answers, and an exit code by which Docker knows how it is."""

import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from testbed.inherited import chosen_programs

CHECK = Path(__file__).parents[3] / "script" / "container-healthcheck"


def check(port: int) -> tuple[int, str]:
    """Run it, and return its exit code and all that it said."""
    environment = {**chosen_programs(), "HTTP_PORT": str(port)}
    done = subprocess.run([CHECK], env=environment, capture_output=True, text=True, check=False, timeout=20)
    return done.returncode, done.stdout + done.stderr


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    """Answer each request so; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.send_header("X-Other", "with blanks ")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1), (500, 1)])
def test_status_decides(status, code):
    with answering(status, b'{"status": "alive",  "path": "a\\\\b"}') as port:
        assert check(port) == (code, f'{status} {{"status": "alive",  "path": "a\\\\b"}}\n')


def test_no_more_than_the_first_of_a_long_answer():
    with answering(200, "é".encode() * 100_000) as port:
        assert check(port) == (0, f"200 {'é' * 150}\n")


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    code, said = check(port)
    assert code == 1
    assert "refused" in said


def test_hung_bot_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert check(listener.getsockname()[1]) == (1, "no answer\n")


def test_answer_of_somebody_else():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(b"220 mail\r\n")

        Thread(target=answer, daemon=True).start()
        assert check(listener.getsockname()[1])[0] == 1


def test_who_hangs_up_at_once_has_not_answered():
    """Whoever asks may be before or behind that; one in twenty was ended by SIGPIPE."""
    at_once = struct.pack("ii", 1, 0)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            for _ in range(60):
                with listener.accept()[0] as connection:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)

        Thread(target=hang_up, daemon=True).start()
        assert {check(listener.getsockname()[1])[0] for _ in range(60)} == {1}
