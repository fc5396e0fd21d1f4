"""Ensure that this process holds the environment, that it is clean, and that it has a release to roll back to."""

from roas.deploy.context import DeploymentContext
from roas.messages.message import said
from roas.models.events import DeploymentBegan
from roas.models.phases import PhaseName
from roas.models.release import ReleaseState


class Initialization:
    """Check the lock and the engine, sweep leftovers, and adopt what runs as release 0."""

    name = PhaseName.INITIALIZATION

    async def run(self, context: DeploymentContext) -> str:
        """Return which release the environment is on."""
        request = context.deployment.request
        context.publish(DeploymentBegan(kind=request.kind, version=request.version, **context.origin))
        return await make_ready(context)


async def make_ready(context: DeploymentContext) -> str:
    """Do what every deployment needs first; a hotfix, which has no initialization, does it within its first phase."""
    components = context.components
    await components.state.locks.check(context.fence)
    for action in await context.own_service.sweep(on_left=context.warn):
        context.warn(action)
    deployment = context.deployment
    request = deployment.request
    current = await context.keeper.adopt(
        request.requested_by, deployment.correlation_id, version=request.version or None
    )
    if current is None:
        return said("nothing runs here yet")
    if deployment.from_release is None:
        await context.update(from_release=current.number)
    if current.state is ReleaseState.ADOPTED and current.deployment_id is None and current.number == 0:
        return said("what runs is release r0 (adopted)")
    return said("the environment is on {current}", current=current.label)
