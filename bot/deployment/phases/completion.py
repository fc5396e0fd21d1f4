"""Tidy up after a deployment that succeeded."""

from bot.deployment.context import DeploymentContext
from bot.models.coordination import PhaseName


class Completion:
    """Let go of old releases; monitoring goes on."""

    name = PhaseName.COMPLETION

    async def run(self, context: DeploymentContext) -> str:
        """Return what was tidied."""
        if not context.coordination.prunes:
            return "nothing to tidy"
        kept = context.components.settings.releases_kept
        runs = context.deployment.to_release
        gone = await context.components.manager.prune(context.environment, kept, context.fence, runs=runs)
        return f"let go of {', '.join(release.label for release in gone)}" if gone else "nothing to tidy"
