"""Redis, in the same stack, is replaced by the same deployment as the bot: nothing is lost or told twice."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from sandbox.client import SandboxClient
from testbed.container_processes import until
from testbed.home_stack import BOT_SERVICE, ROOT, SERVICE_LABEL, Home
from testbed.stack_images import redis_image
from tests.e2e.handover.conftest import CONNECT_SECONDS, clear_away, rows
from tests.integration.sandbox.channel import outcome, start

pytestmark = pytest.mark.timeout(300)

CAUGHT_UP_SECONDS = 20.0
IDS = "local r={} for _,e in ipairs(redis.call('XRANGE',KEYS[1],'-','+')) do r[#r+1]=e[1] end return r"


@pytest.fixture
def with_redis(standing: Home) -> Iterator[Home]:
    """Put the shipped Redis into the stack, changed by every version, and start all of it by hand."""
    kept = {name: (standing.folder / name).read_text() for name in ("docker-compose.yml", ".env")}
    stack = yaml.safe_load(kept["docker-compose.yml"])
    shipped = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    check = shipped["redis"]["healthcheck"] | {"interval": "1s", "start_interval": "200ms"}
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
    (found,) = [one for one in home.everything() if one.labels[SERVICE_LABEL] == "redis"]
    return found


async def test_bot_and_redis_replacement_loses_no_change(with_redis, discord, images):
    """Every change is in the new Redis once."""
    home = with_redis
    async with SandboxClient(discord["control_url"], discord["control_token"]) as people:
        await people.wait_until_connected(CONNECT_SECONDS)
        await people.wait_for_commands("deploy", deadline_seconds=CONNECT_SECONDS)
        before = redis_of(home).id
        told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v2"))
    assert "succeeded" in told.text, told.text
    assert [bot.attrs["Image"] for bot in home.bots(stopped=True)] == [images["v2"]]
    redis = redis_of(home)
    assert redis.id != before

    def caught_up() -> bool | None:
        written = [f"{number}-0" for (number,) in rows(home, "SELECT sequence FROM changes ORDER BY sequence")]
        code, said = redis.exec_run(["redis-cli", "--raw", "EVAL", IDS, "1", "roas:home:events"])
        return (code == 0 and said.decode().split() == written) or None

    assert await until(caught_up, "Redis does not have every change once", seconds=CAUGHT_UP_SECONDS)
