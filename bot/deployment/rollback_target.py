"""Find the release that a rollback goes back to, and see that it can be restored."""

from collections.abc import Mapping
from typing import Any

from roas.deployment.components import Components
from roas.engine.release_keeper import not_restorable
from roas.errors import InvalidRequestError, ReleaseNotRestorableError
from roas.messages.message import said
from roas.models.deployment import DeploymentRequest, Outcome
from roas.models.environment import Environment
from roas.models.release import Release


async def find_rollback_target(
    components: Components, environment: Environment, request: DeploymentRequest, current: Release | None
) -> tuple[Release, Mapping[str, Any]]:
    """Return the release to go back to, which can be restored, and its model.

    Raises InvalidRequestError where there is none, ReleaseNotRestorableError where it is not kept or lost its images.
    """
    releases = components.state.releases
    half_way = await _is_partially_applied(components, environment)
    if request.target_release is None:
        number = None if current is None else current.number
        target = current if half_way and current is not None else await releases.previous(environment.name, number)
        missing = said("{environment} has no release before the current one.", environment=environment.name)
    else:
        target = await releases.get(environment.name, request.target_release)
        missing = said(
            "{environment} has no release r{target_release}.",
            environment=environment.name,
            target_release=request.target_release,
        )
    if target is None:
        hint = said(
            "`roas releases {environment}` lists those that there are; in Discord, `/rollback` suggests them.",
            environment=environment.name,
        )
        raise InvalidRequestError(missing, hint=hint)
    model = await _model_of(components, target)
    if gone := await components.engine.missing_images(target, environment):
        raise not_restorable(target, gone, [one.image for one in target.services if one.name in gone])
    if is_same(target, current) and not half_way:
        raise InvalidRequestError(
            said("{environment} is on {target} already.", environment=environment.name, target=target.label),
            hint=said("Name another release, or deploy that version again: what is missing is made again."),
        )
    return target, model


def is_same(target: Release, current: Release | None) -> bool:
    """Return whether a release is the one that the environment is on."""
    return current is not None and target.number == current.number


async def _is_partially_applied(components: Components, environment: Environment) -> bool:
    """Return whether running services may be of two releases: a deployment broke off, and none has succeeded since."""
    last = await components.state.deployments.list(environment.name)
    decisive = (one for one in last if one.touched or one.outcome is Outcome.SUCCEEDED)
    return next((one.outcome is Outcome.FAILED for one in decisive), False)


async def _model_of(components: Components, release: Release) -> Mapping[str, Any]:
    try:
        return await components.engine.load_model(release.model_hash)
    except ReleaseNotRestorableError as error:
        kept = components.settings.releases_kept
        raise ReleaseNotRestorableError(
            said(
                "{release} cannot be restored: it is not kept any more (the last {kept} are).",
                release=release.label,
                kept=kept,
            ),
            hint=said(
                "`roas releases {environment}` lists those that are, and `/rollback` suggests them. Or deploy that "
                "version again.",
                environment=release.environment,
            ),
        ) from error
