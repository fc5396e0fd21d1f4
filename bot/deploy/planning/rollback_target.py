"""Find the release that a rollback leads to: the last that succeeded and differs, or the one that is named.

For a service that is down it is the last in which another version of it was sound. After a failed deployment nothing
is chosen: that goes back to where it came from. On many hosts, `waves/host_releases.py` chooses among theirs.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from roas.deploy.components import Components
from roas.deploy.planning.plan import changed_keys
from roas.deploy.release_keeper import not_restorable
from roas.errors import InvalidRequestError, ReleaseNotRestorableError
from roas.messages.message import said
from roas.models.deployment import DeploymentRequest, ServiceStep
from roas.models.release import Release, ReleaseService, ReleaseState
from roas.stack.drift import find_drift
from roas.stack.service_comparison import WantedService, by_service, compare_service
from roas.stack.stack import Stack
from roas.state.manager import StateManager

# How a deployment that succeeded leaves a service whose health check passed, that has ended well, or that went on
# running for as long as it was watched.
SOUND = frozenset({ServiceStep.HEALTHY, ServiceStep.COMPLETED, ServiceStep.UNVERIFIED})


async def find_rollback_target(
    components: Components, stack: Stack, request: DeploymentRequest, current: Release | None
) -> Release:
    """Return the release to go back to, which can be restored; it differs in what the request names.

    Raises InvalidRequestError where there is none, ReleaseNotRestorableError where it is not kept or lost its images.
    """
    releases = components.state.releases
    named = frozenset(request.services)
    half_way = current is not None and await is_partially_applied(components, stack, current, named)
    if request.target_release is None:
        target = current if half_way else await _last_that_differs(components, stack, current, named)
        missing = said(
            "{environment} has no release before the current one, none that differs from it.",
            environment=stack.environment.name,
        )
        if named:
            services = ", ".join(sorted(named))
            missing = said("No earlier release has {services} otherwise than the current one.", services=services)
    else:
        target = await releases.get(stack.environment.name, request.target_release)
        missing = said("There is no release r{number}.", number=request.target_release)
    if target is None:
        raise InvalidRequestError(missing, hint=_other_release(stack.environment.name))
    await _model_of(components, target)
    gone = await stack.releases.missing_images(target)
    if gone := tuple(name for name in gone if name in (request.services or gone)):
        raise not_restorable(target, gone, [service.image for service in target.services if service.name in gone])
    if current is not None and is_same(target, current) and not half_way and not request.data:
        await _refuse_unchanged(stack, current, named)
    return target


def is_same(target: Release, current: Release | None) -> bool:
    """Return whether a release is the one that the environment is on."""
    return current is not None and target.number == current.number


async def is_partially_applied(components: Components, stack: Stack, current: Release, named: frozenset[str]) -> bool:
    """Return whether running services may be of two releases: a deployment broke off, and none has succeeded since.

    One that was put back, all of it, has left nothing of another release.
    """
    _, left = await components.state.deployments.left_by_failure(stack.environment.name)
    left = left & named if named else left
    if not left:
        return False
    return await _differs_from(stack, await stack.wanted_services(await _model_of(components, current)), left)


async def _refuse_unchanged(stack: Stack, current: Release, named: frozenset[str]) -> None:
    """Raise InvalidRequestError where nothing of the current release can be restored: nobody made it otherwise."""
    drift = await find_drift(stack, current, current.model_hash, await stack.containers())
    changed = frozenset(service.service for service in drift if not named or service.service in named)
    wanted = await stack.wanted_services(await _renewed(stack, current))
    if changed and await _differs_from(stack, wanted, changed):
        return
    hint = _other_release(stack.environment.name)
    if changed:
        hint = said(
            "{services} was changed while it ran, which stays. To recreate it: "
            "`roas compose {environment} -- up -d --force-recreate {services}`.",
            services=" ".join(sorted(changed)),
            environment=stack.environment.name,
        )
    raise InvalidRequestError(
        said("{environment} is on {target} already.", environment=stack.environment.name, target=current.label),
        hint=hint,
    )


def _other_release(environment: str) -> str:
    return said(
        "Choose another release (`roas releases {environment}`, and `/rollback`, list them), or deploy that version "
        "again.",
        environment=environment,
    )


async def _differs_from(stack: Stack, wanted: Mapping[str, WantedService], names: frozenset[str]) -> bool:
    """Return whether services that last run otherwise than wanted, or are not wanted at all."""
    there = by_service(await stack.containers())
    written = await stack.written_services()
    if names & ((there.keys() | written) - wanted.keys()):
        return True
    lasting = {
        name: wanted_service
        for name, wanted_service in wanted.items()
        if name in names and not wanted_service.definition.one_shot
    }
    return any(compare_service(wanted_service, there.get(name, ())) for name, wanted_service in lasting.items())


async def _last_that_differs(
    components: Components, stack: Stack, current: Release | None, named: frozenset[str]
) -> Release | None:
    """Return the last release before the current one that succeeded, is kept, and is not the same once more.

    Where services are named, these count alone, and have to be in it.
    """
    if current is None:
        return None
    model = await _renewed(stack, current)
    now = await stack.wanted_services(model)
    for release in await components.state.releases.before(stack.environment.name, current.number):
        try:
            earlier = await _renewed(stack, release)
            before = await stack.wanted_services(earlier)
        except ReleaseNotRestorableError:
            return release  # which says why
        spelled = await stack.releases.respelled(earlier, model)
        closely = ReleaseState.ADOPTED not in {release.state, current.state}  # that one says less of its services
        if named:
            both = named & before.keys() & now.keys()
        elif before.keys() != now.keys():
            return release
        else:
            both = frozenset(now)
        if any(
            _differs(before[name], now[name], closely) or (closely and changed_keys(spelled, model, name))
            for name in both
        ):
            return release
    return None


async def _renewed(stack: Stack, release: Release) -> Mapping[str, Any]:
    """Return the model of a release with today's credentials."""
    model, _ = await stack.releases.renewed(release)
    return model


def _differs(before: WantedService, now: WantedService, closely: bool) -> bool:
    """Return whether services are made, counted or, looked at `closely`, updated and judged otherwise.

    Of two configurations of a proxy, at most one is what it has read.
    """
    if not before.is_like(now) or before.definition.replicas != now.definition.replicas or before.unread != now.unread:
        return True
    return closely and replace(before.definition, image="", definition_hash="") != replace(
        now.definition, image="", definition_hash=""
    )


async def _model_of(components: Components, release: Release) -> Mapping[str, Any]:
    try:
        return await components.stacks.load_model(release.model_hash)
    except ReleaseNotRestorableError as error:
        kept = components.settings.releases_kept
        raise ReleaseNotRestorableError(
            said(
                "{release} cannot be restored: it is not kept any more (the last {kept} are).",
                release=release.label,
                kept=kept,
            ),
            hint=_other_release(release.environment),
        ) from error


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
            return None if current is None or _is_same_service(there, current) else release
        release = await state.releases.get(environment, release.replaces) if release.replaces is not None else None
    return None


async def _was_sound(state: StateManager, release: Release, service: str) -> bool:
    """Return whether the deployment that made a release saw a service well; it tells nothing of one that it left."""
    if release.state is not ReleaseState.SUCCEEDED or release.deployment_id is None:
        return False
    deployment = await state.deployments.get(release.deployment_id)
    progress = deployment.services if deployment is not None else ()
    return any(
        service_progress.service == service and service_progress.changed and service_progress.step in SOUND
        for service_progress in progress
    )


def _is_same_service(before: ReleaseService, now: ReleaseService) -> bool:
    return (before.image.image_id, before.definition_hash) == (now.image.image_id, now.definition_hash)
