"""Say what keeps a recovery from acting: its budget, a deployment, or a person; and which model it acts by."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from roas.alerts.service_alerts import ServiceAlerts
from roas.deploy.components import OwnContainerSource
from roas.errors import ServiceFailedError
from roas.health.coordinator import HealthCoordinator
from roas.health.probes import NetworkProber
from roas.limits import RECOVERIES, RECOVERY_WINDOW
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.health import Verdict
from roas.models.recovery import Fault, RecoveryAction, RecoveryOutcome, RecoveryReport, RecoveryStep
from roas.models.release import Holding, Release
from roas.models.stack import ServiceDefinition
from roas.stack.stacks import Stacks
from roas.state.living_processes import boot_id, boot_seconds
from roas.state.manager import StateManager
from roas.state.recoveries import Recoveries


async def budget_allows(recoveries: Recoveries, environment: str, service: str, action: RecoveryAction) -> bool:
    """Return whether something may be tried once more for a service; a rollback counts for its whole environment.

    Raises StateError.
    """
    counted_for = None if action is RecoveryAction.ROLL_BACK else service
    made = await recoveries.of(environment, counted_for, action)
    return sum(_age_of(step) < RECOVERY_WINDOW for step in made) < RECOVERIES[action]


def _age_of(step: RecoveryStep) -> timedelta:
    """Return how long ago something was tried; since the machine booted, a wall clock that jumps changes nothing."""
    if step.boot_id == boot_id():
        return timedelta(seconds=boot_seconds() - step.boot_seconds)
    return abs(datetime.now(UTC) - step.begun_at)


def _deferred_by(fault: Fault, holding: Holding | None) -> RecoveryReport | None:
    """Return why a service is left to a deployment, or None where it is not."""
    if holding is None or not holding.holds(fault.service):
        return None
    text = said(
        "{deployment_id} holds the deployment lock; checked again when it has ended",
        deployment_id=holding.deployment_id,
    )
    if holding.bakes(fault.service):
        text = said(
            "{service} bakes, and {deployment_id} takes it back where it is not well; checked again after that",
            deployment_id=holding.deployment_id,
            service=fault.service,
        )
    elif holding.is_partial:
        text = said(
            "{deployment_id} is paused in the middle of {service}: a person decides; checked again after that",
            deployment_id=holding.deployment_id,
            service=fault.service,
        )
    return RecoveryReport(fault, RecoveryOutcome.DEFERRED, text)


async def wanted_service(stacks: Stacks, state: StateManager, fault: Fault) -> tuple[str, ServiceDefinition]:
    """Return the model that runs, and how it defines the service. Raises ServiceFailedError."""
    release, applied = await _release(state, fault)
    if release is None:
        raise ServiceFailedError(
            said("there is no release of {environment}.", environment=fault.environment), service=fault.service
        )
    model_hash = applied or release.model_hash
    definition = stacks.definitions(await stacks.load_model(model_hash)).get(fault.service)
    if definition is None:
        raise ServiceFailedError(
            said("there is no {service} in {release}.", service=fault.service, release=release.label),
            service=fault.service,
        )
    return model_hash, definition


async def _release(state: StateManager, fault: Fault) -> tuple[Release | None, str | None]:
    """Return the release that a service is on, and the model that was applied.

    What a deployment that is paused has brought to the next release is on that one; all else is on the current one.
    """
    holding = await state.deployments.holding(fault.environment)
    if holding is not None and holding.to_release is not None and holding.has_arrived(fault.service):
        moving = await state.deployments.get(holding.deployment_id)
        release = await state.releases.get(fault.environment, holding.to_release)
        return release, moving.applied_model if moving is not None else None
    return await state.releases.current(fault.environment), await state.releases.applied_model(fault.environment)


@dataclass(frozen=True, slots=True)
class RecoveryChecks:
    """Hold what a handler asks before it acts: the stable verdict, manual stops, the probes, its own container."""

    health: HealthCoordinator
    alerts: ServiceAlerts
    prober: NetworkProber
    own_container: OwnContainerSource


async def find_refusal(
    state: StateManager, checks: RecoveryChecks, fault: Fault, environment: Environment
) -> RecoveryReport | None:
    """Return why a fault cannot be fixed from here, or None where it can. Raises StateError."""
    if (deferred := _deferred_by(fault, await state.deployments.holding(fault.environment))) is not None:
        return deferred
    if checks.alerts.is_manual_stop(fault.environment, fault.service):
        return RecoveryReport(fault, RecoveryOutcome.NOT_OURS, said("it was stopped manually, so it is left as it is"))
    verdict = checks.health.verdict(fault.environment, fault.service)
    if fault.from_outside and verdict is not Verdict.UNHEALTHY:
        text = said("no automatic recovery: the bot sees the service as {verdict}", verdict=verdict)
        return RecoveryReport(fault, RecoveryOutcome.NOT_OURS, text)
    own = await checks.own_container(environment)
    if own is not None and own.service == fault.service:
        return RecoveryReport(
            fault, RecoveryOutcome.ESCALATED, said("it is the bot itself, which has no automatic recovery")
        )
    return None
