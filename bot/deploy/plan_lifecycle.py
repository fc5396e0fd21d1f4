"""Take a plan from the request to the one deployment of it: confirmed, scheduled, approved, or ended before that.

The channel, the command line and the schedule say who may answer, and word what comes of it. Between any two answers
the bot may be another one: each answer is read again from the journal, which takes one deployment per plan, ever.

| a plan that is | leads to |
|---|---|
| planned | `confirmed` or `scheduled` by who asked; withdrawn, expired |
| confirmed | `started`; where it could not start, what it was before; void where it does not hold any more |
| started, to be approved | `drafted` once its deployment has its draft, and waits without a lock (`deploy/draft.py`) |
| drafted | by a second person `confirmed` and then `started` again, or `scheduled`; withdrawn, expired, void |
| scheduled | `confirmed` at its time (`deploy/schedule.py`); withdrawn; void, and asked for again as another plan |
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from roas.deploy.kept_plans import ASK_AGAIN
from roas.deploy.new_powers import refuse_ungranted
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.errors import ImageChangedError, InvalidRequestError, RoasError, refuse_missing, unknown_environment
from roas.log import get_logger
from roas.messages.message import said
from roas.models.actor import Actor
from roas.models.deployment import NOTHING_YET, Deployment, DeploymentKind, DeploymentRequest
from roas.models.environment import Environment
from roas.models.gate import Gate, judge_request
from roas.models.plan import WAITING, Plan, PlanRecord, PlanState
from roas.models.stored import new_id
from roas.starting_times import starting_time
from roas.state.deployments.locks import FrozenError, LockHeldError
from roas.state.deployments.plans_and_drafts import is_expired, with_expiry
from roas.state.manager import StateManager

log = get_logger(__name__)

NO_APPROVER = said("No approver is configured: the one who asked gave the new powers.")
BEFORE_DRAFTS = said("This version of the bot prepares what is approved before it asks.")
# Before a deployment of it is known.
UNSTARTED = frozenset({PlanState.PLANNED, PlanState.SCHEDULED, PlanState.CONFIRMED})
CANCELLABLE = WAITING | {PlanState.SCHEDULED}


class PlanLifecycle:
    """Create plans and take the answers to them, as whoever uses it has permitted them.

    `announce` is called with each plan that has changed, `hide` returns a plan without secrets.
    """

    def __init__(
        self,
        state: StateManager,
        orchestrator: DeploymentOrchestrator,
        environments: Mapping[str, Environment],
        announce: Callable[[PlanRecord], Awaitable[None]],
        *,
        has_approvers: bool,
        hide: Callable[[Plan], Plan] = lambda plan: plan,
    ) -> None:
        self._state = state
        self._orchestrator = orchestrator
        self._environments = environments
        self._announce = announce
        self._has_approvers = has_approvers
        self._hide = hide
        # One answer at a time for each plan: one that is found `confirmed` was then left by a dead process.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # Plans begin.

    async def create(self, request: DeploymentRequest) -> PlanRecord:
        """Plan a request, and write that down to be confirmed. Raises RoasError, FrozenError and LockHeldError too."""
        environment, asked = self._environment(request.environment), request
        if request.kind is DeploymentKind.DEPLOY and request.operation is None:
            request = replace(request, starts_at=starting_time(environment, request.starts_at))
        if request.starts_at is None or environment.needs_approval:
            await self.require_idle(request)
        elif asked.starts_at is None:  # only who chooses a time may mean one after the freeze
            await self._require_thawed(asked)
        plan = await self._orchestrator.plan(request)
        if request.kind is DeploymentKind.HOTFIX:
            refuse_ungranted(request, plan, has_approvers=self._has_approvers)
        # Who starts it at its time, should this process die, has to know.
        request = replace(request, needs_approval=environment.needs_approval)
        plan_record = self._waiting(request, plan)
        await self._state.approvals.add(plan_record)
        return plan_record

    async def schedule(self, request: DeploymentRequest) -> PlanRecord:
        """Keep a plan that was confirmed for its time: it is planned again then.

        Raises InvalidRequestError for what cannot wait, ImageChangedError where the plan is another one by now.
        """
        starts_at = starting_time(self._environment(request.environment), request.starts_at)
        if request.kind is not DeploymentKind.DEPLOY or starts_at is None:
            raise InvalidRequestError(said("Only a deployment in the future can be scheduled."))
        plan = await self._orchestrator.plan(request)
        if plan.digest != request.plan_digest:
            raise ImageChangedError(said("The plan is another one by now."), hint=ASK_AGAIN)
        refuse_missing(plan.missing)
        plan_record = new_record(replace(request, starts_at=starts_at), plan)
        by, now = request.requested_by, plan_record.created_at
        plan_record = replace(plan_record, state=PlanState.SCHEDULED, decided_by=by, decided_at=now)
        await self._state.approvals.add(plan_record)
        await self._announce(plan_record)
        log.info("deployment scheduled", plan_id=plan_record.id, by=by.name)
        return plan_record

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

    async def ask_again(self, plan_record: PlanRecord, plan: Plan, why: str) -> None:
        """Void a plan that cannot begin at its time, and ask for what it would be now in its place."""
        again = self._waiting(replace(plan_record.request, starts_at=None), plan, why)
        if await self.void(plan_record, why, again):
            await self._announce(again)

    async def void(self, plan_record: PlanRecord, why: str, again: PlanRecord | None = None) -> bool:
        """End a plan that cannot begin, with its draft; returns whether nobody was faster."""
        by, deployment_id = plan_record.decided_by, plan_record.deployment_id
        done, _ = await self.move(plan_record, PlanState.VOID, by, deployment_id=deployment_id, note=why, again=again)
        return done

    def _waiting(self, request: DeploymentRequest, plan: Plan, note: str = "") -> PlanRecord:
        """Return a new plan that waits for its confirmation.

        Without approvers, the one who asked grants its new powers by that; else a second person does, by the draft.
        """
        request = replace(request, granted=() if self._has_approvers else plan.new_powers)
        return with_expiry(replace(new_record(request, plan), plan=self._hide(plan), note=note))

    # People answer.

    @asynccontextmanager
    async def answering(self, plan_id: str) -> AsyncIterator[PlanRecord]:
        """Hold a plan while an answer to it is taken, and read its current state. Raises InvalidRequestError."""
        async with self._lock(plan_id):
            yield await self._read(plan_id)

    async def confirm(self, plan_record: PlanRecord, actor: Actor) -> tuple[bool, PlanRecord]:
        """Take the yes of the one who asked: start exactly what was planned, or schedule it.

        Returns whether it still was to be confirmed, and its current state. Raises what keeps it from starting.
        """
        asks = self._environment(plan_record.environment).needs_approval
        starts_at = self._time_of(plan_record)
        if starts_at is not None and not asks:
            refuse_missing(plan_record.plan.missing)
            return await self.move(plan_record, PlanState.SCHEDULED, actor, starts_at=starts_at)
        request = replace(plan_record.request, needs_approval=asks, starts_at=starts_at)
        return await self.start(plan_record, request, actor, note=NO_APPROVER if request.granted else "")

    async def approve(self, plan_record: PlanRecord, actor: Actor) -> Deployment:
        """Take the yes of a second person to a draft: carry out exactly that, or let it wait for its time.

        Raises NotPermittedError for the one who asked, and what keeps it from being carried out.
        """
        deployment_id = plan_record.deployment_id or ""
        if (starts_at := await self._time_of_draft(plan_record)) is not None:
            deployment = await self._state.drafts.schedule(deployment_id, actor, starts_at)
            log.info("deployment scheduled", deployment_id=deployment.id, plan_id=plan_record.id)
        else:
            deployment = await self._orchestrator.approve(deployment_id, actor)
            log.info("deployment approved", deployment_id=deployment.id, plan_id=plan_record.id)
        return deployment

    async def withdraw(self, plan_record: PlanRecord, actor: Actor) -> tuple[bool, PlanRecord]:
        """End a plan, and its draft; returns whether that could be done, and its current state."""
        if plan_record.state not in CANCELLABLE:
            return False, plan_record
        return await self.move(plan_record, PlanState.WITHDRAWN, actor)

    def _time_of(self, plan_record: PlanRecord) -> datetime | None:
        """Return when a confirmed plan begins, where that is not at once. Raises WindowClosedError."""
        request = plan_record.request
        if request.kind is not DeploymentKind.DEPLOY or request.operation is not None:
            return None
        return starting_time(self._environment(plan_record.environment), request.starts_at)

    async def _time_of_draft(self, plan_record: PlanRecord) -> datetime | None:
        """Return when an approved draft begins, where that is not at once; what was asked before a build goes on."""
        deployment = await self._state.deployments.get_own(plan_record.deployment_id or "")
        if deployment is None or deployment.draft is None or deployment.draft.model_hash == NOTHING_YET:
            return None
        if judge_request(deployment.request, {Gate.WINDOW}).may_begin:
            return None
        return starting_time(self._environment(plan_record.environment), deployment.request.starts_at)

    # Plans are started, once.

    async def start(
        self, plan_record: PlanRecord, request: DeploymentRequest, actor: Actor | None, *, note: str = ""
    ) -> tuple[bool, PlanRecord]:
        """Write that a plan is confirmed, and start it; returns whether it still was to be, and its current state.

        That has the request that was started. The answer counts from here on, however long the rest takes. Whatever
        keeps it from starting makes the plan what it was, unless it is the plan itself that no longer holds. Raises
        RoasError.
        """
        done, claimed = await self.move(plan_record, PlanState.CONFIRMED, actor, note=note)
        if not done:
            return False, claimed
        try:
            deployment = await start_once(self._state, self._orchestrator, request)
        except ImageChangedError as error:
            await self.move(claimed, PlanState.VOID, actor, note=error.message)
            raise ImageChangedError(error.message, hint=ASK_AGAIN) from error
        except Exception:
            await self.move(claimed, plan_record.state, actor, note=plan_record.note)
            raise
        log.info("deployment requested", deployment_id=deployment.id, plan_id=plan_record.id)
        return True, replace(await self._started(claimed, deployment), request=request)

    async def resume(self) -> None:
        """Start what a dead process had begun to start: the plan is confirmed, and people wait for it.

        What cannot be started now waits again, as it would have after the click. What a release before asked an
        approval for is void: nothing of it is drafted.
        """
        for left in await self._state.approvals.open():
            try:
                async with self._lock(left.id):
                    if left.state is PlanState.AWAITING:
                        await self.move(left, PlanState.VOID, None, note=BEFORE_DRAFTS)
                    elif left.state is PlanState.CONFIRMED and left.deployment_id is None:
                        await self._resume(left.id)
            except RoasError as error:
                log.warning("a plan could not be started", plan_id=left.id, error=error.message)
            except Exception:  # one plan must not keep the others from being resumed
                log.exception("a plan could not be started", plan_id=left.id)

    async def _resume(self, plan_id: str) -> None:
        left = await self._state.approvals.get(plan_id)
        # A click that was under way in this very process may have given it back, or started it, meanwhile.
        if left is None or left.state is not PlanState.CONFIRMED:
            return
        plan_record = await self._read(plan_id)
        if plan_record.state is PlanState.PLANNED and left.decided_by is not None:
            await self.confirm(plan_record, left.decided_by)

    # How plans are, and become.

    async def _read(self, plan_id: str) -> PlanRecord:
        """Return the state of a plan: one that a dead process had begun to start was started, or waits again.

        One whose time had come is left to the schedule. Raises InvalidRequestError where there is none.
        """
        plan_record = await self._state.approvals.get(plan_id)
        if plan_record is None:
            raise InvalidRequestError(said("There is no plan {id} any more.", id=plan_id), hint=ASK_AGAIN)
        if plan_record.ended:
            return plan_record
        if (known := await self.find_started(plan_record)) is not None:
            return known
        is_of_schedule = plan_record.request.starts_at is not None and not plan_record.request.needs_approval
        if plan_record.state is PlanState.CONFIRMED and plan_record.deployment_id is None and not is_of_schedule:
            _, plan_record = await self.move(plan_record, PlanState.PLANNED, None)
        if is_expired(plan_record):
            _, plan_record = await self.move(plan_record, PlanState.EXPIRED, None, ())
        return plan_record

    async def find_started(self, plan_record: PlanRecord) -> PlanRecord | None:
        """Write which deployment a process has started of a plan before it died; None where there is none."""
        if plan_record.deployment_id is not None:
            return None
        known = await self._state.deployments.of_interaction(plan_record.id)
        return None if known is None else await self._started(plan_record, known)

    async def _started(self, plan_record: PlanRecord, deployment: Deployment) -> PlanRecord:
        by = deployment.request.approved_by or deployment.request.requested_by
        _, known = await self.move(
            plan_record, PlanState.STARTED, by, UNSTARTED, deployment_id=deployment.id, note=plan_record.note
        )
        return known

    async def move(
        self,
        plan_record: PlanRecord,
        to: PlanState,
        actor: Actor | None,
        from_states: Iterable[PlanState] | None = None,
        *,
        deployment_id: str | None = None,
        note: str = "",
        starts_at: datetime | None = None,
        again: PlanRecord | None = None,
    ) -> tuple[bool, PlanRecord]:
        """Write what becomes of a plan that still is as it was, or in one of some states, and announce it.

        Returns whether that was done, and its current state. `again` takes its place.
        """
        done, known = await self._state.approvals.move(
            plan_record.id,
            to,
            actor,
            from_states=[plan_record.state] if from_states is None else from_states,
            deployment_id=deployment_id,
            note=note,
            starts_at=starts_at,
            again=again,
        )
        known = known or plan_record
        await self._announce(known)
        return done, known

    def _lock(self, plan_id: str) -> asyncio.Lock:
        return self._locks.setdefault(plan_id, asyncio.Lock())

    def _environment(self, name: str) -> Environment:
        environment = self._environments.get(name)
        if environment is None:
            raise unknown_environment(name, self._environments)
        return environment


def new_record(request: DeploymentRequest, plan: Plan) -> PlanRecord:
    """Return the record of a plan: a request that is bound to exactly that, with an id of its own."""
    now, plan_id = datetime.now(UTC), new_id("PLAN")
    target = plan.to_release if request.kind is DeploymentKind.ROLLBACK else request.target_release
    bound = replace(plan.bind(request), interaction_id=plan_id, target_release=target, approved_by=None)
    return PlanRecord(plan_id, bound, plan, now, now)


async def start_once(
    state: StateManager, orchestrator: DeploymentOrchestrator, request: DeploymentRequest
) -> Deployment:
    """Start a deployment, or find the one that its interaction has started already: the journal takes one, ever."""
    try:
        return await orchestrator.start(request)
    except RoasError:
        known = await state.deployments.of_interaction(request.interaction_id or "")
        if known is None:
            raise
        return known
