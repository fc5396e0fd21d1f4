"""What is advised where an engine leads no Swarm, or a Swarm lacks something, is done as told, and then it is taken."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from roas.concurrency import pause
from roas.errors import EngineError, InvalidRequestError
from roas.models.environment import EngineKind, Environment
from roas.redaction import Redactor
from roas.stack.docker.engine import EngineClients
from roas.stack.stack import Stack
from roas.stack.stacks import Stacks
from roas.stack.swarm.writing.service_writes import make_shared
from roas.stack.swarm.writing.writer import SwarmWriter
from testbed.swarm import Swarm, SwarmNode

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(300)]
FILE = "services: {web: {image: 'app:v1', deploy: {endpoint_mode: dnsrr}, networks: []}}\n"
OUTER = {"services": {"web": {"networks": {"outer": None}}}, "networks": {"outer": {"external": True, "name": "outer"}}}
BY_HAND = "{version: '3.8', services: {web: {image: 'app:hand', deploy: {replicas: 0, endpoint_mode: dnsrr}}}}"
DIGEST = f"app:v1@sha256:{'0' * 64}"


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Swarm]:
    with Swarm(tmp_path / "swarm", workers=1) as made:
        yield made


def docker(node: SwarmNode, *command: str, given: str | None = None) -> str:
    """Type a command at a node."""
    typed = ["docker", "--host", node.docker_host, *command]
    return subprocess.run(typed, check=True, capture_output=True, text=True, input=given).stdout


@asynccontextmanager
async def stack_on(node: SwarmNode, folder: Path) -> AsyncIterator[Stack]:
    """Give a stack of one service, of which that node is asked."""
    folder.mkdir(exist_ok=True)
    (folder / "docker-compose.yml").write_text(FILE)
    files = (folder / "docker-compose.yml",)
    environment = Environment("dev", "shop", folder, files, docker_host=node.docker_host, engine=EngineKind.SWARM)
    stacks = Stacks(state_dir=folder / "state", instance_id="test", policy_allow=(), redactor=Redactor())
    try:
        yield stacks.of(environment)
    finally:
        await stacks.close()


async def advice_of(stack: Stack) -> str:
    """Return what is advised instead of a plan."""
    with pytest.raises((EngineError, InvalidRequestError)) as refused:
        await stack.resolve("v1")
    return str(refused.value.hint)


async def is_taken(stack: Stack) -> None:
    """Wait until a plan is made: a node takes a moment to be what it was told to be."""
    async with asyncio.timeout(60):
        while True:
            try:
                await stack.resolve("v1")
            except (EngineError, InvalidRequestError) as error:
                print(error.message)
                await pause(0.5)
            else:
                return


async def test_engine_that_leads_no_swarm_is_made_a_manager_as_told(swarm: Swarm, tmp_path: Path) -> None:
    """A worker, a manager that was started again in a Swarm that is locked, and one that is in no Swarm."""
    worker = swarm.nodes[1]
    async with stack_on(worker, tmp_path / "stack") as stack:
        assert "`docker node promote`" in await advice_of(stack)
        docker(swarm.manager, "node", "promote", worker.hostname)
        await is_taken(stack)
        docker(swarm.manager, "swarm", "update", "--autolock=true")
        key = docker(swarm.manager, "swarm", "unlock-key", "--quiet")
        worker.stop()
        worker.start()
        assert "Run `docker swarm unlock` there" in await advice_of(stack)
        docker(worker, "swarm", "unlock", given=key)
        await is_taken(stack)
        docker(worker, "swarm", "leave", "--force")
        assert "Run `docker swarm init` there" in await advice_of(stack)
        docker(worker, "swarm", "init")
        await is_taken(stack)


async def test_what_a_swarm_lacks_or_has_of_others_is_put_right_as_told(swarm: Swarm, tmp_path: Path) -> None:
    """An external network is made, a stack of somebody's hand gets what is missing, or goes."""
    manager = swarm.manager
    async with stack_on(manager, tmp_path / "stack") as stack:
        clients = EngineClients()
        writer = SwarmWriter(clients.of(stack.environment))
        with pytest.raises(EngineError, match="has no network outer") as lacking:
            await writer.ask(lambda calls: make_shared(calls, "shop", OUTER, ["web"]))
        assert lacking.value.hint == "Create it: `docker network create --driver overlay outer`."
        docker(manager, "network", "create", "--driver", "overlay", "outer")
        assert await writer.ask(lambda calls: make_shared(calls, "shop", OUTER, ["web"]))
        await clients.close()
        update = ("service", "update", "--detach", "--no-resolve-image", "--image", DIGEST, "shop_web")
        for follow in (update, ("stack", "rm", "shop")):
            docker(manager, "stack", "deploy", "--resolve-image", "never", "--compose-file", "-", "shop", given=BY_HAND)
            hint = await advice_of(stack)
            assert "`docker service update`" in hint
            assert "`docker stack rm shop`" in hint
            docker(manager, *follow)
            await is_taken(stack)
            docker(manager, "stack", "rm", "shop")
