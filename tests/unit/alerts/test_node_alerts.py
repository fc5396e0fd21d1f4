"""Nodes that are lost, drained or out of reach, and a quorum in danger: each is one alert, which ends with it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from roas.alerts import node_alerts
from roas.alerts.alert_service import AlertService
from roas.alerts.node_alerts import NodeAlerts
from roas.errors import EngineUnavailableError
from roas.events import EventBus
from roas.models.alert import AlertState
from roas.models.environment import EngineKind, Environment
from roas.models.swarm import SwarmFacts, SwarmNode
from roas.state.manager import StateManager
from tests.unit.one_stack import OneStack

MANAGERS = tuple(
    SwarmNode(f"n{item}", f"node{item}", reachability="reachable", is_leader=item == 1) for item in (1, 2, 3)
)
ON_SWARM = {
    name: Environment(name, f"shop-{name}", Path(), (), docker_host="unix:///a", engine=EngineKind.SWARM)
    for name in ("dev", "prod")
}


class Scene(OneStack):
    """Be the engine of one Swarm, on which two environments run."""

    needs_quorum = True

    def __init__(self, state: StateManager, bus: EventBus) -> None:
        self.state, self.asked = state, 0
        self.facts = SwarmFacts("c1", "n1", MANAGERS)
        self.away = False
        self.left: dict[str, set[str]] = {}
        self.hung: set[str] = set()
        self.gave_up = asyncio.Event()
        self.alerts = AlertService(state.alerts, bus)
        self.watch = self.restarted()

    def restarted(self) -> NodeAlerts:
        return NodeAlerts(self, self.alerts, ON_SWARM)  # type: ignore[arg-type]

    async def swarm(self) -> SwarmFacts:
        self.asked += 1
        if self.environment.docker_host in self.hung:
            await self.gave_up.wait()
            raise EngineUnavailableError("It does not answer")
        if self.away:
            raise EngineUnavailableError("The Swarm has no leader")
        return self.facts

    async def given_up_tasks(self) -> dict[str, frozenset[str]]:
        if self.environment.name != "dev":
            return {}
        return {name: frozenset(nodes) for name, nodes in self.left.items()}

    def change(self, number: int, **fields: object) -> None:
        nodes = [replace(node, **fields) if node.id == f"n{number}" else node for node in self.facts.nodes]
        self.facts = replace(self.facts, nodes=tuple(nodes))

    async def open(self) -> list[str]:
        await self.watch.check()
        return sorted(alert.title for alert in await self.state.alerts.open())


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    bus = EventBus()
    async with StateManager(tmp_path / "state") as state:
        yield Scene(state, bus)
    await bus.close()


DOWN, DANGER = "the Swarm's node node2 is down", "the Swarm's quorum is in danger"


async def test_what_may_still_run_on_a_lost_node_is_told_until_it_has_ended(scene: Scene) -> None:
    """A task that is replaced meanwhile on a node that was never away is none of these."""
    scene.change(2, state="down", reachability="unreachable", message="heartbeat failure")
    scene.left = {"web": {"node2", "node3"}, "db": {"node2"}}
    assert DOWN in await scene.open()
    (down,) = [alert for alert in await scene.state.alerts.open() if alert.title == DOWN]
    assert "these may still run there, and answer, as they were: dev/db, dev/web." in down.summary
    scene.change(2, state="ready", reachability="reachable", message="")
    scene.left = {"web": {"node2", "node3"}}
    still = "the Swarm's node node2 is back, and still runs what was replaced"
    assert await scene.open() == [still]
    scene.left = {"web": {"node3"}}
    assert await scene.open() == []
    known = await scene.state.alerts.get(down.id)
    assert (known.state, "dev/db" in known.summary) == (AlertState.RESOLVED, True)
    assert "It is back, and what was left there has ended: dev/db." in known.summary


async def test_lost_manager_told_and_resolved(scene: Scene) -> None:
    assert await scene.open() == []
    assert scene.asked == 1, "both environments are on one Swarm"
    scene.change(2, state="down", reachability="unreachable", message="heartbeat failure")
    assert await scene.open() == [DOWN, DANGER]
    (down,) = [alert for alert in await scene.state.alerts.open() if alert.title == DOWN]
    assert "heartbeat failure" in down.summary
    assert "dev, prod" in down.summary
    assert await scene.open() == [DOWN, DANGER]
    assert {alert.count for alert in await scene.state.alerts.open()} == {1}, "it is said once"
    scene.change(2, state="ready", reachability="reachable")
    assert await scene.open() == []


async def test_one_swarm_by_two_managers_is_one_alert(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ON_SWARM, "prod", replace(ON_SWARM["prod"], docker_host="unix:///b"))
    scene.change(2, state="down", reachability="unreachable")
    for _ in range(3):
        assert await scene.open() == [DOWN, DANGER]
    found = await scene.state.alerts.open()
    assert {(item.count, item.version) for item in found} == {(1, 1)}, "it is said once"
    assert all("dev, prod" in item.summary for item in found)


async def test_swarm_that_answers_is_told_while_another_one_hangs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names of the environments are those of before, where it is the manager of one of them that hangs."""
    monkeypatch.setattr(node_alerts, "TOGETHER_SECONDS", 0.01)
    monkeypatch.setitem(ON_SWARM, "prod", replace(ON_SWARM["prod"], docker_host="unix:///b"))
    assert await scene.open() == []
    scene.hung = {"unix:///b"}
    scene.change(2, state="down", reachability="unreachable")
    looking = asyncio.ensure_future(scene.watch.check())
    try:
        while not (found := await scene.state.alerts.open()):
            assert not looking.done()
            await asyncio.sleep(0)
        assert all("dev, prod" in item.summary for item in found)
    finally:
        scene.gave_up.set()
        await looking


async def test_drained_then_lost_is_another_alert(scene: Scene) -> None:
    scene.change(3, availability="drain")
    assert await scene.open() == ["the Swarm's node node3 is drained"]
    scene.change(3, availability="pause")
    assert await scene.open() == ["the Swarm's node node3 takes no new tasks"]
    scene.change(3, availability="active", reachability="unreachable")
    assert await scene.open() == ["the Swarm's manager node3 cannot be reached", DANGER]


async def test_next_bot_resolves_what_is_over(scene: Scene) -> None:
    """A node that is removed is no trouble any more, whoever reported it."""
    scene.change(2, state="down", reachability="unreachable")
    await scene.open()
    scene.watch = scene.restarted()
    assert await scene.open() == [DOWN, DANGER]
    scene.watch = scene.restarted()
    scene.facts = replace(scene.facts, nodes=(MANAGERS[0],))
    assert await scene.open() == []
    assert {alert.state for alert in await scene.state.alerts.all()} == {AlertState.RESOLVED}


async def test_without_a_leader_nothing_is_said_of_nodes(scene: Scene) -> None:
    scene.change(2, state="down", reachability="unreachable")
    await scene.open()
    scene.away = True
    assert await scene.open() == [DOWN, DANGER]
