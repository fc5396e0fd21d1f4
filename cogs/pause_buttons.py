"""The buttons of a deployment that is paused: go on, roll back. They hold an id only; the rest is read on the click."""

import re
from typing import Any, ClassVar

import discord

from roas.cogs.answers import acknowledge, answer
from roas.cogs.hosts import DeploymentHost, deployment_host
from roas.cogs.ops_cog import actor_of
from roas.cogs.permissions import asker_of, cancel_refusal, permit
from roas.cogs.plan_buttons import IdButton
from roas.errors import InvalidRequestError
from roas.models.rollout import Choice
from roas.ui.embeds.outcome import GO_ON_PREFIX, TAKE_BACK_PREFIX
from roas.ui.translation import _

# A deployment, and which of its pauses.
PAUSE_ID = r"(?P<id>[A-Z]{1,16}-[0-9A-Z]{26}:[0-9]{1,6})"


class PauseButton(IdButton, template=r"roas:none"):
    """Decide on one pause of a deployment; a later one has buttons of its own."""

    choice: ClassVar[Choice]

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Write what was chosen."""
        host = deployment_host(interaction.client)
        if host is None or not await acknowledge(interaction):
            return
        async with host.answering(interaction):
            await answer(interaction, await self._decide(host, interaction))

    async def _decide(self, host: DeploymentHost, interaction: discord.Interaction[Any]) -> str:
        """Decide, for those who may; returns what to say. Raises NotPermittedError, InvalidRequestError."""
        deployment_id, _colon, number = self.subject.partition(":")
        deployment = await host.application.state.deployments.get(deployment_id)
        if deployment is None:
            raise InvalidRequestError(_("There is no deployment {id}.", id=deployment_id))
        asker = asker_of(interaction)
        environment = host.environment(deployment.environment)
        permit(cancel_refusal(deployment.request.kind, environment, asker, host.rules))
        await host.application.orchestrator.decide(deployment_id, self.choice, actor_of(asker), pause=int(number))
        host.live_messages.follow(deployment_id, deployment.environment).notify(urgent=True)
        if self.choice is Choice.GO_ON:
            return _("▶️ `{id}` goes on.", id=deployment_id)
        return _("↩️ `{id}` is rolled back.", id=deployment_id)


class GoOnButton(PauseButton, template=re.escape(GO_ON_PREFIX) + PAUSE_ID):
    """Let a paused deployment go on."""

    prefix = GO_ON_PREFIX
    choice = Choice.GO_ON


class TakeBackButton(PauseButton, template=re.escape(TAKE_BACK_PREFIX) + PAUSE_ID):
    """Roll a paused deployment back."""

    prefix = TAKE_BACK_PREFIX
    choice = Choice.ROLL_BACK


PAUSE_BUTTONS: tuple[type[IdButton], ...] = (GoOnButton, TakeBackButton)
