"""Log events with their fields by way of `logging`; the standalone bot also says how: one line each, without secrets.

All our loggers are `logging` loggers under the name `roas`. A bot that loads the extension sees plain lines there
and decides alone where they go: nothing of its logging, and nothing of structlog's configuration, is touched.
"""

import logging
import logging.handlers
import os
import select
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from queue import Full, Queue
from typing import Any, TextIO

import structlog
from structlog.types import Processor

from roas.redaction import Redactor, hide

# How many lines wait for a reader, beyond what the kernel takes; more are dropped, and counted.
MOST_LINES = 4096
# For how long the end of the process waits for a reader.
LAST_SECONDS = 2.0
# What these libraries say on INFO is of no use to people who run the bot.
QUIET_LIBRARIES = ("aiohttp.access", "asyncio", "asyncssh", "docker", "urllib3", "discord.http", "discord.client")
# Keys that structlog itself needs unchanged.
UNTOUCHED = frozenset({"_record", "_from_structlog", "exc_info", "level", "timestamp"})
DEEPEST = 6
NAMESPACE = "roas"
# The attribute of our records that holds the fields.
FIELDS = "roas_fields"
# From `logging`, past structlog's own frames, to the caller.
STACK_LEVEL = 4


def may_block(stream: TextIO) -> bool:
    """Return whether writing to a stream may wait for somebody who reads it; a file never does."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


def log_handler(stream: TextIO) -> logging.Handler:
    """Return what writes log lines to a stream, without waiting for its reader."""
    return PatientHandler(stream) if may_block(stream) else logging.StreamHandler(stream)


class PatientHandler(logging.handlers.QueueHandler):
    """Write lines from a thread; those for which there was no room are told of once half of it is free again.

    By the descriptor: a thread that is blocked in Python's own stream lets no process end.
    """

    def __init__(self, stream: TextIO) -> None:
        self._lines: Queue[str] = Queue(MOST_LINES)
        super().__init__(self._lines)
        self._dropped = 0
        stream.flush()
        options = (stream.fileno(), stream.encoding or "utf-8")
        threading.Thread(target=self._write, args=options, name="log", daemon=True).start()

    def prepare(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return self.format(record)

    def enqueue(self, record: Any) -> None:
        """Hand a line over, and before it how many were dropped: one gap, and not many."""
        if self._dropped and self._lines.qsize() <= MOST_LINES // 2:
            dropped, self._dropped = self._dropped, 0
            self._lines.put_nowait(self.format(_dropped(dropped)))
        try:
            if self._dropped:
                raise Full
            self._lines.put_nowait(record)
        except Full:
            self._dropped += 1

    def close(self) -> None:
        """Give the last lines a moment: `logging` calls it when the process ends."""
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, LAST_SECONDS)
        super().close()

    def _write(self, descriptor: int, encoding: str) -> None:
        while True:
            _write_all(descriptor, f"{self._lines.get()}\n".encode(encoding, "backslashreplace"))
            self._lines.task_done()


def _write_all(descriptor: int, data: bytes) -> None:
    """Write to a descriptor; what a closed terminal or pipe does not take is lost."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # others that have the same terminal open may have made it so
            select.select([], [descriptor], [])
        except OSError:
            return


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    own = name if name.partition(".")[0] == NAMESPACE else f"{NAMESPACE}.{name}"
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(own),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            _as_record,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return logger


def configure_logging(level: str, form: str, redactor: Redactor, stream: TextIO | None = None) -> None:
    """Send everything, library logs included, as JSON or for a console to a stream (standard error by default).

    `form` is `json`, `console`, or `auto`: a console's where the stream is one. Calling it again replaces what was set.
    """
    target = sys.stderr if stream is None else stream
    console = form == "console" or (form == "auto" and target.isatty())
    handler = log_handler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_record_processors(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,  # before redaction: a traceback may show a secret as well
                redaction(redactor),
                _renderer(console=console, colors=target.isatty() and not os.environ.get("NO_COLOR")),
            ],
        )
    )
    _route_everything_to(handler, level.upper())


@contextmanager
def correlated(correlation_id: str, **context: str) -> Iterator[None]:
    """Put a correlation id, and more where it helps, on every line that is logged within, also by tasks begun here."""
    with structlog.contextvars.bound_contextvars(correlation_id=correlation_id, **context):
        yield


def redaction(redactor: Redactor) -> Processor:
    """Create a processor that hides secrets in every value of an event, however deep."""

    def redact(text: str) -> str:
        return hide(redactor.redact(text))

    def process(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key in event.keys() - UNTOUCHED:
            event[key] = _hide(redact, event[key])
        return event

    return process


def _hide(redact: Callable[[str], str], value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth < DEEPEST and isinstance(value, Mapping):
        return {redact(str(key)): _hide(redact, item, depth + 1) for key, item in value.items()}
    if depth < DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [_hide(redact, item, depth + 1) for item in value]
    # Anything else is converted to text here, since the renderer would do so without redaction.
    return redact(str(value))


def _record_processors() -> list[Processor]:
    """Create the processor that converts a record, ours or a library's, to an event."""
    return [
        _with_fields,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _with_fields(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the text of a record of ours by its fields."""
    event.update(getattr(event["_record"], FIELDS, {}))
    return event


def _as_record(_: Any, __: str, event: MutableMapping[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    """Render an event as text, as any logger of `logging` does, and keep its fields on the record."""
    if event.get("exc_info"):
        _without_secret_trace(event)
    event.update({key: _hide(hide, value) for key, value in event.items() if key not in UNTOUCHED})
    options = {key: event.pop(key) for key in ("exc_info", "stack_info") if key in event}
    text = " ".join([str(event["event"]), *(f"{key}={value}" for key, value in event.items() if key != "event")])
    return (text,), {**options, "extra": {FIELDS: dict(event)}, "stacklevel": STACK_LEVEL}


def _without_secret_trace(event: MutableMapping[str, Any]) -> None:
    """Replace an exception by its text without secrets, where it has any: a host's handlers would format it."""
    written = structlog.processors.format_exc_info(None, "", {"exc_info": event["exc_info"]}).get("exception", "")
    if (hidden := hide(written)) != written:
        event["exception"], event["exc_info"] = hidden, False  # to leave it out would mean the one being handled


def _dropped(lines: int) -> logging.LogRecord:
    """Return what is logged where lines were dropped."""
    text = "log lines dropped, since nobody read them"
    own = {"name": f"{NAMESPACE}.log", "levelno": logging.WARNING, "levelname": "WARNING", "msg": text}
    return logging.makeLogRecord({**own, FIELDS: {"event": text, "lines": lines}})


def _renderer(*, console: bool, colors: bool) -> Processor:
    if console:
        return structlog.dev.ConsoleRenderer(colors=colors)
    return structlog.processors.JSONRenderer(ensure_ascii=False)


def _route_everything_to(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # One line for each that is wrong in a stack's file of variables, at each look: there may be a million.
    logging.getLogger("dotenv").setLevel(max(logging.ERROR, root.level))
    logging.captureWarnings(capture=True)


class PersistentFault:
    """Remember, of each place, what is wrong there."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def is_new(self, place: str, what: str) -> bool:
        """Record what is wrong in a place, and return whether that was not known yet."""
        known = self._known.get(place)
        self._known[place] = what
        return known != what

    def is_over(self, place: str) -> bool:
        """Record that nothing is wrong in a place, and return whether something was."""
        return self._known.pop(place, None) is not None
