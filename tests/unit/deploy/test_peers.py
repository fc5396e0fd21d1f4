"""The truth table of peers: which containers of the bot's service are provably on this bot's own journal."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from roas.deploy.peers import HealthAnswer, Peers, ask_health
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest
from roas.models.environment import Environment
from roas.models.facts import BotPlace, Mount, OwnContainer
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.leader_lease import Heartbeat, Standing
from roas.state.living_processes import boot_id, boot_seconds
from roas.state.manager import StateManager
from tests.unit.one_stack import OneStack

DORA = Actor(ActorKind.DISCORD, "1", "dora")
OWN = OwnContainer("own", "own", "home", "bot")
HERE = BotPlace("/state", (Mount("/srv/state", "/state", writable=True),), 8000, (("net", "10.0.0.2"),))
ELSEWHERE = replace(HERE, mounts=(Mount("/srv/other", "/state", writable=True),))
NOWHERE = replace(HERE, mounts=())
RUNNING = ContainerState.RUNNING


@dataclass
class Machine(OneStack):
    """Be an engine that knows where each container keeps its state, and a network in which they answer."""

    places: dict[str, BotPlace] = field(default_factory=lambda: {"own": HERE})
    answer: HealthAnswer | None = None
    asked: list[str] = field(default_factory=list)

    async def now(self) -> datetime:
        return datetime.now(UTC)

    async def bot_places(self, container_ids: Iterable[str]) -> Mapping[str, BotPlace]:
        return {
            container_id: self.places[container_id] for container_id in container_ids if container_id in self.places
        }

    async def ask(self, url: str) -> HealthAnswer | None:
        self.asked.append(url)
        return self.answer


@pytest.fixture
def machine() -> Machine:
    return Machine()


async def standing(
    machine: Machine, state: StateManager, place: BotPlace | None, condition: ContainerState = RUNNING
) -> Standing:
    if place is not None:
        machine.places["other"] = place
    engine: Any = machine

    async def own_container(environment: Environment) -> OwnContainer:
        return OWN

    other = ContainerSnapshot("other", "bot-2", "bot", condition, HealthStatus.NONE, "i", "i", "h")
    judge = Peers(engine, state, own_container, machine.ask)
    [judged] = await judge.judge(Environment("dev", "home", Path("/"), ()), [other])
    assert bool(judged.reason) is (judged.standing is not Standing.PEER)
    return judged.standing


async def beat(state: StateManager) -> None:
    await state.ownership.beat(Heartbeat(state.instance_id, boot_id(), boot_seconds(), "other"))


@pytest.mark.parametrize("condition", ContainerState)
@pytest.mark.parametrize("place", [ELSEWHERE, NOWHERE])
async def test_another_source_is_foreign(machine, state, place, condition):
    """Whatever else speaks for it: a copied journal has the same id, and the same heartbeats."""
    await beat(state)
    machine.answer = HealthAnswer(journal=state.journal_id)
    assert await standing(machine, state, place, condition) is Standing.FOREIGN


async def test_own_folder_in_no_mount_proves_nobody(machine, state):
    machine.places["own"] = NOWHERE
    assert await standing(machine, state, NOWHERE) is Standing.FOREIGN


@pytest.mark.parametrize("condition", [ContainerState.RESTARTING, ContainerState.EXITED, ContainerState.DEAD])
async def test_same_source_without_process_is_peer(machine, state, condition):
    assert await standing(machine, state, HERE, condition) is Standing.PEER
    assert machine.asked == []


async def test_what_somebody_is_about_to_start_is_no_peer_yet(machine, state):
    assert await standing(machine, state, HERE, ContainerState.CREATED) is Standing.UNPROVEN


async def test_our_id_from_health_is_peer(machine, state):
    machine.answer = HealthAnswer(journal=state.journal_id)
    assert await standing(machine, state, replace(HERE, port=8001, addresses=(("net", "10.0.0.3"),))) is Standing.PEER
    assert machine.asked == ["http://10.0.0.3:8001/health"]


@pytest.mark.parametrize("answer", [HealthAnswer(journal="JOURNAL-OTHER"), HealthAnswer(lost=True)])
async def test_what_health_denies_no_heartbeat_proves(machine, state, answer):
    await beat(state)
    machine.answer = answer
    assert await standing(machine, state, HERE) is Standing.FOREIGN


@pytest.mark.parametrize("condition", [RUNNING, ContainerState.PAUSED])
@pytest.mark.parametrize("answer", [None, HealthAnswer()], ids=["silent", "release before"])
async def test_heartbeat_proves_who_tells_no_id(machine, state, answer, condition):
    machine.answer = answer
    assert await standing(machine, state, HERE, condition) is Standing.UNPROVEN
    await beat(state)
    assert await standing(machine, state, HERE, condition) is Standing.PEER


async def test_successor_we_created_is_peer(machine, state):
    request = DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, version="v2")
    deployment = Deployment("DEPLOY-1", request, "standard", "COR-1", datetime.now(UTC), successors=("other",))
    await state.deployments.create(deployment, "deploy v2")
    assert await standing(machine, state, HERE) is Standing.PEER


async def test_bot_without_shared_network_is_not_asked(machine, state):
    machine.answer = HealthAnswer(journal=state.journal_id)
    assert await standing(machine, state, replace(HERE, addresses=(("apart", "10.9.0.3"),))) is Standing.UNPROVEN
    assert machine.asked == []


async def test_container_that_is_gone_is_no_matter(machine, state):
    assert await standing(machine, state, None) is Standing.PEER


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (200, {"status": "alive", "journal": "JOURNAL-1"}, HealthAnswer(journal="JOURNAL-1")),
        (200, {"status": "alive", "version": "1"}, HealthAnswer()),
        (503, {"status": "journal lost", "reason": "…"}, HealthAnswer(lost=True)),
        (200, {"hello": "world"}, HealthAnswer()),
        (503, {"status": "something of its own is not well"}, None),
        (200, ["alive"], None),
    ],
)
async def test_health_is_read_as_it_is_said(unused_tcp_port_factory, status, said, expected):
    port = unused_tcp_port_factory()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=json.dumps(said), content_type="application/json")

    application = web.Application()
    application.add_routes([web.get("/health", answer)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        assert await ask_health(f"http://127.0.0.1:{port}/health") == expected
    finally:
        await runner.cleanup()
    assert await ask_health(f"http://127.0.0.1:{port}/health") is None
