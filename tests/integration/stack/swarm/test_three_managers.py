"""Three managers, of which the leader dies between our write and our read, and then two at once."""

from collections.abc import Iterator
from pathlib import Path

import docker.errors
import pytest

from roas.errors import EngineUnavailableError
from roas.models.environment import Environment
from roas.stack.docker.engine import EngineClients
from roas.stack.swarm.calls import SwarmCalls
from roas.stack.swarm.writing.update_verdict import UpdateVerdict
from roas.stack.swarm.writing.writer import SwarmWriter
from testbed.sample import sample_image
from testbed.swarm import Swarm, SwarmNode, client_of
from testbed.waiting import wait_until
from tests.integration.stack.swarm.conftest import Shop

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(500)]
OVERLAY = "three_overlay"
ELSEWHERE = {"placement": {"constraints": ["node.hostname != node1"]}}


def sees_no_quorum(node: SwarmNode) -> bool:
    """Return whether a manager knows that it is alone."""
    with client_of(node) as client:
        try:
            states = [(one.attrs.get("ManagerStatus") or {}).get("Reachability") for one in client.nodes.list()]
        except docker.errors.APIError:
            return True
    return states.count("reachable") < 2


def networks(calls: SwarmCalls) -> dict[str, str]:
    """Return the names of the networks, the overlay's among them."""
    return calls.network_names(names={OVERLAY})


def ask_while_it_leads(calls: SwarmCalls) -> None:
    """Ask until there is no answer; each one has the overlay."""
    assert not wait_until(lambda: OVERLAY not in networks(calls).values(), 60)


@pytest.fixture
def managers(tmp_path: Path) -> Iterator[Swarm]:
    with Swarm(tmp_path / "managers", managers=3, heartbeat_seconds=1) as made:
        for node in made.nodes:
            with client_of(node) as client:
                sample_image(client, "app:v1", version="v1")
                sample_image(client, "app:v2", version="v2")
        yield made


async def test_lost_leader_and_lost_quorum(managers: Swarm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write is there or it is not, and is judged; without quorum nothing is written, and it goes on after that."""
    first, second, third = managers.nodes
    environment = Environment("dev", "three", tmp_path, (), docker_host=second.docker_host)
    clients = EngineClients()
    shop = Shop(environment, SwarmWriter(clients.of(environment)))
    try:
        assert (await shop.bring(deploy=ELSEWHERE)).verdict is UpdateVerdict.DONE
        whole, sent = SwarmCalls.update, []

        def killing(calls: SwarmCalls, service_id: str, version: int, spec: object, *, image: str | None) -> None:
            whole(calls, service_id, version, spec, image=image)  # type: ignore[arg-type]
            sent.append(version)
            first.stop(kill=True)

        with monkeypatch.context() as patched:
            patched.setattr(SwarmCalls, "update", killing)
            judged = await shop.bring(image="app:v2", deploy=ELSEWHERE)
        assert (judged.verdict, len(sent)) == (UpdateVerdict.DONE, 1), judged
        assert {status["State"] for status in await shop.statuses()} <= {"running", "shutdown"}

        overlay = {"Name": OVERLAY, "Driver": "overlay"}
        network = await shop.writer.ask(lambda calls: calls.create("networks", overlay))
        third.stop(kill=True)
        # Until then the leader takes a write into its log, and may have it committed when the others are back.
        assert wait_until(lambda: sees_no_quorum(second), 60)
        # It leads for a while yet. Then it would leave the overlay out of its list, and call that an answer.
        with pytest.raises(EngineUnavailableError):
            await shop.writer.ask(ask_while_it_leads)
        with pytest.raises(EngineUnavailableError):
            await shop.bring(image="app:v1", deploy=ELSEWHERE)
        for node in (first, third):
            node.start()
        managers.wait_until_ready(3, asked=second)
        assert (await shop.writer.ask(networks))[network] == OVERLAY
        image = (await shop.there())["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
        assert image == "app:v2", "nothing was written meanwhile"
        assert (await shop.bring(image="app:v1", deploy=ELSEWHERE)).verdict is UpdateVerdict.DONE
    finally:
        await clients.close()
