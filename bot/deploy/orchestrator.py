"""Accept requests, allow one deployment per environment, and run each to its end: the DeploymentOrchestrator."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from roas.concurrency import pause, run_concurrently
from roas.configuration.environments import Engines
from roas.deploy.components import Components
from roas.deploy.context import SOURCE, DeploymentContext
from roas.deploy.draft import announce_end
from roas.deploy.handover.stale_instances import ForeignBots, OwnServiceSweep
from roas.deploy.handover.state_folder import refuse_missing_journal
from roas.deploy.kept_plans import KeptPlans, PlannedDeployment, release_in_use, require_release
from roas.deploy.operations.operations import plan_operation, release_to_operate
from roas.deploy.operations.scaling import model_to_apply
from roas.deploy.pauses import CANCEL_POLL_SECONDS
from roas.deploy.planning.planner import Planner
from roas.deploy.planning.promotion import find_missing, judge_missing, next_environment
from roas.deploy.resumption import Resumption
from roas.deploy.run import DeploymentRun
from roas.deploy.running_deployments import RunningDeployments
from roas.deploy.waves.host_plans import HostPlans, refuse_alone
from roas.deploy.waves.wave_run import WaveRun
from roas.errors import (
    ImageChangedError,
    InvalidRequestError,
    RoasError,
    invalid_version,
    refuse_missing,
    unknown_environment,
)
from roas.limits import coordination_of
from roas.log import get_logger
from roas.messages.message import Message, said
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import (
    NOTHING_YET,
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Operation,
    PhaseResult,
)
from roas.models.environment import Environment
from roas.models.events import CancelRequested, PauseDecided, origin
from roas.models.phases import PhaseName
from roas.models.plan import Plan
from roas.models.rollout import Choice
from roas.models.stored import new_id
from roas.starting_times import require_window
from roas.state.deployments.locks import LockHeldError
from roas.state.transaction import Fence

log = get_logger(__name__)

# How long one that only watched may take to end once somebody asks for something newer.
WATCH_END_SECONDS = 120.0
VERSION_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")


class DeploymentOrchestrator:
    """Start deployments, follow them, cancel them, and resume those whose process died."""

    def __init__(self, components: Components, environments: Mapping[str, Environment]) -> None:
        self._components = components
        self._environments = environments
        self._engines = Engines(environments)
        self._host_plans = HostPlans(components)
        self._running = RunningDeployments()
        self._plans = KeptPlans(components)
        self._resumption = Resumption(components, environments, self._running, self._launch)
        self._sweep_error = ""
        self._foreign_bots = ForeignBots(components)
        self._own_service_sweep = OwnServiceSweep(components)

    async def plan(self, request: DeploymentRequest, *, keep: bool = True) -> Plan:
        """Return what a request would change, without changing anything of what runs. Raises RoasError.

        With `keep`, all that the plan is made of is kept: whoever starts it by its digest deploys exactly that.
        """
        environment = self._check(request)
        await refuse_alone(self._components, environment, request)
        if request.promoted_from and self.environment(request.promoted_from).hosts:
            raise InvalidRequestError(
                said("{environment} is on many hosts.", environment=request.promoted_from),
                hint=said(
                    "Promote from one of them: `{host}`.", host=self.environment(request.promoted_from).hosts[0].name
                ),
            )
        if environment.hosts:
            plan = await self._plan_hosts(environment, request, keep=keep)
            return plan.with_warnings(*await self._holds(request))
        planned = await self._plan(environment, request, keep=True)  # the content of changed files is shown
        if keep:
            await self._plans.keep(planned)
        return planned.plan.with_warnings(*await self._holds(request))

    async def _plan_hosts(self, environment: Environment, request: DeploymentRequest, *, keep: bool) -> Plan:
        """Plan a request for all hosts of an environment, whose files stay at one commit until each has a copy."""

        async def plan_host(host: Environment, asked: DeploymentRequest) -> PlannedDeployment:
            return await self._plan(host, asked, keep=True)

        if request.kind is DeploymentKind.ROLLBACK:
            planned = await self._host_plans.plan(environment, request, plan_host)
        else:
            async with self._components.stacks.repositories.hold(environment, request.stack_commit) as commit:
                planned = await self._host_plans.plan(self.environment(environment.name), request, plan_host)
            planned = replace(planned, plan=planned.plan.with_warnings(*of_commit(environment, commit)))
        if keep:
            await self._host_plans.keep(planned)
        return planned.plan

    async def _holds(self, request: DeploymentRequest) -> tuple[str, ...]:
        """Return what a person has to know who deploys what is on hold: their deployment lifts that."""
        if request.kind is DeploymentKind.ROLLBACK or request.requested_by.kind is ActorKind.SOURCE:
            return ()
        return tuple(
            said(
                "{version} is on hold: {reason} Deploying it lifts the hold.", version=hold.version, reason=hold.reason
            )
            for hold in await self._components.state.holds.of(request.environment)
            if hold.version and hold.version == request.version
        )

    async def _plan(self, environment: Environment, request: DeploymentRequest, *, keep: bool) -> PlannedDeployment:
        """Plan; where there is nothing to roll back to but a deployment under way, that is meant.

        Raises LockHeldError then.
        """
        if request.operation is not None:
            return await plan_operation(self._components, environment, request)
        if request.kind is not DeploymentKind.ROLLBACK:
            # Until the plan has copied them, the files stay at one commit; which there are may be new.
            async with self._components.stacks.repositories.hold(environment, request.stack_commit) as commit:
                environment = self.environment(environment.name)
                planned = await Planner(self._components, environment).deployment(request, keep=keep)
            return replace(planned, plan=planned.plan.with_warnings(*of_commit(environment, commit)))
        try:
            return await Planner(self._components, environment).rollback(request, keep=keep)
        except InvalidRequestError:
            if (lock := await self._components.state.locks.get(environment.name)) is not None:
                raise LockHeldError(lock) from None
            raise

    async def plan_unchanged(self, name: str, actor: Actor) -> Plan:
        """Return what a deployment of the files as they are would change, for no version in particular."""
        request = DeploymentRequest(name, DeploymentKind.DEPLOY, actor)
        environment = self.environment(name)
        if environment.hosts:
            return await self._plan_hosts(environment, request, keep=False)
        return (await self._plan(environment, request, keep=False)).plan

    async def start(self, request: DeploymentRequest) -> Deployment:
        """Acquire the deployment lock, record the deployment, and run it in a task of this process.

        A rollback to where a canary began is that canary, which goes back; a hotfix waits for that. Raises
        LockHeldError, FrozenError, WindowClosedError, RequirementError, InvalidRequestError, and ImageChangedError
        where the plan is void, also by taking back the canary that it was made beside.
        """
        environment = self._check(request)
        await refuse_alone(self._components, environment, request)
        state = self._components.state
        if not await state.has_begun():  # its engine may have been away when it was opened
            await refuse_missing_journal(state, self._components.stacks, environment.by_host, state.folder)
        told = require_window(environment, request)
        request, to_release = await self._bound(environment, request)
        if (canary := await self._canary_ended_by(request)) is not None:
            canary = await self.cancel(canary.id, request.requested_by, request.reason)
            if request.kind is DeploymentKind.ROLLBACK:
                if to_release == canary.from_release and not (request.services or request.data):
                    return canary
                raise _only_canary_ended(canary)
            await self._wait_until_free(canary.id, environment.name)
        deployment = replace(self._new(request, to_release), warnings=told)
        if request.operation is not None and (release := await release_in_use(state, environment.name)) is not None:
            model_hash = await model_to_apply(self._components, environment, request, release)
            deployment = replace(deployment, from_release=to_release, applied_model=model_hash)
        with self._running.beginning(deployment.id):
            fence = await self._create(deployment, _purpose(request, to_release))
            self._launch(deployment, environment, fence)
        return deployment

    async def _bound(
        self, environment: Environment, request: DeploymentRequest
    ) -> tuple[DeploymentRequest, int | None]:
        """Return a request that is bound to its plan, where it has one, and the release that a rollback leads to.

        A deployment for which nobody was shown a plan is planned by its preparation.
        """
        if environment.hosts:
            return await self._bound_hosts(environment, request)
        if request.operation is not None:
            if request.operation is Operation.KEEP and request.plan_digest is None:
                request = replace(request, plan_digest=(await self.plan(request)).digest)
            if request.plan_digest is not None:
                await self._plans.require_current(environment, await self._plans.find(request.plan_digest))
            return request, (await release_to_operate(self._components, environment, request)).number
        is_rollback = request.kind is DeploymentKind.ROLLBACK
        is_bound = is_rollback or environment.repository is not None or environment.requires or request.promoted_from
        if request.plan_digest is None and is_bound:
            request = replace(request, plan_digest=(await self.plan(request)).digest)
        if request.plan_digest is None:
            return request, None
        planned = await self._plans.find(request.plan_digest)
        planned = await self._plans.require_current(environment, planned)
        # What is drafted for a later time is judged by that, and once more then.
        asked = request if request.needs_approval else replace(request, starts_at=None)
        await self._require_healthy(environment, asked, planned)
        return planned.plan.bind(request), None if planned.target is None else planned.target.number

    async def _bound_hosts(
        self, environment: Environment, request: DeploymentRequest
    ) -> tuple[DeploymentRequest, int | None]:
        """Return a request that is bound to its plan for all hosts, and the release that a rollback leads to."""
        if request.plan_digest is None:
            request = replace(request, plan_digest=(await self.plan(request)).digest)
        planned = await self._host_plans.find(request.plan_digest)
        await self._host_plans.require_current(environment, planned)
        if request.starts_at is None or not request.needs_approval:
            refuse_missing(planned.plan.missing)
        goes_back = request.kind is DeploymentKind.ROLLBACK
        return planned.plan.bind(request), planned.plan.to_release if goes_back else None

    async def _require_healthy(
        self, environment: Environment, request: DeploymentRequest, planned: PlannedDeployment
    ) -> None:
        """Raise RequirementError where something of a plan was not healthy yet where its environment requires that."""
        if not planned.model_hash or judge_missing(request, True).may_begin:
            return
        resolved = await planned.load_stack(self._components.stacks.of(environment))
        missing = await find_missing(self._components, environment, request, resolved)
        refuse_missing(() if missing is None else (missing,))

    async def approve(self, deployment_id: str, actor: Actor) -> Deployment:
        """Carry out what a deployment that waits has drafted: a second person approved exactly that.

        Raises LockHeldError, FrozenError, WindowClosedError, RequirementError, NotPermittedError, and
        InvalidRequestError where it does not wait.
        """
        waiting = await self._components.state.deployments.get(deployment_id)
        environment = None if waiting is None else self._environments.get(waiting.environment)
        if waiting is None or environment is None:
            raise InvalidRequestError(said("There is no deployment {deployment_id}.", deployment_id=deployment_id))
        if waiting.draft is not None and waiting.draft.model_hash != NOTHING_YET:
            require_window(environment, replace(waiting.request, approved_by=actor))
            if environment.requires and not environment.hosts and waiting.request.plan_digest is not None:
                planned = await self._plans.find(waiting.request.plan_digest)
                await self._require_healthy(environment, replace(waiting.request, starts_at=None), planned)
        with self._running.beginning(deployment_id):
            purpose = _purpose(waiting.request, waiting.to_release)
            drafts = self._components.state.drafts
            try:
                deployment, fence = await drafts.approve(deployment_id, actor, purpose)
            except LockHeldError:
                if (canary := await self._canary_ended_by(waiting.request)) is None:
                    raise
                await self.cancel(canary.id, actor, waiting.request.reason)
                await self._wait_until_free(canary.id, canary.environment)
                deployment, fence = await drafts.approve(deployment_id, actor, purpose)
            self._launch(deployment, environment, fence)
        return deployment

    async def _create(self, deployment: Deployment, purpose: str) -> Fence:
        """Record a deployment; one before it that only watches its release ends first.

        Raises LockHeldError, ImageChangedError.
        """
        deployments = self._components.state.deployments
        try:
            return await deployments.create(deployment, purpose)
        except LockHeldError as error:
            watching, actor = error.lock.deployment_id, deployment.request.requested_by
            if await deployments.end_watch(watching, actor) is None:
                raise
            self._running.supersede(watching, actor)
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_END_SECONDS):
                    await self._wait_until_free(watching, deployment.environment)
        if deployment.request.operation is not None:  # the release that it is for may have been rolled back meanwhile
            require_release(await release_in_use(self._components.state, deployment.environment), deployment)
        return await deployments.create(deployment, purpose)

    async def _canary_ended_by(self, request: DeploymentRequest) -> Deployment | None:
        """Return the deployment with a canary that a rollback or a hotfix takes back."""
        lock = await self._components.state.locks.get(request.environment)
        held_by = None if lock is None else await self._components.state.deployments.get(lock.deployment_id)
        return held_by if held_by is not None and held_by.is_ended_by(request.kind) else None

    async def _wait_until_free(self, deployment_id: str, environment: str) -> None:
        with suppress(RoasError):
            await self._running.wait(deployment_id)
        while (lock := await self._components.state.locks.get(environment)) and lock.deployment_id == deployment_id:
            await pause(CANCEL_POLL_SECONDS)  # another process has it

    async def wait(self, deployment_id: str) -> Deployment:
        """Wait until a deployment that this process runs has ended, and return its record."""
        await self._running.wait(deployment_id)
        deployment = await self._components.state.deployments.get(deployment_id)
        if deployment is None:
            raise InvalidRequestError(
                said("There is no deployment {deployment_id}.", deployment_id=deployment_id),
            )
        return deployment

    async def run(self, request: DeploymentRequest) -> Deployment:
        """Start a deployment and wait for its end."""
        return await self.wait((await self.start(request)).id)

    async def cancel(self, deployment_id: str, actor: Actor, reason: str = "") -> Deployment:
        """Ask a deployment to stop at its next safe point, whichever process runs it.

        Raises InvalidRequestError where it has ended, or goes back already.
        """
        ended = await self._components.state.drafts.cancel(deployment_id, actor, reason)
        if ended is not None:
            announce_end(self._components.bus, ended)
            return ended
        deployment = await self._components.state.deployments.request_cancel(deployment_id, actor, reason)
        self._running.request_stop(deployment_id)
        self._components.bus.publish(CancelRequested(by=actor.name, **origin(deployment, SOURCE)))
        return deployment

    async def decide(
        self, deployment_id: str, choice: Choice, actor: Actor, reason: str = "", *, pause: int | None = None
    ) -> Deployment:
        """Resume a paused deployment, or take it back, whichever process runs it.

        Raises InvalidRequestError where it does not wait, or not for that `pause` any more.
        """
        deployment = await self._components.state.deployments.decide(deployment_id, choice, actor, reason, pause=pause)
        self._running.read_decision(deployment_id)
        self._components.bus.publish(PauseDecided(choice=choice, by=actor.name, **origin(deployment, SOURCE)))
        return deployment

    async def resume(self, *, own_only: bool = False) -> tuple[Deployment, ...]:
        """Resume every unfinished deployment whose process is dead; returns them as they were resumed.

        With `own_only`, only those that this process began, and that the journal or a shortage has stopped.
        """
        return await self._resumption.resume_all(own_only=own_only)

    async def sweep(self) -> bool:
        """Remove stale instances from this bot's own service; returns whether every container could be checked."""
        return all(await run_concurrently(map(self._sweep, self._engines.values())))

    async def _sweep(self, environment: Environment) -> bool:
        try:
            return await self._own_service_sweep.run(environment)
        except RoasError as error:
            if error.message != self._sweep_error:
                log.warning("leftovers could not be cleared yet", error=error.message, hint=error.hint)
            self._sweep_error = error.message
            return False

    async def check_foreign_bots(self) -> None:
        """Report containers of this bot's service that are not on its journal. Raises RoasError."""
        checks = map(self._foreign_bots.check, self._engines.values())
        for problem in await asyncio.gather(*checks, return_exceptions=True):
            if problem is not None:
                raise problem

    async def abandon(self) -> tuple[str, ...]:
        """Stop running deployments, since the journal is lost; returns those that were interrupted."""
        interrupted = self._running.interrupted
        await self.close()
        return interrupted

    async def close(self) -> None:
        """Stop running deployments; the next process resumes them from their records."""
        await self._running.close()

    @property
    def running(self) -> tuple[str, ...]:
        """Return the ids of the deployments that this process runs now."""
        return self._running.ids

    def environment(self, name: str) -> Environment:
        """Return an environment by name. Raises InvalidRequestError that names those there are."""
        environment = self._environments.get(name)
        if environment is None:
            raise unknown_environment(name, self._environments)
        return environment

    def _check(self, request: DeploymentRequest) -> Environment:
        environment = self.environment(request.environment)
        if request.kind is DeploymentKind.ROLLBACK or request.operation is not None:
            return environment
        is_promotion = request.promoted_from and request.version is None  # it has its release's
        if not is_promotion and not VERSION_PATTERN.fullmatch(request.version or ""):
            raise invalid_version(repr(request.version))
        if request.kind is DeploymentKind.HOTFIX and not request.reason.strip():
            raise InvalidRequestError(said("A hotfix needs a reason."))
        return environment

    def _new(self, request: DeploymentRequest, to_release: int | None) -> Deployment:
        coordination, environment = coordination_of(request), self._environments[request.environment]
        if environment.hosts:
            coordination = replace(coordination, phases=(coordination.policy(PhaseName.EXECUTION),))
        return Deployment(
            id=new_id((request.operation or request.kind).value),
            request=request,
            coordination=coordination.name,
            correlation_id=request.correlation_id or new_id("COR"),
            created_at=datetime.now(UTC),
            phases=tuple(PhaseResult(policy.name) for policy in coordination.phases),
            to_release=to_release,
            promotes_to=next_environment(self._environments, request.environment),
            data_stays=self._components.stacks.of(environment.by_host[0]).replaces_by_itself,
        )

    def _launch(self, deployment: Deployment, environment: Environment, fence: Fence) -> None:
        coordination = coordination_of(deployment.request)
        setting = self._components.settings.parallel_execution
        context = DeploymentContext(
            components=self._components,
            environment=environment,
            coordination=coordination,
            deployment=deployment,
            fence=fence,
            parallel=coordination.parallel_execution if setting is None else setting,
            pause_others=lambda: self._running.pause_others(deployment.id),
        )
        self._running.launch(context, WaveRun(context, self) if environment.hosts else DeploymentRun(context))


def _only_canary_ended(canary: Deployment) -> ImageChangedError:
    """Return why a rollback that asks for more than the canary's way back does nothing more."""
    return ImageChangedError(
        said(
            "Only the canary of {deployment} is taken back: this rollback was planned beside it, and nothing else of "
            "it is done.",
            deployment=canary.id,
        ),
        hint=said("Type it again once {deployment} has ended.", deployment=canary.id),
    )


def of_commit(environment: Environment, commit: str) -> Iterator[Message]:
    """Say which commit the files of an environment are of, where they come from a repository."""
    if environment.repository is not None:
        yield said("Its files are of commit {commit} of {ref}.", commit=commit[:12], ref=environment.repository.ref)


def _purpose(request: DeploymentRequest, to_release: int | None) -> str:
    """Name what the deployment lock is held for, as somebody types it: `deploy v2`, `restart web`."""
    words = [(request.operation or request.kind).value.lower()]
    if request.promoted_from:
        words = ["promote", f"r{request.promoted_release}", request.promoted_from]
    elif request.operation is None:
        words.append(f"r{to_release}" if request.kind is DeploymentKind.ROLLBACK else request.version or "")
    words += request.services
    if request.operation is Operation.SCALE:
        words.append(str(request.replicas))
    reason = f" ({request.reason})" if request.reason and request.operation is None else ""
    return " ".join(words) + reason
