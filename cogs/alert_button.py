"""Answer the buttons under an alert, whichever process posted it."""

import re
from typing import Any, Self

import discord

from roas.cogs.answers import acknowledge
from roas.cogs.hosts import alert_host
from roas.ui.embeds.alert import PREFIX


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
        host = alert_host(interaction.client)
        if host is None or not await acknowledge(interaction):
            return
        async with host.answering(interaction):
            await host.clicked(interaction, self.action, self.subject)
