"""Find the release from which recovery may take a service that broke."""

from roas.models.deployment import ServiceStep
from roas.models.release import Release, ReleaseService, ReleaseState
from roas.state.manager import StateManager

# How a deployment that succeeded leaves a service whose health check passed, that has ended well, or that went on
# running for as long as it was watched.
SOUND = frozenset({ServiceStep.HEALTHY, ServiceStep.COMPLETED, ServiceStep.UNVERIFIED})


async def find_sound_release(state: StateManager, environment: str, service: str) -> Release | None:
    """Return the last release in which another version of a service was sound; None where the current one was, too.

    A version that was sound once did not break by itself: what else broke it, an older version does not mend, and
    people's data may not be for that one. Raises StateError.
    """
    release = await state.releases.current(environment)
    current = release.service(service) if release is not None else None
    while release is not None:
        there = release.service(service)
        if there is not None and await _was_sound(state, release, service):
            return None if current is None or _is_same(there, current) else release
        release = await state.releases.get(environment, release.replaces) if release.replaces is not None else None
    return None


async def _was_sound(state: StateManager, release: Release, service: str) -> bool:
    """Return whether the deployment that made a release saw a service well; it tells nothing of one that it left."""
    if release.state is not ReleaseState.SUCCEEDED or release.deployment_id is None:
        return False
    deployment = await state.deployments.get(release.deployment_id)
    progress = deployment.services if deployment is not None else ()
    return any(one.service == service and one.changed and one.step in SOUND for one in progress)


def _is_same(one: ReleaseService, other: ReleaseService) -> bool:
    return (one.image.image_id, one.definition_hash) == (other.image.image_id, other.definition_hash)
