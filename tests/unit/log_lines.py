"""Collect what the product logs, as its fields, in the place of every handler."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from roas.log import FIELDS, NAMESPACE


class _Collector(logging.Handler):
    """Keep the fields of each record, and its level."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.events.append({**getattr(record, FIELDS), "log_level": record.levelname.lower()})


@contextmanager
def captured_logs() -> Iterator[list[dict[str, Any]]]:
    """Give the events that are logged within the block; nobody else hears of them."""
    logger, collector = logging.getLogger(NAMESPACE), _Collector()
    before = logger.level, logger.propagate
    logger.addHandler(collector)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield collector.events
    finally:
        logger.removeHandler(collector)
        logger.setLevel(before[0])
        logger.propagate = before[1]
