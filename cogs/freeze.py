"""Freeze environments, so that nobody deploys to them, and lift the freeze."""

from datetime import UTC, datetime
from typing import Any

import discord
from discord import app_commands

from roas.cogs.answers import answer, answer_beside
from roas.cogs.arguments import matching, read_reason
from roas.cogs.command_sync import CogName
from roas.cogs.ops_cog import OpsCog, actor_of, answered
from roas.cogs.permissions import Action, asker_of, permit, unlock_refusal
from roas.errors import InvalidRequestError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.deployment import Freeze
from roas.starting_times import read_moment
from roas.ui.drawing import code, one_line
from roas.ui.embeds.freeze import REASON_LENGTH, locked_text, unlocked_text
from roas.ui.formatting import at, person, since
from roas.ui.translation import _, using_locale

log = get_logger(__name__)


class FreezeCog(OpsCog, name=CogName.FREEZE.value):
    """Answer `/lock` and `/unlock`."""

    @app_commands.command(description="Lock an environment: no deployments until it is unlocked")
    @app_commands.describe(
        environment="Which one",
        reason="Why; shown to anybody who tries to deploy",
        until="Until when: in 2h, 22:00, or a @time of Discord's (until it is unlocked if left out)",
    )
    @app_commands.guild_only()
    @answered
    async def lock(
        self, interaction: discord.Interaction[Any], environment: str, reason: str, until: str | None = None
    ) -> None:
        """Freeze an environment."""
        target = self.find_environment(interaction, environment)
        actor = actor_of(self.permit(interaction, Action.LOCK, target))
        ends = None if until is None else read_moment(until, target.windows)
        freeze = Freeze(target.name, actor, read_reason(reason, needed=True), datetime.now(UTC), ends)
        await self.application.state.freezes.put(freeze)
        log.info("environment frozen", environment=target.name, by=actor.name, reason=freeze.reason)
        text = _(
            "🧊 **{environment}** is locked. Only a hotfix, or a rollback with a reason, can change it.",
            environment=target.name,
        )
        if ends is not None:
            text += "\n⏳ " + _("until {when}", when=at(ends))
            self.application.schedule.notify()
        active = await self.application.state.deployments.active(target.name)
        if active is not None:
            text += "\n" + _("`{id}` is under way and continues; /cancel stops it.", id=active.id)
        await answer(interaction, text)
        with using_locale(interaction.guild_locale):
            text = locked_text(freeze.environment, actor, self._redacted(freeze), freeze.until)
            await answer_beside(interaction, text, is_private=False)

    @app_commands.command(description="Unlock an environment: allow deployments again")
    @app_commands.describe(environment="Which one")
    @app_commands.guild_only()
    @answered
    async def unlock(self, interaction: discord.Interaction[Any], environment: str) -> None:
        """Lift a freeze."""
        target = self.find_environment(interaction, environment)
        asker = asker_of(interaction)
        freezes = self.application.state.freezes
        freeze = await freezes.get(target.name)
        if freeze is None:
            self.permit(interaction, Action.LOCK, target)
            raise InvalidRequestError(said("{environment} is not locked.", environment=target.name))
        permit(unlock_refusal(freeze, target, asker, self.rules))
        lifted = await freezes.lift(target.name, actor_of(asker))
        log.info("environment freeze lifted", environment=target.name, by=asker.name)
        waiting = await self.application.state.candidates.waiting(target.name)
        going = [
            _(
                "⏳ {version}, which {source} offers, has waited: it is deployed when nothing else is in its way.",
                version=code(candidate.version),
                source=code(candidate.source),
            )
            for candidate in waiting
        ]
        await answer(interaction, "\n".join([self._unlocked(lifted), *going]))
        with using_locale(interaction.guild_locale):
            await answer_beside(interaction, unlocked_text(target.name, actor_of(asker)), is_private=False)

    lock.autocomplete("environment")(OpsCog.suggest_environments)

    @unlock.autocomplete("environment")
    async def _locked(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        if not self.sees_channel(interaction):
            return []
        visible = self.visible(interaction)
        locked = [freeze.environment for freeze in await self.application.state.freezes.all()]
        return matching(typed, [name for name in locked if name in visible])

    def _redacted(self, freeze: Freeze) -> str:
        return self.application.redactor.redact(freeze.reason)

    def _unlocked(self, freeze: Freeze) -> str:
        return _(
            "**{environment}** is unlocked. {person} had locked it {when}: {reason}",
            environment=freeze.environment,
            person=person(freeze.frozen_by),
            when=since(freeze.since),
            reason=one_line(self._redacted(freeze), REASON_LENGTH),
        )
