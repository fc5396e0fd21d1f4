"""What the same deployment replaces beside the bot: Redis, of which nothing is lost, and a private registry's image."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from sandbox.client import SandboxClient
from testbed.compose_labels import SERVICE_LABEL
from testbed.container_processes import until
from testbed.home_stack import BOT_SERVICE, ROOT, STORE_IMAGE, Home
from testbed.private_registry import PASSWORD, USER, PrivateRegistry, private_registry
from testbed.stack_images import redis_image
from tests.e2e.handover.conftest import CONNECT_SECONDS, clear_away, rows
from tests.integration.sandbox.channel import ask, outcome, start

CAUGHT_UP_SECONDS = 20.0
IDS = "local r={} for _,e in ipairs(redis.call('XRANGE',KEYS[1],'-','+')) do r[#r+1]=e[1] end return r"


@pytest.fixture
def with_redis(standing: Home) -> Iterator[Home]:
    """Put the shipped Redis into the stack, changed by every version, and start all of it by hand."""
    kept = {name: (standing.folder / name).read_text() for name in ("docker-compose.yml", ".env")}
    stack = yaml.safe_load(kept["docker-compose.yml"])
    shipped = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    check = shipped["redis"]["healthcheck"] | {"interval": "30s", "start_interval": "200ms"}
    redis = {"image": redis_image(standing.client), "labels": {"version": "${VERSION}"}, "healthcheck": check}
    stack["services"]["redis"] = shipped["redis"] | redis
    stack["services"][BOT_SERVICE]["depends_on"]["redis"] = {"condition": "service_healthy"}
    stack["services"][BOT_SERVICE]["x-deploy"] = shipped[BOT_SERVICE]["x-deploy"]
    stack["volumes"] = {"redis-data": {}}
    clear_away(standing)
    (standing.folder / "docker-compose.yml").write_text(yaml.safe_dump(stack, sort_keys=False))
    (standing.folder / ".env").write_text(kept[".env"].replace("REDIS_URL=\n", "REDIS_URL=redis://redis:6379/0\n"))
    try:
        standing.compose("up", "-d")
        yield standing
        print(standing.logs())  # shown by pytest when the test fails
    finally:
        clear_away(standing)
        standing.client.volumes.get("home_redis-data").remove()
        for name, text in kept.items():
            (standing.folder / name).write_text(text)


def redis_of(home: Home) -> Any:
    """Return the one container of Redis."""
    (found,) = [item for item in home.everything() if item.labels[SERVICE_LABEL] == "redis"]
    return found


def type_in_bot(home: Home, *arguments: str, said: str = "") -> tuple[int, str]:
    """Type a command in the bot's container, as `docker compose exec -T` does, with something on stdin."""
    script = f'printf %s "$SAID" | exec roas {" ".join(arguments)}'
    (bot,) = home.bots()
    code, output = bot.exec_run(["/bin/sh", "-c", script], environment={"SAID": said})
    return code, output.decode()


@pytest.fixture
def registry(with_redis: Home, client: docker.DockerClient, tmp_path: Path) -> Iterator[PrivateRegistry]:
    """Put the store's image into a registry that asks for a password, and have the file pull it from there."""
    compose = with_redis.folder / "docker-compose.yml"
    with private_registry(tmp_path / "registry") as registry:
        name = f"{registry.address}/store"
        client.images.get(STORE_IMAGE).tag(name, "v1")
        client.api.push(name, "v1", auth_config=registry.login)
        client.images.remove(f"{name}:v1")
        stack = yaml.safe_load(compose.read_text())
        stack["services"]["store"] |= {"image": f"{name}:v1", "pull_policy": "always"}
        compose.write_text(yaml.safe_dump(stack, sort_keys=False))
        yield registry


@pytest.mark.long
async def test_redis_and_private_image_replaced_with_the_bot(with_redis, registry, discord, images):
    home = with_redis
    async with SandboxClient(discord["control_url"], discord["control_token"]) as people:
        await people.wait_until_connected(CONNECT_SECONDS)
        await people.wait_for_commands("deploy", deadline_seconds=CONNECT_SECONDS)
        await login_is_needed(home, people, registry)
        before = redis_of(home).id
        told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v2"))
        assert "succeeded" in told.text, told.text
        assert [bot.attrs["Image"] for bot in home.bots(stopped=True)] == [images["v2"]]
        digests = [attr for container in home.everything() for attr in container.image.attrs["RepoDigests"]]
        assert any(digest.startswith(f"{registry.address}/store@") for digest in digests), digests
        assert redis_of(home).id != before
        await redis_has_every_change_once(home)
        await login_outlives_the_container(people)


async def login_is_needed(home: Home, people: SandboxClient, registry: PrivateRegistry) -> None:
    """Without it the image is refused; `roas login` in the bot's container keeps it where only the bot reads."""
    refused = await ask(people, "dora", "deploy", environment="dev", version="v2")
    assert f"{registry.address}/store" in refused, refused
    code, said = type_in_bot(home, "login", registry.address, "-u", USER, said=PASSWORD)
    assert (code, "Login Succeeded" in said) == (0, True), said
    kept = home.folder / "state" / "docker" / "config.json"
    assert kept.stat().st_uid == (home.folder / "state").stat().st_uid
    assert kept.stat().st_mode & 0o777 == 0o600


async def redis_has_every_change_once(home: Home) -> None:
    redis = redis_of(home)

    def caught_up() -> bool | None:
        written = [f"{number}-0" for (number,) in rows(home, "SELECT sequence FROM changes ORDER BY sequence")]
        code, said = redis.exec_run(["redis-cli", "--raw", "EVAL", IDS, "1", "roas:home:events"])
        return (code == 0 and said.decode().split() == written) or None

    assert await until(caught_up, "Redis does not have every change once", seconds=CAUGHT_UP_SECONDS)


async def login_outlives_the_container(people: SandboxClient) -> None:
    """The new bot looks the image up in the registry."""
    planned = await ask(people, "dora", "deploy", environment="dev", version="v1")
    assert "unauthorized" not in planned.lower(), planned
