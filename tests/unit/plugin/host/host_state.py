"""Record all that belongs to a host bot and to its process, so that before and after can be compared."""

import asyncio
import gc
import logging
import os
import threading
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import structlog
from discord.ext import commands

DISCORD = "Discord"


def host_state(bot: commands.Bot) -> dict[str, Any]:
    """Return what the extension must leave alone, as plain values that compare, and print, well."""
    gc.collect()  # a socket whose connection was refused stays open for as long as its error's traceback is there
    connection, tree = bot._connection, bot.tree
    views = connection._view_store
    return {
        "global commands": {name: id(global_command) for name, global_command in tree._global_commands.items()},
        "guild commands": {
            guild: {name: id(item) for name, item in found.items()}
            for guild, found in tree._guild_commands.items()
            if found
        },
        "context menus": {str(key): id(item) for key, item in tree._context_menus.items()},
        "prefix commands": {name: id(command) for name, command in bot.all_commands.items()},
        "cogs": {name: id(cog) for name, cog in bot.cogs.items()},
        "extensions": sorted(bot.extensions),
        "listeners": {name: [repr(item) for item in found] for name, found in bot.extra_events.items() if found},
        "checks": [*map(id, bot._checks), *map(id, bot._check_once)],
        "views": sorted(str(message_view) for message_view in views._synced_message_views),
        "persistent views": sorted(id(persistent_view) for persistent_view in views.persistent_views),
        "dynamic items": sorted(pattern.pattern for pattern in views._dynamic_items),
        "translator": id(tree.translator),
        "on_error": repr(tree.on_error),
        "client": repr((bot.dispatch, bot.close, bot.reload_extension, connection.dispatch)),
        "parsers": {name: repr(parser) for name, parser in connection.parsers.items()},
        "attributes": sorted(vars(bot)),
        "loggers": _loggers(),
        "structlog": (structlog.is_configured(), repr(structlog.get_config())),
        "warnings": id(warnings.showwarning),
        "tasks": sorted(_task_name(task) for task in asyncio.all_tasks()),
        "threads": sorted(thread.name for thread in threading.enumerate() if not _is_loops_own(thread)),
        "files": sorted(_open_files()),
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return what is not as it was; threads of an earlier test may end meanwhile, and are none of the host's."""
    found = {name: {"before": before[name], "after": after[name]} for name in before if before[name] != after[name]}
    if not Counter(after["threads"]) - Counter(before["threads"]):
        found.pop("threads", None)
    return found


async def settled(bot: commands.Bot, before: dict[str, Any], seconds: float = 5.0) -> dict[str, Any]:
    """Return what is not as it was; threads and sockets that were told to end need a moment for it."""
    deadline = time.monotonic() + seconds
    while (found := differences(before, host_state(bot))) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return found


def _loggers() -> dict[str, Any]:
    """Return how the root and every logger that is not ours is set up; one that was merely named is nothing."""
    found: dict[str, Any] = {"": _logger(logging.getLogger())}
    for name, item in logging.Logger.manager.loggerDict.items():
        if isinstance(item, logging.Logger) and (set_up := _logger(item)) != ([], 0, True, False, []):
            found[name] = set_up
    return found


def _logger(one: logging.Logger) -> tuple[Any, ...]:
    """Return what decides where a record goes; a library adds a handler that does nothing when it is first imported."""
    handlers = [id(handler) for handler in one.handlers if not isinstance(handler, logging.NullHandler)]
    return handlers, one.level, one.propagate, one.disabled, [*map(id, one.filters)]


def _task_name(task: "asyncio.Task[Any]") -> str:
    """Name what a task runs: a number of its own says nothing."""
    name = task.get_name()
    return f"{'Task' if name.startswith('Task-') else name} {getattr(task.get_coro(), '__qualname__', '')}"


def _is_loops_own(thread: threading.Thread) -> bool:
    """Tell a thread of the loop's own executor, which stays until the loop ends."""
    return thread.name.startswith("asyncio_")


def _open_files() -> list[str]:
    """Return what the process has open; the folder that is listed is not."""
    found = []
    for number in Path("/proc/self/fd").iterdir():
        try:
            target = str(number.readlink())
        except OSError:
            continue
        if target.startswith("/") and not target.startswith("/proc/"):
            found.append(target)
        elif target.startswith("socket:["):
            found.append(_peer(target.removeprefix("socket:[").removesuffix("]")))
    return [item for item in found if item != DISCORD]


def _peer(inode: str) -> str:
    """Name a socket by its path or by the port of its other side; how many lead to Discord is discord.py's affair."""
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[9] == inode:
            port = int(fields[2].rpartition(":")[2], 16)
            return DISCORD if f":{port}/" in f"{os.environ.get('DISCORD_API_URL', '')}/" else f"tcp {port}"
    for line in Path("/proc/self/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[6] == inode:
            return f"unix {' '.join(fields[7:])}"
    return "socket"
