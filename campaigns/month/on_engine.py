"""Live through a month on a real engine: the bot that ships deploys, replaces itself and is told of alerts."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import closing
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp

from campaigns.crash.lane import ENVIRONMENT, OUTCOME
from campaigns.hands.ground import Ground, opened_ground
from campaigns.hands.library import set_clock
from campaigns.hands.playing import CAMPAIGN
from campaigns.month.living import DAYS, Busyness
from roas.control.client import ControlClient
from roas.models.deployment import DeploymentKind, DeploymentRequest
from testbed.home_stack import IMAGE

STORE = "store"
BASE = "v1"
SECONDS_A_DAY = 86_400
# How long one deployment may take, and how often what is held is measured.
OUTCOME_SECONDS = 120.0
MEASURES = 20
SETTINGS = {"WEBHOOK_TOKEN": "month", "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": "0"}


@dataclass(frozen=True, slots=True)
class Held:
    """Count what is on the engine, on the disk, in the journal and in the bot at one moment."""

    images: int
    image_names: int
    containers: int
    volumes: int
    networks: int
    files: int
    disk_bytes: int
    memory_bytes: int
    open_files: int
    changes: int
    deployments: int
    alerts: int
    heartbeats: int


# How much more of each there may be at the end than after the first tenth, when as many releases as are kept had been
# made: what moves with the moment of the look (a bot that has just begun, a copy of the journal that was just made).
GROWTH = Held(
    images=2,
    image_names=2,
    containers=0,
    volumes=0,
    networks=0,
    files=12,  # seven daily copies of the journal, and what a running bot opens
    disk_bytes=200 << 20,
    memory_bytes=32 << 20,
    open_files=10,
    changes=10_000,
    deployments=500,
    alerts=2_000,
    heartbeats=200,
)


async def live_on_engine(folder: Path, busyness: Busyness) -> list[Held]:
    """Live through the month; returns what was held after each twentieth of it. Raises RuntimeError."""
    context = opened_ground(folder, name="month")
    ground = await asyncio.to_thread(context.__enter__)
    try:
        rules = SETTINGS | {"HISTORY_ROWS": str(busyness.bounds.rows), "HISTORY_DAYS": str(busyness.bounds.days)}
        with (ground.lane.home.folder / ".env").open("a") as settings:
            settings.write("\n".join(f"{key}={value}" for key, value in rules.items()) + "\n")
        await ground.lane.start()
        return [held async for held in _month(ground, busyness)]
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


def grown(held: list[Held]) -> Iterable[str]:
    """Yield what has grown more, since the first tenth, than it may."""
    settled, last = held[max(0, len(held) // 10 - 1)], held[-1]
    for one in fields(Held):
        more = getattr(last, one.name) - getattr(settled, one.name)
        if more > (most := getattr(GROWTH, one.name)):
            yield f"{one.name}: {more} more than after a tenth of the month, and at most {most} is allowed"


async def _month(ground: Ground, busyness: Busyness) -> AsyncIterator[Held]:
    every = max(1, busyness.deployments // MEASURES)
    for number in range(busyness.deployments):
        replaces = (
            number * busyness.bots // busyness.deployments != (number + 1) * busyness.bots // busyness.deployments
        )
        set_clock(ground.lane.home.folder, DAYS * SECONDS_A_DAY * number // busyness.deployments)
        await _alert(ground, _share(busyness.alerts, number, busyness.deployments))
        await _deploy(ground, number, replaces=replaces)
        if (number + 1) % every == 0:
            yield await asyncio.to_thread(_held, ground)


def _share(total: int, number: int, of: int) -> range:
    return range(total * number // of, total * (number + 1) // of)


async def _deploy(ground: Ground, number: int, *, replaces: bool) -> None:
    """Deploy a version that nobody had before; with `replaces`, of the bot, too. Raises RuntimeError."""
    version = f"m{number}"
    names = (STORE, IMAGE) if replaces else (STORE,)
    await asyncio.to_thread(_make_images, ground, names, version)
    services = () if replaces else (STORE, "web")
    request = DeploymentRequest(ENVIRONMENT, DeploymentKind.DEPLOY, CAMPAIGN, version=version, services=services)
    await ground.begin()
    await ground.lane.wait_until_asked()
    async with ControlClient(ground.lane.state_dir) as bot:
        asked = (await bot.start(request, confirmed=True)).id
    async with ground.people() as people:
        told = await people.wait_for_message(
            lambda one: (found := OUTCOME.search(one.text)) is not None and found[1] == asked,
            deadline_seconds=OUTCOME_SECONDS,
            after=ground.marks[-1],
        )
    if "succeeded" not in told.text:
        raise RuntimeError(f"deployment {number}: {told.text}")
    # As whoever builds images does: only the newest keep the names that were given to them.
    await asyncio.to_thread(ground.docker, "rmi", *(f"{name}:{version}" for name in names))


def _make_images(ground: Ground, names: Iterable[str], version: str) -> None:
    images = ground.lane.home.client.images
    for name in names:
        recipe = f"FROM {name}:{BASE}\nLABEL month={version}\n"
        images.build(fileobj=BytesIO(recipe.encode()), tag=f"{name}:{version}", rm=True, forcerm=True)


async def _alert(ground: Ground, numbers: range) -> None:
    """Let Alertmanager say that something broke, and right afterwards that it is well again."""
    (bot,) = await asyncio.to_thread(ground.lane.home.bots)
    networks = bot.attrs["NetworkSettings"]["Networks"]
    address = next(one["IPAddress"] for one in networks.values() if one["IPAddress"])
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {SETTINGS['WEBHOOK_TOKEN']}"}) as session:
        for status in ("firing", "resolved"):
            alerts = [_an_alert(number, status) for number in numbers]
            body = {"version": "4", "status": status, "receiver": "roas", "groupKey": "{}", "alerts": alerts}
            async with session.post(f"http://{address}:8000/alerts", json=body) as answer:
                if answer.status != 200:
                    raise RuntimeError(f"alerts {numbers}: {answer.status} {await answer.text()}")


def _an_alert(number: int, status: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "status": status,
        "labels": {"alertname": f"Month{number}", "severity": "warning"},
        "annotations": {"summary": f"number {number}"},
        "startsAt": now,
        "endsAt": now if status == "resolved" else "0001-01-01T00:00:00Z",
        "fingerprint": f"month-{number}",
    }


def _held(ground: Ground) -> Held:
    client, state = ground.lane.home.client, ground.lane.state_dir
    files = [path for path in state.rglob("*") if path.is_file()]
    (bot,) = ground.lane.home.bots()
    pids = [int(row[1]) for row in bot.top()["Processes"]]
    images = client.images.list()
    with closing(sqlite3.connect(f"file:{state / 'journal.sqlite3'}?mode=ro", uri=True)) as journal:
        rows = {
            name: journal.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608
            for name in ("changes", "deployments", "alerts", "heartbeats")
        }
    return Held(
        images=len(images),
        image_names=sum(len(one.tags) for one in images),
        containers=len(client.containers.list(all=True)),
        volumes=len(client.volumes.list()),
        networks=len(client.networks.list()),
        files=len(files),
        disk_bytes=sum(path.stat().st_size for path in files),
        memory_bytes=sum(_resident(pid) for pid in pids),
        open_files=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
        **rows,
    )


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS")), 0)
