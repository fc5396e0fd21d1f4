"""A bot's process that can be killed: it resumes what a dead one left, deploys a version if one is named, and ends.

`python -m tools.campaigns.requests.worker FOLDER PORT DOCKER_HOST [VERSION]`, with the folder of a scene.
"""

import asyncio
import sys
from pathlib import Path

import docker

from roas.models.deployment import Outcome
from tools.campaigns.requests.scene import Scene, application, deploy


async def _main(folder: str, port: str, docker_host: str, *versions: str) -> None:
    client = docker.DockerClient(base_url=docker_host)
    async with application(Scene(Path(folder), int(port), docker_host, client)) as opened:
        for resumed in await opened.orchestrator.resume():
            ended = await opened.orchestrator.wait(resumed.id)
            if ended.outcome is not Outcome.SUCCEEDED:
                sys.exit(f"{ended.id} ended as {ended.outcome}")
        for version in versions:
            await deploy(opened, version)
    client.close()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
