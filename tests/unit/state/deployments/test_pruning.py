"""The journal's history stays within its bounds."""

from datetime import UTC, datetime, timedelta

import pytest

from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome, PhaseResult, ServiceProgress
from roas.models.leader_lease import Heartbeat
from roas.models.phases import PhaseName
from roas.models.state_change import ChangeType, StateChange
from roas.models.stored import new_id
from roas.state.deployments import pruning as history
from roas.state.deployments.pruning import HistoryBounds
from roas.state.manager import StateManager
from tests.unit.state.journal.journal_work import DORA, deploy

BOUNDS = HistoryBounds(days=90, rows=100_000)


async def fill(state: StateManager, count: int, days_old: float, first: int = 0) -> None:
    """Write many changes of one age in one transaction."""
    time = datetime.now(UTC) - timedelta(days=days_old)

    def work(transaction) -> None:
        for number in range(first, first + count):
            transaction.add_change(StateChange(ChangeType.AUDIT, "test", "dev", f"s{number}", time=time))

    await state._journal.write(work)


async def kept(state: StateManager) -> tuple[int, int]:
    """Return the first and the last number that is kept."""
    numbered = await state.projection.after(0, 1_000_000)
    return numbered[0].sequence, numbered[-1].sequence


@pytest.mark.parametrize(
    ("bounds", "first"),
    [
        (BOUNDS, 501),
        (HistoryBounds(3650, 1200), 1301),
        (HistoryBounds(3650, 100_000), 1),
        (HistoryBounds(1, 1000), 1501),
    ],
)
async def test_changes_kept_within_bounds(state: StateManager, bounds: HistoryBounds, first: int) -> None:
    await fill(state, 500, days_old=91)
    await fill(state, 1000, days_old=89, first=500)
    await fill(state, 1000, days_old=0, first=1500)
    assert await state.history.prune(bounds) == first - 1
    assert await kept(state) == (first, 2500)
    assert await state.history.prune(bounds) == 0


async def test_newest_changes_survive_clock_jump(state: StateManager) -> None:
    """A wall clock that is years ahead for a moment makes every row old."""
    await fill(state, 1300, days_old=400)
    await state.history.prune(BOUNDS)
    assert await kept(state) == (301, 1300)


async def test_long_backlog_dropped_in_portions(state: StateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "DROPPED_AT_ONCE", 100)
    await fill(state, 1250, days_old=91)
    assert [await state.history.prune(BOUNDS) for _ in range(4)] == [100, 100, 50, 0]


async def test_heartbeats_and_deployments_bounded(state: StateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """What beats last and what has not ended stays."""
    monkeypatch.setattr(history, "HEARTBEATS_KEPT", 3)
    monkeypatch.setattr(history, "DEPLOYMENTS_KEPT", 2)
    for number in (0, 1, 2, 3, 4, 0):
        await state.ownership.beat(Heartbeat(f"BOT-{number}", "boot", float(number), f"c{number}"))
    done = [await deploy(state, f"v{number}") for number in range(4)]
    await state.history.prune(BOUNDS)
    assert [await state.ownership.has_beaten(f"c{number}") for number in range(5)] == [True, False, False, True, True]
    assert [deployment.id for deployment in await state.deployments.list()] == [done[3].id, done[2].id]
    assert all(
        deployment.outcome is Outcome.SUCCEEDED and deployment.phases for deployment in await state.deployments.list()
    )
    assert await state._journal.read(lambda t: t.execute("SELECT count(*) FROM phases").fetchone()) == (2,)


async def test_all_kept_history_readable(state: StateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "READ_AT_ONCE", 7)
    made = [await deploy(state, f"v{number}") for number in range(9)]
    made.append(await unfinished(state))
    changes = [(sequence, change.id) async for sequence, change in state.history.changes()]
    assert changes == [(item.sequence, item.change.id) for item in await state.projection.after(0, 1000)]
    found = [deployment async for deployment in state.history.deployments()]
    assert [item.id for item in found] == [item.id for item in made]
    assert all(item.phases[0].name is PhaseName.VALIDATION for item in found)
    assert found[-1].services[0].service == "web"
    assert found[-1].cancel_requested_by == DORA


async def unfinished(state: StateManager) -> Deployment:
    """Write a deployment with a service under way, which somebody asked to cancel."""
    request = DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA)
    phases = (PhaseResult(PhaseName.VALIDATION),)
    deployment = Deployment(new_id("DEPLOY"), request, "standard", new_id("COR"), datetime.now(UTC), phases=phases)
    fence = await state.deployments.create(deployment, "deploy")
    await state.deployments.save_service(deployment, ServiceProgress("web"), fence)
    return await state.deployments.request_cancel(deployment.id, DORA)
