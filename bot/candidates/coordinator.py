"""Take candidates from their first sight to a proposal or a deployment.

Every step is in the journal before it is made, so that whichever process leads goes on where the last one was.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from roas.candidates.credentials import source_actor
from roas.candidates.holds import RECENT, VersionHolds
from roas.concurrency import end_tasks
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.deploy.plan_lifecycle import start_once
from roas.errors import (
    SEE_STATUS,
    ImageChangedError,
    InvalidRequestError,
    RefMovedError,
    RequirementError,
    RoasError,
)
from roas.events import EventBus, Subscription
from roas.limits import CANDIDATE_TRIED_FOR, SOON, Backoffs
from roas.log import get_logger
from roas.messages.message import said
from roas.models.actor import Actor
from roas.models.candidate import (
    ANSWERABLE,
    CANDIDATE_PREFIX,
    Candidate,
    CandidateState,
    Delivery,
    Origin,
    SourceMode,
)
from roas.models.deployment import DeploymentKind, DeploymentRequest, Outcome
from roas.models.environment import Environment
from roas.models.events import CandidateChanged, DeploymentBegan, DeploymentEnded, DeploymentEvent
from roas.models.plan import Plan, PlanState
from roas.models.stored import new_id
from roas.rounds import Rounds, best_effort
from roas.starting_times import WindowClosedError
from roas.state.deployments.locks import FrozenError, LockHeldError
from roas.state.manager import StateManager

log = get_logger(__name__)

SOURCE = "candidates"
# How often the journal is read for what no event announced: what waits for somebody else's deployment or answer
# and, at rest, what another process has stored.
POLL_SECONDS, REST_SECONDS = 5.0, 60.0
SWEEP_SECONDS = 300.0
RECENT_CANDIDATES = 50
# Between a yes and what is written at its plan there are two transactions of one process.
YES_WITHIN = timedelta(minutes=1)
# Others decide when these go on: a deployment that ends, a person.
WAITS_LONG = frozenset({CandidateState.WAITING, CandidateState.CONFIRMED})
# Inspects where a delivery points, and returns what came of it; raises RoasError, transient where it may come yet.
Inspect = Callable[[Delivery], Awaitable[str]]


class CandidateCoordinator:
    """Add candidates in any process, and take them further in the leader's."""

    def __init__(
        self,
        state: StateManager,
        orchestrator: DeploymentOrchestrator,
        bus: EventBus,
        environments: Mapping[str, Environment],
    ) -> None:
        self._state = state
        self._orchestrator = orchestrator
        self._bus = bus
        self._environments = environments
        self._inspect: Inspect | None = None
        self._sweeps: tuple[Callable[[], Awaitable[None]], ...] = ()
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._backoffs = Backoffs(SOON)
        self._holds = VersionHolds(state)
        self._subscription: Subscription | None = None
        self._has_noted_holds = False
        self._rounds = Rounds("candidates", self._run_round, REST_SECONDS)
        self._sweeping = Rounds("sweep for candidates", self._sweep, SWEEP_SECONDS)

    def inspect_with(self, inspect: Inspect, *sweeps: Callable[[], Awaitable[None]]) -> None:
        """Set what inspects where deliveries point, and what finds every few minutes what none told."""
        self._inspect, self._sweeps = inspect, sweeps

    # ---- In any process ------------------------------------------------------------------------------------------

    async def offer(
        self,
        source: str,
        environment: str,
        version: str,
        *,
        mode: SourceMode,
        services: tuple[str, ...] = (),
        origin: Origin | None = None,
        reason: str = "",
        key: str = "",
        is_asked_for: bool = False,
    ) -> Candidate:
        """Add what a source offers, or find it where it is known. Raises InvalidRequestError, KeyReusedError."""
        candidate = Candidate(
            id=new_id(CANDIDATE_PREFIX),
            source=source,
            environment=environment,
            version=version,
            created_at=datetime.now(UTC),
            mode=mode,
            services=services,
            origin=origin or Origin(),
            reason=reason,
            key=key,
        )
        if (hold := await self._holds.of(candidate)) is not None and hold.configuration:
            with suppress(RoasError):  # what cannot be planned is held by the rest
                plan = await self._orchestrator.plan(request_for(candidate, source_actor(source)), keep=False)
                hold = await self._holds.of(replace(candidate, plan=plan))
        if hold is not None:
            candidate = replace(candidate, state=CandidateState.HELD, note=hold.reason)
        added, is_new = await self._state.candidates.add(candidate, is_asked_for=is_asked_for)
        if is_new:
            log.info("candidate offered", candidate_id=added.id, source=source, environment=environment)
            self._announce(added)
        return added

    def notify(self) -> None:
        """Note that the journal holds something new."""
        self._rounds.wake()

    def sweep_soon(self) -> None:
        """Note that something has moved that no delivery told of."""
        self._sweeping.wake()

    # ---- In the leader's -----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to take candidates further."""
        if not self._rounds.is_running:
            self._subscription = self._bus.subscribe(DeploymentEvent, self._on_deployment, name="candidates")
            self._has_noted_holds = False
            self._rounds.start()
            if self._sweeps:
                self._sweeping.start()

    async def stop(self) -> None:
        """Stop; the next leader goes on by the journal."""
        if self._subscription is not None:
            await self._bus.unsubscribe(self._subscription)
            self._subscription = None
        await self._rounds.stop()
        await self._sweeping.stop()
        await end_tasks(*self._workers.values())
        self._workers.clear()

    async def _on_deployment(self, event: DeploymentEvent) -> None:
        if isinstance(event, DeploymentBegan | DeploymentEnded):
            deployment = await self._state.deployments.get(event.deployment_id)
            if deployment is not None:
                await self._holds.note(deployment)
            if isinstance(event, DeploymentEnded):
                await self._announce_of(event.deployment_id)
            self._rounds.wake()

    async def _sweep(self) -> None:
        for sweep in (*self._sweeps, self._retry_refused):
            await best_effort("sweep for candidates", sweep())

    async def _run_round(self) -> float:
        if not self._has_noted_holds:
            await self._holds.note_recent(self._environments)
            self._has_noted_holds = True
        await self._take_up()
        return POLL_SECONDS if self._workers or self._backoffs else REST_SECONDS

    async def _take_up(self) -> None:
        """Begin to work on whatever is pending and not worked on yet."""
        for key in [key for key, task in self._workers.items() if task.done()]:
            del self._workers[key]
        deliveries, candidates = await self._state.deliveries.pending(), await self._state.candidates.open()
        known = {delivery.id for delivery in deliveries} | {candidate.id for candidate in candidates}
        self._backoffs.keep_only(known)
        for delivery in deliveries:
            self._work(f"delivery of {delivery.source}", self._deliver, delivery)
        for candidate in candidates:
            if candidate.state in ANSWERABLE:
                continue
            self._work(candidate.environment, self._advance, candidate)

    def _work(self, key: str, work: Callable[..., Awaitable[None]], subject: Candidate | Delivery) -> None:
        """Do one thing at a time for each environment and source; what takes long delays no other."""
        if key not in self._workers and not self._backoffs.must_wait(subject.id):
            self._workers[key] = asyncio.create_task(self._worked(work, subject), name=key)

    async def _worked(self, work: Callable[..., Awaitable[None]], subject: Candidate | Delivery) -> None:
        try:
            await work(subject)
        except RoasError as error:
            log.warning("a candidate has to wait", subject=subject.id, error=error.message)
            self._backoffs.failed(subject.id)
        except Exception:  # one must not keep the others from being followed
            log.exception("a candidate could not be taken further", subject=subject.id)
            self._backoffs.failed(subject.id)
        else:
            self._backoffs.forget(subject.id)
            # What waits is considered again when a deployment ends, and by the poll.
            if not isinstance(subject, Candidate) or subject.state not in WAITS_LONG:
                self._rounds.wake()

    async def _deliver(self, delivery: Delivery) -> None:
        if self._inspect is None:
            return
        try:
            note = await self._inspect(delivery)
        except RoasError as error:
            note = error.message
            if error.transient and delivery.age <= CANDIDATE_TRIED_FOR:
                await self._state.deliveries.note(delivery, note, is_over=False)
                raise
        await self._state.deliveries.note(delivery, note, is_over=True)
        log.info("delivery handled", source=delivery.source, delivery_id=delivery.id, note=note)

    async def _advance(self, candidate: Candidate) -> None:
        """Take a candidate as far as it goes without a person."""
        match candidate.state:
            case CandidateState.NEW:
                await self._plan(candidate)
            case CandidateState.WAITING:
                await self._begin(candidate)
            case CandidateState.STARTING:
                await self._find_started(candidate)
            case CandidateState.CONFIRMED:
                await self._follow_plan(candidate)

    async def _plan(self, candidate: Candidate) -> None:
        """Plan, then start it or let a person decide. Raises what may be over in a moment."""
        environment = self._environments.get(candidate.environment)
        if environment is None:
            await self._move(
                candidate,
                CandidateState.REFUSED,
                note=said("There is no environment {name}.", name=candidate.environment),
            )
            return
        try:
            plan = await self._orchestrator.plan(request_for(candidate, source_actor(candidate.source)))
        except RoasError as error:
            note = error.whole
            failing = replace(candidate, failing_since=candidate.failing_since or datetime.now(UTC))
            if error.transient and not failing.fails_for(CANDIDATE_TRIED_FOR):
                note = error.message
                if failing.is_overdue:
                    note = said("{cause} The bot keeps trying for a day.", cause=error.message)
                await self._move(candidate, CandidateState.NEW, note=note, failing_since=failing.failing_since)
                raise
            if error.transient:
                note = said("{cause} The bot has tried for a day.", cause=error.whole)
            if isinstance(error, RefMovedError):
                self._sweeping.wake()
            refused = await self._move(candidate, CandidateState.REFUSED, note=note)
            if refused is not None and (back := await self._state.candidates.put_back(refused)) is not None:
                self._announce(back)
            return
        if not plan.changed:
            await self._move(candidate, CandidateState.UNCHANGED, plan=plan)
            return
        await self._begin(replace(candidate, plan=plan))

    async def _retry_refused(self) -> None:
        """Plan again what was found and refused, where nothing was deployed since: a person may have put it right.

        What a job has offered stays refused: the job has ended so.
        """
        for name in self._environments:
            release = await self._state.releases.current(name)
            newest: dict[str, Candidate] = {}
            for candidate in await self._state.candidates.of_environment(name):
                newest.setdefault(candidate.source, candidate)
            for candidate in newest.values():
                was_found = candidate.origin.stack_commit or candidate.origin.digests
                is_left = datetime.now(UTC) - candidate.created_at > RECENT
                is_left |= release is not None and release.created_at > candidate.created_at
                if candidate.state is not CandidateState.REFUSED or not was_found or is_left:
                    continue
                if await self._holds.of(candidate) is not None:
                    continue
                with suppress(RoasError):
                    await self._orchestrator.plan(request_for(candidate, source_actor(candidate.source)), keep=False)
                    await self._move(candidate, CandidateState.NEW, note="")

    async def _why_not_by_itself(self, candidate: Candidate, environment: Environment) -> str:
        """Return why a person has to decide; empty where nobody has to. Only `auto` is ever without a person."""
        if candidate.mode is not SourceMode.AUTO:
            return " "
        if environment.needs_approval:
            return said("{environment} needs approval.", environment=environment.name)
        if candidate.plan is not None and candidate.plan.new_powers:
            return said("It gives the stack new powers, which a person has to grant.")
        if candidate.plan is not None and candidate.plan.refusals:
            return said("As things are, it would be refused.")
        if any(not hold.version for hold in await self._state.holds.of(environment.name)):
            return said("{environment} was rolled back by hand.", environment=environment.name)
        return ""

    async def _begin(self, candidate: Candidate) -> None:
        """Start what nobody has to say yes to, where nothing is in the way: the intent first, then the deployment.

        While it waited somebody may have rolled back, whose end no event has told yet: it is read once the way is free.
        """
        in_the_way = await self._in_the_way(candidate.environment)
        await self._holds.note_last(candidate.environment)
        environment = self._environments.get(candidate.environment)
        if candidate.plan is None or environment is None:
            await self._move(candidate, CandidateState.NEW)
        elif why_not := await self._why_not_by_itself(candidate, environment):
            await self._move(candidate, CandidateState.PROPOSED, plan=candidate.plan, note=why_not)
        elif (hold := await self._holds.of(candidate)) is not None:
            await self._move(candidate, CandidateState.HELD, note=hold.reason)
        elif in_the_way:
            await self._move(candidate, CandidateState.WAITING, plan=candidate.plan, note=in_the_way)
        elif (
            starting := await self._move(candidate, CandidateState.STARTING, plan=candidate.plan, note="")
        ) is not None:
            await self._start(starting, candidate.plan.digest)

    async def _in_the_way(self, environment: str) -> str:
        """Return why nothing can be started now; one that only watches its release ends for a newer one.

        A bake ends for a person alone: what comes by itself waits for what it finds.
        """
        if (freeze := await self._state.freezes.get(environment)) is not None:
            return FrozenError.of(freeze).message
        known = self._environments.get(environment)
        if known is not None and not known.windows.is_open(datetime.now(UTC)):
            return WindowClosedError.of(known).message
        if (lock := await self._state.deployments.in_the_way(environment)) is not None:
            return LockHeldError(lock).message
        active = await self._state.deployments.active(environment)
        if active is not None and active.bakes_until is not None:
            return said("{deployment_id} bakes, and whoever types a command need not wait.", deployment_id=active.id)
        return ""

    async def _start(self, candidate: Candidate, digest: str) -> None:
        """Start a deployment of a candidate, or find the one that a dead process has started."""
        request = replace(
            request_for(candidate, source_actor(candidate.source)), plan_digest=digest, interaction_id=candidate.id
        )
        try:
            deployment = await start_once(self._state, self._orchestrator, request)
        except (LockHeldError, FrozenError, WindowClosedError, RequirementError) as error:
            await self._move(candidate, CandidateState.WAITING, note=error.message)
        except ImageChangedError:
            await self._move(candidate, CandidateState.NEW, plan=None)
        except RoasError as error:
            if error.transient:
                await self._move(candidate, CandidateState.NEW, plan=None)
                raise
            await self._move(candidate, CandidateState.REFUSED, note=error.whole)
        else:
            await self._move(candidate, CandidateState.STARTED, deployment_id=deployment.id, note="")

    async def _find_started(self, candidate: Candidate) -> None:
        """Go on with what a dead process was about to start: it was started, or it is planned again."""
        known = await self._state.deployments.of_interaction(candidate.id)
        if known is not None:
            await self._move(candidate, CandidateState.STARTED, deployment_id=known.id)
        else:
            await self._move(candidate, CandidateState.NEW, plan=None)

    async def _follow_plan(self, candidate: Candidate) -> None:
        """Take over what became of the plan that a person confirmed."""
        record = await self._state.approvals.get(candidate.plan_id)
        known = await self._state.deployments.of_interaction(candidate.plan_id)
        if known is not None:
            await self._move(candidate, CandidateState.STARTED, deployment_id=known.id)
        elif record is None or (record.ended and record.state is not PlanState.STARTED):
            await self._move(candidate, CandidateState.NEW, plan=None, plan_id="")
        elif record.state is PlanState.PLANNED and _is_long_ago(candidate.decided_at):
            # Who took the yes died before it was written at the plan: it is void, and somebody says it again.
            await self._state.approvals.move(
                record.id, PlanState.WITHDRAWN, candidate.decided_by, from_states=[PlanState.PLANNED]
            )
            self._rounds.wake()

    async def _move(self, candidate: Candidate, to: CandidateState, **changes: Any) -> Candidate | None:
        changes.setdefault("failing_since", None)
        moved = await self._state.candidates.move(candidate.id, to, from_states=[candidate.state], **changes)
        if moved is not None and (moved.state, moved.note) != (candidate.state, candidate.note):
            self._announce(moved)
        return moved

    # ---- What a person answers -----------------------------------------------------------------------------------

    async def answerable(self, candidate_id: str) -> Candidate:
        """Return a candidate that a person may answer. Raises InvalidRequestError that says what became of it."""
        candidate = await self._state.candidates.get(candidate_id)
        if candidate is None:
            raise InvalidRequestError(
                said("{version} does not wait for an answer any more.", version=candidate_id),
                hint=said("Use /deploy and its version."),
            )
        if candidate.state in ANSWERABLE:
            return candidate
        if candidate.state is CandidateState.SUPERSEDED:
            raise InvalidRequestError(
                said("A newer version has taken the place of {version}.", version=candidate.version),
                hint=said("Answer the newest message, or use /deploy and the version that you want."),
            )
        is_left = candidate.state in {CandidateState.SKIPPED, CandidateState.HELD, CandidateState.REFUSED}
        raise InvalidRequestError(
            said("{version} does not wait for an answer any more.", version=candidate.version),
            hint=said("Use /deploy and its version.") if is_left else SEE_STATUS,
        )

    async def answer(self, candidate: Candidate, to: CandidateState, by: Actor, **changes: Any) -> Candidate:
        """Write a person's answer. Raises InvalidRequestError where somebody was faster."""
        moved = await self._state.candidates.move(candidate.id, to, from_states=ANSWERABLE, by=by, **changes)
        if moved is None:
            await self.answerable(candidate.id)
            raise InvalidRequestError(said("Somebody else has answered already."))
        self._announce(moved)
        return moved

    async def take_back(self, candidate: Candidate) -> None:
        """Let a candidate wait for an answer again, where the yes came to nothing."""
        known = await self._state.candidates.get(candidate.id)
        if known is None or await self._state.deployments.of_interaction(known.plan_id) is not None:
            return
        moved = await self._state.candidates.move(
            candidate.id,
            candidate.state,
            from_states=[CandidateState.CONFIRMED],
            plan_id="",
            decided_by=None,
            decided_at=None,
        )
        if moved is not None:
            self._announce(moved)

    async def show_plan(self, candidate: Candidate, plan: Plan) -> None:
        """Show what would happen by now: it is another thing than what the person saw."""
        moved = await self._state.candidates.move(candidate.id, candidate.state, from_states=ANSWERABLE, plan=plan)
        if moved is not None:
            self._announce(moved)

    async def show_origin(self, candidate: Candidate, origin: Origin) -> None:
        """Show more of where a candidate comes from."""
        known = await self._state.candidates.get(candidate.id)
        if known is not None:
            moved = await self._state.candidates.move(known.id, known.state, from_states=[known.state], origin=origin)
            if moved is not None:
                self._announce(moved)

    async def running_commit(self, source: str, environment: str) -> str:
        """Return the commit of what was last deployed of a source there; empty where none is known."""
        for known in await self._state.candidates.of_environment(environment, limit=RECENT_CANDIDATES):
            if known.source == source and known.deployment_id:
                deployment = await self._state.deployments.get(known.deployment_id)
                if deployment is not None and deployment.outcome is Outcome.SUCCEEDED:
                    return known.origin.commit
        return ""

    async def _announce_of(self, deployment_id: str) -> None:
        candidate = await self._state.candidates.of_deployment(deployment_id)
        if candidate is not None:
            self._announce(candidate)

    def _announce(self, candidate: Candidate) -> None:
        self._rounds.wake()
        self._bus.publish(
            CandidateChanged(
                source=SOURCE,
                candidate_id=candidate.id,
                proposal=candidate.proposal,
                environment=candidate.environment,
            )
        )


def _is_long_ago(decided_at: datetime | None) -> bool:
    return decided_at is None or datetime.now(UTC) - decided_at > YES_WITHIN


def request_for(candidate: Candidate, actor: Actor) -> DeploymentRequest:
    """Return the deployment that a candidate asks for."""
    return DeploymentRequest(
        environment=candidate.environment,
        kind=DeploymentKind.DEPLOY,
        requested_by=actor,
        version=candidate.version,
        services=candidate.services,
        reason=candidate.reason,
        stack_commit=candidate.origin.stack_commit,
    )
