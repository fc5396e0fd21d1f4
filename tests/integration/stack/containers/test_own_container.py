"""No way leads to a stop, a removal or a replacement of the container that this process runs in."""

from collections.abc import Callable

import docker
import pytest

from roas.errors import OwnContainerError
from roas.models.environment import Environment
from roas.stack.stacks import Stacks
from tests.integration.stack.applying import deploy, draft

STACK = """
services:
  bot: {image: 'tiny:${VERSION}', command: [sleep, '1000'], stop_grace_period: 1s}
  web: {image: 'tiny:${VERSION}', command: [sleep, '1000'], stop_grace_period: 1s, network_mode: 'service:bot'}
"""


@pytest.fixture
async def own(
    engine: Stacks,
    stack: Callable[..., Environment],
    docker_client: docker.DockerClient,
    monkeypatch: pytest.MonkeyPatch,
) -> "Own":
    """Run a stack, and let the engine's process believe that it lives in the container of its bot."""
    environment = stack(STACK)
    await deploy(engine, environment, "v1")
    own = Own(engine, environment, docker_client)
    for module in ("containers.own_container", "compose_stack", "containers.service_creation"):
        monkeypatch.setattr(f"roas.stack.{module}.own_container_id", lambda: own.id)
    return own


class Own:
    """Know the bot's container, as Docker shows it."""

    def __init__(self, engine: Stacks, environment: Environment, client: docker.DockerClient) -> None:
        self.engine = engine
        self.environment = environment
        self._client = client
        (self.id,) = self.of("bot")
        self.name = str(client.api.inspect_container(self.id)["Name"]).lstrip("/")
        self._begun = self._look()

    def of(self, service: str) -> list[str]:
        """Return the containers of a service."""
        labels = [f"com.docker.compose.project={self.environment.project}", f"com.docker.compose.service={service}"]
        return [container["Id"] for container in self._client.api.containers(all=True, filters={"label": labels})]

    def _look(self) -> tuple[str, str]:
        state = self._client.api.inspect_container(self.id)["State"]
        return state["Status"], state["StartedAt"]

    def untouched(self) -> bool:
        """Tell whether it runs, and has run since the beginning."""
        return self._look() == self._begun


async def test_nothing_touches_the_own_container(
    own: Own, stack: Callable[..., Environment], docker_client: docker.DockerClient
) -> None:
    """Neither who would stop, remove or replace it, nor who makes what shares with it, nor a sweep."""
    await the_own_container_is_not_stopped_or_removed(own)
    for version, recreate in (("v1", True), ("v2", False)):
        await the_own_container_is_not_replaced(own, version, recreate=recreate)
    await a_sweep_leaves_the_own_container(own, docker_client)
    await what_shares_with_the_bot_is_made_without_it(own, stack)
    stack(STACK)
    await what_shares_with_the_bot_leaves_two(own)
    hint = f"To remove it for good, do it manually: `docker rm -f {own.name}`."
    with pytest.raises(OwnContainerError) as refused:
        await own.engine.of(own.environment).remove(own.id)
    assert hint in refused.value.hint
    docker_client.containers.get(own.name).remove(force=True)
    assert own.id not in own.of("bot"), "as told"


async def the_own_container_is_not_stopped_or_removed(own: Own) -> None:
    deployed = own.engine.of(own.environment)
    for act in (deployed.stop, deployed.remove):
        with pytest.raises(OwnContainerError, match="this bot itself runs in") as refused:
            await act(own.id)
        assert "docker rm -f" in refused.value.hint
        assert own.untouched()


async def the_own_container_is_not_replaced(own: Own, version: str, *, recreate: bool) -> None:
    drafted = await draft(own.engine, own.environment, version)
    with pytest.raises(OwnContainerError, match="Compose would replace"):
        await own.engine.of(own.environment).create_service(drafted.model_hash, "bot", recreate=recreate)
    assert own.of("bot") == [own.id]
    assert own.untouched()


async def what_shares_with_the_bot_is_made_without_it(own: Own, stack: Callable[..., Environment]) -> None:
    """Compose's own `create` would bring the bot to the model, too, and replace the container that this runs in."""
    stack(STACK.replace("'tiny:${VERSION}'", "'tiny:v1'", 1))
    drafted = await draft(own.engine, own.environment, "v2")
    before = own.of("web")
    await own.engine.of(own.environment).create_service(drafted.model_hash, "web")
    assert own.of("web") != before
    assert own.of("bot") == [own.id]
    assert own.untouched()


async def what_shares_with_the_bot_leaves_two(own: Own) -> None:
    """Compose would scale down to one what a service shares a namespace with, in the middle of a handover."""
    drafted = await draft(own.engine, own.environment, "v2")
    (successor,) = await own.engine.of(own.environment).create_service(drafted.model_hash, "bot", beside=True)
    await own.engine.of(own.environment).start(successor)
    await own.engine.of(own.environment).remove(own.of("web")[0])
    await own.engine.of(own.environment).create_missing(drafted.model_hash)
    assert len(own.of("web")) == 1
    assert sorted(own.of("bot")) == sorted([own.id, successor])
    assert own.untouched()


async def a_sweep_leaves_the_own_container(own: Own, docker_client: docker.DockerClient) -> None:
    """One by hand with the name of a successor is no better than this one, whatever its health says."""
    labels = docker_client.api.inspect_container(own.id)["Config"]["Labels"]
    name = docker_client.api.inspect_container(own.id)["Name"].lstrip("/")
    check = {"test": ["CMD", "true"], "interval": 100_000_000, "start_period": 100_000_000}
    other = docker_client.containers.run(
        "tiny:v1",
        ["sleep", "1000"],
        name=f"{own.id[:12]}_{name}",
        labels=labels,
        healthcheck=check,
        init=True,
        detach=True,
    )
    async with own.engine.of(own.environment).events() as events:
        while docker_client.api.inspect_container(other.id)["State"]["Health"]["Status"] != "healthy":
            await anext(events)
    assert await own.engine.of(own.environment).sweep("bot")
    assert own.of("bot") == [own.id]
    assert own.untouched()
