"""The four figures of delivery of a played month, against a table that was computed by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from roas.models.actor import Actor, ActorKind
from roas.models.candidate import Candidate, CandidateState, Commit, Origin
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Operation, Outcome, ServiceProgress
from roas.models.deployment import ServiceStep as Step
from roas.state.deployments.figures import DeliveryFigures, measure
from roas.state.manager import StateManager

DORA = Actor(ActorKind.DISCORD, "1", "dora")
ANNA = Actor(ActorKind.DISCORD, "2", "anna")
FIRST = datetime(2026, 6, 1, tzinfo=UTC)
NOW = datetime(2026, 7, 1, tzinfo=UTC)
DEPLOY, HOTFIX, ROLLBACK = DeploymentKind.DEPLOY, DeploymentKind.HOTFIX, DeploymentKind.ROLLBACK
GOOD, BACK, BAD, CANCELLED = Outcome.SUCCEEDED, Outcome.ROLLED_BACK, Outcome.FAILED, Outcome.CANCELLED

# day, hour, kind, outcome, from, to, minutes it took, hours since its commit
MONTH = [
    (1, 10, DEPLOY, GOOD, 1, 2, 10, 2.0),
    (3, 10, DEPLOY, BACK, 2, 3, 30, None),  # restored within 30 min
    (4, 10, DEPLOY, GOOD, 2, 4, 10, 26.0),
    (8, 10, DEPLOY, GOOD, 4, 5, 10, 6.0),  # taken back 2 h later
    (8, 12, ROLLBACK, GOOD, 5, 4, 10, None),
    (12, 10, HOTFIX, GOOD, 4, 6, 10, None),
    (15, 10, DEPLOY, BAD, 6, 7, 10, None),  # restored by the next success, 4 h later
    (15, 14, DEPLOY, GOOD, 6, 8, 10, 4.0),
    (20, 10, DEPLOY, CANCELLED, 8, 9, 10, None),
    (22, 10, DEPLOY, GOOD, 8, 10, 10, 10.0),
]
# By hand: 6 of 8 changes succeeded, the hotfix among them. 3 of 8 failed: rolled back, taken back later, and failed.
# Lead times 2, 4, 6, 10 and 26 h; times to restore 0.5, 2 and 4 h.
EXPECTED = DeliveryFigures("prod", 6, 6 / 30, 6 * 3600.0, 3 / 8, 2 * 3600.0)


def played() -> tuple[list[Deployment], dict[str, datetime]]:
    """Return the deployments of the month, and when the commits of some were made."""
    found, committed = [], {}
    for number, (day, hour, kind, outcome, before, after, minutes, lead) in enumerate(MONTH):
        ended = FIRST + timedelta(days=day - 1, hours=hour)
        deployment = Deployment(
            f"{kind.value}-{number:026}",
            DeploymentRequest("prod", kind, DORA, f"v{after}", reason="why", plan_digest="p" * 64),
            "standard",
            f"COR-{number}",
            ended - timedelta(minutes=minutes),
            services=(ServiceProgress("web", Step.HEALTHY),),
            from_release=before,
            to_release=after,
            outcome=outcome,
            ended_at=ended,
            duration_seconds=minutes * 60.0,
        )
        found.append(deployment)
        if lead is not None:
            committed[deployment.id] = ended - timedelta(hours=lead)
    return found, committed


def test_figures_of_a_played_month():
    found, committed = played()
    untouched = replace(found[6], id="DEPLOY-U", services=(ServiceProgress("web"),))
    restart = replace(found[0], id="RESTART-1", request=replace(found[0].request, operation=Operation.RESTART))
    older = replace(found[0], id="DEPLOY-O", ended_at=FIRST - timedelta(days=40))
    assert measure("prod", [*reversed(found), untouched, restart, older], committed, NOW) == EXPECTED


def test_nothing_to_measure():
    assert measure("prod", [], {}, NOW) == DeliveryFigures("prod", 0, 0.0, None, None, None)
    failing = replace(played()[0][6], ended_at=NOW)
    assert measure("prod", [failing], {}, NOW) == DeliveryFigures("prod", 0, 0.0, None, 1.0, None)


async def test_records_name_commit_source_and_who_said_yes(tmp_path: Path):
    async with StateManager(tmp_path) as state:
        (done, *_), _committed = played()
        done = replace(done, request=replace(done.request, approved_by=ANNA), outcome=None, ended_at=None)
        fence = await state.deployments.create(done, "deploy")
        made = FIRST - timedelta(hours=2)
        origin = Origin("acme/shop", "c" * 40, commits=(Commit("c" * 40, "Change it", "Ada", made),))
        candidate = Candidate(
            "CAND-1",
            "ci",
            "prod",
            "v2",
            FIRST,
            origin=origin,
            state=CandidateState.STARTED,
            deployment_id=done.id,
        )
        await state.candidates.add(candidate)
        ended = replace(done, outcome=Outcome.SUCCEEDED, ended_at=FIRST + timedelta(hours=1))
        await state.deployments.finish(ended, fence)
        (record,) = await state.records.list("prod")
        assert (record.source, record.repository, record.commit) == ("ci", "acme/shop", "c" * 40)
        assert (record.requested_by, record.approved_by, record.plan) == ("dora", "anna", "p" * 64)
        assert record.committed_at == made
        assert await state.records.list("dev") == ()
        assert await state.records.sources([done.id, "DEPLOY-other"]) == {done.id: "ci"}
        figures = await state.records.delivery("prod", now=NOW)
        assert figures.lead_seconds == pytest.approx(3 * 3600.0)
        assert figures.deployments == 1
