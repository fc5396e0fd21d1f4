"""Provide every cog with what it needs: the application, the rules, the leadership."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import discord
from discord import app_commands
from discord.ext import commands

from roas.app.application import Application
from roas.cogs.answers import Reply, acknowledge, answer, answering
from roas.cogs.arguments import matching, read_environment
from roas.cogs.command_sync import CogName
from roas.cogs.permissions import Action, Asker, Rules, asker_of, permit, refusal, rules_from
from roas.configuration.environments import plain_names
from roas.errors import InvalidRequestError, RoasError
from roas.log import get_logger
from roas.models.actor import Actor, ActorKind
from roas.models.environment import Environment
from roas.state.leadership import Leadership
from roas.ui.command_names import grouped
from roas.ui.translation import _

log = get_logger(__name__)

SUGGEST_WITHIN_SECONDS = 2.0
PRODUCTION = "prod"
Interaction = discord.Interaction[Any]
Answer = Coroutine[Any, Any, None]
Cog = TypeVar("Cog", bound="OpsCog")
Options = ParamSpec("Options")


class OpsCog(commands.Cog):
    """Check, answer and report for the commands of one guild's ops channel."""

    def __init__(self, bot: commands.Bot, application: Application, leadership: Leadership) -> None:
        self.bot = bot
        self.application = application
        self.leadership = leadership
        self._rules = rules_from(application.settings)

    @property
    def rules(self) -> Rules:
        """Return who may do what, and whether the ops channel exists to do it in."""
        return replace(self._rules, channel_missing=self._is_channel_missing())

    def _is_channel_missing(self) -> bool:
        """Return whether the guild is available and has no ops channel that the bot can see."""
        guild = self.bot.get_guild(self._rules.guild_id or 0)
        if guild is None or guild.unavailable:
            return False
        channel = guild.get_channel_or_thread(self._rules.channel_id or 0)
        return channel is None or not channel.permissions_for(guild.me).view_channel

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Answer nothing while another bot leads."""
        return self.leadership.is_leader

    async def cog_app_command_error(
        self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError
    ) -> None:
        """Answer for what went wrong outside a command's own body, such as an option of the wrong type."""
        if not self.leadership.is_leader:
            return
        if interaction.response.is_done() or await acknowledge(interaction):
            async with self.answering(interaction):
                raise error

    @asynccontextmanager
    async def answering(self, interaction: discord.Interaction[Any], reply: Reply = answer) -> AsyncIterator[None]:
        """Answer for what goes wrong within."""
        with grouped(self.application.settings.discord_command_group):
            async with answering(interaction, self.application.redactor.redact, reply):
                yield

    def environment(self, name: str) -> Environment:
        """Return an environment by name. Raises InvalidRequestError."""
        return read_environment(name, self.application.environments)

    def find_environment(self, interaction: discord.Interaction[Any], name: str) -> Environment:
        """Return an environment by name, to those who see its channel: a wrong one is answered with the right ones.

        Raises NotPermittedError, InvalidRequestError.
        """
        self.permit(interaction, Action.STATUS)
        if not name.strip():
            names = ", ".join(self.visible(interaction))
            raise InvalidRequestError(_("Say which environment: {names}.", names=names))
        if name.strip() not in self.application.environments:
            return read_environment(name, self.visible(interaction))
        target = self.environment(name)
        self.permit(interaction, Action.STATUS, target)
        return target

    @property
    def production(self) -> str:
        """Return the environment that is meant where none is named: prod, or the only one there is; else none."""
        names = plain_names(self.application.environments)
        return names[0] if len(names) == 1 else PRODUCTION if PRODUCTION in names else ""

    def visible(self, interaction: discord.Interaction[Any]) -> dict[str, Environment]:
        """Return the environments that may be asked for in this channel: in the ops channel all of them."""
        here, rules = interaction.channel_id, self._rules
        return {
            name: environment
            for name, environment in self.application.environments.items()
            if rules.is_seen_in(here, name)
        }

    def permit(
        self, interaction: discord.Interaction[Any], action: Action, environment: Environment | None = None
    ) -> Asker:
        """Return who asks. Raises NotPermittedError where they may not."""
        asker = asker_of(interaction)
        permit(refusal(action, environment, asker, self.rules))
        return asker

    def sees_channel(self, interaction: discord.Interaction[Any]) -> bool:
        """Return whether a member may see names at all: suggestions reveal them."""
        return self.leadership.is_leader and refusal(Action.STATUS, None, asker_of(interaction), self.rules) is None

    async def suggest_environments(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        """Complete the name of an environment, for those who see them all on `/status`."""
        return matching(typed, self.visible(interaction)) if self.sees_channel(interaction) else []

    async def known_services(self, target: Environment, version: str | None = None) -> tuple[str, ...]:
        """Return the services to suggest: of the compose file, or of the current release where it cannot be read."""
        if defined := await self.defined_services(target, version):
            return defined
        current = await self.application.state.releases.current(target.name)
        return tuple(service.name for service in current.services) if current else ()

    async def defined_services(self, target: Environment, version: str | None) -> tuple[str, ...]:
        """Return the services of the compose file; none where it cannot be read, which planning then explains."""
        try:
            async with asyncio.timeout(SUGGEST_WITHIN_SECONDS):
                stack = await self.application.stacks.of(target.by_host[0]).resolve(version, write_contents=False)
        except (RoasError, TimeoutError) as error:
            log.info("the compose file's services are not known", environment=target.name, error=str(error))
            return ()
        return tuple(stack.definitions)


def answered(
    command: Callable[Concatenate[Cog, Interaction, Options], Answer],
) -> Callable[Concatenate[Cog, Interaction, Options], Answer]:
    """Let a command acknowledge before it has any effect, and answer with an error if it fails."""

    @wraps(command)
    async def run(cog: Cog, interaction: Interaction, /, *args: Options.args, **options: Options.kwargs) -> None:
        if await acknowledge(interaction):
            async with cog.answering(interaction):
                await command(cog, interaction, *args, **options)

    return run


def leading_cog(client: Any, name: CogName) -> Any:
    """Return a cog by its name, for a button; None where this bot does not have it, or does not lead."""
    cog = client.get_cog(name)
    return cog if cog is not None and cog.leadership.is_leader else None


def actor_of(asker: Asker) -> Actor:
    """Name a person for history, locks and audit."""
    return Actor(ActorKind.DISCORD, str(asker.user_id), asker.name)
