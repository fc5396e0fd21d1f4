"""A bot in a container notices that the socket which was mounted for it is not the engine's any more."""

import os
import socket
from pathlib import Path

import pytest

from roas.stack.containers.own_container import is_socket_stale


@pytest.fixture
def listening(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as one:
        path = tmp_path / "docker.sock"
        one.bind(str(path))
        one.listen()
        yield path


def test_present_or_missing_socket_not_gone(listening):
    assert not is_socket_stale(f"unix://{listening}")
    listening.unlink()
    assert not is_socket_stale(f"unix://{listening}")


def test_mounted_removed_socket_is_gone(listening):
    """A socket that is still mounted here and was removed outside is gone."""
    # A path through a descriptor leads to the removed file, as a mount of it does.
    descriptor = os.open(listening, os.O_PATH)
    try:
        mounted = f"unix:///proc/self/fd/{descriptor}"
        assert not is_socket_stale(mounted)
        listening.unlink()
        assert is_socket_stale(mounted)
    finally:
        os.close(descriptor)


def test_tcp_engine_has_no_socket():
    assert not is_socket_stale("tcp://127.0.0.1:2375")
