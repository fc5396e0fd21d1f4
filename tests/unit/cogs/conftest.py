"""A simulated Discord with an ops channel, its people, and the bot in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import discord
import pytest
from simcord.actors import MemberActor
from simcord.builders import ChannelHandle, GuildHandle, RoleHandle
from simcord.env import Env
from simcord.results import InteractionResult, to_discord_message

from roas.discord_bot import RoasBot
from roas.ui.drawing import Drawing
from roas.ui.embeds.outcome import ROLLBACK_PREFIX
from roas.ui.notifications.ops_channel import OpsChannel
from tests.unit.cogs.fake_application import FakeApplication, open_fake_application
from tests.unit.ui.story import until


@dataclass
class Scene:
    """Hold the simulated world, and the ways in which a test acts and looks."""

    env: Env
    application: FakeApplication
    guild: GuildHandle
    ops: ChannelHandle
    general: ChannelHandle
    dora: MemberActor
    anna: MemberActor
    hugo: MemberActor
    bob: MemberActor
    roles: dict[str, RoleHandle] = field(default_factory=dict)
    expected_errors: tuple[type[Exception], ...] = ()

    async def restart(self) -> None:
        """Put a new bot in the place of the old one; journal and channel stay."""
        await self.silence()
        await self.env.restart_bot(RoasBot(self.application.settings, self.application))  # type: ignore[arg-type]

    async def silence(self) -> None:
        """End what the old bot posts: the simulation drops a bot's connection, but not what it does by itself."""
        if isinstance(self.env.bot, RoasBot):
            await self.env.bot.remove_cog("ROAS")

    def posts(self) -> list[discord.Message]:
        """Return what everybody sees in the ops channel, oldest first."""
        return [m for m in self.ops.history() if not m.flags.ephemeral]

    async def posted(self, text: str) -> discord.Message:
        """Wait until the ops channel shows some words, and return that message."""

        def found() -> bool:
            return any(text in shown(message.embeds) for message in self.posts())

        await until(found)
        return next(message for message in self.posts() if text in shown(message.embeds))

    async def outcome_of(self, deployment_id: str) -> discord.Message:
        """Wait until the ops channel offers the way back from a deployment, and return that message.

        Titles do not tell deployments apart: those that only bring releases into a journal are posted too.
        """
        button = f"{ROLLBACK_PREFIX}{deployment_id}"

        def found() -> list[discord.Message]:
            return [message for message in self.posts() if button in buttons(message)]

        await until(lambda: bool(found()))
        return found()[0]

    async def ask(self, who: MemberActor, command: str, **options: Any) -> InteractionResult:
        """Type a command that answers with a plan, and say yes to the plan."""
        return await self.press(who, await who.slash(self.ops, command, **options), "confirm")

    async def press(self, who: MemberActor, result: InteractionResult, what: str) -> InteractionResult:
        """Press a button of the plan that was answered to somebody."""
        assert result.response is not None
        custom_id = next((button for button in buttons(result.response.message) if f":{what}:" in button), None)
        assert custom_id is not None, self.answer(result)
        return await who.click(result.response.message, custom_id=custom_id)

    async def click_and_say(
        self, who: MemberActor, message: discord.Message, custom_id: str, reason: str = ""
    ) -> InteractionResult:
        """Press a button that asks why, and send its form, where there is one."""
        result = await who.click(message, custom_id=custom_id)
        return result if result.modal is None else await who.submit_modal(result, {"reason": reason})

    def join(self, name: str, *roles: str) -> MemberActor:
        """Let somebody join with some roles."""
        return self.guild.add_member(self.env.create_user(name), roles=[self.roles[role] for role in roles])

    async def as_it_was(self, drawing: Drawing) -> discord.Message:
        """Post a message with the buttons that it had once: somebody's client may show it for a while."""
        channel = OpsChannel(self.env.bot, self.guild.id, self.ops.id)
        message_id = await channel.send(drawing, nonce=drawing.content_hash[:25])
        return to_discord_message(self.env, self.env.backend.messages[self.ops.id][message_id])

    @staticmethod
    def answer(result: InteractionResult) -> str:
        """Return all that was answered, which only the one who asked sees."""
        private = [followup for followup in result.followups if followup.ephemeral]
        said = private[-1] if private else result.response
        assert said is not None
        assert said.ephemeral
        return f"{said.content}\n{shown(said.embeds)}"


def buttons(message: discord.Message) -> list[str]:
    """Return the ids of a message's buttons."""
    return [item.custom_id for row in message.components for item in row.children]  # type: ignore[union-attr]


def shown(embeds: list[discord.Embed]) -> str:
    """Return all that can be read in embeds."""
    parts = [
        [embed.title or "", embed.description or "", *(f"{f.name}\n{f.value}" for f in embed.fields)]
        for embed in embeds
    ]
    return "\n".join(text for part in parts for text in part)


@asynccontextmanager
async def arranged(folder: Path) -> AsyncIterator[Scene]:
    """Open a guild with the bot's application in a folder; `restart` of the scene lets the bot come."""
    async with open_fake_application(folder) as application:
        env = Env(discord.Client(intents=discord.Intents(guilds=True)), settle_timeout=20)
        await env.start()
        scene = _arrange(env, application)
        yield scene
        await scene.silence()
        await env.shutdown()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with arranged(tmp_path / "state") as scene:
        await scene.restart()
        yield scene
    assert [error for error in scene.env.errors if not isinstance(error, scene.expected_errors)] == []


def _arrange(env: Env, application: FakeApplication) -> Scene:
    """Make the guild before the bot comes, as in life."""
    guild = env.create_guild()
    roles = {name: guild.create_role(name) for name in ("deployer", "approver", "hotfix")}
    ops, general = guild.create_text_channel("ops"), guild.create_text_channel("general")
    settings = application.settings
    settings.discord_guild_id, settings.discord_ops_channel_id = guild.id, ops.id
    settings.discord_deployer_role_ids = frozenset({roles["deployer"].id})
    settings.discord_approver_role_ids = frozenset({roles["approver"].id})
    settings.discord_hotfix_role_ids = frozenset({roles["hotfix"].id})
    people = [
        guild.add_member(env.create_user(name), roles=[roles[role]] if role else [])
        for name, role in (("dora", "deployer"), ("anna", "approver"), ("hugo", "hotfix"), ("bob", ""))
    ]
    return Scene(env, application, guild, ops, general, *people, roles=roles)
