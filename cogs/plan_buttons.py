"""The buttons of a plan: confirm, approve, cancel. They hold an id only; permission is checked on the click."""

import re
from dataclasses import replace
from typing import Any, ClassVar, Self

import discord

from roas.cogs.answers import acknowledge, acknowledge_update, answer, answer_beside
from roas.cogs.hosts import DeploymentHost, deployment_host
from roas.cogs.ops_cog import actor_of
from roas.cogs.permissions import Asker, asker_of
from roas.cogs.plan_approvals import PlanApprovals
from roas.errors import InvalidRequestError
from roas.models.deployment import DeploymentKind, DeploymentRequest, Outcome
from roas.models.plan import PlanRecord
from roas.ui.embeds.outcome import ROLLBACK_PREFIX
from roas.ui.embeds.plan import APPROVE_PREFIX, CONFIRM_PREFIX, WITHDRAW_PREFIX, draw_plan_message
from roas.ui.formatting import release
from roas.ui.translation import _

PLAN_ID = r"(?P<id>PLAN-[0-9A-Z]{26})"
DEPLOYMENT_ID = r"(?P<id>[A-Z]{1,16}-[0-9A-Z]{26})"


class IdButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"roas:none"):
    """Hold an id; the button is read from it after any restart."""

    prefix: ClassVar[str] = ""

    def __init__(self, subject: str) -> None:
        super().__init__(discord.ui.Button(custom_id=f"{self.prefix}{subject}"))
        self.subject = subject

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the button from its custom id."""
        return cls(match["id"])


class PlanButton(IdButton, template=r"roas:none"):
    """Answer on the plan itself where only its reader sees it, and beside it where everybody does."""

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Process the answer to a plan."""
        host = deployment_host(interaction.client)
        private = interaction.message is not None and interaction.message.flags.ephemeral
        if host is None or not await (acknowledge_update if private else acknowledge)(interaction):
            return
        async with host.answering(interaction, answer_beside if private else answer):
            plan_record, text = await self._decide(host.plan_approvals, asker_of(interaction))
            if private:
                await answer(interaction, drawing=draw_plan_message(plan_record.plan, text))
            else:
                await answer(interaction, text)

    async def _decide(self, plan_approvals: PlanApprovals, asker: Asker) -> tuple[PlanRecord, str]:
        """Return the current state of the plan, and the answer."""
        raise NotImplementedError


class ConfirmButton(PlanButton, template=re.escape(CONFIRM_PREFIX) + PLAN_ID):
    """Confirm one's own plan: start it, or ask for an approval."""

    prefix = CONFIRM_PREFIX

    async def _decide(self, plan_approvals: PlanApprovals, asker: Asker) -> tuple[PlanRecord, str]:
        return await plan_approvals.confirm(self.subject, asker, actor_of(asker))


class WithdrawButton(PlanButton, template=re.escape(WITHDRAW_PREFIX) + PLAN_ID):
    """Cancel a plan."""

    prefix = WITHDRAW_PREFIX

    async def _decide(self, plan_approvals: PlanApprovals, asker: Asker) -> tuple[PlanRecord, str]:
        return await plan_approvals.withdraw(self.subject, asker, actor_of(asker))


class ApproveButton(IdButton, template=re.escape(APPROVE_PREFIX) + PLAN_ID):
    """Approve another member's plan."""

    prefix = APPROVE_PREFIX

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Start exactly what was planned."""
        host = deployment_host(interaction.client)
        if host is None or not await acknowledge(interaction):
            return
        async with host.answering(interaction):
            asker = asker_of(interaction)
            await answer(interaction, await host.plan_approvals.approve(self.subject, asker, actor_of(asker)))


class RollbackButton(IdButton, template=re.escape(ROLLBACK_PREFIX) + DEPLOYMENT_ID):
    """Go back to where a deployment came from; the plan is shown first, as for `/rollback`."""

    prefix = ROLLBACK_PREFIX

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the plan of the way back."""
        host = deployment_host(interaction.client)
        if host is None or not await acknowledge(interaction):
            return
        async with host.answering(interaction):
            await host.show_plan(interaction, await self._request(host, interaction))

    async def _request(self, host: DeploymentHost, interaction: discord.Interaction[Any]) -> DeploymentRequest:
        deployment = await host.application.state.deployments.get(self.subject)
        if deployment is None:
            raise InvalidRequestError(_("There is no deployment {id}.", id=self.subject))
        target = host.environment(deployment.environment)
        request = host.request(interaction, target, DeploymentKind.ROLLBACK)
        current = await host.application.state.releases.current(target.name)
        number = current.number if current else None
        left = deployment.to_release if deployment.outcome is Outcome.SUCCEEDED else deployment.from_release
        if deployment.outcome not in {Outcome.SUCCEEDED, Outcome.FAILED} or number != left:
            raise InvalidRequestError(
                _(
                    "{environment} is on {current} by now, not on {old} any more.",
                    environment=target.name,
                    current=release(number),
                    old=release(left),
                ),
                hint=_("Use /rollback and choose where to go back to."),
            )
        reason = _("undo {id}", id=deployment.id)
        return replace(request, target_release=deployment.from_release, reason=reason)


BUTTONS: tuple[type[IdButton], ...] = (ConfirmButton, WithdrawButton, ApproveButton, RollbackButton)
