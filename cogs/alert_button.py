"""Answer the buttons under an alert, whichever process posted it."""

import re
from typing import TYPE_CHECKING, Any, Self

import discord

from roas.cogs.answers import acknowledge
from roas.cogs.names import CogName
from roas.ui.embeds.alert import PREFIX

if TYPE_CHECKING:
    from roas.cogs.alerts import AlertsCog


class AlertButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=re.escape(PREFIX) + r"(?P<action>ack|silence|logs|rollback):(?P<subject>(?:ALERT|STORM)-[0-9A-Z]{26})",
):
    """Do something about an alert; the button knows its id only, everything else is read again on the click."""

    def __init__(self, action: str, subject: str) -> None:
        super().__init__(discord.ui.Button(label=action, custom_id=f"{PREFIX}{action}:{subject}"))
        self.action = action
        self.subject = subject

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the button from its custom id."""
        return cls(match["action"], match["subject"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Pass the click to the cog."""
        cog: AlertsCog | None = interaction.client.get_cog(CogName.ALERTS)
        if cog is None or not cog.leadership.is_leader or not await acknowledge(interaction):
            return
        async with cog.answering(interaction):
            await cog.clicked(interaction, self.action, self.subject)
