"""Post what becomes of deployments: a proposal, a plan that waits for an approval, the progress and the outcome."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from statistics import median

from roas.log import get_logger
from roas.models.candidate import PROPOSAL_PREFIX, Candidate, CandidateState, SourceMode
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome
from roas.models.plan import PlanRecord, PlanState
from roas.models.post import Post
from roas.state.deployments.plans_and_drafts import is_expired, seconds_left
from roas.state.manager import StateManager
from roas.ui.embeds.live import draw_live
from roas.ui.embeds.outcome import draw_outcome, draw_pause, draw_phases
from roas.ui.embeds.plan import draw_approval, draw_missed
from roas.ui.embeds.proposal import draw_proposal
from roas.ui.formatting import headline
from roas.ui.notifications.notifier import APPROVAL, DETAILS, LIVE, OUTCOME, PAUSE, PROPOSAL, Notifier, Pace
from roas.ui.notifications.ops_channel import ChannelClosedError, DiscordAwayError, MessageRefusedError
from roas.ui.notifications.outbox import Outbox, PostRequest
from roas.ui.redacted import Redact, without_secrets

log = get_logger(__name__)

# Of how many of the last deployments the estimate is made.
REMEMBERED = 20
COMPARED = 5
# How long the details of a deployment that goes on may take to be posted.
DETAILS_SECONDS = 5.0
# Who started what takes longer than that looks at something else meanwhile.
LONG_RUN_SECONDS = 60.0


class DeploymentNotifier(Notifier):
    """Keep one live message, which becomes the outcome; in between, ask a person where it is paused.

    An outcome that people wait for, or have to act on, is a new message: an edit notifies nobody. What a phase warns of
    while the deployment goes on is told in a thread below the live message; the outcome has it, too.
    """

    def __init__(self, deployment_id: str, outbox: Outbox, pace: Pace, state: StateManager, redact: Redact) -> None:
        super().__init__(deployment_id, outbox, pace)
        self._state = state
        self._redact = redact
        self._usual: float | None = None
        self._usual_is_known = False
        self._phases_posted: int | None = None
        self._has_no_thread = False

    async def _post_changes(self) -> bool:
        deployment = await self._state.deployments.get(self.subject)
        if deployment is None or deployment.request.part_of:  # its outcome is told with that of all hosts
            return True
        if not self._usual_is_known:
            self._usual, self._usual_is_known = await usual_seconds(self._state, deployment), True
        deployment = without_secrets(deployment, self._redact)
        is_told_anew = deployment.finished and notifies(deployment)
        drawn = draw_live(deployment, usual_seconds=self._usual)
        if deployment.finished and not is_told_anew:
            drawn = replace(draw_outcome(deployment, with_phases=True), key=drawn.key)
        live = await self._deliver(
            PostRequest(self.subject, LIVE, drawn, deployment.created_at, finished=deployment.finished)
        )
        for pause in deployment.pauses:
            drawn = draw_pause(deployment, pause)
            done = drawn.buttons == ()
            request = PostRequest(
                self.subject, f"{PAUSE}-{pause.number}", drawn, pause.since, finished=done, reply_to=live.message_id
            )
            await self._deliver(request)
        if not deployment.finished:
            # No thread that is slow or away holds up the live message: the next pass tries again.
            with suppress(DiscordAwayError, TimeoutError):
                async with asyncio.timeout(DETAILS_SECONDS):
                    await self._post_details(deployment, live)
            return False
        if is_told_anew:
            await self._deliver(
                PostRequest(
                    self.subject,
                    OUTCOME,
                    draw_outcome(deployment),
                    deployment.ended_at or deployment.created_at,
                    finished=True,
                    reply_to=live.message_id,
                )
            )
        else:
            await self._state.posts.save(replace(live, kind=OUTCOME, finished=True))
        if self._phases_posted:
            await self._post_details(deployment, live)
        return True

    async def _post_details(self, deployment: Deployment, live: Post) -> None:
        """Tell what phases that have ended since the last time warn of, in the thread below the live message."""
        warning = (phase for phase in deployment.phases if phase.ended_at and phase.warnings)
        ended = sorted(warning, key=lambda phase: str(phase.ended_at))
        if self._phases_posted is None:
            self._phases_posted = await self._posted_before(len(ended))
        if self._has_no_thread or live.message_id is None or len(ended) <= self._phases_posted:
            return
        drawn = draw_phases(deployment, ended[self._phases_posted :], len(ended))
        request = PostRequest(
            self.subject, f"{DETAILS}-{len(ended)}", drawn, ended[-1].ended_at or deployment.created_at, finished=True
        )
        try:
            await self._deliver_below(live.message_id, headline(deployment), request)
        except (ChannelClosedError, MessageRefusedError) as error:
            self._has_no_thread = True
            log.info("no thread below a deployment", deployment_id=self.subject, reason=str(error))
        self._phases_posted = len(ended)

    async def _posted_before(self, most: int) -> int:
        """Return how many phases with warnings another process has posted."""
        for count in range(most, 0, -1):
            post = await self._state.posts.get(self.subject, f"{DETAILS}-{count}")
            if post is not None and post.finished:
                return count
        return 0


def notifies(deployment: Deployment) -> bool:
    """Return whether a person is waiting for an outcome, or has to act on it: then it is a message of its own."""
    is_long = (deployment.duration_seconds or 0.0) >= LONG_RUN_SECONDS
    is_way_back = deployment.request.kind is DeploymentKind.ROLLBACK
    is_approved = deployment.request.approved_by is not None
    return deployment.outcome is not Outcome.SUCCEEDED or is_way_back or is_approved or is_long


async def usual_seconds(state: StateManager, deployment: Deployment) -> float | None:
    """Return how long a deployment of this kind usually takes there, in seconds; None where there was none before."""
    times = await _past_seconds(state, deployment.request, before=deployment.id)
    return median(times[:COMPARED]) if times else None


async def last_seconds(state: StateManager, request: DeploymentRequest) -> float | None:
    """Return the duration of the last successful deployment of a kind and operation there, in seconds, or None."""
    return next(iter(await _past_seconds(state, request)), None)


async def _past_seconds(state: StateManager, request: DeploymentRequest, before: str = "") -> list[float]:
    """Return how long deployments of a kind and operation that changed something took there, the newest first."""
    known = await state.deployments.list(
        request.environment, limit=REMEMBERED, outcome=Outcome.SUCCEEDED, whole=False, with_saves=False
    )
    return [
        deployment.duration_seconds
        for deployment in known
        if (deployment.request.kind, deployment.request.operation) == (request.kind, request.operation)
        and (request.operation is not None or deployment.from_release != deployment.to_release)
        and deployment.duration_seconds is not None
        and deployment.attempts == 1
        and (not before or deployment.id < before)
    ]


PLAN_SUBJECTS = "PLAN-"


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
        if plan_record is None or (plan_record.state is PlanState.PLANNED and not plan_record.asks_again):
            return True
        self._waiting = plan_record if plan_record.waits else None
        if not self._last_is_known:
            last = await last_seconds(self._state, plan_record.request)
            self._last_seconds, self._last_is_known = last, True
        shown = without_secrets(plan_record, self._redact)
        drawn = draw_approval(shown, self._approvers, last_seconds=self._last_seconds)
        post = await self._deliver(
            PostRequest(plan_record.id, APPROVAL, drawn, plan_record.created_at, finished=plan_record.ended)
        )
        is_missed = plan_record.state is PlanState.VOID and plan_record.request.starts_at is not None
        if is_missed and not plan_record.asked_again_as and plan_record.deployment_id is None:
            moment = plan_record.decided_at or plan_record.created_at
            missed = PostRequest(
                plan_record.id, OUTCOME, draw_missed(shown), moment, finished=True, reply_to=post.message_id
            )
            await self._deliver(missed)
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


PROPOSAL_SUBJECTS = f"{PROPOSAL_PREFIX}-"
# What comes of itself has a message where a person has to know, or to decide.
TOLD = frozenset({CandidateState.PROPOSED, CandidateState.LATER, CandidateState.WAITING, CandidateState.REFUSED})
# What is over before anybody was asked needs no message.
QUIET = frozenset({CandidateState.HELD, CandidateState.UNCHANGED, CandidateState.SUPERSEDED})


def has_message(candidate: Candidate) -> bool:
    """Return whether a candidate is shown even where its proposal has no message yet."""
    is_proposed = candidate.mode is SourceMode.PROPOSE and candidate.state not in QUIET
    return is_proposed or candidate.state in TOLD or candidate.is_overdue


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
        shown, deployed = without_secrets(newest, self._redact), without_secrets(deployment, self._redact)
        drawn = draw_proposal(shown, before, deployed, await self._link(deployment))
        first = candidates[-1].created_at
        if deployed is not None:
            await self._post_details(newest, deployed)
        await self._deliver(PostRequest(self.subject, PROPOSAL, drawn, first, finished=finished, reopens=True))
        return finished

    async def _post_details(self, candidate: Candidate, deployment: Deployment) -> None:
        """Show the deployment in a thread below the proposal; where the bot may open none, the channel has to do."""
        post = await self.outbox.post(self.subject, PROPOSAL)
        if post is None or post.message_id is None:
            return
        drawn = replace(draw_live(deployment), buttons=())  # what is clicked in a thread is not the ops channel's
        try:
            request = PostRequest(self.subject, DETAILS, drawn, deployment.created_at, finished=deployment.finished)
            await self._deliver_below(post.message_id, f"{candidate.environment} {candidate.version}", request)
        except ChannelClosedError as error:
            log.info("no thread below a proposal", proposal=self.subject, reason=str(error))

    async def _link(self, deployment: Deployment | None) -> str:
        post = await self._state.posts.get(deployment.id, LIVE) if deployment is not None else None
        return self.outbox.channel.link(post.message_id if post is not None else None)
