"""Data is backed up before anything changes, and restored only where somebody asks for that, whoever dies meanwhile."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from roas.deploy.data.backups import beyond, of_releases
from roas.deploy.data.restore import Room, say_other_commands, with_restores
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.errors import BackupError, InvalidRequestError, JournalUnusableError
from roas.models.backup import BackupReason, DataBackup
from roas.models.deployment import DataStep, Operation, Outcome
from roas.models.plan import ServiceAction
from roas.models.stack import BackupRule
from roas.stack.backups.service_data import SavedData
from tests.unit.deploy.data.fake_data import HALF, RULE, Deaths, FakeData, WithData
from tests.unit.deploy.fake_engine import HEALTHY, UNHEALTHY
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import ANNA, deploy, hotfix, rollback


@pytest.fixture
def engine() -> WithData:
    return WithData({"store": service("store", backup=RULE), "web": service("web", "store")})


@pytest.fixture
async def failed(orchestrator, engine):
    """Deploy v1, and v2, which destroys the data and fails: nothing restores that by itself."""
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    start = engine.start

    async def destroys(container_id: str) -> None:
        if engine.running[container_id].image_reference == "store:v2":
            engine.data.rows = "destroyed"
        await start(container_id)

    engine.start = destroys
    ended = await orchestrator.run(deploy("v2"))
    engine.start = start
    assert (ended.outcome, engine.data.rows) == (Outcome.ROLLED_BACK, "destroyed")
    return ended


async def asked(orchestrator, **more: object):
    """Return a rollback with data that somebody has granted."""
    plan = await orchestrator.plan(rollback(**more))
    return rollback(granted=plan.new_powers, **more)


WITH = {"data": ("with",)}


async def test_data_comes_back_with_its_release(orchestrator, engine, state, failed):
    (backup,) = await state.data_backups.made_by(failed.id)
    assert (failed.backups, backup.release, backup.reason) == ((backup.id,), 1, BackupReason.DEPLOYMENT)
    assert any("data:with" in warning for warning in failed.warnings)
    plan = await orchestrator.plan(rollback(**WITH))
    assert (plan.to_release, plan.restores) == (1, (backup.id,))
    told = "\n".join(plan.data)
    assert backup.id in told
    assert "lost" in told
    assert "web is stopped" in told
    ended = await orchestrator.run(await asked(orchestrator, **WITH))
    assert (ended.outcome, ended.data_step, engine.data.rows) == (Outcome.SUCCEEDED, DataStep.RESTORED, "rows")
    assert engine.versions() == {"store": "store:v1", "web": "web:v1"}
    (present,) = await state.data_backups.made_by(ended.id)
    assert (present.reason, engine.data.saved[present.id]) == (BackupReason.RESTORE, "destroyed")
    again = await orchestrator.plan(rollback(**WITH))
    assert again.restores == (backup.id,), "what was backed up before a restore belongs to no release"


async def test_second_attempt_hides_no_earlier_backup(orchestrator, engine, state, failed):
    """What it backed up is what the first one had destroyed: the plan says so, and which backup is from before."""
    (before,) = await state.data_backups.made_by(failed.id)
    assert "was left before" not in "\n".join((await orchestrator.plan(rollback(**WITH))).data)
    again = await orchestrator.run(deploy("v2"))
    assert again.outcome is Outcome.ROLLED_BACK
    plan = await orchestrator.plan(rollback(**WITH))
    assert (plan.restores, before.id in plan.restores) == (again.backups, False)
    told = [line for line in plan.data if "was left before" in line]
    assert told == [f"r1 was left before, too, by {failed.id}: the data of before that is in {before.id}."]
    ended = await orchestrator.run(await asked(orchestrator, data=(before.id,), target_release=1))
    assert (ended.outcome, engine.data.rows) == (Outcome.SUCCEEDED, "rows")


@pytest.mark.parametrize("back", [True, False])
async def test_way_back_drops_no_backup(orchestrator, engine, state, back):
    """The release before may ask for fewer, or none: they are what somebody who goes back may need next."""
    engine.stack["store"] = service("store")
    await orchestrator.run(deploy("v1"))
    engine.stack["store"] = service("store", backup=RULE)
    for version in ("v2", "v3"):
        await orchestrator.run(deploy(version))
    kept = [backup.id for backup in await state.data_backups.list("dev")]
    engine.stack["store"] = service("store")
    ended = await orchestrator.run(rollback(target_release=1) if back else deploy("v1"))
    assert ended.outcome is Outcome.SUCCEEDED
    assert [backup.id for backup in await state.data_backups.list("dev")] == (kept if back else kept[:1])


async def test_attempts_that_fail_fill_no_disk(orchestrator, engine, state, failed):
    """Nor do they displace what was there before the first of them."""
    (first,) = await state.data_backups.made_by(failed.id)
    for _ in range(4):
        last = await orchestrator.run(deploy("v2"))
        assert last.outcome is Outcome.ROLLED_BACK
    kept = [backup.id for backup in await state.data_backups.list("dev") if backup.release == 1]
    assert (kept[0], kept[-1], len(kept)) == (last.backups[0], first.id, RULE.keep + 1)
    engine.behaviour.clear()
    good = await orchestrator.run(deploy("v2"))
    assert len(await state.data_backups.list("dev")) == RULE.keep
    assert good.backups[0] == (await state.data_backups.list("dev"))[0].id


async def test_present_data_is_backed_up_though_it_is_no_good(orchestrator, engine, failed):
    """The command that verifies it may refuse what somebody wants replaced."""
    engine.stack["store"] = service("store", backup=replace(RULE, verify=("check",)))
    ended = await orchestrator.run(await asked(orchestrator, **WITH))
    assert (ended.outcome, engine.data.rules[-1].verify) == (Outcome.SUCCEEDED, ())


@pytest.mark.parametrize("replaces_by_itself", [False, True])
async def test_outcome_says_whether_data_can_be_restored(orchestrator, engine, state, replaces_by_itself):
    """On a Swarm it cannot, and no button offers it."""
    engine.replaces_by_itself = replaces_by_itself
    await orchestrator.run(deploy("v1"))
    ended = await orchestrator.run(deploy("v2"))
    assert (ended.outcome, len(ended.backups)) == (Outcome.SUCCEEDED, 1)
    assert (await state.deployments.get(ended.id)).data_stays is replaces_by_itself


@pytest.fixture
async def asking(orchestrator, components, environment):
    """Deploy to the same environment, where it needs approval."""
    orchestrator = DeploymentOrchestrator(components, {"dev": replace(environment, needs_approval=True)})
    yield orchestrator
    await orchestrator.close()


@pytest.mark.parametrize("names", [False, True])
async def test_request_for_data_is_the_yes_where_none_is_needed(orchestrator, engine, failed, names):
    data = failed.backups if names else ("with",)
    ended = await orchestrator.run(rollback(data=data))
    assert (ended.outcome, engine.data.rows) == (Outcome.SUCCEEDED, "rows")


async def test_data_is_not_restored_unless_granted(asking, engine, failed):
    ended = await asking.run(rollback(**WITH))
    assert (ended.outcome, ended.touched, ended.problem.key) == (Outcome.FAILED, False, "new_powers")
    assert engine.data.rows == "destroyed"


async def test_second_person_grants_it_in_the_channel(asking, components, engine, failed):
    orchestrator, components.settings.discord_approver_role_ids = asking, [1]
    plan = await orchestrator.plan(rollback(**WITH))
    asked_for = plan.bind(rollback(interaction_id="PLAN-1", **WITH))
    waiting = await orchestrator.run(asked_for)
    assert (waiting.awaits_approval, engine.data.rows, engine.is_used()) == (True, "destroyed", True)
    await orchestrator.approve(waiting.id, ANNA)
    ended = await orchestrator.wait(waiting.id)
    assert (ended.outcome, engine.data.rows) == (Outcome.SUCCEEDED, "rows")


async def test_deployment_that_changes_nothing_backs_up_nothing(orchestrator, state):
    first = await orchestrator.run(deploy("v1"))
    assert (await orchestrator.plan(deploy("v1"))).data == ()
    again = await orchestrator.run(deploy("v1"))
    assert (first.backups, again.outcome, again.backups) == (first.backups, Outcome.SUCCEEDED, ())
    assert len((await orchestrator.plan(deploy("v2"))).data) == 1


@pytest.mark.parametrize("trouble", ["damaged", "refuses"])
async def test_trouble_before_the_restore_leaves_the_data(orchestrator, engine, failed, trouble):
    request = await asked(orchestrator, **WITH)
    setattr(engine.data, trouble, True)
    ended = await orchestrator.run(request)
    assert (ended.outcome, engine.data.rows) == (Outcome.FAILED, "destroyed")
    assert engine.is_used(), "what was stopped runs again"


async def test_rollback_that_fails_returns_the_data(orchestrator, engine, state):
    """The data belongs to the release that runs in the end."""
    await orchestrator.run(deploy("v1"))
    await orchestrator.run(deploy("v2"))
    engine.data.rows = "rows of v2"
    engine.behaviour["v1", "web"] = UNHEALTHY
    ended = await orchestrator.run(await asked(orchestrator, **WITH))
    assert (ended.outcome, ended.data_step) == (Outcome.FAILED, DataStep.RETURNED)
    assert engine.data.rows == "rows of v2"
    assert engine.versions() == {"store": "store:v2", "web": "web:v2"}


async def test_backup_that_fails_changes_nothing(orchestrator, engine):
    await orchestrator.run(deploy("v1"))
    engine.data.refuses = True
    calls = len(engine.started())
    ended = await orchestrator.run(deploy("v2"))
    assert (ended.outcome, ended.touched, ended.problem.key) == (Outcome.FAILED, False, "backup")
    assert len(engine.started()) == calls


@pytest.mark.parametrize("abandoned", [False, True])
async def test_half_restored_data_is_neither_used_nor_backed_up(
    orchestrator, components, environment, engine, state, failed, monkeypatch, abandoned
):
    """What uses it stays stopped, and each way that would start it is refused, until a restore has ended."""
    request = await asked(orchestrator, **WITH)
    if abandoned:
        engine.data.deaths = Deaths(at=10**6)
        monkeypatch.setattr(engine.data, "restore", partial(_die_in_the_middle, engine.data))
        with pytest.raises(JournalUnusableError):
            await orchestrator.wait((await orchestrator.start(request)).id)
        await orchestrator.close()
        monkeypatch.undo()
        monkeypatch.setattr("roas.deploy.resumption.MOST_ATTEMPTS", 0)
        orchestrator = DeploymentOrchestrator(components, {"dev": environment})
        (taken,) = await orchestrator.resume()
        ended = await state.deployments.get(taken.id)
    else:
        engine.data.breaks = True
        ended = await orchestrator.run(request)
        engine.data.breaks = False
    assert (ended.outcome, engine.data.rows, engine.is_used()) == (Outcome.FAILED, HALF, False)
    assert f"--data {ended.backups[0]}" in ended.problem.hint
    assert "half restored" in (await state.stops.of("dev"))["web"].reason
    for again in (deploy("v3"), rollback()):
        refused = await orchestrator.run(again)
        assert (refused.outcome, refused.problem.key, engine.is_used()) == (Outcome.FAILED, "backup", False)
        assert f"--data {ended.backups[0]}" in refused.problem.hint
    request = await asked(orchestrator, target_release=1, data=ended.backups)
    whole = await orchestrator.run(request)
    assert (whole.outcome, engine.data.rows, engine.is_used()) == (Outcome.SUCCEEDED, "destroyed", True)
    assert await state.stops.of("dev") == {}
    assert (await orchestrator.run(deploy("v3"))).outcome is Outcome.SUCCEEDED
    await orchestrator.close()


async def _die_in_the_middle(data: FakeData, backup: DataBackup, container_id: str) -> None:
    data.rows = HALF
    raise JournalUnusableError("died")


async def test_what_uses_the_data_does_not_start_with_the_engine(orchestrator, engine, failed, monkeypatch):
    """A container of `restart: always` would, although it was stopped: it has that policy again once it may."""
    kept = []

    async def restore(backup: DataBackup, container_id: str) -> None:
        kept.extend(engine.running[container].service for container in engine.kept_stopped)

    monkeypatch.setattr(engine.data, "restore", restore)
    for model in engine.models.values():
        model["services"]["web"]["restart"] = "always"
    assert (await orchestrator.run(await asked(orchestrator, **WITH))).outcome is Outcome.SUCCEEDED
    assert (kept, engine.kept_stopped & engine.running.keys()) == (["web"], set())


BEFORE_JOB = replace(RULE, before_deploy=False, before_jobs=("migrate",))


@pytest.fixture
def migrating(engine) -> list[list[str]]:
    """Let a job change the data, and note of each run what was backed up by then."""
    engine.stack |= {
        "store": service("store", backup=BEFORE_JOB),
        "migrate": service("migrate", "store", one_shot=True, has_health_check=False),
    }
    runs, start = [], engine.start

    async def migrates(container_id: str) -> None:
        if engine.running[container_id].service == "migrate":
            runs.append(list(engine.data.saved.values()))
            engine.data.rows = f"migrated {len(runs)}"
        await start(container_id)

    engine.start = migrates
    return runs


@pytest.mark.parametrize("before_deploy", [False, True])
async def test_data_is_backed_up_before_a_job_runs(orchestrator, engine, state, migrating, before_deploy):
    """Once in a deployment. A job that is restarted by itself is one, too."""
    engine.stack["store"] = service("store", backup=replace(BEFORE_JOB, before_deploy=before_deploy))
    await orchestrator.run(deploy("v1"))
    ended = await orchestrator.run(deploy("v2"))
    (backup,) = await state.data_backups.made_by(ended.id)
    assert (ended.outcome, backup.release, backup.reason) == (Outcome.SUCCEEDED, 1, BackupReason.DEPLOYMENT)
    assert migrating[-1][-1] == "migrated 1"
    again = await orchestrator.run(deploy(None, services=("migrate",), operation=Operation.RESTART))
    assert (again.outcome, migrating[-1][-1]) == (Outcome.SUCCEEDED, "migrated 2")


async def test_job_does_not_run_without_its_backup(orchestrator, engine, migrating):
    await orchestrator.run(deploy("v1"))
    assert migrating == [[]], "what the first deployment made was empty"
    plan = await orchestrator.plan(deploy("v2"))
    assert plan.data == ("The data of store is backed up before migrate runs.",)
    engine.data.refuses = True
    ended = await orchestrator.run(deploy("v2"))
    assert (ended.outcome, ended.problem.key, len(migrating)) == (Outcome.ROLLED_BACK, "backup", 1)


async def test_hotfix_goes_on_without_a_database_that_is_down(orchestrator, engine):
    """It may be what mends the database. Any other deployment needs its backup."""
    await orchestrator.run(deploy("v1"))
    engine.data.down = True
    assert (await orchestrator.run(deploy("v2"))).outcome is Outcome.FAILED
    mended = await orchestrator.run(hotfix("v2"))
    assert (mended.outcome, mended.backups) == (Outcome.SUCCEEDED, ())
    assert any("without a backup" in warning for warning in mended.warnings)


async def test_restore_finds_its_container_before_it_stops_anything(orchestrator, engine, failed):
    request = await asked(orchestrator, **WITH)
    engine.data.down = True
    calls = len(engine.calls)
    ended = await orchestrator.run(request)
    assert (ended.outcome, engine.kept_stopped, engine.is_used()) == (Outcome.FAILED, set(), True)
    assert "/start store" in ended.problem.hint
    assert ("stop", "web") not in engine.calls[calls:]


@pytest.mark.usefixtures("hurried_time")
@pytest.mark.parametrize("makes_room", [False, True])
async def test_full_disk_is_waited_for_before_anything_stops(orchestrator, engine, failed, monkeypatch, makes_room):
    """The data is not out of use while somebody makes room, nor where nobody does."""
    request = await asked(orchestrator, **WITH)
    asked_for, calls = [], len(engine.calls)

    def free_bytes() -> int:
        asked_for.append(engine.is_used())
        return 10 if makes_room and len(asked_for) > 3 else 2

    monkeypatch.setattr(engine.data, "files", SimpleNamespace(free_bytes=free_bytes))
    ended = await orchestrator.run(request)
    assert (len(asked_for) > 3, set(asked_for)) == (True, {True})
    if makes_room:
        assert (ended.outcome, engine.data.rows) == (Outcome.SUCCEEDED, "rows"), ended.problem
        return
    assert (ended.outcome, engine.data.rows, engine.kept_stopped) == (Outcome.FAILED, "destroyed", set())
    assert "disk space" in ended.problem.message
    assert ("stop", "web") not in engine.calls[calls:]


async def test_what_runs_is_backed_up_by_its_own_rule(orchestrator, engine, monkeypatch):
    """The command of a new image may not be in the one that runs."""
    await orchestrator.run(deploy("v1"))
    newer = BackupRule(("dump2",), ("load2",), 2)
    read = engine.definitions
    monkeypatch.setattr(
        engine,
        "definitions",
        lambda model: {
            name: replace(definition, backup=newer, image="new")
            if definition.backup and ":v2" in str(model)
            else definition
            for name, definition in read(model).items()
        },
    )
    await orchestrator.run(deploy("v2"))
    await orchestrator.run(deploy("v3"))
    assert engine.data.rules[-2:] == [RULE, newer]


@pytest.mark.parametrize("times", [1, 2])
async def test_restore_that_somebody_meddles_with_is_done_again(orchestrator, engine, state, failed, times):
    """Their `docker compose up -d` starts what was stopped: it has read half of the data, or written beside it."""
    request = await asked(orchestrator, **WITH)
    restored = meddled(engine, "restore", lambda: engine.become("web", *HEALTHY), times)
    ended = await orchestrator.run(request)
    assert (ended.outcome, engine.data.rows, engine.is_used()) == (Outcome.SUCCEEDED, "rows", True), ended.problem
    assert restored == ["met"] * times + ["alone"]
    assert any("somebody else started it while its data was restored" in warning for warning in ended.warnings)
    assert (ended.data_step, await state.stops.of("dev")) == (DataStep.RESTORED, {})


async def test_restore_that_somebody_always_meddles_with_returns_the_data(orchestrator, engine, failed):
    """It does not go on for ever. What is there in the end is whole, and who did it is said."""
    request = await asked(orchestrator, **WITH)
    meddled(engine, "restore", lambda: engine.become("web", *HEALTHY), 3)
    ended = await orchestrator.run(request)
    assert (ended.outcome, ended.data_step, engine.data.rows) == (Outcome.FAILED, DataStep.RETURNED, "destroyed")
    assert "somebody else started it" in ended.problem.message


@pytest.mark.parametrize("work", ["save", "restore"])
@pytest.mark.parametrize("hands", ["restarted", "replaced"])
async def test_command_that_ended_with_its_container_is_not_blamed(orchestrator, engine, failed, work, hands):
    """Somebody restarted the database, or their `up -d` made it again: the command ended with it, and runs again."""
    request = await asked(orchestrator, **WITH)
    started(engine)
    meddled(engine, work, partial(taken_away, engine, hands), 1)
    ended = await orchestrator.run(request)
    assert (ended.outcome, engine.data.rows) == (Outcome.SUCCEEDED, "rows"), ended.problem
    assert any("by somebody else" in warning or "somebody else restarted" in warning for warning in ended.warnings)


async def test_backup_that_somebody_meddles_with_is_made_again(orchestrator, engine):
    """Nothing was changed yet; but for a database that is gone, there is nothing to do it with."""
    await orchestrator.run(deploy("v1"))
    started(engine)
    meddled(engine, "save", partial(taken_away, engine, "restarted"), 1)
    ended = await orchestrator.run(deploy("v2"))
    assert (ended.outcome, len(ended.backups)) == (Outcome.SUCCEEDED, 1), ended.problem
    meddled(engine, "save", partial(taken_away, engine, "removed"), 1)
    ended = await orchestrator.run(deploy("v3"))
    assert (ended.outcome, ended.touched, ended.problem.key) == (Outcome.FAILED, False, "backup")


def started(engine: WithData) -> None:
    """Note when all that runs was started, as an engine does."""
    at = datetime.now(UTC) - timedelta(minutes=1)
    engine.running = {name: replace(container, started_at=at) for name, container in engine.running.items()}


def taken_away(engine: WithData, hands: str) -> None:
    """Let somebody do that to the store, with which the command in it ends."""
    (store,) = [container for container in engine.running.values() if container.service == "store"]
    del engine.running[store.id]
    if hands == "restarted":
        engine.running[store.id] = replace(store, started_at=datetime.now(UTC))
    elif hands == "replaced":
        engine.running["theirs"] = replace(store, id="theirs")
    raise BackupError("the command ended with code 137", service="store")


def meddled(engine: WithData, work: str, act: Callable[[], None], times: int) -> list[str]:
    """Let somebody act in the middle of some work on the data, the first few times; returns how each time was."""
    original, done = getattr(engine.data, work), list[str]()

    async def meet(*arguments: Any) -> Any:
        done.append("met" if len(done) < times else "alone")
        if done[-1] == "met":
            act()
        return await original(*arguments)

    setattr(engine.data, work, meet)
    return done


async def test_deployment_that_backed_up_everything_is_preferred(orchestrator, engine, state, failed, monkeypatch):
    """What is not restored is said, and which version reads what is."""
    engine.stack["cache"] = service("cache", backup=RULE)
    whole = await orchestrator.run(deploy("v3"))
    assert len(whole.backups) == 2
    await orchestrator.run(rollback(target_release=1))
    save = engine.data.save

    async def only_the_cache(backup_id: str, name: str, *more: object) -> SavedData:
        engine.data.refuses = name != "cache"
        return await save(backup_id, name, *more)

    with monkeypatch.context() as patched:
        patched.setattr(engine.data, "save", only_the_cache)
        half = await orchestrator.run(deploy("v4"))
    assert (half.outcome, len(half.backups)) == (Outcome.FAILED, 1)
    engine.data.refuses = False
    assert set((await orchestrator.plan(rollback(target_release=1, **WITH))).restores) == set(whole.backups)
    await orchestrator.run(deploy("v5"))
    of_store = next(backup for backup in await state.data_backups.made_by(whole.id) if backup.service == "store")
    told = "\n".join((await orchestrator.plan(rollback(target_release=1, data=(of_store.id,)))).data)
    assert "The data of cache is not restored" in told
    assert "backup of store is read by the version that runs" in told
    assert "may take 600s for one service" in told


def test_data_on_schedule_alone_belongs_to_no_release() -> None:
    """A deployment that backed up all others has all that its release can come back with."""
    nightly = replace(RULE, before_deploy=False, every="0 3 * * *")
    rules = {"store": RULE, "log": nightly, "cache": replace(nightly, before_jobs=("migrate",)), "web": None}
    assert of_releases({name: service(name, backup=rule) for name, rule in rules.items()}) == {"store", "cache"}


async def test_data_and_the_bot_itself_go_one_after_the_other(orchestrator, state, failed):
    plan = await orchestrator.plan(rollback(**WITH))
    backups = await state.data_backups.made_by(failed.id)
    definitions = {"store": service("store", backup=RULE), "web": service("web", "store")}
    room = Room(None, 4)
    assert any("web is stopped" in line for line in with_restores(plan, backups, definitions, room, None).data)
    assert not any("stopped" in line for line in with_restores(plan, backups, definitions, room, "web").data)
    plan = replace(plan, services=(replace(plan.services[0], service="web", action=ServiceAction.RECREATE),))
    with pytest.raises(InvalidRequestError):
        with_restores(plan, backups, definitions, room, "web")


def test_command_that_the_files_do_not_name_is_told() -> None:
    """It runs in the container of today, which may do more than it did then."""
    backup = DataBackup("BACKUP-1", "dev", "store", "D", BackupReason.DEPLOYMENT, 1, datetime.now(UTC), 1.0, 1, "x")
    then, definition = BackupRule(("dump",), ("sh", "-c", "load\u200b; payload"), 2), service("store")
    told = list(say_other_commands([backup], {"store": then}, {"store": replace(definition, backup=RULE)}))
    assert told == [r"store reads BACKUP-1 by the command that it had then: `sh -c 'load\u{200b}; payload'`"]
    assert list(say_other_commands([backup], {"store": then}, {"store": definition})) == told
    assert list(say_other_commands([backup], {"store": RULE}, {"store": replace(definition, backup=RULE)})) == []


# At the last of these nothing dies any more; a sample in the ordinary lane.
MOST = 60
SAMPLE = frozenset({18, 21, 25, 27})
STEPS = [pytest.param(step, marks=() if step in SAMPLE else pytest.mark.long) for step in range(1, MOST + 1)]


@pytest.mark.parametrize("step", STEPS)
async def test_death_at_any_step_leaves_no_half_data_in_use(
    orchestrator, components, environment, engine, state, failed, monkeypatch, step
):
    """The next process ends what the dead one began: all of the backup is there before anything uses it."""
    request = await asked(orchestrator, **WITH)
    deaths = engine.data.deaths = Deaths(at=step)
    deaths.strike(state._journal, monkeypatch)
    try:
        deployment = await orchestrator.start(request)
        ended = await orchestrator.wait(deployment.id)
    except JournalUnusableError:
        await orchestrator.close()
        deaths.at = 0
        assert engine.data.rows != HALF or not engine.is_used()
        successor = DeploymentOrchestrator(components, {"dev": environment})
        taken = await successor.resume()
        if not taken:  # it died before anything of it was written
            assert engine.data.rows == "destroyed"
            return
        ended = await successor.wait(taken[0].id)
        await successor.close()
    assert step < MOST or deaths.steps < MOST
    assert (ended.outcome, engine.data.rows) == (Outcome.SUCCEEDED, "rows"), step
    assert len(await state.data_backups.made_by(ended.id)) == 1
    assert [engine.data.saved[backup_id] for backup_id in ended.backups] == ["destroyed"]
    assert engine.is_used()


async def test_backups_that_an_earlier_journal_kept_are_not_dropped(orchestrator, engine, state):
    """A person put this journal in its place: which of the files are its own is told by when that was."""
    state._journal.choice = "CHOICE-01KZ"
    for version in ("v1", "v2", "v3", "v4"):
        assert (await orchestrator.run(deploy(version))).outcome is Outcome.SUCCEEDED
    dropped, chosen_at = engine.data.cleared
    assert (len(dropped), len(await state.data_backups.ids(kept=True)), chosen_at) == (2, 2, "01KZ")


def test_oldest_backups_go() -> None:
    """Each service keeps as many as it says; what is not backed up any more keeps its last one."""
    plain = DataBackup("", "dev", "", "D", BackupReason.DEPLOYMENT, 1, None, 0.0, 1, "")
    names = ("store", "cache", "store", "store", "cache")
    backups = [replace(plain, id=f"B{number}", service=name) for number, name in enumerate(names)]
    assert [backup.id for backup in beyond(backups, {"store": RULE})] == ["B3", "B4"]
    nightly = [replace(backup, reason=BackupReason.SCHEDULE) for backup in backups]
    assert [backup.id for backup in beyond([*nightly, *backups], {"store": RULE})] == ["B3", "B4"] * 2
