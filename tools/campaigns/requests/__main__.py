"""Replace a service under load in one way, and count what its users lost.

`tools.campaigns.requests --way roas --deployments 20 --rollbacks 5 --rate 1000`. The ways: `roas`, `compose` (a
person's `docker compose up -d`) and `rollout` (as docker-rollout does it by default). All of them behind the proxy of
the documentation's recipe. Returns 1 where the way is ours and a request was lost.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from tools.campaigns.requests.scene import Scene, application, deploy, roll_back, roll_out, scene, until
from tools.campaigns.requests.users import Users, users

START_SECONDS = 60.0
MOST_GAP = 0.25


def main() -> int:
    """Read the command line, replace, and judge."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.requests", description=__doc__)
    parser.add_argument("--way", choices=["roas", "compose", "rollout"], default="roas")
    parser.add_argument("--proxy", choices=["HAProxy", "Caddy"], default="HAProxy")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--deployments", type=int, default=20)
    parser.add_argument("--rollbacks", type=int, default=5)
    parser.add_argument("--rate", type=float, default=1000)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="roas-requests-") as folder,
        scene(Path(folder), proxy=given.proxy, replicas=given.replicas) as found,
    ):
        seen, took = asyncio.run(_replace(found, given))
        report = {key: value for key, value in seen.report.items() if key != "posted"}
        twice, missing = seen.twice(found.orders), seen.missing(found.orders)
        whole = given.proxy != "HAProxy" or found.is_whole()
    report |= {"orders": len(seen.report["posted"]), "twice": len(twice), "missing": len(missing)}
    report |= {"seconds_each": [round(item, 1) for item in took], "whole": whole}
    print(json.dumps(report, indent=1))
    good = not (seen.lost or twice or missing) and seen.report["longest_gap"] <= MOST_GAP and whole
    return int(given.way == "roas" and not good)


async def _replace(found: Scene, given: argparse.Namespace) -> tuple[Users, list[float]]:
    async with AsyncExitStack() as stack:
        if given.way == "roas":
            opened = await stack.enter_async_context(application(found))

            async def replace(version: str) -> None:
                await deploy(opened, version)

            async def back() -> None:
                await roll_back(opened)
        else:
            by_hand = roll_out if given.way == "rollout" else _up

            async def replace(version: str) -> None:
                await asyncio.to_thread(by_hand, found, version)

            async def back() -> None:
                raise NotImplementedError

        if given.way == "rollout":
            await asyncio.to_thread(_up, found, "v1")
        else:
            await replace("v1")
        if given.proxy == "HAProxy" and not await until(found.is_whole, START_SECONDS):
            raise TimeoutError("HAProxy does not see the first containers")
        return await _under_load(found, given, replace, back)


async def _under_load(
    found: Scene,
    given: argparse.Namespace,
    replace: Callable[[str], Awaitable[None]],
    back: Callable[[], Awaitable[None]],
) -> tuple[Users, list[float]]:
    took: list[float] = []
    with users(found.port, rate=given.rate) as seen:
        for number in range(given.deployments + given.rollbacks):
            begun = time.monotonic()
            # The rollbacks are spread over the deployments; each goes back to the other version.
            every = (given.deployments + given.rollbacks) // given.rollbacks if given.rollbacks else 0
            if every and number % every == every - 1:
                await back()
            else:
                await replace("v2" if number % 2 == 0 else "v1")
            took.append(time.monotonic() - begun)
            print(f"{number + 1}: {took[-1]:.1f} s", file=sys.stderr, flush=True)
    return seen, took


def _up(found: Scene, version: str) -> None:
    found.compose(version, "up", "-d", "--wait")


if __name__ == "__main__":
    sys.exit(main())
