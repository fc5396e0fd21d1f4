"""Deploy, watch and roll back a Docker Compose stack from a Discord channel.

`await bot.load_extension("roas")` makes any discord.py bot do so; `roas` (or `python -m roas`) is a bot of its own, and
the command line. In the repository the package's folders are `bot/` and `cogs/`, and `roas` is a link to them.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from roas.version import __version__

if __name__ != "roas":  # a second copy of every class
    raise ImportError("This package is `roas`: write `import roas`, or run `python -m roas`.", name=__name__)

if TYPE_CHECKING:
    from roas.cogs.extension import setup as setup

__all__ = ["__version__", "setup"]


def __getattr__(name: str) -> Any:
    """Find the extension's entry point when discord.py asks for it: the command line needs no discord.py.

    It is kept from then on. When a reload fails, discord.py calls it again while the modules that it needs are gone.
    """
    if name != "setup":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from roas.cogs.extension import setup as entry_point
    except Exception as error:  # discord.py reports a fault of a load only where it comes from `setup` itself
        return _failing_with(error)
    globals()[name] = entry_point
    return entry_point


def _failing_with(error: Exception) -> Callable[[object], Awaitable[None]]:
    async def setup(_bot: object) -> None:
        raise error

    return setup
