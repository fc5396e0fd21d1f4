"""Tidy up after a deployment that succeeded."""

from collections.abc import Awaitable, Callable

from roas.deploy.context import DeploymentContext
from roas.deploy.data.backups import drop_old_backups
from roas.deploy.draft import load_release
from roas.deploy.release_keeper import clear_unused
from roas.errors import FencedOffError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.deployment import DeploymentKind
from roas.models.phases import PhaseName
from roas.models.release import Release
from roas.shortages import fault_of

log = get_logger(__name__)


class Completion:
    """Remove old releases; monitoring continues.

    The release is verified by now: each task fails on its own, with a warning, and is repeated, or completed,
    by the next completion. Releases are forgotten first, so that no rollback picks a half-removed one; what they
    held is then found by what is still there.
    """

    name = PhaseName.COMPLETION

    async def run(self, context: DeploymentContext) -> str:
        """Return what was tidied. Raises a transient fault, which is worth another try; others become warnings."""
        if not context.coordination.prunes:
            return said("nothing to clean up")
        components, runs = context.components, context.deployment.to_release
        await _try(context, context.keeper.forget(components.settings.releases_kept, runs=runs), not_tidied_up)
        gone: list[str] = []
        await _try(context, _drop_forgotten_releases(context, gone), not_tidied_up)
        await _try(context, clear_unused(components.stacks, components.state), not_tidied_up)
        if context.deployment.request.kind is not DeploymentKind.ROLLBACK:  # what it leads to may ask for fewer
            await _try(context, _drop_old_backups(context), not_tidied_up)
        return said("removed {gone}", gone=", ".join(gone)) if gone else said("nothing to clean up")


async def _drop_forgotten_releases(context: DeploymentContext, gone: list[str]) -> None:
    runs = context.deployment.to_release
    for release in await context.keeper.forgotten(runs=runs):
        await _try(context, _drop_old(context, release, gone), not_tidied_up)


async def _drop_old_backups(context: DeploymentContext) -> None:
    release = await load_release(context)
    await drop_old_backups(context, await context.definitions(context.model_hash or release.model_hash))


async def _drop_old(context: DeploymentContext, release: Release, gone: list[str]) -> None:
    await context.keeper.drop_release(release)
    gone.append(release.label)


async def _try(context: DeploymentContext, task: Awaitable[object], text: Callable[[str], str]) -> None:
    """Run one task; a permanent failure becomes a warning. Raises FencedOffError, and transient faults."""
    try:
        await task
    except FencedOffError:
        raise
    except Exception as error:  # no unexpected error may undo a verified release
        fault = fault_of(error)
        if fault.transient:
            raise fault from (error.__cause__ if fault is error else error)
        log.warning("a task of completion failed", error=fault.message, exc_info=fault is not error)
        context.warn(text(fault.message))


def not_tidied_up(why: str) -> str:
    """Say that completion could not do all of its tasks."""
    return said(
        "The release runs, but the cleanup is not complete; it is retried after the next deployment: {why}", why=why
    )
