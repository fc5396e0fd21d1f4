"""Recover a service by the gentlest action that helps: the ErrorHandler."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from roas.alerts.alert_service import AlertService
from roas.concurrency import pause
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.deploy.planning.rollback_target import find_sound_release
from roas.errors import EngineUnavailableError, RoasError
from roas.limits import RECOVERY_ENGINE_SECONDS, RECOVERY_PAUSE_SECONDS, SOON, Backoff
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.actor import RECOVERY, Actor, ActorKind
from roas.models.alert import RecoveryStatus
from roas.models.deployment import DeploymentKind, DeploymentRequest, Outcome, ServiceStep
from roas.models.environment import Environment
from roas.models.health import ContainerState
from roas.models.recovery import Fault, FaultCategory, RecoveryAction, RecoveryOutcome, RecoveryReport, RecoveryStep
from roas.models.release import Holding
from roas.models.stack import ServiceDefinition
from roas.models.stored import new_id
from roas.recovery.attempts import RecoveryAttempts
from roas.recovery.refusals import RecoveryChecks, budget_allows, find_refusal, wanted_service
from roas.recovery.restart import restart_service, settle, until_answered
from roas.recovery.swarm_recovery import wait_for_tasks, what_swarm_did
from roas.shortages import find_passing
from roas.stack.containers.readiness import wait_until_ready
from roas.stack.containers.watch import ContainerWatch
from roas.stack.stack import Stack
from roas.stack.stacks import Stacks
from roas.stack.updating.deployment_manager import DeploymentManager
from roas.stack.updating.service_update import ServiceUpdate
from roas.state.living_processes import boot_id, boot_seconds
from roas.state.manager import StateManager

log = get_logger(__name__)

STEP_SECONDS = 90.0
ASKS_A_PERSON = said("no automatic rollback: its version was sound, or no earlier one is known to be; a person decides")
RECOVERY_ACTOR = Actor(ActorKind.SYSTEM, RECOVERY, said("automatic recovery"))
LADDERS = {
    FaultCategory.PROCESS: (RecoveryAction.RESTART, RecoveryAction.RECREATE, RecoveryAction.ROLL_BACK),
    FaultCategory.CONTAINER: (RecoveryAction.RECREATE, RecoveryAction.ROLL_BACK),
}
RECOVERED = said("recovered")
INTERRUPTED_ATTEMPT = said("interrupted, the bot stopped in the middle of it")
YIELDED_TO_DEPLOYMENT = said("interrupted, a deployment started")
ACTION_NAMES = {
    RecoveryAction.RESTART: said("restart"),
    RecoveryAction.RECREATE: said("recreate from the release"),
    RecoveryAction.ROLL_BACK: said("roll back"),
}


@dataclass(frozen=True, slots=True)
class RecoveryParts:
    """Hold what a recovery acts on and asks; the orchestrator carries out a rollback."""

    stacks: Stacks
    manager: DeploymentManager
    state: StateManager
    notes: AlertService
    checks: RecoveryChecks
    orchestrator: DeploymentOrchestrator


class ErrorHandler:
    """Restart, recreate from the release, roll back, or escalate; an attempt is recorded before it is made.

    Where the engine replaces containers by itself, all there is to do is to wait for it.
    """

    def __init__(self, parts: RecoveryParts, *, attempts: RecoveryAttempts | None = None) -> None:
        self._stacks = parts.stacks
        self._manager = parts.manager
        self._state = parts.state
        self._notes = parts.notes
        self._checks = parts.checks
        self._orchestrator = parts.orchestrator
        self._recovery_attempts = attempts or RecoveryAttempts()

    async def handle(self, fault: Fault, environment: Environment) -> RecoveryReport:
        """Recover a service or say why not. Raises StateError."""
        refusal = await find_refusal(self._state, self._checks, fault, environment)
        if refusal is not None:
            return refusal
        if self._stacks.of(environment).replaces_by_itself:
            return await self._wait_for_engine(fault, environment)
        if await self._is_job(fault):
            return RecoveryReport(fault, RecoveryOutcome.ESCALATED, said("it is a job, which only a deployment runs"))
        await self._notes.note(fault.alert_id, healing=RecoveryStatus.UNDER_WAY)
        if await self._close_interrupted(fault) and await self._is_recovered(fault, environment):
            return RecoveryReport(fault, RecoveryOutcome.RECOVERED, said("it has recovered"))
        return await self._climb(fault, environment)

    async def _wait_for_engine(self, fault: Fault, environment: Environment) -> RecoveryReport:
        """Wait for what the engine does, and report it; it is no attempt of ours, and counts against no budget."""
        await self._notes.note(fault.alert_id, healing=RecoveryStatus.UNDER_WAY)
        stack = self._stacks.of(environment)
        problem = await wait_for_tasks(stack, fault.service)
        if (refusal := await find_refusal(self._state, self._checks, fault, environment)) is not None:
            return refusal
        alert = await self._state.alerts.get(fault.alert_id)
        done = await what_swarm_did(stack, fault.service, datetime.now(UTC) if alert is None else alert.started_at)
        if problem is None:
            text = done or said("its tasks run again")
            await self._notes.note(fault.alert_id, text)
            return RecoveryReport(fault, RecoveryOutcome.RECOVERED, text)
        text = joined("; ", [part for part in (problem, done) if part])
        return RecoveryReport(fault, RecoveryOutcome.ESCALATED, text)

    async def _climb(self, fault: Fault, environment: Environment) -> RecoveryReport:
        """Try one thing after the other, the gentlest first; each only once the one before has shown what it did."""
        tried: list[str] = []
        for action in LADDERS[await self._category(fault, environment)]:
            if not await self._may_try(fault, action):
                continue
            if tried:
                await pause(RECOVERY_PAUSE_SECONDS)
                if (report := await self._check_between(fault, environment)) is not None:
                    return report
            if action is RecoveryAction.ROLL_BACK and not await self._has_sound_release(fault):
                tried.append(ASKS_A_PERSON)
                continue
            problem = await self._attempt(fault, environment, action)
            if problem is None:
                text = said("{action}: {problem}", action=ACTION_NAMES[action], problem=said("it has recovered"))
                return RecoveryReport(fault, RecoveryOutcome.RECOVERED, text)
            tried.append(said("{action}: {problem}", action=ACTION_NAMES[action], problem=problem))
        if tried and (refusal := await find_refusal(self._state, self._checks, fault, environment)) is not None:
            return refusal
        used_up = said("the recovery budget is used up, the service failed again each time")
        return RecoveryReport(fault, RecoveryOutcome.ESCALATED, joined("; ", tried) if tried else used_up)

    async def _is_job(self, fault: Fault) -> bool:
        try:
            return (await self._wanted(fault))[1].one_shot
        except RoasError:
            return False

    async def _may_try(self, fault: Fault, action: RecoveryAction) -> bool:
        if action is RecoveryAction.ROLL_BACK and await self._holding(fault) is not None:
            return False  # a deployment is paused: which release it is to be is what a person is asked
        return await budget_allows(self._state.recoveries, fault.environment, fault.service, action)

    async def _check_between(self, fault: Fault, environment: Environment) -> RecoveryReport | None:
        """Return why nothing more is to be tried, a moment after an attempt that did not help; None where it is."""
        if (refusal := await find_refusal(self._state, self._checks, fault, environment)) is not None:
            return refusal
        if await self._is_recovered(fault, environment):
            return RecoveryReport(fault, RecoveryOutcome.RECOVERED, said("it has recovered"))
        return None

    async def _has_sound_release(self, fault: Fault) -> bool:
        return await find_sound_release(self._state, fault.environment, fault.service) is not None

    async def _category(self, fault: Fault, environment: Environment) -> FaultCategory:
        if fault.category is not FaultCategory.PROCESS:
            return fault.category
        try:
            containers = await self._stacks.of(environment).containers()
        except RoasError:
            return FaultCategory.PROCESS
        has_any = any(container.service == fault.service for container in containers)
        return FaultCategory.PROCESS if has_any else FaultCategory.CONTAINER

    async def _attempt(self, fault: Fault, environment: Environment, action: RecoveryAction) -> str | None:
        """Make one attempt; returns why it did not help, or None where the service is healthy again."""
        step = RecoveryStep(
            new_id("STEP"),
            fault.alert_id,
            fault.environment,
            fault.service,
            action,
            datetime.now(UTC),
            boot_id=boot_id(),
            boot_seconds=boot_seconds(),
            ended=False,
        )
        await self._state.recoveries.save(step)
        log.info("recovery attempt", alert_id=fault.alert_id, service=fault.service, action=action.value)
        problem = await self._try_with_engine(fault, environment, action)
        await self._state.recoveries.save(replace(step, result=problem or RECOVERED, ended=True))
        text = said("{action}: {problem}", action=ACTION_NAMES[action], problem=problem or RECOVERED)
        await self._notes.note(fault.alert_id, text)
        return problem

    async def _try_with_engine(self, fault: Fault, environment: Environment, action: RecoveryAction) -> str | None:
        """Try, and try the same again for as long as the engine, or a part of it, is away: the service is not to blame.

        Nothing gentler or harsher would help then. What has run out on the machine is waited for, too.
        """
        backoff, deadline, told = Backoff(SOON), time.monotonic() + RECOVERY_ENGINE_SECONDS, False
        while True:
            try:
                return await self._try(fault, environment, action)
            except EngineUnavailableError as error:
                if time.monotonic() > deadline:
                    return error.message
                log.warning("recovery waits for the engine", alert_id=fault.alert_id, error=error.message)
                if not told:
                    text = said("{action}: waits: {reason}", action=ACTION_NAMES[action], reason=error.message)
                    await self._notes.note(fault.alert_id, text)
                told = True
            await pause(backoff.failed())

    async def _close_interrupted(self, fault: Fault) -> bool:
        """Record that attempts of a bot that died were interrupted; returns whether there were any."""
        interrupted = await self._state.recoveries.unfinished(fault.alert_id)
        for step in interrupted:
            await self._state.recoveries.save(replace(step, result=INTERRUPTED_ATTEMPT, ended=True))
            text = said("{action}: {problem}", action=ACTION_NAMES[step.action], problem=INTERRUPTED_ATTEMPT)
            await self._notes.note(fault.alert_id, text)
        return bool(interrupted)

    async def _is_recovered(self, fault: Fault, environment: Environment) -> bool:
        """Return whether a service is healthy after earlier attempts: where it runs, it is given its time."""
        stack = self._stacks.of(environment)
        try:
            async with asyncio.timeout(STEP_SECONDS), ContainerWatch(stack) as watch:
                _, definition = await self._wanted(fault)
                own = watch.of_service(fault.service)
                if not own or any(container.state is not ContainerState.RUNNING for container in own):
                    return False
                await wait_until_ready(stack, definition, watch)
                await settle(definition, watch)
                return await self._checks.prober.all_answer(environment, definition)
        except (TimeoutError, RoasError):
            return False

    async def _try(self, fault: Fault, environment: Environment, action: RecoveryAction) -> str | None:
        if action is RecoveryAction.ROLL_BACK:
            return await _why_in_vain(self._deploy_previous(fault, environment))

        async def is_locked() -> bool:
            holding = await self._holding(fault)
            return holding is not None and holding.holds(fault.service)

        async def act() -> str | None:
            if await is_locked():  # a deployment has just taken the environment
                return YIELDED_TO_DEPLOYMENT
            return await _why_in_vain(self._apply(fault, environment, action))

        ended, problem = await self._recovery_attempts.run(environment, act(), is_locked)
        if problem is not None and await is_locked():  # it met what the deployment does to the service
            return YIELDED_TO_DEPLOYMENT
        return problem if ended else YIELDED_TO_DEPLOYMENT

    async def _apply(self, fault: Fault, environment: Environment, action: RecoveryAction) -> None:
        """Restart or recreate. Raises RoasError, TimeoutError."""
        stack, checks = self._stacks.of(environment), self._checks
        async with asyncio.timeout(STEP_SECONDS), ContainerWatch(stack) as watch:
            model_hash, definition = await self._wanted(fault)
            await stack.releases.check(model_hash)
            if action is RecoveryAction.RESTART:
                await restart_service(stack, definition, watch, checks, self._manager.behind_proxy)
            else:
                await self._recreate(stack, model_hash, definition, watch)

    async def _wanted(self, fault: Fault) -> tuple[str, ServiceDefinition]:
        return await wanted_service(self._stacks, self._state, fault)

    async def _holding(self, fault: Fault) -> Holding | None:
        return await self._state.deployments.holding(fault.environment)

    async def _recreate(
        self, stack: Stack, model_hash: str, definition: ServiceDefinition, watch: ContainerWatch
    ) -> None:
        """Recreate the containers that do not serve; anonymous volumes are kept. Raises ServiceFailedError."""
        update = ServiceUpdate(model_hash, definition, _ignore_progress, recreate=True)
        await self._manager.recreate_service(stack, watch, update, self._checks.alerts.expect_end)
        await settle(definition, watch)
        await until_answered(stack.environment, definition, watch, self._checks.prober)

    async def _deploy_previous(self, fault: Fault, environment: Environment) -> str | None:
        """Take the service, and nothing else, from the last release in which it was sound: a deployment like any."""
        earlier = await find_sound_release(self._state, fault.environment, fault.service)
        if earlier is None:
            return ASKS_A_PERSON
        request = DeploymentRequest(
            environment=fault.environment,
            kind=DeploymentKind.ROLLBACK,
            requested_by=RECOVERY_ACTOR,
            services=(fault.service,),
            target_release=earlier.number,
            reason=said("{service} stays down ({alert_id})", service=fault.service, alert_id=fault.alert_id),
            correlation_id=fault.correlation_id or None,
        )
        deployment = await self._orchestrator.run(request)
        if deployment.outcome is not Outcome.SUCCEEDED:
            return said("{deployment_id}: {outcome}", deployment_id=deployment.id, outcome=deployment.outcome)
        stack = self._stacks.of(environment)
        async with asyncio.timeout(STEP_SECONDS), ContainerWatch(stack) as watch:
            _, definition = await self._wanted(fault)
            await wait_until_ready(stack, definition, watch)
            await settle(definition, watch)
        return None


async def _why_in_vain(attempt: Awaitable[str | None]) -> str | None:
    """Return why an attempt did not help, or None where it did. Raises EngineUnavailableError."""
    try:
        return await attempt
    except TimeoutError:
        return said("it did not recover within {step_seconds} s", step_seconds=f"{STEP_SECONDS:g}")
    except RoasError as error:
        if isinstance(passing := find_passing(error) or error, EngineUnavailableError):
            raise passing from error
        return error.message


async def _ignore_progress(service: str, step: ServiceStep, text: str, fraction: float | None) -> None:
    """Post nothing about a step: the alert already has the recovery's note."""
