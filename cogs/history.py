"""Show what was deployed: page by page, who, what, when, how long, and how it ended."""

import re
from typing import Any, Self

import discord
from discord import app_commands

from roas.cogs.answers import acknowledge_update, answer, answer_beside
from roas.cogs.command_sync import CogName
from roas.cogs.ops_cog import OpsCog, answered, leading_cog
from roas.cogs.permissions import Action, asker_of, permit, place_refusal
from roas.errors import InvalidRequestError
from roas.models.deployment import Outcome
from roas.ui.command_names import choice_of
from roas.ui.drawing import Drawing
from roas.ui.embeds.outcome import ANY, HISTORY_PREFIX, PAGE_LENGTH, HistoryPage, draw_history
from roas.ui.redacted import without_secrets
from roas.ui.translation import _


class HistoryCog(OpsCog, name=CogName.HISTORY.value):
    """Answer `/history`; everybody who sees the channel may ask."""

    async def cog_load(self) -> None:
        """Listen for clicks on every page ever shown."""
        self.bot.add_dynamic_items(PageButton)

    async def cog_unload(self) -> None:
        """Stop listening."""
        self.bot.remove_dynamic_items(PageButton)

    @app_commands.command(description="Show what was deployed, by whom, when, and how it ended")
    @app_commands.describe(environment="Where (everywhere if left out)", outcome="Only those that ended so")
    @app_commands.choices(outcome=[choice_of(outcome) for outcome in Outcome])
    @app_commands.guild_only()
    @answered
    async def history(
        self,
        interaction: discord.Interaction[Any],
        environment: str | None = None,
        outcome: app_commands.Choice[str] | None = None,
    ) -> None:
        """Show the newest deployments, with buttons that lead to older ones."""
        self.permit(interaction, Action.STATUS)
        name = self.find_environment(interaction, environment).name if environment else self._everywhere(interaction)
        page = HistoryPage(name, Outcome(outcome.value) if outcome else None)
        await answer(interaction, drawing=await self.draw(page))

    def _everywhere(self, interaction: discord.Interaction[Any]) -> str | None:
        """Return the default without a named environment: None (all) in the ops channel, else the channel's own."""
        if place_refusal(asker_of(interaction), self.rules, "") is None:
            return None
        names = list(self.visible(interaction))
        if len(names) == 1:
            return names[0]
        raise InvalidRequestError(_("Say which environment: {names}.", names=", ".join(names)))

    history.autocomplete("environment")(OpsCog.suggest_environments)

    async def draw(self, page: HistoryPage) -> Drawing:
        """Read one page from the journal and draw it."""
        found = await self.application.state.deployments.list(
            page.environment, limit=PAGE_LENGTH + 1, outcome=page.outcome, offset=page.number * PAGE_LENGTH
        )
        shown = without_secrets(found[:PAGE_LENGTH], self.application.redactor.redact)
        delivery = None
        if page.environment is not None and not page.number and page.outcome is None:
            delivery = await self.application.state.records.delivery(page.environment)
        sources = await self.application.state.records.sources(deployment.id for deployment in shown)
        has_more = len(found) > PAGE_LENGTH
        return draw_history(shown, page, has_more=has_more, delivery=delivery, sources=sources)


class PageButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=re.escape(HISTORY_PREFIX) + r"(?P<environment>[^:]{1,64}):(?P<outcome>[a-z_-]{1,16}):(?P<number>\d{1,6})",
):
    """Show another page; the button knows which, and the page is read again on the click."""

    def __init__(self, page: HistoryPage) -> None:
        super().__init__(discord.ui.Button(custom_id=page.custom_id))
        self.page = page

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the page from the id."""
        environment = None if match["environment"] == ANY else match["environment"]
        outcome = Outcome(match["outcome"]) if match["outcome"] in set(Outcome) else None
        return cls(HistoryPage(environment, outcome, int(match["number"])))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the page where the last one was."""
        cog: HistoryCog | None = leading_cog(interaction.client, CogName.HISTORY)
        if cog is None or not await acknowledge_update(interaction):
            return
        async with cog.answering(interaction, answer_beside):
            cog.permit(interaction, Action.STATUS)
            permit(place_refusal(asker_of(interaction), cog.rules, self.page.environment or ""))
            await answer(interaction, drawing=await cog.draw(self.page))
