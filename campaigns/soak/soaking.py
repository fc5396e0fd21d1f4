"""Set a bot, an engine and a Redis up, work on the bot for as long as wanted, and gather what was seen."""

import asyncio
import json
from contextlib import ExitStack, suppress
from pathlib import Path

from campaigns.soak.judge import Evidence
from campaigns.soak.load import SERVICES, VERSIONS, Load
from campaigns.soak.watch import Watcher, missing_in_redis
from roas.state.manager import StateManager
from testbed.daemon import PrivateDaemon
from testbed.engine import Engine
from testbed.redis_server import RedisServer
from testbed.running_bot import Stack, running_bot
from testbed.sample import CHECK, sample_image

IMAGE = "roas-soak/app"
# After the last alert and the last deployment, the channel may take so long to show them.
SETTLE_SECONDS = 30.0
SETTLE_LOOK_SECONDS = 0.5


async def soak(folder: Path, minutes: float, every: float, engine: Engine | None = None) -> Evidence:
    """Work on a bot beside a Redis of its own, and an engine of its own unless one is given."""
    with ExitStack() as opened:
        if engine is None:
            daemon = opened.enter_context(PrivateDaemon(folder / "engine"))
            engine = Engine(daemon.docker_host, daemon)
        redis = opened.enter_context(RedisServer(folder / "redis"))
        return await _soak(engine, redis, folder / "bot", minutes, every)


async def _soak(engine: Engine, redis: RedisServer, folder: Path, minutes: float, every: float) -> Evidence:
    _make_images(engine)
    settings = {"REDIS_URL": redis.url, "CRITICAL_SERVICES": SERVICES[0]}
    async with running_bot(engine, folder, Stack(_services(), settings)) as bot:
        load, watcher = Load(bot, every), Watcher(bot)
        await load.begin()
        before = await watcher.metrics()
        await watcher.take_footprint()
        watching = asyncio.create_task(watcher.run())
        try:
            work = await load.run(minutes * 60)
            pending = await _settled(bot.state)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        await watcher.take_footprint()
        after = await watcher.metrics()
        return Evidence(
            minutes=minutes,
            work=work,
            counted=after.since(before),
            memory=watcher.memory,
            footprints=watcher.footprints,
            most_series=max(watcher.most_series, after.series),
            services=frozenset(SERVICES),
            alerts_about_itself=watcher.alerts_about_itself,
            pending=pending,
            missing_in_redis=await asyncio.to_thread(missing_in_redis, bot, redis),
            violations=[json.dumps(one) for one in await bot.people.violations()],
        )


async def _settled(state: Path) -> int:
    """Wait until every alert is posted; returns how many are still missing after the deadline."""
    async with StateManager(state, instance_prefix="SOAK") as journal:
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while await journal.alerts.pending_notification():  # noqa: ASYNC110 - another process sends no event
                    await asyncio.sleep(SETTLE_LOOK_SECONDS)
        return len(await journal.alerts.pending_notification())


def _make_images(engine: Engine) -> None:
    client = engine.client()
    try:
        for version in VERSIONS:
            sample_image(client, f"{IMAGE}:{version}", version=version)
    finally:
        client.close()


def _services() -> dict[str, dict[str, object]]:
    """Return a stack of two, one of which waits for the other."""
    web, store = SERVICES
    common = {"image": f"{IMAGE}:${{VERSION:?}}", "init": True, "healthcheck": CHECK}
    return {store: common, web: {**common, "depends_on": {store: {"condition": "service_healthy"}}}}
