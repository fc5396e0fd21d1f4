"""Set up structured logs: one line per event, without secrets, with what caused it."""

import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

import structlog
from structlog.types import Processor

# What these libraries say on INFO is of no use to people who run the bot.
QUIET_LIBRARIES = ("aiohttp.access", "asyncio", "docker", "urllib3", "discord.http", "discord.client")
# Keys that structlog itself needs unchanged.
UNTOUCHED = frozenset({"_record", "_from_structlog", "exc_info", "level", "timestamp"})
DEEPEST = 6


class Redactor(Protocol):
    """Hide secrets."""

    def redact(self, text: str) -> str:
        """Return the text without secrets."""
        ...


def configure_logging(level: str, form: str, redactor: Redactor, stream: TextIO | None = None) -> None:
    """Send everything, also what libraries log, as JSON or for a console to a stream (standard error by default).

    `form` is `json`, `console`, or `auto`: a console's where the stream is one. Calling it again replaces what was set.
    """
    target = sys.stderr if stream is None else stream
    console = form == "console" or (form == "auto" and target.isatty())
    shared = _shared_processors()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,  # before redaction: a traceback may show a secret as well
                redaction(redactor),
                _renderer(console=console, colors=target.isatty()),
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
    """Make a processor that hides secrets in every value of an event, however deep."""

    def process(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key in event.keys() - UNTOUCHED:
            event[key] = _hide(redactor, event[key])
        return event

    return process


def _hide(redactor: Redactor, value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth < DEEPEST and isinstance(value, Mapping):
        return {str(key): _hide(redactor, one, depth + 1) for key, one in value.items()}
    if depth < DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [_hide(redactor, one, depth + 1) for one in value]
    # Anything else is turned into text here, since whoever renders it would do so unseen.
    return redactor.redact(str(value))


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


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
    logging.captureWarnings(capture=True)


def keep_locals_out() -> None:
    """Keep local variables, which may hold secrets, out of tracebacks where nobody has configured logging (yet)."""
    if structlog.is_configured():
        return
    processors = structlog.get_config()["processors"][:-1]
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*processors, renderer])
