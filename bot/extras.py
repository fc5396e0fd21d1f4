"""Load what not every bot needs, once a setting or a command asks for it: what an extra installs, and what is large.

What nobody uses takes no memory, and a bot for which it is not installed begins all the same. This is the only door
for that: all else is loaded when the bot is.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from roas.errors import RoasError, not_installed
from roas.messages.message import said


@dataclass(frozen=True, slots=True)
class Extra:
    """Name an extra, the module that it brings, and how people know that."""

    name: str
    module: str
    library: str


CI = Extra("ci", "jwt", "PyJWT")
ENCRYPTION = Extra("encryption", "pyrage", "pyrage")
MCP = Extra("mcp", "mcp", "mcp")
NOTIFY = Extra("notify", "apprise", "Apprise")
SSH = Extra("ssh", "asyncssh", "asyncssh")
SWARM = Extra("swarm", "cryptography.fernet", "cryptography")
EXTRAS = (CI, ENCRYPTION, MCP, NOTIFY, SSH, SWARM)


def load(extra: Extra, fault: type[RoasError], part: str = "") -> Any:
    """Return the module of an extra, or a part of it such as `types`. Raises `fault`, which says how it is installed.

    It stays loaded; to load it takes up to half a second of processor time.
    """
    try:
        return import_module(f"{extra.module}.{part}" if part else extra.module)
    except ImportError as error:
        hint = said("Install it: `pip install 'roas-bot[{extra}]'`.", extra=extra.name)
        raise fault(not_installed(extra.library), hint=hint) from error


def load_redis() -> Any:
    """Return the library of Redis, which is always installed, and takes 6 MiB where REDIS_URL is set."""
    return import_module("redis")


def load_pillow() -> Any:
    """Return Pillow, which is always installed, with what draws; it takes 3 MiB once a chart is asked for."""
    for part in ("Image", "ImageDraw", "ImageFont"):
        import_module(f"PIL.{part}")
    return import_module("PIL")
