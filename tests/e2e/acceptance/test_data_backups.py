"""Data that a deployment destroyed comes back with the release before it, and never by itself."""

import asyncio

import pytest

from roas.concurrency import pause
from roas.models.backup import BackupReason
from roas.models.deployment import DeploymentKind, Outcome
from roas.stack.backups.scratch_container import LABEL
from testbed.stack_images import postgres_image
from tests.e2e.acceptance.people import People, request, succeeded, told
from tests.e2e.acceptance.stack import REPOSITORY, Stack, alone

ROWS = "1 anna\n2 dora\n"
BACKUP = {"command": ["cat", "/data/rows"], "restore": "cat >/data/rows.new && mv /data/rows.new /data/rows"}
WAYS = {"command": BACKUP, "volume": {"volume": "data"}, "paused": {"volume": "data", "while": "paused"}}


def write(
    stack: Stack, web: str = "${VERSION}", *, migrates: bool = False, way: str = "command", **backup: object
) -> None:
    """Write a store with data, what uses it, and perhaps a job that destroys a column."""
    store = alone(image=f"{REPOSITORY}:v1", volumes=["data:/data"], **{"x-deploy": {"backup": WAYS[way] | backup}})
    services = {
        "store": store,
        "web": alone(
            image=f"{REPOSITORY}:{web}", restart="always", depends_on={"store": {"condition": "service_healthy"}}
        ),
    }
    if migrates:
        services["migrate"] = {
            "image": f"{REPOSITORY}:v1",
            "command": ["sh", "-c", "cut -d' ' -f1 /data/rows >/data/new && mv /data/new /data/rows"],
            "volumes": ["data:/data"],
            "network_mode": "none",
            "depends_on": {"store": {"condition": "service_healthy"}},
            "x-deploy": {"one_shot": True},
        }
        services["web"]["depends_on"]["migrate"] = {"condition": "service_completed_successfully"}
    stack.write(services, volumes={"data": {}})


def put_rows(stack: Stack, text: str = ROWS) -> None:
    """Write data as the service does."""
    code, output = stack.container("store").exec_run(["sh", "-c", f"printf '{text}' >/data/rows"])
    assert code == 0, output


async def grant(application, **asked) -> tuple[str, ...]:
    """Return the powers that a rollback with data asks for."""
    plan = await application.orchestrator.plan(request(DeploymentKind.ROLLBACK, **asked), keep=False)
    return plan.new_powers


@pytest.mark.parametrize("way", ["command", "volume", pytest.param("paused", marks=pytest.mark.long)])
async def test_destroyed_data_comes_back_with_the_release(application, people: People, stack: Stack, way: str):
    """A migration destroys a column and the new version fails: the rollback leaves the data, a person restores it."""
    write(stack, way=way)
    await people.succeed("v1")
    put_rows(stack)
    write(stack, migrates=True, way=way)
    failed = await people.deploy("exits")
    assert failed.outcome is Outcome.ROLLED_BACK
    assert stack.read("store", "/data/rows") == "1\n2\n", "an automatic rollback touches no data"
    assert "data:with" in " ".join(failed.warnings)
    backups = application.state.data_backups
    (backup,) = await backups.made_by(failed.id)
    assert (backup.id, backup.release, bool(backup.volumes)) == (failed.backups[0], 1, way != "command")
    assert backup.size == len(ROWS) or way != "command", "a copy of a volume is an archive"

    ids = stack.ids()
    ended = succeeded(await people.rollback(data=("with",)))
    assert stack.read("store", "/data/rows") == ROWS
    assert ended.to_release == 1
    assert stack.ids() == ids, "the same containers run again"
    policy = stack.container("web").attrs["HostConfig"]["RestartPolicy"]["Name"]
    assert policy == "always", "which it has not while it is stopped for the data"
    assert len(stack.images()) == 2, "all of them"
    (before,) = await backups.made_by(ended.id)
    assert (before.reason, bool(before.volumes)) == (BackupReason.RESTORE, way != "command")
    succeeded(await people.rollback(data=(before.id,), to=1))
    assert stack.read("store", "/data/rows") == "1\n2\n", "what was restored can be undone"


@pytest.mark.long
@pytest.mark.parametrize(("service", "typed"), [("web", "start"), ("store", "restart")])
async def test_restore_that_somebody_meddles_with_is_whole(application, people: People, stack: Stack, service, typed):
    """What uses the data is started in the middle, or what reads it is restarted: all of it begins again."""
    restore = f"sleep 2; {BACKUP['restore']}"
    write(stack, restore=restore)
    await people.succeed("v1")
    put_rows(stack)
    write(stack, migrates=True, restore=restore)
    await people.deploy("exits")
    granted = await grant(application, data=("with",))
    rollback = asyncio.create_task(people.rollback(data=("with",), granted=granted))
    async with asyncio.timeout(60):
        while "sleep 2" not in str(await asyncio.to_thread(stack.container("store").top)):
            await pause(0.05)
    at_once = {"timeout": 0} if typed == "restart" else {}  # else the command ends before its container does
    await asyncio.to_thread(getattr(stack.container(service), typed), **at_once)
    ended = succeeded(await rollback)
    assert stack.read("store", "/data/rows") == ROWS
    assert "somebody else" in " ".join(ended.warnings), ended.warnings


async def test_copy_that_fails_starts_again_what_it_stopped(people: People, stack: Stack, settings, monkeypatch):
    """Whoever is in the way of it: a container of somebody else's, or an image that cannot copy."""
    write(stack, way="volume")
    await people.succeed("v1")
    put_rows(stack)
    ids = stack.ids()
    started = stack.container("store").attrs["State"]["StartedAt"]
    volume = f"{stack.project()}_data"
    other = stack.client.containers.run(
        f"{REPOSITORY}:v1", name=f"{stack.project()}-other", volumes={volume: {"bind": "/x"}}, detach=True
    )
    try:
        failed = await people.deploy("v2")
    finally:
        other.remove(force=True)
    assert (failed.outcome, failed.touched) == (Outcome.FAILED, False)
    assert other.name in told(failed)
    assert stack.container("store").attrs["State"]["StartedAt"] == started, "nothing was stopped"
    monkeypatch.setattr("roas.stack.backups.volume_helper.SAVE", ("sh", "-c", "echo half; exit 3"))
    failed = await people.deploy("v2")
    assert (failed.outcome, failed.touched, failed.held, failed.backups) == (Outcome.FAILED, False, (), ())
    assert "The data of store was not backed up" in told(failed)
    async with asyncio.timeout(60):
        while stack.container("store").health != "healthy":
            await pause(0.05)
    assert len(stack.images()) == 2, "all of them run"
    assert stack.ids() == ids
    assert stack.container("store").attrs["State"]["StartedAt"] > started, "it was stopped, and runs again"
    assert not list((settings.state_dir / "data-backups").iterdir())


WRONG = (["false"], ["sh", "-c", "echo half; kill -9 $$$$"], ["true"], ["no-such-program"])


async def test_backup_that_fails_changes_nothing(people: People, stack: Stack, settings):
    """Whatever the command does wrong: nothing is stopped, and no half of a backup is kept."""
    write(stack)
    await people.succeed("v1")
    put_rows(stack)
    ids = stack.ids()
    for command in WRONG:
        write(stack, command=command)
        failed = await people.deploy("v2")
        assert (failed.outcome, failed.touched, failed.backups) == (Outcome.FAILED, False, ()), command
        assert "The data of store was not backed up" in told(failed), command
        assert stack.ids() == ids
    assert not list((settings.state_dir / "data-backups").iterdir())


# It has the image of the service, and nothing of what that has: no data, no network, no variables.
ALONE = "test ! -e /data/rows && test ! -e /sys/class/net/eth0 && test -z $${PASSWORD}"


async def test_backup_counts_once_its_command_has_verified_it(people: People, stack: Stack):
    """The command reads it in a container of its own, of which nothing is left. One that refuses fails the backup."""
    write(stack, verify=f"{ALONE} && grep -q anna")
    await people.succeed("v1")
    put_rows(stack, "empty\n")
    write(stack, "v2", verify=f"{ALONE} && grep anna || ! echo nobody there >&2")
    failed = await people.deploy("v2")
    assert (failed.outcome, failed.touched, failed.backups) == (Outcome.FAILED, False, ())
    assert "`verify` did not take it: the command ended with code 1" in told(failed)
    assert failed.problem.report == "nobody there"
    put_rows(stack)
    ended = succeeded(await people.deploy("v2"))
    assert len(ended.backups) == 1
    assert stack.client.containers.list(all=True, filters={"label": LABEL}) == []


SQL = ["psql", "-h", "/tmp", "-qtA", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c"]
DUMP = {
    "command": ["pg_dump", "-h", "/tmp", "--format=custom", "postgres"],
    "restore": "pg_restore -h /tmp -d postgres --clean --if-exists --single-transaction",
}


@pytest.mark.long
async def test_postgres_is_as_at_the_backup(application, people: People, stack: Stack):
    """Row for row, with the column that the migration dropped."""
    store = {
        "image": postgres_image(stack.client),
        "network_mode": "none",
        "volumes": ["data:/var/lib/postgresql"],
        "healthcheck": {"test": ["CMD", "pg_isready", "-h", "/tmp"], "interval": "1s", "retries": 30},
        "x-deploy": {"backup": DUMP},
    }

    def write_postgres(*migration: str) -> None:
        statement = "; ".join(migration)
        asks = ["CMD-SHELL", f"test -z '{statement}'"]  # the migrated version never becomes well
        web = alone(image=f"{REPOSITORY}:v1", depends_on={"store": {"condition": "service_healthy"}})
        web["healthcheck"] = {"test": asks, "interval": "1s", "retries": 2}
        web["environment"] = {"SCHEMA": statement}
        stack.write({"store": store, "web": web}, volumes={"data": {}})

    def ask(statement: str) -> str:
        code, output = stack.container("store").exec_run([*SQL, statement])
        assert code == 0, output
        return str(output.decode())

    write_postgres()
    await people.succeed("v1")
    ask("CREATE TABLE people AS SELECT n AS id, 'name ' || n AS name FROM generate_series(1, 100000) n")
    rows = "SELECT count(*), md5(string_agg(id || name, ',' ORDER BY id)) FROM people"
    before = ask(rows)
    write_postgres("drop")
    failing = asyncio.create_task(people.deploy("v2"))
    changed = asyncio.Event()
    unsubscribe = application.state.subscribe(lambda _: changed.set())
    while not (made := await application.state.data_backups.list("dev")):
        await changed.wait()
        changed.clear()
    unsubscribe()
    ask("ALTER TABLE people DROP COLUMN name")
    failed = await failing
    assert (failed.outcome, made[0].release) == (Outcome.ROLLED_BACK, 1)
    granted = await grant(application, data=("with",))
    succeeded(await people.rollback(data=("with",), granted=granted))
    assert ask(rows) == before
