"""Logs are one line per event, carry what caused them, and show no secret."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
import structlog
from dotenv import dotenv_values

from roas.log import configure_logging, correlated, get_logger
from roas.redaction import Redactor, hide_everywhere

Lines = Callable[[], list[dict[str, Any]]]


@contextmanager
def logging_to(stream: io.StringIO, form: Literal["json", "console"], redactor: Redactor) -> Iterator[None]:
    """Log in a form until the end of the block."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure_logging("info", form, redactor, stream)
    try:
        yield
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(capture=False)


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Log as JSON with `s3cret-value` as a secret; returns a function that reads the lines."""
    stream = io.StringIO()
    with logging_to(stream, "json", Redactor(["s3cret-value"])):
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_event_is_one_line_with_time_level_origin(lines: Lines) -> None:
    get_logger("roas.x").info("it happened", count=3)
    (line,) = lines()
    assert (line["event"], line["count"], line["level"], line["logger"]) == ("it happened", 3, "info", "roas.x")
    assert line["timestamp"].endswith("Z")


def test_library_logs_share_stream(lines: Lines) -> None:
    logging.getLogger("discord.gateway").warning("Shard %s is slow", 0)
    (line,) = lines()
    assert (line["event"], line["logger"], line["level"]) == ("Shard 0 is slow", "discord.gateway", "warning")


def test_debug_and_access_logs_dropped(lines: Lines) -> None:
    logging.getLogger("aiohttp.access").info("GET /health")
    logging.getLogger("asyncssh").info("Opening direct UNIX connection")  # for each question to an engine
    get_logger("roas.x").debug("detail")
    dotenv_values(stream=io.StringIO("=\n" * 100))  # a stack's file may be wrong a million times
    assert lines() == []


def test_secrets_hidden_everywhere(lines: Lines) -> None:
    log = get_logger("roas.x")
    log.info("token s3cret-value", url="redis://:hunter22@redis/0", deep={"a": ["s3cret-value", {"b": "s3cret-value"}]})
    log.info("odd", thing=ValueError("s3cret-value"))
    logging.getLogger("discord").error("got %s", "s3cret-value")
    try:
        raise ValueError("s3cret-value")
    except ValueError:
        log.exception("broke")
    written = json.dumps(lines())
    assert len(lines()) == 4
    assert "s3cret-value" not in written
    assert "hunter22" not in written
    assert "ValueError" in lines()[3]["exception"]


async def test_correlation_id_on_lines_of_scope_and_tasks(lines: Lines) -> None:
    log = get_logger("roas.x")

    async def work() -> None:
        log.info("in a task")

    with correlated("COR-1", environment="dev"):
        log.info("within")
        task = asyncio.create_task(work())
    log.info("outside")
    await task
    ids = {line["event"]: line.get("correlation_id") for line in lines()}
    assert ids == {"within": "COR-1", "in a task": "COR-1", "outside": None}


def test_guest_gets_plain_records(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """Where nobody has set up our form of logs, an event is a record like any other, with its fields in words."""
    before = structlog.is_configured(), structlog.get_config()
    with caplog.at_level("INFO"):
        log = get_logger("roas.x")
        log.info("it happened", count=3, percent="5 %s")
        try:
            raise ValueError("broken")
        except ValueError:
            log.exception("broke", error="odd")
    first, second = caplog.records
    assert (first.name, first.getMessage(), first.filename) == (
        "roas.x",
        "it happened count=3 percent=5 %s",
        "test_log.py",
    )
    assert second.exc_info is not None
    assert (second.levelname, second.exc_info[0], second.funcName) == (
        "ERROR",
        ValueError,
        "test_guest_gets_plain_records",
    )
    assert capfd.readouterr().out == ""
    assert (structlog.is_configured(), structlog.get_config()) == before


class Screen(io.StringIO):
    """Say that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "colored"), [("", True), ("1", False)])
def test_console_format_is_in_words_and_respects_no_color(
    monkeypatch: pytest.MonkeyPatch, no_color: str, colored: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    stream = Screen()
    with logging_to(stream, "console", Redactor()):
        get_logger("roas.x").info("it happened", count=3)
    assert "it happened" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
    assert ("\x1b[" in stream.getvalue()) is colored


def test_records_for_a_host_have_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """A bot that loads the extension has handlers of its own, which know of no secret."""
    log = get_logger("roas.x")
    stop = hide_everywhere(Redactor(["s3cret-value"]))
    try:
        log.warning("said s3cret-value", url="redis://:hunter22@redis/0", error=ValueError("s3cret-value"))
        try:
            raise ValueError("s3cret-value")
        except ValueError:
            log.exception("broke")
        log.error("fine", exc_info=KeyError("nothing secret"))
    finally:
        stop()
    written = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
    assert "s3cret-value" not in written
    assert "hunter22" not in written
    assert "ValueError" in written
    assert caplog.records[-1].exc_info is not None
