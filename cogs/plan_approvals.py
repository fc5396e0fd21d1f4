"""Take a plan from the request to the deployment: its requester confirms, then a second person approves if needed.

A confirmed plan is started. Where it needs an approval, the deployment waits for that once it is drafted. A plan is
used once: the journal takes one deployment per plan. Between any two clicks the bot may be another one; every answer is
read again from the journal.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from roas.app.application import Application
from roas.cogs.arguments import read_environment
from roas.cogs.permissions import (
    Asker,
    Rules,
    approve_refusal,
    approvers_refusal,
    confirm_refusal,
    permit,
    withdraw_refusal,
)
from roas.deploy.kept_plans import ASK_AGAIN
from roas.deploy.new_powers import refuse_ungranted
from roas.errors import ImageChangedError, InvalidRequestError, RoasError, refuse_missing
from roas.log import get_logger
from roas.messages.message import said
from roas.models.actor import Actor
from roas.models.change import new_id
from roas.models.deployment import NOTHING_YET, Deployment, DeploymentKind, DeploymentRequest
from roas.models.environment import Environment
from roas.models.gate import Gate, judge_request
from roas.models.plan import WAITING, PlanRecord, PlanState
from roas.stack.policy.refusal import refuse_unreadable
from roas.starting_times import starting_time
from roas.state.deployments.locks import FrozenError, LockHeldError
from roas.state.deployments.plans_and_drafts import is_expired, with_expiry
from roas.ui.drawing import lines, one_line
from roas.ui.embeds.plan import describe_outcome
from roas.ui.formatting import begins
from roas.ui.notifications.deployment_notifier import PLAN_SUBJECTS
from roas.ui.notifications.live_messages import LiveMessages
from roas.ui.notifications.notifier import APPROVAL
from roas.ui.redacted import without_secrets
from roas.ui.translation import _

log = get_logger(__name__)

LINK_WITHIN_SECONDS = 5.0

NO_APPROVER = said("No approver is configured: the one who asked gave the new powers.")
BEFORE_DRAFTS = said("This version of the bot prepares what is approved before it asks.")
# Before a deployment of it is known.
UNSTARTED = frozenset({PlanState.PLANNED, PlanState.CONFIRMED})


class PlanApprovals:
    """Create plans and process the answers; every method raises NotPermittedError for members without permission."""

    def __init__(self, application: Application, rules: Rules, live_messages: LiveMessages) -> None:
        self._application = application
        self._state = application.state
        self._rules = rules
        self._live_messages = live_messages

        # Plans of which the one who asked was told the new powers: their next click gives them.
        self._named: set[str] = set()
        # One click at a time for each plan: a plan that is found `confirmed` was then left by a dead process.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def require_idle(self, request: DeploymentRequest) -> None:
        """Raise FrozenError or LockHeldError where a request could not be started now."""
        await self._require_thawed(request)
        if (lock := await self._state.deployments.in_the_way(request.environment, request.kind)) is not None:
            raise LockHeldError(lock)

    async def _require_thawed(self, request: DeploymentRequest) -> None:
        if (freeze := await self._state.freezes.get(request.environment)) is not None:
            judgement = judge_request(request, {Gate.FREEZE})
            if not judgement.may_begin:
                raise FrozenError.of(freeze, judgement)

    async def create_plan(self, request: DeploymentRequest) -> PlanRecord:
        """Plan a request and save it, bound to exactly this plan. Raises RoasError."""
        environment, asked = self._environment(request.environment), request
        if request.kind is DeploymentKind.DEPLOY and request.operation is None:
            request = replace(request, starts_at=starting_time(environment, request.starts_at))
        if request.starts_at is None or environment.needs_approval:
            await self.require_idle(request)
        elif asked.starts_at is None:  # only who chooses a time may mean one after the freeze
            await self._require_thawed(asked)
        if environment.needs_approval:
            permit(approvers_refusal(environment, self._rules))
        plan = await self._application.orchestrator.plan(request)
        if request.kind is DeploymentKind.HOTFIX:
            refuse_ungranted(request, plan, has_approvers=bool(self._rules.approvers))
        now, plan_id = datetime.now(UTC), new_id(PLAN_SUBJECTS.rstrip("-"))
        target = plan.to_release if request.kind is DeploymentKind.ROLLBACK else request.target_release
        request = replace(plan.bind(request), interaction_id=plan_id, target_release=target, approved_by=None)
        # Without approvers, the one who asked gives them by a second click; else a second person does, by the draft.
        request = replace(request, granted=() if self._rules.approvers else plan.new_powers)
        shown = without_secrets(plan, self._application.redactor.redact)
        plan_record = with_expiry(PlanRecord(plan_id, request, shown, now, now))
        await self._state.approvals.add(plan_record)
        return plan_record

    async def resume(self) -> None:
        """Start what a dead process had begun to start: the plan is confirmed, and people wait for it.

        What cannot be started now waits again, as it would have after the click. What a release before asked an
        approval for is void: nothing of it is drafted.
        """
        for left in await self._state.approvals.open():
            try:
                async with self._lock(left.id):
                    if left.state is PlanState.AWAITING:
                        await self._move(left, PlanState.VOID, None, [PlanState.AWAITING], note=BEFORE_DRAFTS)
                    elif left.state is PlanState.CONFIRMED and left.deployment_id is None:
                        await self._resume_plan(left.id)
            except RoasError as error:
                log.warning("a plan could not be started", plan_id=left.id, error=error.message)
            except Exception:  # one plan must not keep the others from being resumed
                log.exception("a plan could not be started", plan_id=left.id)

    async def _resume_plan(self, plan_id: str) -> None:
        left = await self._state.approvals.get(plan_id)
        # A click that was under way in this very process may have given it back, or started it, meanwhile.
        if left is None or left.state is not PlanState.CONFIRMED:
            return
        plan_record, confirmed_by = await self._read(plan_id), left.decided_by
        if plan_record.state is PlanState.PLANNED and confirmed_by is not None:
            await self._start(plan_record, confirmed_by)

    async def confirm(self, plan_id: str, asker: Asker, actor: Actor) -> tuple[PlanRecord, str]:
        """Confirm a plan for the one who requested it; returns its current state, and the answer."""
        async with self._locked(plan_id) as plan_record:
            environment = self._environment(plan_record.environment)
            permit(confirm_refusal(plan_record, environment, asker, self._rules))
            if plan_record.state is not PlanState.PLANNED:
                return plan_record, await self._explain(plan_record)
            if environment.needs_approval:
                permit(approvers_refusal(environment, self._rules))
            self._require_readable(plan_record)
            if plan_record.request.granted and plan_id not in self._named:
                self._named.add(plan_id)
                return plan_record, _name_powers(plan_record)
            return await self._start(plan_record, actor)

    async def approve(self, plan_id: str, asker: Asker, actor: Actor) -> str:
        """Approve a draft as a second person, and let exactly that be carried out; returns the answer."""
        async with self._locked(plan_id) as plan_record:
            permit(approve_refusal(plan_record, self._environment(plan_record.environment), asker, self._rules))
            if plan_record.state is not PlanState.DRAFTED or plan_record.deployment_id is None:
                return await self._explain(plan_record)
            self._require_readable(plan_record)
            if (starts_at := await self._time_of_draft(plan_record)) is not None:
                scheduled = await self._state.drafts.schedule(plan_record.deployment_id, actor, starts_at)
                log.info("deployment scheduled", deployment_id=scheduled.id, plan_id=plan_id)
                return self._say_scheduled(plan_record, starts_at)
            deployment = await self._application.orchestrator.approve(plan_record.deployment_id, actor)
            log.info("deployment approved", deployment_id=deployment.id, plan_id=plan_id)
            self._live_messages.follow(plan_id, deployment.environment).notify(urgent=True)
            return _("🚀 Started `{id}`. Follow it here: {link}", id=deployment.id, link=await self._link(deployment))

    def _require_readable(self, plan_record: PlanRecord) -> None:
        """Raise NewPowersError where a secret that became known since hides a power: nobody reads what they give."""
        refuse_unreadable(plan_record.plan.new_powers, self._application.redactor.redact)

    async def _time_of_draft(self, plan_record: PlanRecord) -> datetime | None:
        """Return when an approved draft begins, where that is not at once; what was asked before a build goes on."""
        deployment = await self._state.deployments.get_own(plan_record.deployment_id or "")
        if deployment is None or deployment.draft is None or deployment.draft.model_hash == NOTHING_YET:
            return None
        if judge_request(deployment.request, {Gate.WINDOW}).may_begin:
            return None
        return starting_time(self._environment(plan_record.environment), deployment.request.starts_at)

    def _say_scheduled(self, plan_record: PlanRecord, starts_at: datetime) -> str:
        self._application.schedule.notify()
        self._live_messages.follow(plan_record.id, plan_record.environment).notify(urgent=True)
        return f"⏰ {begins(starts_at)}"

    async def withdraw(self, plan_id: str, asker: Asker, actor: Actor) -> tuple[PlanRecord, str]:
        """Cancel a plan; returns its current state, and the answer."""
        async with self._locked(plan_id) as plan_record:
            permit(withdraw_refusal(plan_record, self._environment(plan_record.environment), asker, self._rules))
            cancellable = WAITING | {PlanState.SCHEDULED}
            done, plan_record = await self._move(plan_record, PlanState.WITHDRAWN, actor, cancellable)
            if done:
                return plan_record, _("🚫 The plan was cancelled; nothing was changed.")
            return plan_record, await self._explain(plan_record)

    async def _start(self, plan_record: PlanRecord, actor: Actor) -> tuple[PlanRecord, str]:
        """Record the confirmation, and start exactly what was planned, once.

        The answer counts from here on, however long the rest takes. Whatever keeps it from starting returns the plan,
        unless it is the plan itself that no longer holds.
        """
        note, asked = NO_APPROVER if plan_record.request.granted else "", plan_record.note
        asks = self._environment(plan_record.environment).needs_approval
        starts_at = self._time_of(plan_record)
        if starts_at is not None and not asks:
            refuse_missing(plan_record.plan.missing)
            done, plan_record = await self._move(
                plan_record, PlanState.SCHEDULED, actor, [PlanState.PLANNED], starts_at=starts_at
            )
            text = self._say_scheduled(plan_record, starts_at) if done else await self._explain(plan_record)
            return plan_record, text
        done, plan_record = await self._move(plan_record, PlanState.CONFIRMED, actor, [PlanState.PLANNED], note=note)
        if not done:
            return plan_record, await self._explain(plan_record)
        try:
            request = replace(plan_record.request, needs_approval=asks, starts_at=starts_at)
            deployment = await self._deploy(request)
        except ImageChangedError as error:
            await self._move(plan_record, PlanState.VOID, actor, [PlanState.CONFIRMED], note=error.message)
            raise ImageChangedError(error.message, hint=ASK_AGAIN) from error
        except Exception:
            await self._move(plan_record, PlanState.PLANNED, actor, [PlanState.CONFIRMED], note=asked)
            raise
        plan_record = await self._started(plan_record, deployment)
        link = await self._link(deployment)
        if asks:
            text = _("🗳️ Preparing `{id}`: {link}\nA second person has to approve it then.", id=deployment.id, link=link)
            return plan_record, f"{text}\n⏰ {begins(starts_at)}" if starts_at is not None else text
        return plan_record, _("🚀 Started `{id}`. Follow it here: {link}", id=deployment.id, link=link)

    def _time_of(self, plan_record: PlanRecord) -> datetime | None:
        """Return when a confirmed plan begins, where that is not at once. Raises WindowClosedError."""
        request = plan_record.request
        if request.kind is not DeploymentKind.DEPLOY or request.operation is not None:
            return None
        return starting_time(self._environment(plan_record.environment), request.starts_at)

    async def _deploy(self, request: DeploymentRequest) -> Deployment:
        """Start a deployment, or find the one that this plan has started already."""
        try:
            deployment = await self._application.orchestrator.start(request)
        except InvalidRequestError:
            known = await self._state.deployments.of_interaction(request.interaction_id or "")
            if known is None:
                raise
            return known
        log.info("deployment requested", deployment_id=deployment.id, plan_id=request.interaction_id)
        return deployment

    async def _link(self, deployment: Deployment) -> str:
        return await self._live_messages.link(deployment.id, deployment.environment, within_seconds=LINK_WITHIN_SECONDS)

    @asynccontextmanager
    async def _locked(self, plan_id: str) -> AsyncIterator[PlanRecord]:
        """Hold a plan while an answer to it is processed, and read its current state."""
        async with self._lock(plan_id):
            yield await self._read(plan_id)

    def _lock(self, plan_id: str) -> asyncio.Lock:
        return self._locks.setdefault(plan_id, asyncio.Lock())

    async def _read(self, plan_id: str) -> PlanRecord:
        """Return the state of a plan: one that a dead process had begun to start was started, or waits again."""
        plan_record = await self._state.approvals.get(plan_id)
        if plan_record is None:
            raise InvalidRequestError(
                _("There is no plan {id} any more.", id=plan_id),
                hint=ASK_AGAIN,
            )
        if plan_record.ended:
            return plan_record
        if plan_record.deployment_id is None:
            known = await self._state.deployments.of_interaction(plan_record.id)
            if known is not None:
                return await self._started(plan_record, known)
            if plan_record.state is PlanState.CONFIRMED and plan_record.request.starts_at is None:
                plan_record = (await self._move(plan_record, PlanState.PLANNED, None, [PlanState.CONFIRMED]))[1]
        if is_expired(plan_record):
            plan_record = (await self._move(plan_record, PlanState.EXPIRED, None, []))[1]
        return plan_record

    async def _started(self, plan_record: PlanRecord, deployment: Deployment) -> PlanRecord:
        request = deployment.request
        by = request.approved_by or request.requested_by
        return (
            await self._move(
                plan_record, PlanState.STARTED, by, UNSTARTED, deployment_id=deployment.id, note=plan_record.note
            )
        )[1]

    async def _move(
        self,
        plan_record: PlanRecord,
        to: PlanState,
        actor: Actor | None,
        from_states: Iterable[PlanState],
        *,
        deployment_id: str | None = None,
        note: str = "",
        starts_at: datetime | None = None,
    ) -> tuple[bool, PlanRecord]:
        """Write an answer, and let the channel show it where the channel knows of the plan."""
        done, known = await self._state.approvals.move(
            plan_record.id,
            to,
            actor,
            from_states=from_states,
            deployment_id=deployment_id,
            note=note,
            starts_at=starts_at,
        )
        known = known or plan_record
        if await self._state.posts.get(known.id, APPROVAL) is not None:
            self._live_messages.follow(known.id, known.environment).notify(urgent=True)
        if known.ended and known.deployment_id is not None:
            self._live_messages.follow(known.deployment_id, known.environment).notify(urgent=True)
        return done, known

    async def _explain(self, plan_record: PlanRecord) -> str:
        """Explain what became of a plan whose button is pressed (again)."""
        text = describe_outcome(without_secrets(plan_record, self._application.redactor.redact))
        if plan_record.deployment_id is not None:
            text += "\n" + await self._live_messages.known_link(plan_record.deployment_id, plan_record.environment)
        return text

    def _environment(self, name: str) -> Environment:
        return read_environment(name, self._application.environments)


def _name_powers(plan_record: PlanRecord) -> str:
    """Name each new power to the one who asked, and say that the next click gives them."""
    powers = [f"🔑 {one_line(power, 200)}" for power in plan_record.plan.new_powers]
    text = _("This gives the stack new powers, and no approver is configured. Confirm once more to give them:")
    return f"{text}\n{lines(powers, 1700)}"
