"""`tools.campaigns.swarm.resume`: a bot starts after one that died; it ends what it finds unfinished, and goes."""

import asyncio
import sys

from roas.app.application import open_application
from roas.configuration.loading import load_settings


async def main() -> int:
    """Resume, and return how many deployments there were to resume."""
    async with open_application(load_settings(needs_discord=False)) as opened:
        resumed = await opened.orchestrator.resume()
        for item in resumed:
            await opened.orchestrator.wait(item.id)
    return len(resumed)


if __name__ == "__main__":
    print(asyncio.run(main()))
    sys.exit(0)
