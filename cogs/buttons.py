"""The buttons of plans, deployments, pauses and proposals.

A button holds an id only. Who may press it, and what it leads to, is read on the click, by whichever bot leads then.
"""

import re
from dataclasses import replace
from typing import Any, ClassVar, Self

import discord

from roas.candidates.coordinator import request_for
from roas.cogs.answers import acknowledge, acknowledge_update, answer, answer_beside, answer_first, ask
from roas.cogs.arguments import REASON_LENGTH, read_reason
from roas.cogs.channel_plans import ChannelPlans
from roas.cogs.command_sync import CogName
from roas.cogs.ops_cog import Interaction, actor_of, leading_cog
from roas.cogs.permissions import Action, Asker, asker_of, cancel_refusal, permit, refusal
from roas.cogs.planning_cog import PlanningCog
from roas.errors import SEE_STATUS, UNDO, ImageChangedError, InvalidRequestError, RefMovedError, RoasError
from roas.messages.message import said
from roas.models.candidate import Candidate, CandidateState
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome
from roas.models.plan import PlanRecord, PlanState
from roas.models.rollout import Choice
from roas.ui.drawing import Drawing
from roas.ui.embeds.live import CANCEL_PREFIX
from roas.ui.embeds.outcome import (
    GO_ON_PREFIX,
    OBSERVE_PREFIX,
    PROMOTE_PREFIX,
    ROLLBACK_DATA_PREFIX,
    ROLLBACK_PREFIX,
    TAKE_BACK_PREFIX,
)
from roas.ui.embeds.plan import APPROVE_PREFIX, CONFIRM_PREFIX, WITHDRAW_PREFIX, draw_confirmation
from roas.ui.embeds.proposal import LATER_PREFIX, SKIP_PREFIX, TAKE_PREFIX
from roas.ui.formatting import release
from roas.ui.translation import _

PLAN_ID = r"(?P<id>PLAN-[0-9A-Z]{26})"
DEPLOYMENT_ID = r"(?P<id>[A-Z]{1,16}-[0-9A-Z]{26})"
# A deployment, and which of its pauses.
PAUSE_ID = r"(?P<id>[A-Z]{1,16}-[0-9A-Z]{26}:[0-9]{1,6})"
CANDIDATE_ID = r"(?P<id>CAND-[0-9A-Z]{26})"
# The ids of forms: the id of what they are about follows.
CANCEL_FORM = "roas:cancel-why:"
SKIP_FORM = "roas:skip-why:"
TAKE_BACK_FORM = "roas:take-back-why:"


class IdButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"roas:none"):
    """Hold an id; the button is read from it after any restart."""

    prefix: ClassVar[str] = ""

    def __init__(self, subject: str) -> None:
        super().__init__(discord.ui.Button(custom_id=f"{self.prefix}{subject}"))
        self.subject = subject

    @classmethod
    async def from_custom_id(
        cls, _interaction: Interaction, _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the button from its custom id."""
        return cls(match["id"])

    async def callback(self, interaction: Interaction) -> None:
        """Acknowledge the click, do what it says, and answer."""
        cog = planning_cog(interaction)
        if cog is not None and await acknowledge(interaction):
            async with cog.answering(interaction):
                await self._click(cog, interaction)

    async def _click(self, cog: PlanningCog, interaction: Interaction) -> None:
        """Do what the button says, for those who may, and answer. Raises NotPermittedError, InvalidRequestError."""
        raise NotImplementedError


def planning_cog(interaction: Interaction) -> PlanningCog | None:
    """Return what plans and deploys; None where this bot does not, or does not lead."""
    cog: PlanningCog | None = leading_cog(interaction.client, CogName.DEPLOYMENT)
    return cog


async def _find_deployment(cog: PlanningCog, deployment_id: str) -> Deployment:
    deployment = await cog.application.state.deployments.get(deployment_id)
    if deployment is None:
        raise InvalidRequestError(
            said("There is no deployment {deployment_id}.", deployment_id=deployment_id),
            hint=SEE_STATUS,
        )
    return deployment


class FormButton(IdButton, template=r"roas:none"):
    """Ask why, those who may; nothing is decided before that is sent."""

    form: ClassVar[str]

    async def callback(self, interaction: Interaction) -> None:
        """Open the form, or say why not."""
        cog = planning_cog(interaction)
        if cog is not None:
            async with cog.answering(interaction, answer_first):
                title = await self._title(cog, interaction)
                await ask(interaction, reason_form(f"{self.form}{self.subject}", title))

    async def _title(self, cog: PlanningCog, interaction: Interaction) -> str:
        """Return what the form is about, to those who may. Raises NotPermittedError, InvalidRequestError."""
        raise NotImplementedError

    async def submit(self, cog: PlanningCog, interaction: Interaction, reason: str) -> None:
        """Do what was asked for, and answer. Raises NotPermittedError, InvalidRequestError."""
        raise NotImplementedError


def reason_form(
    custom_id: str, title: str, *inputs: discord.ui.TextInput[Any], needed: bool = False
) -> discord.ui.Modal:
    """Return a form that asks why, and whatever else."""
    form = discord.ui.Modal(title=title, custom_id=custom_id)
    why: discord.ui.TextInput[Any] = discord.ui.TextInput(
        label=_("Why"), custom_id="reason", required=needed, max_length=REASON_LENGTH
    )
    for item in (*inputs, why):
        form.add_item(item)
    return form


def _sent(interaction: Interaction) -> dict[str, Any]:
    data: Any = interaction.data
    return dict(data or {})


def form_id(interaction: Interaction) -> str:
    """Return which form was sent."""
    return str(_sent(interaction).get("custom_id", ""))


def filled_in(interaction: Interaction) -> dict[str, str]:
    """Return what somebody has sent with a form, by the ids of its inputs."""
    rows = _sent(interaction).get("components", [])
    inputs = [item for row in rows for item in (*row.get("components", ()), row.get("component", {}))]
    return {item["custom_id"]: item["value"] for item in inputs if "value" in item}


async def form_submitted(interaction: Interaction) -> None:
    """Take the form of a button, whichever bot has opened it."""
    custom_id = form_id(interaction)
    kind = next((kind for kind in FORMS if custom_id.startswith(kind.form)), None)
    cog = planning_cog(interaction)
    if kind is None or cog is None or not await acknowledge(interaction):
        return
    async with cog.answering(interaction):
        button = kind(custom_id.removeprefix(kind.form))
        await button.submit(cog, interaction, read_reason(filled_in(interaction).get("reason")))


class CancelButton(FormButton, template=re.escape(CANCEL_PREFIX) + DEPLOYMENT_ID):
    """Ask a deployment to stop at its next safe point."""

    prefix, form = CANCEL_PREFIX, CANCEL_FORM

    async def _title(self, cog: PlanningCog, interaction: Interaction) -> str:
        await _find_cancellable(cog, interaction, self.subject)
        return _("Cancel the deployment")

    async def submit(self, cog: PlanningCog, interaction: Interaction, reason: str) -> None:
        """Ask it to stop."""
        await answer(interaction, await cancel(cog, interaction, self.subject, reason))


async def _find_cancellable(cog: PlanningCog, interaction: Interaction, deployment_id: str) -> Deployment:
    """Return a deployment, to those who may cancel it. Raises NotPermittedError, InvalidRequestError."""
    deployment, asker = await _find_deployment(cog, deployment_id), asker_of(interaction)
    environment = cog.environment(deployment.environment)
    permit(cancel_refusal(deployment.request.kind, environment, asker, cog.rules))
    if deployment.finished:
        raise InvalidRequestError(
            _("`{id}` has ended already; there is nothing left to cancel.", id=deployment_id),
            hint=UNDO,
        )
    return deployment


async def cancel(cog: PlanningCog, interaction: Interaction, deployment_id: str, reason: str) -> str:
    """Ask a deployment to stop, for those who may; returns what to say. Raises NotPermittedError."""
    deployment = await _find_cancellable(cog, interaction, deployment_id)
    await cog.application.orchestrator.cancel(deployment_id, actor_of(asker_of(interaction)), reason)
    cog.live_messages.follow(deployment_id, deployment.environment).notify(urgent=True)
    return _("🚫 `{id}` was asked to stop. It does so at the next safe point.", id=deployment_id)


class ResumeButton(IdButton, template=re.escape(GO_ON_PREFIX) + PAUSE_ID):
    """Resume a deployment from one of its pauses; a later one has buttons of its own."""

    prefix = GO_ON_PREFIX

    async def _click(self, cog: PlanningCog, interaction: Interaction) -> None:
        await answer(
            interaction, _("▶️ `{id}` resumes.", id=await _decide(cog, interaction, self.subject, Choice.GO_ON))
        )


class ObserveButton(IdButton, template=re.escape(OBSERVE_PREFIX) + PAUSE_ID):
    """Observe a canary for as long again before anybody is asked."""

    prefix = OBSERVE_PREFIX

    async def _click(self, cog: PlanningCog, interaction: Interaction) -> None:
        observed = await _decide(cog, interaction, self.subject, Choice.OBSERVE)
        await answer(interaction, _("⏸️ The canary of `{id}` is observed for as long again.", id=observed))


class TakeBackButton(FormButton, template=re.escape(TAKE_BACK_PREFIX) + PAUSE_ID):
    """Roll a deployment back from one of its pauses, and say why."""

    prefix, form = TAKE_BACK_PREFIX, TAKE_BACK_FORM

    async def _title(self, cog: PlanningCog, interaction: Interaction) -> str:
        await _find_pausing(cog, interaction, self.subject)
        return _("Roll the deployment back")

    async def submit(self, cog: PlanningCog, interaction: Interaction, reason: str) -> None:
        """Write that it is to go back."""
        rolled_back = await _decide(cog, interaction, self.subject, Choice.ROLL_BACK, reason)
        await answer(interaction, _("↩️ `{id}` is rolled back.", id=rolled_back))


async def _find_pausing(cog: PlanningCog, interaction: Interaction, subject: str) -> Deployment:
    """Return the deployment of a pause, to those who may decide on it. Raises NotPermittedError."""
    deployment = await _find_deployment(cog, subject.partition(":")[0])
    environment = cog.environment(deployment.environment)
    permit(cancel_refusal(deployment.request.kind, environment, asker_of(interaction), cog.rules))
    return deployment


async def _decide(cog: PlanningCog, interaction: Interaction, subject: str, choice: Choice, reason: str = "") -> str:
    """Write what becomes of a pause, for those who may; returns the deployment. Raises NotPermittedError."""
    deployment, actor = await _find_pausing(cog, interaction, subject), actor_of(asker_of(interaction))
    number = int(subject.partition(":")[2])
    await cog.application.orchestrator.decide(deployment.id, choice, actor, reason, pause=number)
    cog.live_messages.follow(deployment.id, deployment.environment).notify(urgent=True)
    return deployment.id


class PlanButton(IdButton, template=r"roas:none"):
    """Answer on the plan itself where only its reader sees it, and beside it where everybody does."""

    async def callback(self, interaction: Interaction) -> None:
        """Process the answer to a plan."""
        cog = planning_cog(interaction)
        private = interaction.message is not None and interaction.message.flags.ephemeral
        if cog is None or not await (acknowledge_update if private else acknowledge)(interaction):
            return
        async with cog.answering(interaction, answer_beside if private else answer):
            plan_record, text = await self._decide(cog.channel_plans, asker_of(interaction))
            if private:
                asks = plan_record.state is PlanState.PLANNED
                shown = draw_confirmation(plan_record) if asks else Drawing(plan_record.id, ())
                await answer(interaction, drawing=replace(shown, content=text))
            else:
                await answer(interaction, text)

    async def _decide(self, channel_plans: ChannelPlans, asker: Asker) -> tuple[PlanRecord, str]:
        """Return the current state of the plan, and the answer."""
        raise NotImplementedError


class ConfirmButton(PlanButton, template=re.escape(CONFIRM_PREFIX) + PLAN_ID):
    """Confirm one's own plan: start it, or ask for an approval."""

    prefix = CONFIRM_PREFIX

    async def _decide(self, channel_plans: ChannelPlans, asker: Asker) -> tuple[PlanRecord, str]:
        return await channel_plans.confirm(self.subject, asker, actor_of(asker))


class WithdrawButton(PlanButton, template=re.escape(WITHDRAW_PREFIX) + PLAN_ID):
    """Cancel a plan."""

    prefix = WITHDRAW_PREFIX

    async def _decide(self, channel_plans: ChannelPlans, asker: Asker) -> tuple[PlanRecord, str]:
        return await channel_plans.withdraw(self.subject, asker, actor_of(asker))


class ApproveButton(IdButton, template=re.escape(APPROVE_PREFIX) + PLAN_ID):
    """Approve another member's plan: start exactly what was drafted."""

    prefix = APPROVE_PREFIX

    async def _click(self, cog: PlanningCog, interaction: Interaction) -> None:
        asker = asker_of(interaction)
        await answer(interaction, await cog.channel_plans.approve(self.subject, asker, actor_of(asker)))


class RollbackButton(IdButton, template=re.escape(ROLLBACK_PREFIX) + DEPLOYMENT_ID):
    """Go back to where a deployment came from; the plan is shown first, as for `/rollback`."""

    prefix = ROLLBACK_PREFIX
    outcomes: ClassVar[frozenset[Outcome | None]] = frozenset({Outcome.SUCCEEDED, Outcome.FAILED})

    async def _click(self, cog: PlanningCog, interaction: Interaction) -> None:
        await cog.show_plan(interaction, await self._request(cog, interaction))

    async def _request(self, cog: PlanningCog, interaction: Interaction) -> DeploymentRequest:
        deployment = await _find_deployment(cog, self.subject)
        target = cog.environment(deployment.environment)
        request = cog.request(interaction, target, DeploymentKind.ROLLBACK)
        current = await cog.application.state.releases.current(target.name)
        number = current.number if current else None
        left = deployment.to_release if deployment.outcome is Outcome.SUCCEEDED else deployment.from_release
        if deployment.outcome not in self.outcomes or number != left:
            raise InvalidRequestError(
                _(
                    "{environment} is on another release since {id}: {release}.",
                    environment=target.name,
                    id=deployment.id,
                    release=release(number),
                ),
                hint=_("Use /rollback and choose where to go back to."),
            )
        reason = _("undo {id}", id=deployment.id)
        return replace(request, target_release=deployment.from_release, reason=reason)


class RollbackDataButton(RollbackButton, template=re.escape(ROLLBACK_DATA_PREFIX) + DEPLOYMENT_ID):
    """Go back to where a deployment came from, with the data that was backed up before it."""

    prefix = ROLLBACK_DATA_PREFIX
    outcomes = frozenset(Outcome)

    async def _request(self, cog: PlanningCog, interaction: Interaction) -> DeploymentRequest:
        request = await super()._request(cog, interaction)
        deployment = await _find_deployment(cog, self.subject)
        return replace(request, data=deployment.backups)


class PromoteButton(IdButton, template=re.escape(PROMOTE_PREFIX) + DEPLOYMENT_ID):
    """Promote the release of a deployment to the environment that is next; the plan is shown first."""

    prefix = PROMOTE_PREFIX

    async def _click(self, cog: PlanningCog, interaction: Interaction) -> None:
        deployment = await _find_deployment(cog, self.subject)
        source, target = cog.environment(deployment.environment), cog.environment(deployment.promotes_to)
        request = cog.promotion(interaction, source, target)
        await cog.show_plan(interaction, replace(request, promoted_release=deployment.to_release))


class TakeButton(IdButton, template=re.escape(TAKE_PREFIX) + CANDIDATE_ID):
    """Say yes to what the message shows: as `/deploy` and its confirmation, in one click."""

    prefix = TAKE_PREFIX

    async def _click(self, cog: PlanningCog, interaction: Interaction) -> None:
        """Plan once more, and start exactly what was shown, or ask the second person."""
        candidates = cog.application.candidates
        candidate = await _answerable(cog, interaction, self.subject)
        asker, environment = asker_of(interaction), cog.environment(candidate.environment)
        asked = cog.request(interaction, environment, DeploymentKind.DEPLOY)
        request = replace(request_for(candidate, actor_of(asker)), interaction_id=asked.interaction_id)
        try:
            plan_record = await cog.channel_plans.create_plan(request)
        except RefMovedError:
            candidates.sweep_soon()
            raise
        if candidate.plan is None or plan_record.plan.digest != candidate.plan.digest:
            await cog.channel_plans.withdraw(plan_record.id, asker, actor_of(asker))
            await candidates.show_plan(candidate, plan_record.plan)
            raise ImageChangedError(
                _(
                    "Something changed since this was proposed: an image's tag, a file, a setting of the bot or the "
                    "environment's release."
                ),
                hint=_("The message shows the plan as it is now. Look at it, then press Deploy again."),
            )
        await candidates.answer(candidate, CandidateState.CONFIRMED, actor_of(asker), plan_id=plan_record.id, note="")
        try:
            await answer(interaction, (await cog.channel_plans.confirm(plan_record.id, asker, actor_of(asker)))[1])
        except RoasError:
            await candidates.take_back(candidate)
            raise
        finally:
            candidates.notify()


class LaterButton(IdButton, template=re.escape(LATER_PREFIX) + CANDIDATE_ID):
    """Put a candidate off: its message stays, and is quiet."""

    prefix = LATER_PREFIX

    async def _click(self, cog: PlanningCog, interaction: Interaction) -> None:
        candidate = await _decided(cog, interaction, self.subject, CandidateState.LATER)
        await answer(interaction, _("💤 {version} waits here until somebody deploys it.", version=candidate.version))


class SkipButton(FormButton, template=re.escape(SKIP_PREFIX) + CANDIDATE_ID):
    """Skip a version, and say why."""

    prefix, form = SKIP_PREFIX, SKIP_FORM

    async def _title(self, cog: PlanningCog, interaction: Interaction) -> str:
        await _answerable(cog, interaction, self.subject)
        return _("Skip this version")

    async def submit(self, cog: PlanningCog, interaction: Interaction, reason: str) -> None:
        """Write that it is not wanted."""
        candidate = await _decided(cog, interaction, self.subject, CandidateState.SKIPPED, note=reason)
        text = _("⏭️ {version} is skipped: it is not proposed again.", version=candidate.version)
        await answer(interaction, text)


async def _answerable(cog: PlanningCog, interaction: Interaction, candidate_id: str) -> Candidate:
    """Return what waits for an answer, to those who may deploy there. Raises NotPermittedError, InvalidRequestError."""
    candidate = await cog.application.candidates.answerable(candidate_id)
    permit(refusal(Action.DEPLOY, cog.environment(candidate.environment), asker_of(interaction), cog.rules))
    return candidate


async def _decided(
    cog: PlanningCog, interaction: Interaction, candidate_id: str, to: CandidateState, **changes: Any
) -> Candidate:
    """Write an answer, for those who may deploy there. Raises NotPermittedError, InvalidRequestError."""
    candidate = await _answerable(cog, interaction, candidate_id)
    return await cog.application.candidates.answer(candidate, to, actor_of(asker_of(interaction)), **changes)


FORMS: tuple[type[FormButton], ...] = (CancelButton, SkipButton, TakeBackButton)


BUTTONS: tuple[type[IdButton], ...] = (
    CancelButton,
    ResumeButton,
    ObserveButton,
    TakeBackButton,
    ConfirmButton,
    WithdrawButton,
    ApproveButton,
    RollbackButton,
    RollbackDataButton,
    PromoteButton,
    TakeButton,
    LaterButton,
    SkipButton,
)
