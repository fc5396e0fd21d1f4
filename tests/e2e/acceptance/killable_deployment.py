"""Deploy the version that is typed, and die without a word right after the n-th step of that (MORTAL_AFTER).

The settings are those of a bot, from the environment.
"""

import asyncio
import sys

from roas.app.application import open_application
from roas.configuration.settings import Settings
from roas.metrics.bot_metrics import Metrics
from roas.models.deployment import DeploymentKind
from tests.e2e.acceptance.people import request
from tests.e2e.wire import killable_bot

__all__ = ["killable_bot"]  # to load it is what kills


async def _deploy(version: str) -> None:
    async with open_application(Settings(_env_file=None), metrics=Metrics("test")) as application:
        await application.orchestrator.run(request(DeploymentKind.DEPLOY, version=version))


if __name__ == "__main__":
    asyncio.run(_deploy(sys.argv[1]))
