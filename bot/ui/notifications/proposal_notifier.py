"""Post a proposal, and keep its message at the newest candidate until that has come to its end."""

from roas.models.candidate import PROPOSAL_PREFIX, Candidate, CandidateState, SourceMode
from roas.models.deployment import Deployment
from roas.state.manager import StateManager
from roas.ui.embeds.proposal import draw_proposal
from roas.ui.notifications.notifier import LIVE, PROPOSAL, Notifier, Pace
from roas.ui.notifications.outbox import Outbox, PostRequest
from roas.ui.secrets import Redact, without_secrets

PREFIX = f"{PROPOSAL_PREFIX}-"
# What comes of itself has a message where a person has to know, or to decide.
TOLD = frozenset({CandidateState.PROPOSED, CandidateState.LATER, CandidateState.WAITING, CandidateState.REFUSED})
# What is over before anybody was asked needs no message.
QUIET = frozenset({CandidateState.HELD, CandidateState.UNCHANGED, CandidateState.SUPERSEDED})


def has_message(candidate: Candidate) -> bool:
    """Return whether a candidate is shown even where its proposal has no message yet."""
    is_proposed = candidate.mode is SourceMode.PROPOSE and candidate.state not in QUIET
    return is_proposed or candidate.state in TOLD


class ProposalNotifier(Notifier):
    """Keep one message for an environment and a source; a newer candidate takes the older one's place in it."""

    def __init__(self, proposal: str, outbox: Outbox, pace: Pace, state: StateManager, redact: Redact) -> None:
        super().__init__(proposal, outbox, pace)
        self._state = state
        self._redact = redact

    async def _post_changes(self) -> bool:
        candidates = await self._state.candidates.of_proposal(self.subject)
        if not candidates:
            return True
        newest, *before = candidates
        if not has_message(newest) and await self._state.posts.get(self.subject, PROPOSAL) is None:
            return True  # whatever makes it worth a message wakes another notifier
        started = newest.deployment_id
        deployment = await self._state.deployments.get(started) if started else None
        finished = not newest.is_open and (deployment is None or deployment.finished)
        shown = without_secrets(newest, self._redact)
        drawn = draw_proposal(shown, before, without_secrets(deployment, self._redact), await self._link(deployment))
        first = candidates[-1].created_at
        await self._deliver(PostRequest(self.subject, PROPOSAL, drawn, first, finished=finished))
        return finished

    async def _link(self, deployment: Deployment | None) -> str:
        post = await self._state.posts.get(deployment.id, LIVE) if deployment is not None else None
        return self.outbox.channel.link(post.message_id if post is not None else None)
