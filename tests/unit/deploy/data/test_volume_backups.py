"""Volumes are copied and replaced while nothing writes into them; what stood still runs again, whoever dies."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from roas.concurrency import pause
from roas.deploy.data.stopped_writers import start_held, start_left
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.errors import BackupError, EngineError, JournalUnusableError, ServiceFailedError
from roas.models.backup import VolumeUser
from roas.models.deployment import DataStep, Outcome, ServiceStep
from roas.models.health import ContainerState
from roas.models.stack import BackupRule
from tests.unit.deploy.data.fake_data import HALF, Deaths, WithData
from tests.unit.deploy.fake_engine import HEALTHY, UNHEALTHY
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import deploy, rollback

RULE = BackupRule((), (), 2, volumes=("shop_data",), helper="store")
WITH = {"data": ("with",)}
# Both mount the volume; nothing depends on the worker.
HOLDERS = frozenset({"store", "worker"})


@pytest.fixture
def engine() -> WithData:
    engine = WithData(
        {"store": service("store", backup=RULE), "worker": service("worker"), "web": service("web", "store")}
    )
    engine.data.holders = HOLDERS
    return engine


def runs(engine: WithData) -> bool:
    return engine.runs("store", "worker", "web")


@pytest.fixture
async def failed(orchestrator, engine):
    """Deploy v1, and v2, which destroys the data and fails."""
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    save = engine.data.save

    async def destroyed_after(*asked: object):
        saved = await save(*asked)
        engine.data.rows = "destroyed"
        return saved

    engine.data.save = destroyed_after
    ended = await orchestrator.run(deploy("v2"))
    engine.data.save = save
    assert (ended.outcome, engine.data.rows, runs(engine)) == (Outcome.ROLLED_BACK, "destroyed", True)
    return ended


@pytest.mark.parametrize("pauses", [False, True])
async def test_what_writes_stands_still_for_the_copy(orchestrator, engine, state, pauses):
    """The plan says what that is, and once it is known for how long; what only uses the store goes on."""
    engine.stack["store"] = replace(engine.stack["store"], backup=replace(RULE, pauses=pauses))
    await orchestrator.run(deploy("v1"))
    await state.data_backups.forget([backup.id for backup in await state.data_backups.list("dev")], None)
    seen: list[set[str]] = []
    save = engine.data.save

    async def looking(backup_id, name, rule, container_id, still):
        async with still:
            states = engine.data.containers.values()
            seen.append({f"{c.service} {c.state}" for c in states if c.state is not ContainerState.RUNNING})
            return await save(backup_id, name, rule, container_id)

    engine.data.save = looking
    told = "\n".join((await orchestrator.plan(deploy("v2"))).data)
    word, how = ("paused", "paused") if pauses else ("exited", "stopped")
    assert f"Meanwhile store, worker is {how}: nobody knows yet for how long, at most 600s." in told
    ended = await orchestrator.run(deploy("v2"))
    assert (ended.outcome, ended.held, runs(engine)) == (Outcome.SUCCEEDED, (), True)
    assert seen == [{f"store {word}", f"worker {word}"}]
    (backup,) = await state.data_backups.made_by(ended.id)
    assert backup.volumes == ("shop_data",)
    assert backup.still_seconds >= 0
    await state.data_backups.add(replace(backup, id=f"{backup.id}Z", still_seconds=2.5), None)
    told = "\n".join((await orchestrator.plan(deploy("v3"))).data)
    assert f"Meanwhile store, worker is {how}: for 2.5 s the last time." in told


async def test_copy_that_fails_starts_again_what_it_stopped(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.data.refuses = True
    ids = set(engine.running)
    ended = await orchestrator.run(deploy("v2"))
    assert (ended.outcome, ended.touched, ended.held, ended.problem.key) == (Outcome.FAILED, False, (), "backup")
    assert (set(engine.running), runs(engine)) == (ids, True)


async def test_service_that_cannot_be_started_holds_up_no_other(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    start, containers = engine.start, {container.service: container.id for container in engine.running.values()}

    async def refuses(container_id: str) -> None:
        if container_id == containers["worker"]:
            raise ServiceFailedError("it cannot run")
        await pause(0.01)  # an engine takes a moment
        await start(container_id)

    for container_id in containers.values():
        await engine.stop(container_id)
    engine.start = refuses
    with pytest.raises(ServiceFailedError):
        await start_held(engine, SimpleNamespace(held=tuple(containers.values())))
    assert engine.runs("store", "web")


async def test_what_could_not_be_started_is_started_later(orchestrator, engine, state, environment):
    """The engine is away until after the end, and nobody else starts what was stopped on purpose; once, that is."""
    await orchestrator.run(deploy("v1"))
    start = engine.start
    (worker,) = [container.id for container in engine.running.values() if container.service == "worker"]

    async def is_away(_container_id: str) -> None:
        raise EngineError("the engine is away")

    engine.start = is_away
    ended = await orchestrator.run(deploy("v2"))
    assert (ended.outcome, engine.runs("store"), engine.runs("worker")) == (Outcome.FAILED, False, False)
    await start_left(engine, state, environment)
    assert not runs(engine)
    engine.start = start
    await start_left(engine, state, environment)
    assert runs(engine)
    await engine.stop(worker)
    await start_left(engine, state, environment)
    assert not engine.runs("worker"), "a person has stopped it since"


@pytest.mark.parametrize("recreated", [False, True])
async def test_copy_beside_which_somebody_started_a_service_is_none(orchestrator, engine, state, recreated):
    """It may be of two moments; whether the container is the one that was stopped is no difference."""
    await orchestrator.run(deploy("v1"))
    save = engine.data.save

    async def disturbed(backup_id, name, rule, container_id, still):
        async with still:
            saved = await save(backup_id, name, rule, container_id)
            if recreated:
                (old,) = [container for container in engine.running.values() if container.service == "worker"]
                engine.running["another"] = replace(engine.running.pop(old.id), id="another")
            engine.become("worker", *HEALTHY)
            return saved

    engine.data.save = disturbed
    ended = await orchestrator.run(deploy("v2"))
    assert (ended.outcome, ended.touched, runs(engine)) == (Outcome.FAILED, False, True)
    assert "started worker" in ended.problem.message
    assert await state.data_backups.made_by(ended.id) == ()


@pytest.mark.parametrize("volumes", [("shop_data", "shop_new"), ("shop_new",)])
async def test_volume_that_the_deployment_makes_is_not_copied(orchestrator, engine, state, volumes):
    """There is nothing in it, and whoever mounts it first makes it, without the options that the stack gives it."""
    await orchestrator.run(deploy("v1"))
    engine.data.absent = frozenset({"shop_new"})
    engine.stack["store"] = replace(engine.stack["store"], image="store:v1", backup=replace(RULE, volumes=volumes))
    engine.stack["web"] = service("web", "store")
    engine.data.rules.clear()
    ended = await orchestrator.run(deploy("v2"))
    assert ended.outcome is Outcome.SUCCEEDED, ended.problem
    assert [rule.volumes for rule in engine.data.rules] == ([("shop_data",)] if len(volumes) == 2 else [])


async def test_volume_comes_back_with_its_release(orchestrator, engine, state, failed):
    """All that mounts the volume is stopped, and what depends on that."""
    plan = await orchestrator.plan(rollback(**WITH))
    told = "\n".join(plan.data)
    assert "Meanwhile web, worker, store is stopped." in told or "Meanwhile worker, web, store is stopped." in told
    assert "by the version that runs" not in told, "a copy is read by no version"
    ended = await orchestrator.run(rollback(granted=plan.new_powers, **WITH))
    assert (ended.outcome, ended.data_step, engine.data.rows) == (Outcome.SUCCEEDED, DataStep.RESTORED, "rows")
    assert runs(engine)
    assert engine.versions()["store"] == "store:v1"
    (present,) = await state.data_backups.made_by(ended.id)
    assert engine.data.saved[present.id] == "destroyed"


@pytest.mark.usefixtures("hurried_time")
async def test_restore_needs_room_for_what_the_volume_holds_now(orchestrator, engine, failed):
    """The present data is backed up first, and may be larger than what is restored."""
    plan = await orchestrator.plan(rollback(**WITH))
    told = "\n".join(plan.data)
    assert "It needs about 4 B of the disk." in told
    engine.data.sizes = {"shop_data": 11}
    told = "\n".join((await orchestrator.plan(rollback(**WITH))).data)
    assert "It needs about 11 B of the disk." in told
    assert "has 10 B left: the rollback would fail before it changes any data" in told
    calls = len(engine.calls)
    ended = await orchestrator.run(rollback(granted=plan.new_powers, **WITH))
    assert (ended.outcome, engine.data.rows, runs(engine)) == (Outcome.FAILED, "destroyed", True)
    assert ("stop", "web") not in engine.calls[calls:], "that is known before anything is stopped"


async def test_volume_that_something_else_uses_is_left(orchestrator, engine, failed):
    """A job, say, that runs at that moment: it is not stopped, and the data stays as it is."""
    plan = await orchestrator.plan(rollback(**WITH))
    stop = engine.stop

    async def survives(container_id: str) -> None:
        await stop(container_id)
        engine.become("worker", *HEALTHY)

    engine.stop = survives
    ended = await orchestrator.run(rollback(granted=plan.new_powers, **WITH))
    assert (ended.outcome, engine.data.rows) == (Outcome.FAILED, "destroyed")
    assert "in use by" in ended.problem.message


@pytest.mark.parametrize("before", [(), ("created",), ("exited",)])
@pytest.mark.parametrize("at_the_end", ["running", "exited"])
async def test_restore_beside_which_a_container_was_started_fails(orchestrator, engine, failed, before, at_the_end):
    """Somebody's `docker run` has read half of the data, or written into it; so has one that has ended since."""
    there = [VolumeUser("x", "", ContainerState(state), True, "shell", "10:00") for state in before]
    plan, restore = await orchestrator.plan(rollback(**WITH)), engine.data.restore
    engine.data.others = tuple(there)
    restored = []

    async def used(*asked):
        await restore(*asked)
        if not restored:
            engine.data.others = (VolumeUser("x", "", ContainerState(at_the_end), True, "shell", "10:05"),)
        restored.append(engine.data.rows)

    engine.data.restore = used
    ended = await orchestrator.run(rollback(granted=plan.new_powers, **WITH))
    assert ended.outcome is Outcome.FAILED
    assert "shell" in ended.problem.message
    if at_the_end == "exited":
        assert (ended.data_step, engine.data.rows, runs(engine)) == (DataStep.RETURNED, "destroyed", True)
    else:
        assert (ended.data_step, runs(engine)) == (DataStep.RESTORING, False)


async def test_bot_that_holds_the_volume_itself_refuses(orchestrator, engine, failed):
    async def users(name, volumes):
        raise BackupError("store, which is this bot itself, uses the volume shop_data")

    engine.data.users = users
    with pytest.raises(BackupError):
        await orchestrator.plan(rollback(**WITH))
    told = "\n".join((await orchestrator.plan(deploy("v3"))).data)
    assert "this bot itself" in told
    assert "would fail before it changes anything" in told
    assert (await orchestrator.run(deploy("v3"))).outcome is Outcome.FAILED
    assert runs(engine)


@pytest.mark.parametrize("abandoned", [False, True])
async def test_what_a_dead_process_stopped_runs_again(
    orchestrator, components, environment, engine, state, monkeypatch, abandoned
):
    """Also where nobody goes on with the deployment, or its successor finds that it cannot."""
    await orchestrator.run(deploy("v1"))
    engine.data.deaths = Deaths(at=10**6)
    save = engine.data.save

    async def dies(backup_id, name, rule, container_id, still):
        async with still:
            assert not engine.runs("store")
            engine.data.helpers = 1
            engine.data.deaths.at = 1
            engine.data.deaths.step()

    engine.data.save = dies
    with pytest.raises(JournalUnusableError):
        await orchestrator.run(deploy("v2"))
    await orchestrator.close()
    engine.data.save, engine.data.deaths.at = save, 0
    (unfinished,) = await state.deployments.unfinished()
    assert (len(unfinished.held), engine.runs("store")) == (2, False)
    assert {p.service for p in unfinished.services if p.step is ServiceStep.STOPPING} == HOLDERS, "no alert for it"
    if abandoned:
        monkeypatch.setattr("roas.deploy.resumption.MOST_ATTEMPTS", 0)
    else:
        engine.data.refuses = True
    successor = DeploymentOrchestrator(components, {"dev": environment})
    (taken,) = await successor.resume()
    ended = await successor.wait(taken.id)
    assert (ended.outcome, runs(engine), engine.data.helpers) == (Outcome.FAILED, True, 0)
    await successor.close()


# At the last of these nothing dies any more; a sample in the ordinary lane.
MOST = 70
SAMPLE = frozenset({12, 15, 20, 28, 34})
STEPS = [pytest.param(step, marks=() if step in SAMPLE else pytest.mark.long) for step in range(1, MOST + 1)]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("restores", [False, True])
async def test_death_at_any_step_leaves_nothing_stopped_and_no_half_data_in_use(
    orchestrator, components, environment, engine, state, failed, monkeypatch, step, restores
):
    if restores:
        request = rollback(granted=(await orchestrator.plan(rollback(**WITH))).new_powers, **WITH)
    else:
        request = deploy("v3")
    deaths = engine.data.deaths = Deaths(at=step)
    deaths.strike(state._journal, monkeypatch)
    try:
        ended = await orchestrator.wait((await orchestrator.start(request)).id)
    except JournalUnusableError:
        await orchestrator.close()
        deaths.at = 0
        assert engine.data.rows != HALF or not (HOLDERS | {"web"}) & set(engine.versions())
        successor = DeploymentOrchestrator(components, {"dev": environment})
        taken = await successor.resume()
        if not taken:  # it died before anything of it was written
            assert runs(engine)
            return
        ended = await successor.wait(taken[0].id)
        await successor.close()
    assert step < MOST or deaths.steps < MOST
    assert (ended.outcome, ended.held, runs(engine)) == (Outcome.SUCCEEDED, (), True), step
    assert engine.data.rows == ("rows" if restores else "destroyed")
    (made,) = await state.data_backups.made_by(ended.id)
    assert engine.data.saved[made.id] == "destroyed"
