"""Take a plan from the question to the deployment: the one who asked says yes, then, where it is wanted, a second one.

A plan is used once: the journal takes one deployment per proposal. Between any two clicks the bot may be another one;
everything that was said is read again from the journal.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from bot.errors import (
    FrozenError,
    ImageChangedError,
    ImageNotFoundError,
    InvalidRequestError,
    LockHeldError,
    RoasError,
)
from bot.integration import Application
from bot.log import get_logger
from bot.models.actor import Actor
from bot.models.deployment import Deployment, DeploymentKind, DeploymentRequest
from bot.models.environment import Environment
from bot.models.identifiers import new_id
from bot.models.proposal import WAITING, Proposal, ProposalState
from bot.state.approvals import given_time, is_late
from bot.ui.embeds.approval import what_became_of
from bot.ui.live_messages import LiveMessages
from bot.ui.proposal_telling import PREFIX
from bot.ui.secrets import without_secrets
from bot.ui.telling import APPROVAL
from bot.ui.translation import _
from cogs.arguments import read_environment
from cogs.permissions import (
    Asker,
    Rules,
    approve_refusal,
    approvers_refusal,
    confirm_refusal,
    permit,
    withdraw_refusal,
)

log = get_logger(__name__)

LINK_WITHIN_SECONDS = 5.0
# In English, since it is kept in the journal: everybody reads it there in a language of their own.
CHANGED = "Something changed since the plan was made: an image's tag, a file or the environment's release."
NOT_ENDED = frozenset({*WAITING, ProposalState.CONFIRMED})


class Proposals:
    """Make proposals and take the answers to them; every method raises NotPermittedError for who may not."""

    def __init__(self, application: Application, rules: Rules, live_messages: LiveMessages) -> None:
        self._application = application
        self._state = application.state
        self._rules = rules
        self._live_messages = live_messages

        # One click at a time for each plan: what a second one finds `confirmed` is carried by nobody any more.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def refuse_busy(self, environment: str) -> None:
        """Raise FrozenError or LockHeldError where nothing could be started now."""
        if (freeze := await self._state.freezes.get(environment)) is not None:
            raise FrozenError.of(freeze)
        if (lock := await self._state.locks.get(environment)) is not None:
            raise LockHeldError(lock)

    async def propose(self, request: DeploymentRequest) -> Proposal:
        """Plan what is asked for and write it down, bound to exactly this plan. Raises RoasError."""
        environment = self._environment(request.environment)
        await self.refuse_busy(environment.name)
        if environment.needs_approval:
            permit(approvers_refusal(environment, self._rules))
        plan = await self._application.orchestrator.plan(request)
        now, proposal_id = datetime.now(UTC), new_id(PREFIX.rstrip("-"))
        target = plan.to_release if request.kind is DeploymentKind.ROLLBACK else request.target_release
        request = replace(
            request, plan_digest=plan.digest, interaction_id=proposal_id, target_release=target, approved_by=None
        )
        shown = without_secrets(plan, self._application.redactor.redact)
        proposal = given_time(Proposal(proposal_id, request, shown, now, now))
        await self._state.approvals.add(proposal)
        return proposal

    async def take_up(self) -> None:
        """Carry out what a dead process had begun to: people have said yes, and would wait for it in vain.

        What cannot be started now waits again, as it would have after the click.
        """
        for left in await self._state.approvals.open():
            if left.state is not ProposalState.CONFIRMED:
                continue
            try:
                async with self._turn(left.id):
                    await self._go_on(left.id)
            except RoasError as error:
                log.warning("a plan could not be started", proposal_id=left.id, reason=error.message)
            except Exception:  # one plan must not keep the others from being taken up
                log.exception("a plan could not be started", proposal_id=left.id)

    async def _go_on(self, proposal_id: str) -> None:
        left = await self._state.approvals.get(proposal_id)
        # A click that was under way in this very process may have given it back, or started it, meanwhile.
        if left is None or left.state is not ProposalState.CONFIRMED:
            return
        proposal, said_yes = await self._read(proposal_id), left.decided_by
        if not proposal.waits or said_yes is None:
            return
        approved_by = said_yes if proposal.state is ProposalState.AWAITING else None
        if approved_by is not None and proposal.is_from(approved_by):  # the settings want a second person by now
            return
        await self._carry_out(proposal, said_yes, approved_by=approved_by)

    async def confirm(self, proposal_id: str, asker: Asker, actor: Actor) -> tuple[Proposal, str]:
        """Take the yes of the one who asked; returns how the plan stands now, and what to say."""
        async with self._answering(proposal_id) as proposal:
            environment = self._environment(proposal.environment)
            permit(confirm_refusal(proposal, environment, asker, self._rules))
            if proposal.state is not ProposalState.PLANNED:
                return proposal, await self._explained(proposal)
            if not environment.needs_approval:
                return await self._carry_out(proposal, actor, approved_by=None)
            permit(approvers_refusal(environment, self._rules))
            await self._refuse_changed(proposal, actor)
            done, proposal = await self._move(proposal, ProposalState.AWAITING, actor, [ProposalState.PLANNED])
            if not done:
                return proposal, await self._explained(proposal)
            link = await self._live_messages.link(proposal.id, proposal.environment, within_seconds=LINK_WITHIN_SECONDS)
            return proposal, _("🗳️ A second person has to approve it now: {link}", link=link)

    async def approve(self, proposal_id: str, asker: Asker, actor: Actor) -> str:
        """Take the yes of a second person, and start exactly that; returns what to say."""
        async with self._answering(proposal_id) as proposal:
            permit(approve_refusal(proposal, self._environment(proposal.environment), asker, self._rules))
            if proposal.state is not ProposalState.AWAITING:
                return await self._explained(proposal)
            return (await self._carry_out(proposal, actor, approved_by=actor))[1]

    async def withdraw(self, proposal_id: str, asker: Asker, actor: Actor) -> tuple[Proposal, str]:
        """Let a plan go; returns how it stands now, and what to say."""
        async with self._answering(proposal_id) as proposal:
            permit(withdraw_refusal(proposal, self._environment(proposal.environment), asker, self._rules))
            done, proposal = await self._move(proposal, ProposalState.WITHDRAWN, actor, WAITING)
            if done:
                return proposal, _("🚫 The plan was cancelled; nothing was changed.")
            return proposal, await self._explained(proposal)

    async def _carry_out(self, proposal: Proposal, actor: Actor, *, approved_by: Actor | None) -> tuple[Proposal, str]:
        """Write down that everybody said yes, look whether the plan still holds, and start it, once.

        The yes counts from here on, however long the rest takes. Whatever keeps it from starting gives the plan back,
        unless it is the plan itself that no longer holds.
        """
        before = proposal.state
        done, proposal = await self._move(proposal, ProposalState.CONFIRMED, actor, [before])
        if not done:
            return proposal, await self._explained(proposal)
        try:
            await self._refuse_changed(proposal, actor)
            deployment = await self._start(replace(proposal.request, approved_by=approved_by))
        except ImageChangedError as error:
            await self._move(proposal, ProposalState.VOID, actor, [ProposalState.CONFIRMED], note=error.message)
            raise
        except Exception:
            await self._move(proposal, before, actor, [ProposalState.CONFIRMED])
            raise
        proposal = await self._started(proposal, deployment)
        link = await self._live_messages.link(deployment.id, deployment.environment, within_seconds=LINK_WITHIN_SECONDS)
        return proposal, _("🚀 Started `{id}`. Follow it here: {link}", id=deployment.id, link=link)

    async def _start(self, request: DeploymentRequest) -> Deployment:
        """Start a deployment, or find the one that this proposal has started already."""
        try:
            deployment = await self._application.orchestrator.start(request)
        except InvalidRequestError:
            known = await self._state.deployments.of_interaction(request.interaction_id or "")
            if known is None:
                raise
            return known
        log.info("a deployment was asked for", deployment_id=deployment.id, proposal_id=request.interaction_id)
        return deployment

    async def _refuse_changed(self, proposal: Proposal, actor: Actor) -> None:
        """Plan again and raise ImageChangedError, the plan being void, where the new plan is another one."""
        await self.refuse_busy(proposal.environment)
        try:
            plan = await self._application.orchestrator.plan(proposal.request)
        except (ImageNotFoundError, InvalidRequestError) as error:
            why = error.message
        else:
            if plan.digest == proposal.plan.digest:
                return
            why = CHANGED
        await self._move(proposal, ProposalState.VOID, actor, NOT_ENDED, note=why)
        raise ImageChangedError(why, hint=_("The plan is void. Ask again for a new plan."))

    @asynccontextmanager
    async def _answering(self, proposal_id: str) -> AsyncIterator[Proposal]:
        """Hold a proposal while somebody's answer to it is dealt with, and read it as it stands then."""
        async with self._turn(proposal_id):
            yield await self._read(proposal_id)

    def _turn(self, proposal_id: str) -> asyncio.Lock:
        return self._turns.setdefault(proposal_id, asyncio.Lock())

    async def _read(self, proposal_id: str) -> Proposal:
        """Return a proposal as it stands: what a dead process had begun to start was started, or waits again."""
        proposal = await self._state.approvals.get(proposal_id)
        if proposal is None:
            raise InvalidRequestError(
                _("The journal knows no plan {id} any more.", id=proposal_id), hint=_("Ask again for a new plan.")
            )
        if proposal.ended:
            return proposal
        known = await self._state.deployments.of_interaction(proposal.id)
        if known is not None:
            return await self._started(proposal, known)
        if proposal.state is ProposalState.CONFIRMED:
            environment = self._application.environments.get(proposal.environment)
            alone = environment is not None and not environment.needs_approval
            before = ProposalState.PLANNED if alone else ProposalState.AWAITING
            proposal = (await self._move(proposal, before, None, [ProposalState.CONFIRMED]))[1]
        if is_late(proposal):
            proposal = (await self._move(proposal, ProposalState.EXPIRED, None, []))[1]
        return proposal

    async def _started(self, proposal: Proposal, deployment: Deployment) -> Proposal:
        request = deployment.request
        by = request.approved_by or request.requested_by
        return (await self._move(proposal, ProposalState.STARTED, by, NOT_ENDED, deployment_id=deployment.id))[1]

    async def _move(
        self,
        proposal: Proposal,
        to: ProposalState,
        actor: Actor | None,
        from_states: Iterable[ProposalState],
        *,
        deployment_id: str | None = None,
        note: str = "",
    ) -> tuple[bool, Proposal]:
        """Write an answer, and let the channel show it where the channel knows of the plan."""
        done, known = await self._state.approvals.move(
            proposal.id, to, actor, from_states=from_states, deployment_id=deployment_id, note=note
        )
        known = known or proposal
        if known.state is ProposalState.AWAITING or await self._state.posts.get(known.id, APPROVAL) is not None:
            self._live_messages.follow(known.id, known.environment).notify(urgent=True)
        return done, known

    async def _explained(self, proposal: Proposal) -> str:
        """Say kindly what became of a plan whose button is pressed (again)."""
        words = what_became_of(without_secrets(proposal, self._application.redactor.redact))
        if proposal.deployment_id is not None:
            words += "\n" + await self._live_messages.known_link(proposal.deployment_id, proposal.environment)
        return words

    def _environment(self, name: str) -> Environment:
        return read_environment(name, self._application.environments)
