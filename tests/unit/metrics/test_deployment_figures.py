"""Which deployments were good is read from the journal, whoever ran them and in whichever process."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from roas.metrics.bot_metrics import Metrics
from roas.metrics.integration_monitor import DeploymentFigures
from roas.models.actor import RECOVERY, Actor, ActorKind
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome, PhaseResult, PhaseStatus
from roas.models.phases import PhaseName
from roas.models.stored import new_id
from roas.state.manager import StateManager

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
DORA, AUTOMATIC = Actor(ActorKind.DISCORD, "1", "dora"), Actor(ActorKind.SYSTEM, RECOVERY, "automatic recovery")
DEPLOY, HOTFIX, ROLLBACK = DeploymentKind.DEPLOY, DeploymentKind.HOTFIX, DeploymentKind.ROLLBACK
SUCCEEDED, ROLLED_BACK, FAILED, CANCELLED = Outcome.SUCCEEDED, Outcome.ROLLED_BACK, Outcome.FAILED, Outcome.CANCELLED
GOOD, BAD = (DEPLOY, SUCCEEDED, DORA, 0, 0), (DEPLOY, ROLLED_BACK, DORA, 0, 0)


async def play(state: StateManager, *ended: tuple, hours_ago: float = 2.0) -> DeploymentFigures:
    """Write how deployments of prod ended, a second after each other, and read the figures."""
    for number, (kind, outcome, by, before, after) in enumerate(ended):
        at = NOW - timedelta(hours=hours_ago) + timedelta(seconds=number)
        deployment = Deployment(
            id=new_id(kind.value),
            request=DeploymentRequest("prod", kind, by, version="v"),
            coordination="standard",
            correlation_id="",
            created_at=at,
            phases=(PhaseResult(PhaseName.EXECUTION, PhaseStatus.SUCCESS, 1, duration_seconds=2.0 + number),),
            from_release=before,
            to_release=after,
        )
        fence = await state.deployments.create(deployment, "test")
        ended_one = replace(deployment, outcome=outcome, ended_at=at, duration_seconds=10.0 + number)
        await state.deployments.finish(ended_one, fence)
    figures = DeploymentFigures(state, ["prod"], now=lambda: NOW)
    await figures.refresh()
    return figures


@pytest.mark.parametrize(
    ("ended", "ratio"),
    [
        ([GOOD] * 4, None),  # too few
        ([GOOD] * 4 + [BAD], 0.8),
        ([GOOD] * 4 + [(HOTFIX, FAILED, DORA, 1, 2)], 0.8),
        ([GOOD] * 4 + [(DEPLOY, CANCELLED, DORA, 1, 2)], None),
        # A rollback that was asked for is nobody's success; one that failed is a failure.
        ([GOOD] * 4 + [(ROLLBACK, SUCCEEDED, DORA, 2, 1)], None),
        ([GOOD] * 4 + [(ROLLBACK, FAILED, DORA, 2, 1)], 0.8),
        # What recovery took back was not good, though it was called a success; and going back is none.
        ([GOOD] * 4 + [(DEPLOY, SUCCEEDED, DORA, 1, 2), (ROLLBACK, SUCCEEDED, AUTOMATIC, 2, 1)], 0.8),
        ([BAD] * 5 + [GOOD] * 20, 1.0),  # the last twenty
        (
            [BAD] * 5 + [(DEPLOY, CANCELLED, DORA, 1, 2)] * 30,
            0.0,
        ),  # what counts for nothing hides none
    ],
)
async def test_success_rate(state: StateManager, ended: list[tuple], ratio: float | None) -> None:
    assert (await play(state, *ended)).success_ratio == ratio


async def test_parts_on_hosts_are_no_results_of_their_own(state: StateManager) -> None:
    """Of five deployments one was bad, on however many hosts its parts were."""
    for number in range(10):
        request = DeploymentRequest(f"prod@{number}", DEPLOY, DORA, version="v", part_of="DEPLOY-1")
        part = Deployment(new_id("DEPLOY"), request, "standard", "", NOW - timedelta(hours=1))
        fence = await state.deployments.create(part, "test")
        await state.deployments.finish(replace(part, outcome=ROLLED_BACK, ended_at=NOW, duration_seconds=1.0), fence)
    assert (await play(state, *[GOOD] * 4, BAD)).success_ratio == 0.8


async def test_what_is_older_than_a_day_is_over(state: StateManager) -> None:
    assert (await play(state, *[BAD] * 5, hours_ago=24.1)).success_ratio is None


async def test_shown_to_prometheus_by_any_process(state: StateManager) -> None:
    """This one ran none of them; what has not happened is 0."""
    await play(state, BAD, GOOD)
    figures = await play(state, GOOD, (HOTFIX, SUCCEEDED, DORA, 1, 2), GOOD, hours_ago=0.5)
    metrics = Metrics("1")
    metrics.read_deployments(figures)
    await metrics.refresh()

    def sample(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    deploy = {"environment": "prod", "kind": "DEPLOY"}
    assert sample("roas_deployments_total", outcome="succeeded", **deploy) == 3
    assert sample("roas_deployments_total", outcome="rolled_back", **deploy) == 1
    assert sample("roas_deployments_total", outcome="cancelled", **deploy) == 0
    assert sample("roas_deployments_last_hour", outcome="succeeded", **deploy) == 2
    assert sample("roas_deployments_last_hour", outcome="rolled_back", **deploy) == 0
    assert sample("roas_deployment_results_last_day", environment="prod", result="succeeded") == 4
    assert sample("roas_deployment_results_last_day", environment="prod", result="failed") == 1
    assert sample("roas_deployment_last_hour_seconds", **deploy) == 12
    assert sample("roas_phase_last_hour_seconds", phase="execution") == 3
