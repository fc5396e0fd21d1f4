"""Integrate with Discord: `await bot.load_extension("roas")` lets any discord.py bot deploy, watch and roll back.

An application is opened from the settings; the bot is on standby while another one of the same STATE_DIR leads, and
unloading the extension ends both. docs/plugin.md says what that means for the bot. `roas` does not load itself
as an extension: discord.py would drop the modules that it runs on.
"""

from contextlib import AsyncExitStack
from types import TracebackType

from discord.ext import commands

from roas.application import open_application
from roas.cogs.application_cog import ApplicationCog
from roas.cogs.departure import Departure
from roas.cogs.loading import load_cogs, refuse_ours
from roas.cogs.stopped_bot import StoppedBot, stay_without_journal
from roas.errors import JournalLostError, RoasError
from roas.leadership.leader_tasks import run_leader_election
from roas.leadership.leadership import Leadership
from roas.models.ownership import Readiness
from roas.settings import load_settings
from roas.ui.discord_connection import DiscordConnection
from roas.ui.standby_gate import StandbyGate


async def setup(bot: commands.Bot) -> None:
    """Set up in a bot, or leave it unchanged. Raises SettingsError, NameClashError, StateError.

    Where the journal is damaged or missing, whoever asks is told so, and the bot around goes on.
    """
    async with AsyncExitStack() as opened:
        opened.push(_show_hint)
        settings = load_settings(needs_discord=False, is_guest=True)
        refuse_ours(bot, settings)  # before anything is opened
        try:
            application = await opened.enter_async_context(open_application(settings))
        except JournalLostError as fault:
            await stay_without_journal(bot, settings, fault)
            return
        if bot.http.token:
            application.redactor.add((bot.http.token,))
        leadership = Leadership(is_leader=False)
        gate = StandbyGate(bot, leadership)
        opened.callback(gate.remove)
        connection = DiscordConnection()

        def readiness() -> Readiness:
            loaded = bot.get_cog(ApplicationCog.__cog_name__) is not None
            return Readiness(gateway_ready=connection.is_alive(bot), cogs_loaded=loaded)

        stopped = StoppedBot(bot, settings, gate)
        opened.push_async_callback(stopped.close)
        await opened.enter_async_context(run_leader_election(application, leadership, readiness, stopped.stop))
        departure = Departure(bot, application, leadership, lambda: gate.leaving)
        opened.callback(departure.remove)
        application_cog = await load_cogs(bot, application, leadership)
        opened.push_async_callback(departure.leave, application_cog.sync)
        application_cog.keep(opened.pop_all())


def _show_hint(_kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> None:
    """Have a traceback say what to do, too: most hosts let one end them."""
    if isinstance(error, RoasError):
        for line in error.hint.splitlines():
            error.add_note(f"→ {line}")
