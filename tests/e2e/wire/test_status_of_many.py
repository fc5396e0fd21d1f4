"""A hundred real containers: `/status` has every one of them, right, and Discord takes it."""

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import docker
import pytest

from sandbox.client import SandboxClient
from sandbox.views import Message
from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from tests.e2e.wire.shop import Shop

NUMBER, ONE_OFF = "com.docker.compose.container-number", "com.docker.compose.oneoff"
pytestmark = pytest.mark.wire

CONTAINERS = 100
RUNNING = 5
FALLING = 2
AT_ONCE = 8
ROW = re.compile(
    r"^(?P<service>\S+)  +(?P<verdict>\S+)  +(?P<version>\S+)  +(?P<up>\S+)  +(?P<cpu>-|[\d.]+ %)  +"
    r"(?P<memory>-|\d+ \S+)  +(?P<restarts>\d+)  +(?P<reason>.+)$"
)


@pytest.fixture
def crowd(shop: Shop, docker_client: docker.DockerClient, sample_image: Callable[..., str]) -> Iterator[list[str]]:
    """Make a hundred services as Compose would have: most were never started, some run, two fall again and again."""
    sample_image("crowd/app:v7")
    names = [f"worker-{number:03}" for number in range(CONTAINERS)]

    def make(number: int) -> Any:
        labels = {PROJECT_LABEL: f"{shop.base_name}-dev", SERVICE_LABEL: names[number], NUMBER: "1", ONE_OFF: "False"}
        options: dict[str, Any] = {"network_mode": "none", "labels": labels, "command": ["sleep", "1000"]}
        if number < FALLING:
            options |= {"command": ["false"], "restart_policy": {"Name": "on-failure", "MaximumRetryCount": 1}}
        container = docker_client.containers.create("crowd/app:v7", **options)
        if number < RUNNING + FALLING:
            container.start()
        return container

    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = list(pool.map(make, range(CONTAINERS)))
        for container in made[:FALLING]:
            container.wait(timeout=30)
        yield names
        list(pool.map(lambda container: container.remove(force=True), made))


@pytest.mark.long
async def test_hundred_containers_all_on_status(crowd, bot, people):
    message, rows = await ask_until_busy(people)
    text = message.text
    assert f"🔴 {CONTAINERS - RUNNING} unhealthy · ⚪ {RUNNING} unverified" in text
    listed = re.findall(r"\*\*(worker-\d+)\*\*", text)
    assert f"… and {CONTAINERS - len(listed)} more" in text
    assert sum(len(str(embed)) for embed in message.embeds) > 3000, "it uses the room that there is"
    assert sorted(rows) == crowd
    for number, name in enumerate(crowd):
        assert rows[name]["version"] == "app:v7"
        falls, runs = number < FALLING, FALLING <= number < FALLING + RUNNING
        assert rows[name]["verdict"] == ("unverified" if runs else "unhealthy"), rows[name]
        assert rows[name]["restarts"] == ("1" if falls else "0")
        assert (rows[name]["memory"] != "-") is runs
        assert (rows[name]["cpu"] != "-") is runs
        assert re.fullmatch(r"\d+m\d\ds", rows[name]["up"]) if runs or falls else rows[name]["up"] == "-"
        if falls:
            assert rows[name]["reason"] == "has ended with code 1"


async def ask_until_busy(people: SandboxClient) -> tuple[Message, dict[str, dict[str, str]]]:
    """Ask until the processor use of all that run is known: it is the difference of two looks, a second apart."""
    async with asyncio.timeout(30):
        while True:
            answer = await people.answer(await people.slash("bob", "status", environment="dev"))
            assert answer.message is not None
            rows = {row["service"]: row.groupdict() for row in await table(answer.message.attachments)}
            if sum(row["cpu"] != "-" for row in rows.values()) == RUNNING:
                return answer.message, rows
            await asyncio.sleep(0.3)


async def table(attachments: list[dict[str, Any]]) -> list[re.Match[str]]:
    """Read the rows of the file that comes along."""
    (file,) = [attachment for attachment in attachments if attachment["filename"] == "services.txt"]
    async with aiohttp.ClientSession() as session, session.get(file["url"]) as response:
        lines = (await response.text()).splitlines()
    found = [ROW.match(line) for line in lines[2:]]
    assert None not in found, lines
    return [row for row in found if row is not None]
