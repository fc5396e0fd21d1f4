"""Draw charts in a thread of their own, outside of the event loop."""

import asyncio
import contextvars
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from roas.log import get_logger
from roas.models.series import ServiceSeries
from roas.ui.charts.last_hour import draw_last_hour
from roas.ui.drawing import Picture

log = get_logger(__name__)


class Painter:
    """Draw one picture at a time.

    One thread, since each thread that ever drew a picture keeps the memory of its largest one (25 MiB).
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="painter")

    async def last_hour(self, series: Sequence[ServiceSeries]) -> Picture | None:
        """Draw the last hour in the reader's language; None where there is nothing to draw, or where it fails."""
        language = contextvars.copy_context()
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, lambda: language.run(draw_last_hour, series))
        except (OSError, TypeError, ValueError):  # what Pillow raises where it lacks something
            log.exception("the chart of the last hour could not be drawn")
            return None

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)
