"""Name the pages that are generated, and write each."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from tools.reference import command_line, events, exit_codes, metrics, settings, slash_commands

Page = Callable[[], str | Awaitable[str]]
PAGES: dict[str, Page] = {
    "reference/settings.md": settings.page,
    "reference/slash-commands.md": slash_commands.page,
    "reference/command-line.md": command_line.page,
    "reference/exit-codes.md": exit_codes.page,
    "reference/metrics.md": metrics.page,
    "reference/events.md": events.page,
}


def write_pages() -> dict[str, str]:
    """Return the text of each page by its path below docs/."""
    return asyncio.run(_write_pages())


async def _write_pages() -> dict[str, str]:
    written: dict[str, str] = {}
    for path, page in PAGES.items():
        text = page()
        written[path] = await text if inspect.isawaitable(text) else text
    return written
