"""A bot that ends at any moment of a deployment to many hosts: the next one brings all hosts to one release."""

import asyncio

import pytest

from roas.concurrency import end_tasks
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.models.deployment import Outcome
from roas.models.environment import Waves
from tests.unit.deploy.fake_engine import UNHEALTHY
from tests.unit.deploy.played_parts import components_over
from tests.unit.deploy.waves.fleet import HOSTS, deploy, known, make_fleet, on_hosts, rollback

# Of the changes that the journal takes in such a deployment, after each of so many.
STEP = 17


async def play(state, bus, tmp_path, ends_after: int, *, fails: bool, waves: Waves) -> tuple[Outcome, str]:
    """Deploy v2, end the bot after so many changes of the journal, and let the next one go on; return what became."""
    fleet, place = make_fleet(), known(on_hosts(tmp_path, waves))
    bot = DeploymentOrchestrator(components_over(state, bus, fleet), place)
    await bot.run(deploy("v1"))
    if fails:
        fleet.engines["c"].behaviour["v2", "web"] = UNHEALTHY
    changes, enough = 0, asyncio.Event()

    def count(_change: object) -> None:
        nonlocal changes
        changes += 1
        if changes == ends_after:
            enough.set()

    unsubscribe = state.subscribe(count)
    deployment = await bot.start(deploy("v2"))
    waiting = {asyncio.create_task(enough.wait()), asyncio.create_task(bot.wait(deployment.id))}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await bot.close()
    await end_tasks(*waiting)
    unsubscribe()
    after = DeploymentOrchestrator(components_over(state, bus, fleet), place)
    async with asyncio.timeout(30):
        while (await state.deployments.get(deployment.id)).outcome is None:
            await after.resume()
            await after.wait(deployment.id)
    ended = await state.deployments.get(deployment.id)
    versions = set(fleet.versions().values())
    assert len(versions) == 1, fleet.versions()
    assert await state.locks.all() == ()
    assert await state.deployments.unfinished() == ()
    for host in HOSTS:
        parts = [part for part in await state.deployments.list(f"prod@{host}") if part.request.part_of == ended.id]
        assert len({part.request.interaction_id for part in parts}) == len(parts)
    if versions == {"web:v2"}:
        assert (await after.run(rollback())).outcome is Outcome.SUCCEEDED
    await after.close()
    return ended.outcome, versions.pop()


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("waves", [Waves(), Waves(parallelism=0)], ids=["one by one", "all at once"])
@pytest.mark.parametrize("ends_after", range(1, 120, STEP))
async def test_all_hosts_are_on_one_release(state, bus, tmp_path, ends_after, waves, fails):
    outcome, version = await play(state, bus, tmp_path, ends_after, fails=fails, waves=waves)
    assert (outcome, version) == ((Outcome.ROLLED_BACK, "web:v1") if fails else (Outcome.SUCCEEDED, "web:v2"))
