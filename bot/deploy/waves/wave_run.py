"""Run a deployment of an environment on many hosts: wave after wave, or back on all hosts that were changed."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from roas.concurrency import begun, run_concurrently, wait_for
from roas.deploy.context import DeploymentContext, publish_end
from roas.deploy.draft import wait_for_approval
from roas.deploy.kept_plans import ASK_AGAIN
from roas.deploy.new_powers import has_approvers, refuse_ungranted, ungranted
from roas.deploy.pauses import CANCEL_POLL_SECONDS, came_too_late, watch_for_requests
from roas.deploy.phase_runner import begin_phase, end_phase
from roas.deploy.waves.host_plans import HostPlans, HostsPlan, host_request
from roas.deploy.waves.host_releases import drop_old_releases, note_release, part_key
from roas.errors import (
    DeploymentCancelledError,
    DraftVoidError,
    FencedOffError,
    ImageChangedError,
    InvalidRequestError,
    JournalUnusableError,
    RoasError,
)
from roas.log import correlated, get_logger
from roas.messages.message import joined, said
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import (
    UNTOUCHED_STEPS,
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Draft,
    Operation,
    Outcome,
    PhaseStatus,
    Problem,
    ServiceStep,
)
from roas.models.environment import Environment
from roas.models.events import DeploymentBegan
from roas.models.phases import PhaseName
from roas.models.release import Release
from roas.models.rollout import Choice

log = get_logger(__name__)

ARRIVED = frozenset({ServiceStep.HEALTHY, ServiceStep.UNCHANGED})
DONE = ARRIVED | {ServiceStep.FAILED}
BACK = frozenset({Outcome.ROLLED_BACK, Outcome.CANCELLED})
HOSTS_FAILED = "hosts_failed"


class HostDeployments(Protocol):
    """Start and stop what single hosts do."""

    async def start(self, request: DeploymentRequest) -> Deployment:
        """Begin a deployment."""
        ...

    async def cancel(self, deployment_id: str, actor: Actor, reason: str = "") -> Deployment:
        """Ask a deployment to stop."""
        ...

    async def decide(
        self, deployment_id: str, choice: Choice, actor: Actor, reason: str = "", *, pause: int | None = None
    ) -> Deployment:
        """Choose what becomes of a deployment that is paused."""
        ...


class WaveRun:
    """Take all hosts of an environment to a release; each does so by a deployment of its own, which gates it.

    | a host's deployment | the host |
    |---|---|
    | succeeded | done; once all of its wave are, the next wave begins |
    | ended otherwise, or could not begin | failed |
    | is paused for a person | failed: it is taken back |

    Where more hosts have failed than may, what is under way is cancelled, and each host that was changed goes back.
    How far a host is, is written as that of a service. Its deployments have ids of this one's making, so that a process
    that resumes finds them.
    """

    def __init__(self, context: DeploymentContext, hosts: HostDeployments) -> None:
        self._context = context
        self._deployments = hosts
        self._plans = HostPlans(context.components)
        self._hosts = {host.host: host for host in context.environment.hosts}
        self._actor = Actor(ActorKind.SYSTEM, "waves", context.deployment.id)
        self._reason = said("it is part of {deployment}", deployment=context.deployment.id)
        self._problems: dict[str, Problem] = {}

    async def run(self) -> Deployment:
        """Run the rest of the deployment and return its record. Raises FencedOffError if another process took over."""
        context = self._context
        with correlated(context.deployment.correlation_id, deployment_id=context.deployment.id):
            async with begun(watch_for_requests(context)):
                return await self._run()

    async def _run(self) -> Deployment:
        context = self._context
        if context.deployment.problem is not None:  # an earlier process was on the way back already
            return await self._go_back(context.deployment.problem)
        try:
            planned = await self._plans.find(context.deployment.request.plan_digest)
            if await self._asks(planned):
                return context.deployment
        except (FencedOffError, JournalUnusableError):
            raise
        except RoasError as error:
            if context.deployment.touched:
                return await self._go_back(error.problem())
            is_void = isinstance(error, DeploymentCancelledError)
            return await self._finish(Outcome.CANCELLED if is_void else Outcome.FAILED, error.problem())
        problem = await self._go(planned)
        if problem is None:
            return await self._succeed(planned)
        log.warning("hosts failed", error=problem.message)
        if problem.key != DeploymentCancelledError.key:
            await context.record_failure(problem)
        return await self._go_back(problem)

    async def _asks(self, planned: HostsPlan) -> bool:
        """Let a second person approve the plan of all hosts, where one has to; returns whether it waits for that."""
        context, deployment = self._context, self._context.deployment
        if deployment.touched:
            return False
        if deployment.draft is not None and deployment.request.approved_by is not None:
            await self._take_up(planned)
            return False
        refuse_ungranted(deployment.request, planned.plan, has_approvers=has_approvers(context.components))
        draft = Draft(planned.plan.digest, new_powers=ungranted(deployment.request, planned.plan))
        if not replace(deployment, draft=draft).asks:
            return False
        await context.update(draft=draft)
        await wait_for_approval(context)
        return True

    async def _take_up(self, planned: HostsPlan) -> None:
        """Require that an approved plan can be carried out as it is. Raises DraftVoidError."""
        context = self._context
        drafts, why = context.components.state.drafts, ""
        try:
            await self._plans.require_current(context.environment, planned)
        except ImageChangedError as error:
            why = error.message
        await drafts.conclude(context.deployment, why)
        if why:
            raise DraftVoidError(why, hint=ASK_AGAIN)

    # The way there.

    async def _go(self, planned: HostsPlan) -> Problem | None:
        """Bring the release to wave after wave; returns why it ended early, where it did."""
        context, waves = self._context, self._context.environment.waves
        request = context.deployment.request
        if not context.deployment.services:
            current = await context.components.state.releases.current(context.environment.name)
            await context.update(from_release=None if current is None else current.number)
            context.publish(DeploymentBegan(kind=request.kind, version=request.version, **context.origin))
        started, result = begin_phase(context.deployment.phase(PhaseName.EXECUTION), PhaseName.EXECUTION)
        await context.save_phases(result)
        problem, done = None, False
        for wave in waves.of(list(self._hosts)):
            left = [host for host in wave if self._step(host) not in DONE]
            if left and done and waves.delay_seconds:
                await wait_for(context.cancel, waves.delay_seconds)
            if left and not context.cancel.is_set():
                await run_concurrently(self._bring(host, planned) for host in left)
            done = True
            if (problem := self._find_problem()) is not None:
                break
        status = PhaseStatus.SUCCESS if problem is None else PhaseStatus.FAILED
        if problem is not None and problem.key == DeploymentCancelledError.key:
            status = PhaseStatus.CANCELLED
        await context.save_phases(end_phase(result, status, started, summary=self._summary(), problem=problem))
        return problem

    async def _bring(self, host: str, planned: HostsPlan) -> None:
        """Bring one host to the release, and write how that ended."""
        context, environment = self._context, self._hosts[host]
        digest = planned.digests.get(environment.name)
        if host in planned.away:
            await context.report(host, ServiceStep.FAILED, said("it was away when this was planned"))
            return
        if digest is None:  # a rollback leads to what it runs, or to nothing of it
            await context.report(host, ServiceStep.UNCHANGED)
            return
        await context.report(host, ServiceStep.STARTING)
        asked = await self._request(environment, planned, digest)
        ended = await self._deploy(asked)
        if isinstance(ended, Deployment) and ended.outcome is Outcome.SUCCEEDED:
            changed = ended.touched or ended.to_release != ended.from_release
            await context.report(host, ServiceStep.HEALTHY if changed else ServiceStep.UNCHANGED)
            return
        problem = ended if isinstance(ended, Problem) else ended.problem
        if problem is not None:
            needs_operator = isinstance(ended, Deployment) and ended.outcome is Outcome.FAILED
            # What it advises is about this host alone, which moves with the others.
            self._problems[host] = replace(problem, hint="") if needs_operator else problem
        await context.report(host, ServiceStep.FAILED, problem.message if problem is not None else "")

    async def _request(self, environment: Environment, planned: HostsPlan, digest: str) -> DeploymentRequest:
        """Return what a host is asked for: its part of what everybody said yes to."""
        deployment = self._context.deployment
        target = None
        if deployment.request.kind is DeploymentKind.ROLLBACK and deployment.to_release is not None:
            releases = self._context.components.state.releases
            target = await releases.get(deployment.environment, deployment.to_release)
        asked = host_request(environment, deployment.request, target) or deployment.request
        return replace(
            asked,
            plan_digest=digest,
            granted=(*deployment.request.granted, *planned.plan.new_powers),
            interaction_id=part_key(deployment.id, environment),
            correlation_id=deployment.correlation_id,
            part_of=deployment.id,
        )

    def _find_problem(self) -> Problem | None:
        """Return why no further wave begins: somebody cancelled, or more hosts have failed than may."""
        context = self._context
        if context.cancel.is_set() and any(self._step(host) not in ARRIVED for host in self._hosts):
            return DeploymentCancelledError(said("The deployment was cancelled.")).problem()
        failed = self._failed()
        if not self._are_too_many(failed):
            return None
        first = self._problems.get(failed[0])
        details = (self._context.deployment.by_service[host].detail for host in failed)
        reasons = (said("{host}: {text}", host=host, text=text) for host, text in zip(failed, details, strict=True))
        return Problem(
            HOSTS_FAILED if first is None or first.key == DeploymentCancelledError.key else first.key,
            joined("\n", reasons),
            hint=first.hint if first is not None else "",
            service=failed[0],
            report=first.report if first is not None else "",
        )

    def _are_too_many(self, failed: list[str]) -> bool:
        return self._context.environment.waves.are_too_many(len(failed), len(self._hosts))

    def _failed(self) -> list[str]:
        return [host for host in self._hosts if self._step(host) is ServiceStep.FAILED]

    async def _succeed(self, planned: HostsPlan) -> Deployment:
        context = self._context
        if context.cancel.is_set():
            context.warn(came_too_late(context.environment.name))
        for host in self._failed():
            detail = context.deployment.by_service[host].detail
            context.warn(said("{host} failed, and is not on this release: {text}", host=host, text=detail))
        release = await note_release(context, planned.plan.version)
        if release is not None:
            await context.update(to_release=release.number)
        kept = context.components.settings.releases_kept
        await drop_old_releases(context, kept, None if release is None else release.number)
        return await self._finish(Outcome.SUCCEEDED, active=release)

    # The way back.

    async def _go_back(self, problem: Problem) -> Deployment:
        """Take every host back that was changed, the last one first."""
        context = self._context
        await context.update(problem=problem)
        context.restore()
        changed = [host for host in self._hosts if self._step(host) not in UNTOUCHED_STEPS]
        if not changed:
            return await self._finish(_outcome(problem, context.deployment.request), problem)
        started, result = begin_phase(context.deployment.phase(PhaseName.ROLLBACK), PhaseName.ROLLBACK)
        await context.save_phases(result)
        for wave in context.environment.waves.of(changed[::-1]):
            await run_concurrently(
                self._take_back(host) for host in wave if self._step(host) is not ServiceStep.RESTORED
            )
        left = self._failed()
        status = PhaseStatus.FAILED if left else PhaseStatus.SUCCESS
        await context.save_phases(end_phase(result, status, started, summary=self._summary()))
        if not left:
            current = await context.components.state.releases.current(context.environment.name)
            return await self._finish(_outcome(problem, context.deployment.request), problem, active=current)
        return await self._finish(Outcome.FAILED, self._left_behind(problem, left))

    async def _take_back(self, host: str) -> None:
        """Bring one host back to where it was, and write how that ended."""
        context, environment = self._context, self._hosts[host]
        deployments = context.components.state.deployments
        there = await deployments.of_interaction(part_key(context.deployment.id, environment))
        await context.report(host, ServiceStep.RESTORING)
        if there is not None and not there.finished:
            there = await self._follow(there, stop=True)
        ended: Deployment | Problem | None = None
        if there is not None and there.outcome is Outcome.FAILED and there.touched and there.from_release is None:
            ended = there  # nobody knows what was there before
        elif there is not None and (back := await self._request_back(environment, there)) is not None:
            ended = await self._deploy(back)
        if ended is None or (isinstance(ended, Deployment) and ended.outcome is Outcome.SUCCEEDED):
            await context.report(host, ServiceStep.RESTORED)
            return
        problem = ended if isinstance(ended, Problem) else ended.problem
        if there is not None and problem is not None and problem.key == InvalidRequestError.key:
            problem = there.problem  # it is on that release, and not well
        await context.report(host, ServiceStep.FAILED, "" if problem is None else problem.message)

    async def _request_back(self, environment: Environment, there: Deployment) -> DeploymentRequest | None:
        """Return what undoes a host's deployment; None where nothing of it is left.

        A host on which nothing ran before has no release to go back to: its services are stopped.
        """
        changed = there.touched or (there.outcome is Outcome.SUCCEEDED and there.to_release != there.from_release)
        if there.outcome in BACK or there.was_put_back or not changed:
            return None
        context = self._context
        back = DeploymentRequest(
            environment.name,
            DeploymentKind.ROLLBACK,
            self._actor,
            target_release=there.from_release,
            reason=self._reason,
            interaction_id=part_key(context.deployment.id, environment, back=True),
            correlation_id=context.deployment.correlation_id,
            part_of=context.deployment.id,
        )
        if there.from_release is not None:
            return back
        release = await context.components.state.releases.current(environment.name)
        if release is None:
            return None
        services = tuple(service.name for service in release.services)
        context.warn(said("Nothing ran on {host} before: its services are stopped.", host=environment.host))
        return replace(back, kind=DeploymentKind.DEPLOY, operation=Operation.STOP, services=services)

    def _left_behind(self, problem: Problem, left: Iterable[str]) -> Problem:
        """Say which hosts could not go back, and what to do about them."""
        name = self._context.environment.name
        details = ((host, self._context.deployment.by_service[host].detail) for host in left)
        reasons = (said("{host} could not go back: {text}", host=host, text=text) for host, text in details)
        hint = said(
            "The other hosts are back. Once these hosts are well again, `/rollback {name}` or `roas rollback {name}` "
            "brings them back, too.",
            name=name,
        )
        return replace(problem, key="rollback_failed", message=joined("\n", (problem.message, *reasons)), hint=hint)

    # One host.

    async def _deploy(self, request: DeploymentRequest) -> Deployment | Problem:
        """Start a host's deployment, unless that was done, and return how it ended, or why it did not begin."""
        known = await self._context.components.state.deployments.of_interaction(request.interaction_id or "")
        if known is None:
            try:
                known = await self._deployments.start(request)
            except (FencedOffError, JournalUnusableError):
                raise
            except RoasError as error:
                log.warning("host could not begin", environment=request.environment, error=error.message)
                return error.problem()
        return await self._follow(known)

    async def _follow(self, deployment: Deployment, *, stop: bool = False) -> Deployment:
        """Wait until a host's deployment has ended, whichever process runs it; it is stopped where this one stops."""
        deployments = self._context.components.state.deployments
        with self._context.components.state.watched() as changed:
            while True:
                changed.clear()
                now = await deployments.get_own(deployment.id) or deployment
                if now.finished:
                    return await deployments.get(deployment.id) or now
                with suppress(InvalidRequestError):  # it has ended, or goes back already
                    is_to_stop = stop or self._gives_up() or now.awaits_approval  # nobody is asked by a host
                    if is_to_stop and now.cancel_requested_by is None and now.problem is None:
                        await self._deployments.cancel(now.id, self._actor, self._reason)
                    elif (pause := now.waits_in) is not None:
                        await self._deployments.decide(now.id, Choice.ROLL_BACK, self._actor, pause=pause.number)
                await wait_for(changed, CANCEL_POLL_SECONDS)

    def _gives_up(self) -> bool:
        """Return whether what is under way is to stop; on the way back nothing is."""
        context = self._context
        return not context.restoring and (context.cancel.is_set() or self._are_too_many(self._failed()))

    def _step(self, host: str) -> ServiceStep:
        known = self._context.deployment.by_service.get(host)
        return ServiceStep.PENDING if known is None else known.step

    def _summary(self) -> str:
        steps = [self._step(host) for host in self._hosts]
        done = sum(step in ARRIVED | {ServiceStep.RESTORED} for step in steps)
        return said("{done} of {count} {count|host|hosts}", done=done, count=len(steps))

    async def _finish(
        self, outcome: Outcome, problem: Problem | None = None, *, active: Release | None = None
    ) -> Deployment:
        """Write the end and free the environment, in one transaction, then publish it on the bus."""
        context = self._context
        ended = replace(context.deployment.ended(outcome, problem), warnings=tuple(context.warnings))
        context.deployment = ended
        await context.components.state.deployments.finish(ended, context.fence, active=active)
        publish_end(context.components.bus, ended)
        return ended


def _outcome(problem: Problem, request: DeploymentRequest) -> Outcome:
    """Return how a deployment ended whose hosts are all back; a rollback that was asked for has failed then."""
    if problem.key == DeploymentCancelledError.key:
        return Outcome.CANCELLED
    return Outcome.FAILED if request.kind is DeploymentKind.ROLLBACK else Outcome.ROLLED_BACK
