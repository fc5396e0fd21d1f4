"""Number the releases of an environment on many hosts: each consists of the releases that its hosts were on."""

from collections.abc import Mapping
from datetime import UTC, datetime

from roas.deploy.context import DeploymentContext
from roas.errors import InvalidRequestError
from roas.messages.message import said
from roas.models.deployment import DeploymentKind, DeploymentRequest
from roas.models.environment import OF_HOST, Environment
from roas.models.release import ImagePin, Release, ReleaseService, ReleaseState
from roas.state.deployments.releases import RESTORABLE
from roas.state.manager import StateManager


def hosts_of(release: Release) -> dict[str, int]:
    """Return which release each host was on, by its environment's name."""
    return {service.name: int(service.image.image_id) for service in release.services}


def part_key(deployment_id: str, host: Environment, *, back: bool = False) -> str:
    """Return by which interaction a host's part of a deployment is known, of which the journal takes one ever."""
    return f"{deployment_id}{OF_HOST}{host.host}{':back' if back else ''}"


async def find_targets(
    state: StateManager, environment: Environment, request: DeploymentRequest
) -> tuple[Release, ...]:
    """Return the releases to which a rollback may lead, the first of which counts that a host is not on.

    That is the one that is named, else the last that succeeded before. Where the last deployment broke off, hosts may
    be on several releases: then the current one comes first. Raises InvalidRequestError where there is none.
    """
    name, releases = environment.name, state.releases
    current = await releases.current(name)
    found: list[Release | None]
    if request.target_release is not None:
        found = [await releases.get(name, request.target_release)]
    else:
        broke_off = bool((await state.deployments.left_by_failure(name))[0])
        found = [current if broke_off else None, next(iter(await releases.before(name)), None)]
    targets = tuple(release for release in found if release is not None and release.state in RESTORABLE)
    if not targets:
        raise InvalidRequestError(
            said("{environment} has no such release to go back to.", environment=name),
            hint=said("`roas releases {environment}` lists them.", environment=name),
        )
    return targets


async def note_release(context: DeploymentContext, version: str) -> Release | None:
    """Return the release that the hosts make together, a new one where none before was the same; None of none."""
    state, deployment, environment = context.components.state, context.deployment, context.environment
    parts = _parts({host.name: await state.releases.current(host.name) for host in environment.hosts})
    current = await state.releases.current(environment.name) or await _adopt(context)
    asked = None
    if deployment.request.kind is DeploymentKind.ROLLBACK and deployment.to_release is not None:
        asked = await state.releases.get(environment.name, deployment.to_release)
    for known in (asked, current):
        if known is not None and known.services == parts:
            return known
    return None if not parts else await _add(context, version, parts, None if current is None else current.number)


async def _adopt(context: DeploymentContext) -> Release | None:
    """Make what the first deployment found on the hosts the first release, to which a rollback leads."""
    releases, found = context.components.state.releases, dict[str, Release | None]()
    for host in context.environment.hosts:
        part = await context.components.state.deployments.of_interaction(part_key(context.deployment.id, host))
        number = None if part is None else part.from_release
        found[host.name] = None if number is None else await releases.get(host.name, number)
    parts = _parts(found)
    version = next((release.version for release in found.values() if release is not None), "")
    return None if not parts else await _add(context, version, parts, None, ReleaseState.ADOPTED)


async def _add(
    context: DeploymentContext,
    version: str,
    parts: tuple[ReleaseService, ...],
    replaces: int | None,
    state: ReleaseState = ReleaseState.SUCCEEDED,
) -> Release:
    deployment = context.deployment
    release = Release(
        environment=context.environment.name,
        number=0,
        version=version,
        state=state,
        services=parts,
        model_hash="",
        created_at=datetime.now(UTC),
        created_by=deployment.request.requested_by,
        deployment_id=None if state is ReleaseState.ADOPTED else deployment.id,
        replaces=replaces,
    )
    return await context.components.state.releases.add(release, context.fence, deployment.correlation_id)


async def drop_old_releases(context: DeploymentContext, kept: int, runs: int | None) -> None:
    """Stop keeping what is beyond the last releases; those of the hosts are dropped by their own deployments."""
    releases = context.components.state.releases
    for release in await releases.beyond(context.environment.name, kept, runs=runs):
        await releases.forget(release, context.fence)


def _parts(releases: Mapping[str, Release | None]) -> tuple[ReleaseService, ...]:
    """Write which release each host is on as the services of a release are written."""
    return tuple(
        ReleaseService(name, ImagePin(f"{release.label} ({release.version})", str(release.number)), "")
        for name, release in releases.items()
        if release is not None
    )
