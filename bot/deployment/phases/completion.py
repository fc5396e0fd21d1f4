"""Tidy up after a deployment that succeeded."""

from collections.abc import Awaitable

import structlog

from bot.deployment.context import DeploymentContext
from bot.errors import FencedOffError, InternalFaultError, RoasError
from bot.models.coordination import PhaseName
from bot.models.release import Release

log = structlog.get_logger(__name__)


class Completion:
    """Let go of old releases; monitoring goes on.

    The release has proved itself by now: each task fails by itself, with a warning, and is done again, or to its end,
    by the next completion. Releases are forgotten first, so that nobody goes back to one that is half gone; what they
    held is then found by what is still there.
    """

    name = PhaseName.COMPLETION

    async def run(self, context: DeploymentContext) -> str:
        """Return what was tidied. Raises a transient fault, which is worth another try; others become warnings."""
        if not context.coordination.prunes:
            return "nothing to tidy"
        manager, environment = context.components.manager, context.environment
        kept, runs = context.components.settings.releases_kept, context.deployment.to_release
        await _try(context, "Forgetting old releases", manager.forget(environment, kept, context.fence, runs=runs))
        gone: list[str] = []
        await _try(context, "Letting go of forgotten releases", _let_go_of_forgotten(context, gone))
        await _try(context, "Clearing models and contents away", manager.clear_unused())
        return f"let go of {', '.join(gone)}" if gone else "nothing to tidy"


async def _let_go_of_forgotten(context: DeploymentContext, gone: list[str]) -> None:
    for release in await context.components.manager.forgotten(context.environment):
        await _try(context, f"Letting go of {release.label}", _let_go(context, release, gone))


async def _let_go(context: DeploymentContext, release: Release, gone: list[str]) -> None:
    await context.components.manager.let_go(context.environment, release)
    gone.append(release.label)


async def _try(context: DeploymentContext, words: str, task: Awaitable[object]) -> None:
    """Do one task; what fails for good becomes a warning. Raises FencedOffError, and faults that are transient."""
    try:
        await task
    except FencedOffError:
        raise
    except RoasError as error:
        if error.transient:
            raise
        context.warn(failure_words(words, error))
    except Exception as error:  # nothing that nobody foresaw undoes a release that has proved itself
        log.exception("a task of completion broke", task=words)
        context.warn(failure_words(words, InternalFaultError(f"{type(error).__name__}; see the bot's log.")))


def failure_words(words: str, error: RoasError) -> str:
    """Say that a task of completion failed, and what becomes of it."""
    return f"{words} failed: {error.message} It is tried again after the next deployment."
