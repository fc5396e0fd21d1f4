"""Where bound paths lead is looked at each second, and that costs next to nothing while no path moves."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roas.alerts import drift_alerts
from roas.alerts.drift_alerts import SwappedBinds
from roas.models.deployment import ServiceProgress, ServiceStep
from roas.models.environment import Environment
from roas.models.release import Holding
from tests.unit.one_stack import OneStack


class World(OneStack):
    """Be journal, engine and alert service; count the whole looks."""

    releases: Any = None

    def __init__(self, folder: Path) -> None:
        self.folder, self.looks, self.holding, self.binds = folder, 0, None, self
        self.held: list[tuple[str, ...]] = []
        self.reports: list[bool] = []
        self.ended: Holding | None = None
        self.releases = SimpleNamespace(applied_model=self._model_hash, released=self._released)
        self.deployments = SimpleNamespace(holding=self._holding)
        self.alerts = SimpleNamespace(open=self._no_alerts)

    async def _model_hash(self, _: str) -> str:
        return "m1"

    async def _released(self) -> frozenset[str]:
        return frozenset({"dev"})

    async def _holding(self, _: str) -> Holding | None:
        """Return what is held; once, what was held until then."""
        ended, self.ended = self.ended, None
        return self.holding if ended is None else ended

    async def _no_alerts(self, _: str) -> tuple[()]:
        return ()

    async def load_model(self, _: str) -> Mapping[str, Any]:
        return {"services": {"web": {"volumes": [{"type": "bind", "source": str(self.folder), "target": "/data"}]}}}

    async def find(self, model: Mapping[str, Any]) -> Mapping[str, str]:
        self.looks += 1
        return {"web": "leads elsewhere"} if self.folder.is_symlink() else {}

    async def hold(self, services: Mapping[str, str]) -> None:
        self.held.append(tuple(services))

    async def release(self, model: Mapping[str, Any], services: frozenset[str]) -> None:
        self.held.append(())

    async def take(self, reports: list[Any]) -> None:
        self.reports += [report.firing for report in reports]


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "data").mkdir()
    return World(tmp_path / "data")


@pytest.fixture
def binds(world: World, tmp_path: Path) -> SwappedBinds:
    known = {"dev": Environment("dev", "shop-dev", tmp_path, ())}
    return SwappedBinds(world, world, world, known)  # type: ignore[arg-type]


async def test_nothing_is_asked_while_no_path_moves(world, binds):
    for _ in range(5):
        await binds.check()
    assert world.looks == 1


async def test_swapped_path_is_seen_at_next_look(world, binds, tmp_path):
    await binds.check()
    await binds.check()
    world.folder.rename(tmp_path / "gone")
    world.folder.symlink_to("/")
    await binds.check()
    assert (world.held, world.reports) == ([("web",)], [False, True])
    world.folder.unlink()
    (tmp_path / "gone").rename(world.folder)
    await binds.check()
    assert (world.held, world.reports) == ([("web",), ()], [False, True, False])
    looks = world.looks
    await binds.check()
    await binds.check()
    assert world.looks <= looks + 1, "settled again"


def paused(step: ServiceStep) -> Holding:
    return Holding("DEP-1", True, None, {"web": ServiceProgress("web", step)})


@pytest.mark.parametrize(
    ("holding", "held"),
    [
        (Holding("DEP-1", False, None, {}), []),
        (paused(ServiceStep.PAUSED), []),
        (paused(ServiceStep.PENDING), [("web",)]),
    ],
    ids=["at work", "in the middle of it", "it is another's turn"],
)
async def test_deployment_is_left_what_it_holds(world, binds, tmp_path, holding, held):
    world.holding = holding
    world.folder.rename(tmp_path / "gone")
    world.folder.symlink_to("/")
    await binds.check()
    assert world.held == held


async def test_nothing_is_done_by_what_was_a_moment_ago(world, binds, tmp_path):
    world.ended, world.holding = paused(ServiceStep.PENDING), Holding("DEP-1", False, None, {})
    world.folder.rename(tmp_path / "gone")
    world.folder.symlink_to("/")
    await binds.check()
    assert (world.held, world.reports) == ([], []), "by now it is at work"
    world.ended = world.holding = None
    await binds.check()
    assert world.held == [("web",)], "it is looked at again at once"


async def test_what_was_held_before_a_pause_stays_held_in_it(world, binds, tmp_path):
    world.folder.rename(tmp_path / "gone")
    world.folder.symlink_to("/")
    await binds.check()
    world.holding = paused(ServiceStep.PAUSED)
    world.folder.unlink()
    (tmp_path / "gone").rename(world.folder)
    await binds.check()
    assert world.held == [("web",)]
    world.holding = None
    await binds.compare_closely(None)  # type: ignore[arg-type]
    await binds.check()
    assert world.held == [("web",), ()]


async def test_all_is_looked_at_now_and_then(world, binds, monkeypatch):
    monkeypatch.setattr(drift_alerts, "WHOLE_SECONDS", 0.0)
    await binds.check()
    await binds.check()
    assert world.looks == 2


async def test_all_is_looked_at_after_deployment(world, binds):
    await binds.check()
    await binds.compare_closely(None)  # type: ignore[arg-type]
    await binds.check()
    assert world.looks == 2
