"""Whatever holds the data, and whoever writes into it meanwhile: it is row for row as at the backup."""

import asyncio
import time

import pytest

from tests.e2e.acceptance.people import People, succeeded
from tests.e2e.acceptance.stack import REPOSITORY, Stack, alone
from tests.e2e.acceptance.stores import STORES
from tests.e2e.acceptance.test_data_backups import grant
from tests.e2e.acceptance.trouble import until

LARGE = 1024**3
SMALL = 4 * 1024**2
SAMPLE = frozenset({("redis", "paused")})
TABLE = [
    pytest.param(kind, way, marks=() if (kind, way) in SAMPLE else pytest.mark.long)
    for kind, store in STORES.items()
    for way in store.ways
]
PEOPLE = 10


@pytest.mark.parametrize(("kind", "way"), TABLE)
async def test_store_under_writes_is_as_at_the_backup(application, people: People, stack: Stack, kind, way):
    """A migration destroys a column, the deployment fails, and a person brings the data back."""
    store = STORES[kind]
    described = store.service(stack.client, way, LARGE if (kind, way) == ("plain", "volume") else SMALL)

    def write(broken: str) -> None:
        web = alone(image=f"{REPOSITORY}:v1", depends_on={"store": {"condition": "service_healthy"}})
        web["healthcheck"] = {"test": ["CMD-SHELL", f"test -z '{broken}'"], "interval": "1s", "retries": 2}
        stack.write({"store": described, "web": web}, volumes={"data": {}})

    async def run(script: str, *arguments: str) -> str | None:
        told = await asyncio.to_thread(
            lambda: stack.container("store").exec_run(["sh", "-ec", script, "sh", *arguments])
        )
        return str(told.output.decode()) if told.exit_code == 0 else None

    async def ask(known: int = 0) -> tuple[int, int, str]:
        count, bad, *digest = (await until(lambda: run(store.ask, str(known)))).split()
        return int(count), int(bad), " ".join(digest)

    async def has_people() -> int | None:
        count, _, _ = await ask()
        return count if count >= PEOPLE else None

    write("")
    await people.succeed("v1")
    known = await until(has_people)
    _, bad, before = await ask(known)
    assert bad == 0
    write("by the migration")
    failing = asyncio.create_task(people.deploy("v2"))
    made = await until(lambda: application.state.data_backups.list("dev"))
    await until(lambda: run(f"{store.destroy} && echo done"))
    failed = await failing
    assert (failed.outcome, made[0].release, failed.held) == ("rolled_back", 1, ())
    assert await destroyed(run, store.ask, known) != before, "an automatic rollback touches no data"
    granted = await grant(application, data=("with",))
    began = time.monotonic()
    succeeded(await people.rollback(data=("with",), granted=granted))
    count, bad, after = await ask(known)
    assert (bad, after) == (0, before)
    assert count >= known
    took = f"{made[0].size} bytes in {made[0].seconds:.1f} s, still for {made[0].still_seconds:.1f} s"
    print(f"{kind} by {way}: {took}; rolled back in {time.monotonic() - began:.1f} s")
    await until(grows(ask, count))


async def destroyed(run, ask: str, known: int) -> str | None:
    """Return the hash of what is left, or None where nothing can be said of it any more."""
    told = await run(ask, str(known))
    return None if told is None else " ".join(told.split()[2:])


def grows(ask, count: int):
    """Look whether somebody writes into it again."""

    async def look() -> bool:
        return (await ask())[0] > count

    return look
