"""Data is backed up on its schedule and before a job, and comes back from each of these."""

from datetime import UTC, datetime, timedelta

import time_machine

from roas.app.backup_schedule import BackupSchedule
from roas.models.backup import BackupReason
from roas.models.deployment import DeploymentKind, Operation
from tests.e2e.acceptance.people import People, request, succeeded
from tests.e2e.acceptance.stack import Stack
from tests.e2e.acceptance.test_data_backups import ROWS, grant, put_rows, write


async def test_data_is_backed_up_before_a_job_changes_it(application, people: People, stack: Stack):
    """Whatever starts the job: a deployment, or a person by itself."""
    write(stack, migrates=True, before=["job:migrate"])
    await people.succeed("v1")
    put_rows(stack)
    asked = request(DeploymentKind.DEPLOY, operation=Operation.RESTART, services=("migrate",))
    ended = succeeded(await application.orchestrator.run(asked))
    assert stack.read("store", "/data/rows") == "1\n2\n"
    (backup,) = await application.state.data_backups.made_by(ended.id)
    granted = await grant(application, data=(backup.id,), target_release=1)
    succeeded(await people.rollback(data=(backup.id,), to=1, granted=granted))
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
