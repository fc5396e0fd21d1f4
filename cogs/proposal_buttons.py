"""The buttons of a proposal: deploy, later, skip. They hold a candidate's id only; the rest is read on the click."""

import re
from dataclasses import replace
from typing import Any

import discord

from roas.candidates.coordinator import request_for
from roas.cogs.answers import acknowledge, answer
from roas.cogs.hosts import DeploymentHost, deployment_host
from roas.cogs.ops_cog import actor_of
from roas.cogs.permissions import Action, asker_of, permit, refusal
from roas.cogs.plan_buttons import IdButton
from roas.errors import ImageChangedError
from roas.models.candidate import Candidate, CandidateState
from roas.models.deployment import DeploymentKind
from roas.ui.drawing import one_line
from roas.ui.embeds.proposal import LATER_PREFIX, SKIP_PREFIX, TAKE_PREFIX
from roas.ui.translation import _, using_locale

CANDIDATE_ID = r"(?P<id>CAND-[0-9A-Z]{26})"
REASON_LENGTH = 300


class TakeButton(IdButton, template=re.escape(TAKE_PREFIX) + CANDIDATE_ID):
    """Say yes to what the message shows: as `/deploy` and its confirmation, in one click."""

    prefix = TAKE_PREFIX

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Plan once more, and start exactly what was shown, or ask the second person."""
        host = deployment_host(interaction.client)
        if host is None or not await acknowledge(interaction):
            return
        async with host.answering(interaction):
            await answer(interaction, await self._take(host, interaction))

    async def _take(self, host: DeploymentHost, interaction: discord.Interaction[Any]) -> str:
        candidates = host.application.candidates
        candidate = await candidates.answerable(self.subject)
        asker, environment = asker_of(interaction), host.environment(candidate.environment)
        permit(refusal(Action.DEPLOY, environment, asker, host.rules))
        asked = host.request(interaction, environment, DeploymentKind.DEPLOY)
        request = replace(request_for(candidate, actor_of(asker)), interaction_id=asked.interaction_id)
        plan_record = await host.plan_approvals.create_plan(request)
        if candidate.plan is None or plan_record.plan.digest != candidate.plan.digest:
            await host.plan_approvals.withdraw(plan_record.id, asker, actor_of(asker))
            await candidates.show_plan(candidate, plan_record.plan)
            raise ImageChangedError(
                _("Something changed since this was proposed: an image's tag, a file or the environment's release."),
                hint=_("The message shows the new plan. Look at it, then press Deploy again."),
            )
        await candidates.answer(candidate, CandidateState.CONFIRMED, actor_of(asker), plan_id=plan_record.id, note="")
        try:
            return (await host.plan_approvals.confirm(plan_record.id, asker, actor_of(asker)))[1]
        finally:
            candidates.notify()


class LaterButton(IdButton, template=re.escape(LATER_PREFIX) + CANDIDATE_ID):
    """Put a candidate off: its message stays, and is quiet."""

    prefix = LATER_PREFIX

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Write the answer."""
        host = deployment_host(interaction.client)
        if host is None or not await acknowledge(interaction):
            return
        async with host.answering(interaction):
            candidate = await decided(host, interaction, self.subject, CandidateState.LATER)
            await answer(
                interaction, _("💤 {version} waits here until somebody deploys it.", version=candidate.version)
            )


class SkipButton(IdButton, template=re.escape(SKIP_PREFIX) + CANDIDATE_ID):
    """Skip a version, and say why."""

    prefix = SKIP_PREFIX

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Ask why; nothing is decided before that is sent."""
        if deployment_host(interaction.client) is not None:
            with using_locale(interaction.locale):
                await interaction.response.send_modal(SkipModal(self.subject))


class SkipModal(discord.ui.Modal):
    """Ask why a version is skipped."""

    def __init__(self, candidate_id: str) -> None:
        super().__init__(title=_("Skip this version"), custom_id=f"roas:skip-why:{candidate_id}")
        self._candidate_id = candidate_id
        self.reason: discord.ui.TextInput[SkipModal] = discord.ui.TextInput(
            label=_("Why"), custom_id="reason", required=False, max_length=REASON_LENGTH
        )
        self.add_item(self.reason)

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Write the answer."""
        host = deployment_host(interaction.client)
        if host is None or not await acknowledge(interaction):
            return
        async with host.answering(interaction):
            reason = one_line(self.reason.value, REASON_LENGTH) if self.reason.value else ""
            candidate = await decided(host, interaction, self._candidate_id, CandidateState.SKIPPED, note=reason)
            text = _("⏭️ {version} is skipped: it is not proposed again.", version=candidate.version)
            await answer(interaction, text)


async def decided(
    host: DeploymentHost, interaction: discord.Interaction[Any], candidate_id: str, to: CandidateState, **changes: Any
) -> Candidate:
    """Write an answer, for those who may deploy there. Raises NotPermittedError, InvalidRequestError."""
    candidates, asker = host.application.candidates, asker_of(interaction)
    candidate = await candidates.answerable(candidate_id)
    permit(refusal(Action.DEPLOY, host.environment(candidate.environment), asker, host.rules))
    return await candidates.answer(candidate, to, actor_of(asker), **changes)


PROPOSAL_BUTTONS: tuple[type[IdButton], ...] = (TakeButton, LaterButton, SkipButton)
