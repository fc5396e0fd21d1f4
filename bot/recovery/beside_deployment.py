"""Decide what a recovery may do beside a deployment that waits for a person, and by which release."""

from roas.engine.interface import Engine
from roas.errors import ServiceFailedError
from roas.messages.message import said
from roas.models.holding import Holding
from roas.models.recovery import Fault, RecoveryOutcome, RecoveryReport
from roas.models.release import Release
from roas.models.stack import ServiceDefinition
from roas.state.manager import StateManager


def is_held(fault: Fault, holding: Holding | None) -> bool:
    """Return whether a deployment has the service that failed in hand."""
    return holding is not None and holding.holds(fault.service)


def kept_away_by(fault: Fault, holding: Holding | None) -> RecoveryReport | None:
    """Return why a service is left to a deployment, or None where it is not."""
    if holding is None or not holding.holds(fault.service):
        return None
    text = said(
        "{deployment_id} holds the deployment lock; checked again when it has ended",
        deployment_id=holding.deployment_id,
    )
    if holding.paused:
        text = said(
            "{deployment_id} is paused in the middle of {service}: a person decides; checked again after that",
            deployment_id=holding.deployment_id,
            service=fault.service,
        )
    return RecoveryReport(fault, RecoveryOutcome.KEPT_AWAY, text)


async def wanted_service(engine: Engine, state: StateManager, fault: Fault) -> tuple[str, ServiceDefinition]:
    """Return the model that runs, and how it defines the service. Raises ServiceFailedError."""
    release, applied = await _release(state, fault)
    if release is None:
        raise ServiceFailedError(
            said("there is no release of {environment}.", environment=fault.environment), service=fault.service
        )
    model_hash = applied or release.model_hash
    definition = engine.definitions(await engine.load_model(model_hash)).get(fault.service)
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
