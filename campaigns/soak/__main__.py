"""`python -m campaigns.soak`: half an hour of deployments, alerts and kills on loopback; ends with 1 for any breach."""

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from bot.state.manager import StateManager
from campaigns.soak.judge import Evidence, breaches
from campaigns.soak.load import SERVICES, VERSIONS, Load
from campaigns.soak.telling import tell
from campaigns.soak.watch import Watcher, missing_in_redis
from testbed.daemon import PrivateDaemon
from testbed.engine import Engine
from testbed.living_bot import Stack, living_bot
from testbed.redis_server import RedisServer
from testbed.sample import CHECK, sample_image

IMAGE = "roas-soak/app"
# After the last alert and the last deployment, the channel and Redis may take so long to show them.
SETTLE_SECONDS = 30.0
SETTLE_LOOK_SECONDS = 0.5


def main() -> int:
    """Run the soak, print what was seen, and return 1 for any breach."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: %(default)s)")
    parser.add_argument("--every", type=float, default=20.0, help="seconds between deployments (default: %(default)s)")
    parser.add_argument("--results", type=Path, help="write every figure here, as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="roas-soak-") as folder:
        seen = asyncio.run(soak(Path(folder), given.minutes, given.every))
    if given.results is not None:
        given.results.write_text(json.dumps(_as_dict(seen), indent=2))
    broken = breaches(seen)
    sys.stdout.write(tell(seen) + "\n")
    for breach in broken:
        sys.stderr.write(f"BREACH {breach}\n")
    return 1 if broken else 0


async def soak(folder: Path, minutes: float, every: float) -> Evidence:
    """Work on a bot beside an engine and a Redis of its own, and gather what was seen."""
    (folder / "redis").mkdir()
    with PrivateDaemon(folder / "engine") as daemon, RedisServer(folder / "redis") as redis:
        engine = Engine(daemon.docker_host, daemon)
        _make_images(engine)
        settings = {"REDIS_URL": redis.url, "CRITICAL_SERVICES": SERVICES[0]}
        async with living_bot(engine, folder / "bot", Stack(_services(), settings)) as bot:
            load, watcher = Load(bot, every), Watcher(bot)
            await load.begin()
            before = await watcher.metrics()
            await watcher.take_footprint()
            watching = asyncio.create_task(watcher.run())
            try:
                work = await load.run(minutes * 60)
                untold = await _settled(bot.state)
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
                untold=untold,
                missing_in_redis=await asyncio.to_thread(missing_in_redis, bot, redis),
                violations=[json.dumps(one) for one in await bot.people.violations()],
            )


async def _settled(state: Path) -> int:
    """Wait until the channel was told of every alert; returns how many it still was not after a while."""
    async with StateManager(state, instance_prefix="SOAK") as journal:
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while await journal.alerts.untold():  # noqa: ASYNC110 - another process tells us nothing
                    await asyncio.sleep(SETTLE_LOOK_SECONDS)
        return len(await journal.alerts.untold())


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


def _as_dict(seen: Evidence) -> dict[str, object]:
    """Return everything but the single series of the metrics."""
    document = asdict(seen) | {"breaches": breaches(seen)}
    document["counted"] = {
        f"{name}{dict(labels) or ''}": value for (name, labels), value in seen.counted.samples.items()
    }
    document["services"] = sorted(seen.services)
    return document


if __name__ == "__main__":
    sys.exit(main())
