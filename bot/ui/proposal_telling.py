"""Tell the ops channel of a plan that waits for a second person, until it is answered or its time is over."""

from bot.models.proposal import Proposal, ProposalState
from bot.state.approvals import is_late, seconds_left
from bot.state.manager import StateManager
from bot.ui.deployment_telling import last_seconds
from bot.ui.embeds.approval import draw_approval
from bot.ui.outbox import Errand, Outbox
from bot.ui.secrets import Redact, without_secrets
from bot.ui.telling import APPROVAL, Pace, Telling

PREFIX = "PLAN-"


class ProposalTelling(Telling):
    """Keep one message that asks for an approval, and says later what became of it."""

    def __init__(
        self,
        proposal_id: str,
        outbox: Outbox,
        pace: Pace,
        state: StateManager,
        redact: Redact,
        approvers: tuple[int, ...] = (),
    ) -> None:
        super().__init__(proposal_id, outbox, pace)
        self._state = state
        self._redact = redact
        self._approvers = approvers
        self._last_seconds: float | None = None
        self._last_is_known = False
        self._waiting: Proposal | None = None

    async def _tell(self) -> bool:
        proposal = await self._proposal()
        if proposal is None or proposal.state is ProposalState.PLANNED:
            return True
        self._waiting = proposal if proposal.waits else None
        if not self._last_is_known:
            last = await last_seconds(self._state, proposal.request.kind, proposal.environment)
            self._last_seconds, self._last_is_known = last, True
        shown = without_secrets(proposal, self._redact)
        drawn = draw_approval(shown, self._approvers, last_seconds=self._last_seconds)
        await self._bring(Errand(proposal.id, APPROVAL, drawn, proposal.created_at, finished=proposal.ended))
        return proposal.ended

    def _patience(self) -> float:
        if self._waiting is None:
            return self._pace.poll
        return min(self._pace.poll, max(seconds_left(self._waiting), 0.0) + 0.01)

    async def _proposal(self) -> Proposal | None:
        """Return the proposal; one whose time is over is closed here, since nobody else may come by.

        One that everybody said yes to in time is not: it is being started, however long that takes.
        """
        proposal = await self._state.approvals.get(self.subject)
        if proposal is not None and is_late(proposal):
            expired = ProposalState.EXPIRED
            _done, proposal = await self._state.approvals.move(proposal.id, expired, None, from_states=())
        return proposal
