"""A real bot with a real Redis: a deployment needs none, and Redis has all of it afterwards; the bot says how it is."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from testbed.redis_server import RedisServer
from tests.integration.sandbox.channel import outcome, start

pytestmark = pytest.mark.wire


@pytest.fixture
def bot_settings(bot_settings, redis_server, http_port):
    return {**bot_settings, "REDIS_URL": redis_server.url, "HTTP_PORT": str(http_port)}


@pytest.fixture
async def metric(http_port) -> AsyncIterator:
    """Return `metric(name)`, which reads a metric of the bot as Prometheus would."""
    async with aiohttp.ClientSession() as session:

        async def read(name: str) -> float:
            async with session.get(f"http://127.0.0.1:{http_port}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))

        yield read


async def until(condition, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - other processes tell us nothing
            await asyncio.sleep(0.1)


def numbers_in_journal(state: Path) -> list[str]:
    with sqlite3.connect(state / "journal.sqlite3") as journal:
        return [f"{row[0]}-0" for row in journal.execute("SELECT sequence FROM changes ORDER BY sequence")]


def numbers_in_redis(server: RedisServer, name: str) -> list[str]:
    said = server.command("--raw", "EVAL", IDS, "1", f"roas:{name}:events")
    return said.split()


IDS = "local r={} for _,e in ipairs(redis.call('XRANGE',KEYS[1],'-','+')) do r[#r+1]=e[1] end return r"


async def test_redis_outage_during_deployment_caught_up(bot, people, shop, redis_server, metric, tmp_path, image_ids):
    """Redis is away for a whole deployment, and has all of it afterwards."""

    async def is_up() -> bool:
        return await metric("roas_projection_up") == 1

    async def is_behind() -> bool:
        return await metric('roas_integration_alert_firing{alert="state_sync_lag"}') == 1

    async def has_all() -> bool:
        return numbers_in_redis(redis_server, shop.base_name) == numbers_in_journal(tmp_path / "state")

    await until(is_up)
    redis_server.kill()
    told = await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    assert "succeeded" in told.text
    assert shop.running("dev")["web"] == image_ids["v1"]
    await until(is_behind)

    async def is_alerted() -> bool:
        return await metric('roas_alerts_open{severity="high"}') == 1

    await until(is_alerted)
    redis_server.start()
    await until(is_up)
    await until(has_all)

    assert await metric('roas_alerts_total{severity="high",source="integration"}') == 1
    redis_server.command("FLUSHALL")
    await until(has_all)
    assert await metric("roas_integration_dependency_resolution_seconds") >= 0
    assert await metric("roas_projection_rebuilds_total") >= 1
