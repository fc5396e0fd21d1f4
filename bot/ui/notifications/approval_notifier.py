"""Post a plan that waits for a second person's approval, until it is answered or expires."""

from roas.models.plan_record import PlanRecord, PlanState
from roas.state.approvals import is_expired, seconds_left
from roas.state.manager import StateManager
from roas.ui.embeds.approval import draw_approval
from roas.ui.notifications.deployment_notifier import last_seconds
from roas.ui.notifications.notifier import APPROVAL, Notifier, Pace
from roas.ui.notifications.outbox import Outbox, PostRequest
from roas.ui.secrets import Redact, without_secrets

PREFIX = "PLAN-"


class ApprovalNotifier(Notifier):
    """Keep one message that asks for an approval, and says later what became of it."""

    def __init__(
        self,
        plan_id: str,
        outbox: Outbox,
        pace: Pace,
        state: StateManager,
        redact: Redact,
        approvers: tuple[int, ...] = (),
    ) -> None:
        super().__init__(plan_id, outbox, pace)
        self._state = state
        self._redact = redact
        self._approvers = approvers
        self._last_seconds: float | None = None
        self._last_is_known = False
        self._waiting: PlanRecord | None = None

    async def _post_changes(self) -> bool:
        plan_record = await self._plan_record()
        if plan_record is None or plan_record.state is PlanState.PLANNED:
            return True
        self._waiting = plan_record if plan_record.waits else None
        if not self._last_is_known:
            last = await last_seconds(self._state, plan_record.request.kind, plan_record.environment)
            self._last_seconds, self._last_is_known = last, True
        shown = without_secrets(plan_record, self._redact)
        drawn = draw_approval(shown, self._approvers, last_seconds=self._last_seconds)
        await self._deliver(
            PostRequest(plan_record.id, APPROVAL, drawn, plan_record.created_at, finished=plan_record.ended)
        )
        return plan_record.ended

    def _poll_seconds(self) -> float:
        if self._waiting is None:
            return self._pace.poll
        return min(self._pace.poll, max(seconds_left(self._waiting), 0.0) + 0.01)

    async def _plan_record(self) -> PlanRecord | None:
        """Return the plan; an expired one is closed here, since no click may ever come.

        A plan with every answer in time does not expire: it is being started, however long that takes.
        """
        plan_record = await self._state.approvals.get(self.subject)
        if plan_record is not None and is_expired(plan_record):
            expired = PlanState.EXPIRED
            _done, plan_record = await self._state.approvals.move(plan_record.id, expired, None, from_states=())
        return plan_record
