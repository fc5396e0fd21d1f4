"""Begin what is scheduled when its time comes: exactly once, or say why not; and lift freezes that are over.

A plan that waits for its time is in the journal, so that whichever process leads begins it. It is planned and checked
again then: where anything is another than what was confirmed, the one who asked is asked again. What a second person
approved has its draft, and is not planned again.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.deploy.plan_lifecycle import PlanLifecycle
from roas.errors import ImageChangedError, InvalidRequestError, RequirementError, RoasError
from roas.events import EventBus
from roas.log import get_logger
from roas.messages.message import said
from roas.models.actor import Actor, ActorKind
from roas.models.environment import Environment
from roas.models.events import ApprovalChanged
from roas.models.plan import Plan, PlanRecord, PlanState
from roas.rounds import Rounds
from roas.starting_times import WindowClosedError
from roas.state.deployments.locks import SCHEDULE, FrozenError, LockHeldError
from roas.state.manager import StateManager

log = get_logger(__name__)

SOURCE = "schedule"
ROUND_SECONDS = 5.0
# What could not begin within this of its time asks again: nobody may be awake any more.
LATEST = timedelta(hours=1)
FREEZE_OVER = Actor(ActorKind.SYSTEM, SCHEDULE, said("the end of its time"))


class Schedule:
    """Begin scheduled plans in the leader's process."""

    def __init__(
        self,
        state: StateManager,
        orchestrator: DeploymentOrchestrator,
        bus: EventBus,
        environments: Mapping[str, Environment],
        *,
        has_approvers: bool,
    ) -> None:
        self._state = state
        self._orchestrator = orchestrator
        self._bus = bus
        self._environments = environments
        self._plans = PlanLifecycle(state, orchestrator, environments, self._announce, has_approvers=has_approvers)
        self._rounds = Rounds("schedule", self._run_round, ROUND_SECONDS)

    def notify(self) -> None:
        """Note that something new is scheduled."""
        self._rounds.wake()

    async def start(self) -> None:
        """Begin to look what is due."""
        self._rounds.start()

    async def stop(self) -> None:
        """Stop; the next leader goes on by the journal."""
        await self._rounds.stop()

    async def _run_round(self) -> float | None:
        next_due = await self.begin_due()
        if next_due is None:
            return None
        return min(max((next_due - datetime.now(UTC)).total_seconds(), 0.05), ROUND_SECONDS)

    async def begin_due(self) -> datetime | None:
        """Begin what is due; returns when the next one is."""
        await self._lift_freezes()
        due: list[datetime] = []
        for plan_record in await self._state.approvals.scheduled():
            starts_at = plan_record.request.starts_at or plan_record.created_at
            if datetime.now(UTC) < starts_at:
                due.append(starts_at)
                continue
            try:
                await self._begin(plan_record, starts_at)
            except RoasError as error:
                log.warning("what is scheduled has to wait", plan_id=plan_record.id, error=error.message)
            except Exception:  # one must not keep the others from beginning
                log.exception("what is scheduled could not begin", plan_id=plan_record.id)
        return min(due, default=None)

    async def _lift_freezes(self) -> None:
        for freeze in await self._state.freezes.all():
            if freeze.until is not None and datetime.now(UTC) >= freeze.until:
                with suppress(InvalidRequestError):  # somebody was faster
                    await self._state.freezes.lift(freeze.environment, FREEZE_OVER, only=freeze)
                    log.info("environment freeze is over", environment=freeze.environment)

    async def _begin(self, plan_record: PlanRecord, starts_at: datetime) -> None:
        """Begin one whose time has come, or say what keeps it. Raises what may be over in a moment."""
        if await self._plans.find_started(plan_record) is not None:  # by a process that died since
            return
        if plan_record.state is PlanState.CONFIRMED:
            is_ours, plan_record = await self._plans.move(plan_record, PlanState.SCHEDULED, plan_record.decided_by)
            if not is_ours:  # somebody's answer was faster
                return
        environment = self._environments.get(plan_record.environment)
        if environment is None:
            await self._void(plan_record, said("There is no such environment any more."))
            return
        if (freeze := await self._state.freezes.get(environment.name)) is not None:
            if await self._state.approvals.note(plan_record.id, FrozenError.of(freeze).message):
                await self._announce(plan_record)
            return
        if why := await self._why_not(plan_record, environment, starts_at):
            await self._ask_again(plan_record, why)
        elif plan_record.deployment_id is not None:
            await self._begin_draft(plan_record)
        else:
            await self._plan_and_start(plan_record)

    async def _why_not(self, plan_record: PlanRecord, environment: Environment, starts_at: datetime) -> str:
        """Return why somebody has to be asked again; empty where nobody has to."""
        if plan_record.note:  # a freeze, which is over
            return said("It could not begin at its time: {reason}", reason=plan_record.note)
        if datetime.now(UTC) - starts_at > LATEST:
            return said("Its time was {when} UTC, and it could not begin then.", when=f"{starts_at:%Y-%m-%d %H:%M}")
        if not environment.windows.is_open(datetime.now(UTC)):
            return WindowClosedError.of(environment).message
        answered = plan_record.decided_at or plan_record.created_at
        for hold in await self._state.holds.of(environment.name):
            if hold.since > answered and hold.version in {"", plan_record.request.version}:
                return said("It was put on hold since: {reason}", reason=hold.reason)
        return ""

    async def _begin_draft(self, plan_record: PlanRecord) -> None:
        approver = plan_record.decided_by
        if approver is None or plan_record.deployment_id is None:
            await self._void(plan_record, said("Nobody is known who approved it."))
            return
        try:
            await self._orchestrator.approve(plan_record.deployment_id, approver)
        except (LockHeldError, FrozenError):
            raise
        except RoasError as error:
            if error.transient:
                raise
            await self._ask_again(plan_record, error.message)

    async def _plan_and_start(self, plan_record: PlanRecord) -> None:
        """Plan once more, and start exactly what was confirmed."""
        if (lock := await self._state.deployments.in_the_way(plan_record.environment)) is not None:
            raise LockHeldError(lock)
        try:
            plan = await self._orchestrator.plan(plan_record.request)
        except RoasError as error:
            if error.transient:
                raise
            await self._void(plan_record, error.message)
            return
        if plan.digest != plan_record.plan.digest or plan.new_powers != plan_record.plan.new_powers:
            await self._ask_again(plan_record, said("The plan is another one by now."), plan)
            return
        try:
            await self._plans.start(plan_record, plan.bind(plan_record.request), plan_record.decided_by)
        except RequirementError as error:
            await self._ask_again(plan_record, error.message)
        except ImageChangedError as error:  # it is void
            log.warning("scheduled deployment does not begin", plan_id=plan_record.id, reason=error.message)
        except RoasError as error:
            if error.transient or isinstance(error, LockHeldError | FrozenError):
                raise
            await self._void(plan_record, error.message)

    async def _ask_again(self, plan_record: PlanRecord, why: str, plan: Plan | None = None) -> None:
        """Ask for a confirmation of what it would be now, in a message of its own."""
        request = replace(plan_record.request, starts_at=None, approved_by=None, granted=())
        if plan is None:
            try:
                plan = await self._orchestrator.plan(request)
            except RoasError as error:
                if error.transient:
                    raise
                await self._void(plan_record, said("{why} {error}", why=why, error=error.message))
                return
        if not plan.changed:
            await self._void(plan_record, said("Nothing is left to change: everything runs as it defines it."))
            return
        log.warning("scheduled deployment does not begin", plan_id=plan_record.id, reason=why)
        await self._plans.ask_again(plan_record, plan, why)

    async def _void(self, plan_record: PlanRecord, why: str) -> None:
        log.warning("scheduled deployment does not begin", plan_id=plan_record.id, reason=why)
        await self._plans.void(plan_record, why)

    async def _announce(self, plan_record: PlanRecord) -> None:
        self._bus.publish(
            ApprovalChanged(
                source=SOURCE,
                plan_id=plan_record.id,
                state=plan_record.state.value,
                deployment_id=plan_record.deployment_id or "",
                environment=plan_record.environment,
            )
        )
