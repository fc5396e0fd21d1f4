"""Cancel a deployment from its live message, whichever process posted it."""

import re
from typing import Any, Self

import discord

from roas.cogs.answers import acknowledge, answer
from roas.cogs.hosts import DeploymentHost, deployment_host
from roas.cogs.ops_cog import actor_of
from roas.cogs.permissions import asker_of, cancel_refusal, permit
from roas.errors import InvalidRequestError
from roas.ui.embeds.live import CANCEL_PREFIX
from roas.ui.translation import _


class CancelButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=re.escape(CANCEL_PREFIX) + r"(?P<deployment_id>[A-Z]{1,16}-[0-9A-Z]{26})",
):
    """Ask a deployment to stop; the button knows its id only, and who may is decided on the click."""

    def __init__(self, deployment_id: str) -> None:
        super().__init__(discord.ui.Button(label=_("Cancel"), custom_id=f"{CANCEL_PREFIX}{deployment_id}"))
        self.deployment_id = deployment_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the button from its custom id."""
        return cls(match["deployment_id"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Ask the deployment to stop at its next safe point."""
        host = deployment_host(interaction.client)
        if host is None or not await acknowledge(interaction):
            return
        async with host.answering(interaction):
            await answer(interaction, await cancel(host, interaction, self.deployment_id))


async def cancel(host: DeploymentHost, interaction: discord.Interaction[Any], deployment_id: str) -> str:
    """Ask a deployment to stop, for those who may; returns what to say. Raises NotPermittedError."""
    deployment = await host.application.state.deployments.get(deployment_id)
    if deployment is None:
        raise InvalidRequestError(_("There is no deployment {id}.", id=deployment_id))
    asker = asker_of(interaction)
    environment = host.environment(deployment.environment)
    permit(cancel_refusal(deployment.request.kind, environment, asker, host.rules))
    if deployment.finished:
        return _("`{id}` has ended already; there is nothing left to cancel.", id=deployment_id)
    await host.application.orchestrator.cancel(deployment_id, actor_of(asker))
    host.live_messages.follow(deployment_id, deployment.environment).notify(urgent=True)
    if environment.on_swarm:
        return _("🚫 `{id}` was asked to stop. It does so when Swarm's current updates are over.", id=deployment_id)
    return _("🚫 `{id}` was asked to stop. It does so at the next safe point.", id=deployment_id)
