"""Data is backed up on its schedule, before a job and encrypted, and comes back from each of these."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyrage
import time_machine

from roas.app.backup_schedule import BackupSchedule
from roas.models.backup import BackupReason
from roas.models.deployment import DeploymentKind, Operation, Outcome
from tests.e2e.acceptance.people import People, request, succeeded, told
from tests.e2e.acceptance.stack import Stack
from tests.e2e.acceptance.test_data_backups import ROWS, grant, put_rows, write


def key_file(folder: Path, name: str = "key") -> Path:
    """Write a file with a key, as `age-keygen` does."""
    path = folder / name
    path.write_text(f"# created: today\n{pyrage.x25519.Identity.generate()}\n")
    return path


async def test_encrypted_backup_comes_back(application, people: People, stack: Stack, settings, tmp_path):
    """Nobody reads it on the disk. A key that is lost ends the rollback before it changes anything."""
    key = key_file(tmp_path)
    write(stack, key=str(key), verify="grep -q anna")
    await people.succeed("v1")
    put_rows(stack)
    ended = succeeded(await people.deploy("v2"))
    (backup,) = await application.state.data_backups.made_by(ended.id)
    content = (settings.state_dir / "data-backups" / backup.id).read_bytes()
    assert (content.startswith(b"age-encryption.org/v1"), b"anna" in content) == (True, False)
    put_rows(stack, "destroyed\n")
    granted, secret, ids = await grant(application, data=("with",)), key.read_text(), stack.ids()
    key.write_text(key_file(tmp_path, "other").read_text())
    refused = await people.rollback(data=("with",), granted=granted)
    assert (refused.outcome, stack.ids()) == (Outcome.FAILED, ids)
    assert f"encrypted for {backup.recipient}" in told(refused)
    assert stack.read("store", "/data/rows") == "destroyed\n"
    key.write_text(secret)
    succeeded(await people.rollback(data=("with",), granted=granted))
    assert stack.read("store", "/data/rows") == ROWS


RUN_AGAIN = request(DeploymentKind.DEPLOY, operation=Operation.RESTART, services=("migrate",))


async def test_data_is_backed_up_before_a_job_changes_it(application, people: People, stack: Stack):
    """Whatever starts the job: a deployment, or a person by itself."""
    write(stack)
    await people.succeed("v1")
    put_rows(stack)
    write(stack, migrates=True, before=["job:migrate"])
    backups = application.state.data_backups
    for begin in (people.deploy("v1"), application.orchestrator.run(RUN_AGAIN)):
        ended = succeeded(await begin)
        assert stack.read("store", "/data/rows") == "1\n2\n"
        (backup,) = await backups.made_by(ended.id)
        assert backup.size == len(ROWS)
        put_rows(stack)
    put_rows(stack, "lost\n")
    granted = await grant(application, data=(backup.id,), target_release=2)
    succeeded(await people.rollback(data=(backup.id,), to=2, granted=granted))
    assert stack.read("store", "/data/rows") == ROWS


async def test_data_is_backed_up_on_its_schedule(application, people: People, stack: Stack):
    """By the leader's rounds; nothing is stopped or started for it."""
    write(stack, every="0 3 * * *", before=[])
    await people.succeed("v1")
    put_rows(stack)
    ids, state = stack.ids(), application.state
    schedule = BackupSchedule(
        application.stacks,
        state,
        application.alert_service,
        application.environments,
        application.orchestrator.start,
    )
    await schedule.check()
    assert await state.data_backups.list("dev") == ()
    with time_machine.travel(datetime.now(UTC) + timedelta(days=1), tick=True):
        await schedule.check()
        (saving,) = await state.deployments.list("dev", limit=1)
        succeeded(await application.orchestrator.wait(saving.id))
        await schedule.check()
    assert saving.request.operation is Operation.SAVE
    (backup,) = await state.data_backups.list("dev")
    assert (backup.reason, backup.size, stack.ids()) == (BackupReason.SCHEDULE, len(ROWS), ids)
    assert await state.alerts.open() == ()
