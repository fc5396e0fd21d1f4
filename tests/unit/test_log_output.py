"""A reader that is away blocks nobody who logs; what is dropped is counted, and told once somebody reads again."""

import json
import logging
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from roas import log as log_module
from roas.log import configure_logging, get_logger, log_handler, may_block
from roas.redaction import Redactor

ROOM = 64 * 1024
SECONDS = 20.0


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def within(seconds: float, act: Callable[[], Any]) -> None:
    """Do something in a thread, which may be blocked for ever."""
    doing = threading.Thread(target=act, daemon=True)
    doing.start()
    doing.join(seconds)
    assert not doing.is_alive(), "it is blocked"


def read_until(descriptor: int, event: str, between: Callable[[], Any]) -> list[dict[str, Any]]:
    """Read what was logged up to an event, and do something `between` two looks."""
    text = b""
    while event.encode() not in text or not text.endswith(b"\n"):
        between()
        text += os.read(descriptor, ROOM)
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("opened", [os.pipe, pty.openpty], ids=["pipe", "terminal"])
def test_reader_away_blocks_nobody(monkeypatch: pytest.MonkeyPatch, opened: Callable[[], tuple[int, int]]) -> None:
    monkeypatch.setattr(log_module, "MOST_LINES", 4 * ROOM // 1000)
    reader, writer = opened()
    stream = os.fdopen(writer, "w")
    configure_logging("info", "json", Redactor(), stream)
    log = get_logger("roas.x")

    def fill() -> None:
        for number in range(8 * ROOM // 1000):
            log.info("line", number=number, filling="x" * 1000)

    try:
        within(SECONDS, fill)
        found: list[dict[str, Any]] = []
        within(SECONDS, lambda: found.extend(read_until(reader, "dropped", lambda: log.info("mark"))))
    finally:
        os.close(reader)  # which ends every wait for it
    numbers = [item["number"] for item in found if item["event"] == "line"]
    assert numbers == list(range(len(numbers))), "what is kept is whole, and in its order"
    (said,) = [item for item in found if "dropped" in item["event"]]
    assert (said["level"], said["logger"]) == ("warning", "roas.log")
    assert 0 < said["lines"] < 8 * ROOM // 1000
    logging.getLogger().handlers.clear()
    with suppress(OSError):
        stream.close()


def test_file_is_written_at_once(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        assert not may_block(stream)
        assert type(log_handler(stream)) is logging.StreamHandler


ENDS = """
import sys
from roas.log import configure_logging, get_logger
from roas.redaction import Redactor
configure_logging("info", "json", Redactor())
for _ in range(int(sys.argv[1])):
    get_logger("roas.x").info("x" * 1000)
get_logger("roas.x").info("the last words")
"""


@pytest.mark.parametrize(("lines", "is_read"), [(10, True), (200, False)], ids=["a reader", "none"])
def test_end_of_process_writes_the_last_lines(lines: int, *, is_read: bool) -> None:
    """And is not held by a reader that never comes."""
    child = subprocess.Popen([sys.executable, "-c", ENDS, str(lines)], stderr=subprocess.PIPE)
    assert child.stderr is not None
    if not is_read:
        assert child.wait(SECONDS) == 0
    said = child.stderr.read()
    assert child.wait(SECONDS) == 0
    assert (b"the last words" in said) is is_read
    child.stderr.close()
