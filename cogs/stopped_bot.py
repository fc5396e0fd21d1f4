"""Answer for a bot that has stopped acting: its journal is lost, damaged or missing, and a person has to bring it back.

Whoever asks is told what is wrong. The cogs would need the journal for that, and are not loaded where there never was
one: so what Discord sends is answered before it reaches any.
"""

import asyncio
import hashlib
from contextlib import AsyncExitStack
from typing import Any

import discord
from discord.ext import commands

from roas.cogs.answers import acknowledge, acknowledge_update, answer, answer_beside, answering
from roas.cogs.command_sync import CogName
from roas.cogs.loading import command_names
from roas.cogs.ops_cog import Interaction
from roas.cogs.permissions import Action, asker_of, permit, refusal, rules_from
from roas.concurrency import begun, end_tasks, pause
from roas.configuration.settings import Settings
from roas.errors import JournalLostError
from roas.limits import PATIENTLY, Backoff
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.leader_lease import JournalLoss
from roas.redaction import hide
from roas.state.leadership import Leadership
from roas.ui.drawing import CONTENT, Drawing, clip, marked_up
from roas.ui.gateway import StandbyGate
from roas.ui.notifications.ops_channel import MessageRefusedError, OpsChannel, PostError
from roas.ui.translation import _, using_locale

log = get_logger(__name__)

NONCE_LENGTH = 24


class JournalLossNotifier:
    """Post once, however long Discord is unavailable."""

    def __init__(self, client: discord.Client, settings: Settings) -> None:
        self._client = client
        self._guild_id = settings.discord_guild_id
        self._channel_id = settings.discord_ops_channel_id

    async def run(self, loss: JournalLoss) -> None:
        """Post until it is posted, or never will be."""
        if self._guild_id is None or self._channel_id is None:
            return
        channel = OpsChannel(self._client, self._guild_id, self._channel_id)
        nonce = hashlib.sha256(repr((loss, id(self))).encode()).hexdigest()[:NONCE_LENGTH]
        backoff = Backoff(PATIENTLY)
        while True:
            try:
                with using_locale(await channel.locale()):
                    await channel.send(draw_journal_loss(loss), nonce=nonce)
            except MessageRefusedError as error:
                log.error("loss of the journal could not be posted", error=str(error))
                return
            except (PostError, RuntimeError, AttributeError) as error:  # the client may have no session yet
                log.warning("post delayed", subject="journal lost", error=str(error))
            else:
                return
            await pause(backoff.failed())


def draw_journal_loss(loss: JournalLoss) -> Drawing:
    """Say in plain text, which needs no other permission than to post, what happened and what to do."""
    parts = [
        _("🛑 **This bot has stopped acting**"),
        marked_up(loss.message, CONTENT // 4),
        _("Where it runs: `docker exec {container} …`", container=loss.container) if loss.container else "",
        *(
            _("`{deployment}` was interrupted; services of two releases may be running.", deployment=deployment_id)
            for deployment_id in loss.interrupted
        ),
        _("A copy of what this bot still had of it: `{path}`", path=loss.rescued) if loss.rescued else "",
        _("What to do: {hint}", hint=marked_up(loss.hint, CONTENT // 4)),
    ]
    return Drawing("journal lost", (), clip("\n".join(part for part in parts if part), CONTENT))


# Another bot may lead with the journal that is in the place of this one's: it answers first.
OTHER_BOT_SECONDS = 1.5
OUR_BUTTONS = "roas:"


class StoppedBot:
    """Post to the ops channel why this bot does not act, and tell it whoever asks, until `close`."""

    def __init__(self, client: discord.Client, settings: Settings, gate: StandbyGate) -> None:
        self._client = client
        self._settings = settings
        self._gate = gate
        self._error = JournalLostError("")
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def stop(self, loss: JournalLoss) -> None:
        """Answer from now on, and post; returns when it is posted, or never will be."""
        self._error = JournalLostError(loss.message, hint=loss.hint)
        self._gate.answer_with(self._receive)
        await JournalLossNotifier(self._client, self._settings).run(loss)

    async def close(self) -> None:
        """End what is being answered."""
        self._is_closed = True
        await end_tasks(*self._tasks)

    def _receive(self, payload: Any) -> bool:
        """Take an interaction that is for us; returns whether it is."""
        if not self._is_ours(payload):
            return False
        interaction: Interaction = discord.Interaction(data=payload, state=self._client._connection)
        if interaction.type is not discord.InteractionType.autocomplete:
            self._loop.call_later(OTHER_BOT_SECONDS, self._begin, interaction)
        return True

    def _begin(self, interaction: Interaction) -> None:
        if not self._is_closed:
            task = asyncio.create_task(self._answer(interaction), name="answer of a stopped bot")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _is_ours(self, payload: Any) -> bool:
        data = payload.get("data") or {}
        is_ours = data.get("name") in command_names(self._settings)
        is_ours = is_ours or str(data.get("custom_id", "")).startswith(OUR_BUTTONS)
        return is_ours and str(payload.get("guild_id")) == str(self._settings.discord_guild_id)

    async def _answer(self, interaction: Interaction) -> None:
        is_button = interaction.type is discord.InteractionType.component
        if not await (acknowledge_update(interaction) if is_button else acknowledge(interaction)):
            return
        async with answering(interaction, hide, answer_beside if is_button else answer):
            permit(refusal(Action.STATUS, None, asker_of(interaction), rules_from(self._settings)))
            raise self._error


class StoppedCog(commands.Cog, name=CogName.APPLICATION.value):
    """Stand in somebody's bot for the cogs that were not loaded, since there is no journal to act by.

    The bot around it goes on. Once the journal is back, the extension is reloaded.
    """

    is_leader = False

    def __init__(self, opened: AsyncExitStack) -> None:
        self._opened = opened

    async def wait_until_leader(self) -> None:
        """Wait for the end of this cog: it never leads."""
        log.warning("waiting to lead, which this bot does not before its journal is back and it was reloaded")
        await asyncio.get_running_loop().create_future()

    async def cog_unload(self) -> None:
        """Answer no more."""
        await self._opened.aclose()


async def stay_without_journal(bot: commands.Bot, settings: Settings, fault: JournalLostError) -> None:
    """Say in somebody's bot why the extension does not act, to all who ask, until it is unloaded."""
    log.error("the extension does not act", error=fault.message, hint=fault.hint)
    async with AsyncExitStack() as opened:
        gate = StandbyGate(bot, Leadership())
        opened.callback(gate.remove)
        stopped = StoppedBot(bot, settings, gate)
        opened.push_async_callback(stopped.close)
        hint = joined(" ", (fault.hint, said("Then reload the extension.")))
        await opened.enter_async_context(begun(stopped.stop(JournalLoss(fault.message, hint))))
        kept = opened.pop_all()
    await bot.add_cog(StoppedCog(kept))
