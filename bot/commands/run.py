"""`run`: run the bot."""

from typing import TYPE_CHECKING

from roas.commands.command_runner import run_command

if TYPE_CHECKING:
    from roas.commands.session import Session


def run() -> None:
    """Run the bot, as `roas` without a command does."""
    run_command(_serve, is_bot=True)


async def _serve(session: "Session") -> int:
    from roas.service import serve
    from roas.signals import ignore_stop_signals

    code = await serve(session.settings)
    ignore_stop_signals()
    return code
