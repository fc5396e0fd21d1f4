"""What a deployment asks of a Swarm's manager and of the registry: counts, which no load of a machine changes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import pytest

from roas.app.application import open_application
from roas.configuration.tables import EnvironmentSettings
from roas.errors import InvalidRequestError
from roas.models.deployment import DeploymentKind, Operation
from testbed.private_registry import PrivateRegistry
from testbed.swarm import Swarm, client_of
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import StackView
from tests.e2e.acceptance.conftest import settings_for
from tests.e2e.acceptance.counts import Counts, counted
from tests.e2e.acceptance.people import People, request, succeeded
from tests.e2e.acceptance.stack import CHECK, Stack

pytestmark = pytest.mark.long

SERVICES = 2
NAME = "counted"


@dataclass(frozen=True)
class Ground:
    swarm: Swarm
    registry: PrivateRegistry


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """Give a Swarm of one node, and a registry that has the image."""
    with (
        Swarm(tmp_path / "swarm") as swarm,
        swarm_registry(swarm, tmp_path / "registry", healthy(["v1"]), name=NAME) as registry,
    ):
        registry.write_login(tmp_path / "docker")
        yield Ground(swarm, registry)


@pytest.mark.engine
async def test_costs_on_a_swarm(ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the click on a plan and the first write, nothing is asked that the plan of that click has found out."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with client_of(ground.swarm.manager) as client:
        stack = Stack(tmp_path / "stack", NAME, client, ground.swarm.docker_host)
        one = {"image": f"{ground.registry.address}/{NAME}:v1", "healthcheck": CHECK, "stop_grace_period": "1s"}
        deploy = {"endpoint_mode": "dnsrr", "update_config": {"monitor": "0s"}}
        stack.write({f"service-{number}": {**one, "deploy": deploy} for number in range(SERVICES)})
        quick = {"dev": EnvironmentSettings(engine="swarm", observation_seconds=0.2)}
        async with open_application(settings_for(stack, tmp_path / "state", environments=quick)) as application:
            await deployments(People(application), counted(monkeypatch))
            await restart(People(application), client)
        assert StackView(ground.swarm, f"{NAME}-dev").remove()


async def deployments(people: People, counts: Counts) -> None:
    """Deploy anew and with nothing to change, as a click on a plan does."""
    orchestrator, asked = people.application.orchestrator, request(DeploymentKind.DEPLOY, version="v1")
    with counts.of_one() as planned:
        plan = await orchestrator.plan(asked)
    assert planned["GET distribution"] == 1, "one image"
    assert planned["GET tasks"] <= 3, "looks at the stack, and one at what Swarm has of it"
    # Two of them, which nodes there are and whose the names are, tell what would stand in the way. Three, of the engine
    # itself, are for the checks of the deployment.
    assert len(counts.order) <= 19
    with counts.of_one() as new:
        succeeded(await orchestrator.run(replace(asked, plan_digest=plan.digest)))
    assert new["GET distribution"] == 0, "the digest is the one that was agreed to"
    assert not any(new[item] for item in ("jailed config", "jailed version"))
    assert new["compose version"] <= 1, "by a check, once for each Compose that is installed"
    assert new["POST service"] == SERVICES
    # Seen before it is written, and read back.
    assert new["GET service"] == 2 * SERVICES
    first = counts.order.index("POST service")
    assert len([item for item in counts.order[:first] if item != "GET service"]) <= 55
    assert new["commits"] <= 40 + 4 * SERVICES
    plan = await orchestrator.plan(asked)
    with counts.of_one() as same:
        succeeded(await orchestrator.run(replace(asked, plan_digest=plan.digest)))
    assert (same["POST service"], same["GET distribution"]) == (0, 0)
    assert len(counts.order) <= 60


async def restart(people: People, client: docker.DockerClient) -> None:
    """Replace the tasks of what was named, by Swarm's own update, and leave the others; a stop is refused."""

    def tasks() -> dict[str, set[str]]:
        names = {service.id: service.name.partition("_")[2] for service in client.services.list()}
        running = client.api.tasks(filters={"desired-state": "running"})
        found = {task["ID"]: names[task["ServiceID"]] for task in running}
        return {name: {task for task in found if found[task] == name} for name in set(found.values())}

    before = tasks()
    asked = request(DeploymentKind.DEPLOY, operation=Operation.RESTART, services=("service-0",))
    ended = succeeded(await people.application.orchestrator.run(asked))
    assert ended.from_release == ended.to_release
    assert {name for name, found in tasks().items() if found != before[name]} == {"service-0"}
    with pytest.raises(InvalidRequestError, match="cannot be stopped by itself"):
        await people.application.orchestrator.run(replace(asked, operation=Operation.STOP))
    before, scaled = tasks(), replace(asked, operation=Operation.SCALE)
    for replicas, scales in ((2, {"service-0"}), (0, {"service-0"}), (1, set())):
        succeeded(await people.application.orchestrator.run(replace(scaled, replicas=replicas)))
        now = tasks()
        assert len(now.get("service-0", ())) == replicas
        assert {name: now[name] for name in now if name != "service-0"} == {
            name: before[name] for name in before if name != "service-0"
        }
        assert (await people.application.state.scales.of("dev")).keys() == scales
