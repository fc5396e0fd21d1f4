"""However many backups were made on schedule since, what became of deployments is known."""

from datetime import UTC, datetime, timedelta

import pytest

from roas.app.backup_schedule import ON_SCHEDULE
from roas.candidates.holds import RECENT_DEPLOYMENTS, VersionHolds
from roas.deploy.planning.promotion import MOST_DEPLOYMENTS, _why_unsoaked
from roas.metrics.integration_monitor import DEPLOYMENTS_READ, DeploymentFigures
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Operation, Outcome
from roas.models.release import ReleaseState
from roas.models.stored import new_id
from roas.ui.notifications.deployment_notifier import REMEMBERED, last_seconds
from tests.unit.deploy.fake_engine import UNHEALTHY
from tests.unit.deploy.requested import deploy, rollback


@pytest.fixture
async def nights(state):
    """Let so many backups be made."""

    async def pass_by(number: int) -> None:
        request = DeploymentRequest(
            "dev", DeploymentKind.DEPLOY, ON_SCHEDULE, services=("store",), operation=Operation.SAVE
        )
        for _ in range(number):
            now = datetime.now(UTC)
            save = Deployment(new_id("SAVE"), request, "save", new_id("COR"), now)
            fence = await state.deployments.create(save, "save")
            ended = Deployment(save.id, request, "save", save.correlation_id, now, outcome=Outcome.SUCCEEDED)
            await state.deployments.finish(ended, fence)

    return pass_by


async def test_rollback_finds_what_a_failure_left(orchestrator, engine, state, nights):
    """Services may be of two releases: a plain rollback makes them of one."""
    for version in ("v1", "v2"):
        await orchestrator.run(deploy(version))
    engine.become("web", *UNHEALTHY)
    engine.behaviour["v1", "store"] = UNHEALTHY
    ended = await orchestrator.run(rollback())
    assert ended.outcome is Outcome.FAILED
    left = await state.deployments.left_by_failure("dev")
    assert left[1]
    await nights(25)
    assert await state.deployments.left_by_failure("dev") == left


@pytest.mark.parametrize("by_the_next_bot", [True, False])
async def test_bad_version_is_kept_out(orchestrator, engine, state, nights, by_the_next_bot):
    await orchestrator.run(deploy("v1"))
    engine.behaviour["v2", "web"] = UNHEALTHY
    assert (await orchestrator.run(deploy("v2"))).outcome is Outcome.ROLLED_BACK
    await nights(RECENT_DEPLOYMENTS)
    holds = VersionHolds(state)
    await (holds.note_recent(["dev"]) if by_the_next_bot else holds.note_last("dev"))
    assert [hold.version for hold in await state.holds.of("dev")] == ["v2"]


async def test_healthy_time_of_a_release_is_known(orchestrator, state, nights):
    await orchestrator.run(deploy("v1"))
    await nights(MOST_DEPLOYMENTS)
    release = await state.releases.current("dev")
    assert release.state is ReleaseState.SUCCEEDED
    in_a_week = datetime.now(UTC) + timedelta(days=7)
    assert await _why_unsoaked(state, "prod", "dev", [release], timedelta(days=2), in_a_week) is None


async def test_backups_are_no_deployments_of_the_figures(orchestrator, environment, state, nights):
    """Else a night of them displaces the deployments of a day by which people are called."""
    await orchestrator.run(deploy("v1"))
    await nights(DEPLOYMENTS_READ)
    figures = DeploymentFigures(state, ["dev"], last=20, fewest=1)
    await figures.refresh()
    assert figures.counts == {("dev", "DEPLOY", "succeeded"): 1}
    assert figures.results() == [("dev", True)]


async def test_usual_time_of_a_deployment_is_known(orchestrator, state, nights):
    await orchestrator.run(deploy("v1"))
    await nights(REMEMBERED)
    assert await last_seconds(state, deploy("v2")) is not None
