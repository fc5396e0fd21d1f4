"""The order in which containers are replaced is the one that the compose file asks for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread

import docker
import pytest

from roas.models.deployment import DeploymentKind, Outcome
from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from testbed.ports import free_port
from tests.e2e.acceptance.people import request, succeeded
from tests.e2e.acceptance.stack import REPOSITORY, alone, service

pytestmark = pytest.mark.long

START_FIRST = {"update_config": {"order": "start-first"}, "rollback_config": {"order": "start-first"}}


@dataclass
class CommitObserver:
    """Follow a project's containers by Docker's own events: how many were healthy, after each event."""

    healthy: set[str] = field(default_factory=set)
    counts: list[int] = field(default_factory=list)
    actions: list[tuple[str, str]] = field(default_factory=list)

    def see(self, event: dict) -> None:
        action, actor = event["Action"], event["Actor"]["ID"]
        self.actions.append((action, actor))
        if action == "health_status: healthy":
            self.healthy.add(actor)
        elif action in {"kill", "stop", "die", "health_status: unhealthy"}:
            self.healthy.discard(actor)
        self.counts.append(len(self.healthy))


@contextmanager
def observer(stack, name: str) -> Iterator[CommitObserver]:
    """Watch a service whose containers are all healthy, from now to the end of the block."""
    seen = CommitObserver(
        healthy={container.id for container in stack.containers() if container.labels[SERVICE_LABEL] == name}
    )
    filters = {"type": "container", "label": [f"{PROJECT_LABEL}={stack.project()}", f"{SERVICE_LABEL}={name}"]}
    client = docker.DockerClient(base_url=stack.docker_host)
    stream = client.events(decode=True, filters=filters, since=f"{time.time():.3f}")
    thread = Thread(target=lambda: [seen.see(event) for event in stream], daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stream.close()
        thread.join(5)
        client.close()


async def test_start_first_keeps_service_healthy(people, stack, images):
    """Up beside what runs, to another version beside it, and back where that fails or somebody asks for it."""
    stack.write({"web": alone(deploy=START_FIRST)})
    await people.succeed("v1")
    before = stack.ids()
    stack.write({"web": alone(deploy={"replicas": 2, **START_FIRST})})
    await people.succeed("v1")
    assert stack.ids().items() > before.items()
    stack.write({"web": alone(deploy=START_FIRST)})
    with observer(stack, "web") as seen:
        await people.succeed("v2")
        assert list(stack.images().values()) == [images["v2"]]
        assert min(seen.counts) >= 1
        assert max(seen.counts) == 3
    before = stack.ids()
    stack.write({"web": alone(deploy={"replicas": 2, **START_FIRST})})
    with observer(stack, "web") as seen:
        assert (await people.deploy("exits")).outcome is Outcome.ROLLED_BACK
        assert min(seen.counts) >= 1, "one that fails takes nobody's place"
        assert stack.ids() == before
        succeeded(await people.rollback())
        assert list(stack.images().values()) == [images["v1"]] * 2
        assert min(seen.counts) >= 1
        assert max(seen.counts) == 3


async def test_each_is_replaced_as_it_can_be(people, stack, images):
    """Where only one container can be, it is replaced the other way, and said so."""
    port = free_port()
    first, still = {"deploy": START_FIRST}, {"image": f"{REPOSITORY}:v1", "healthcheck": None}
    stack.write(
        {
            "fixed": service(ports=[f"127.0.0.1:{port}:8080"], **first),
            # What shares its namespace would join the container that is about to go.
            "shared": service(**first),
            "sidecar": service(network_mode="service:shared", **still),
            # A link leads to the name of a container: a second one beside it has another, and nobody would find that.
            "linked": service(**first),
            "client": service(links=["linked", "linked:shop"], **still),
        }
    )
    await people.succeed("v1")
    with observer(stack, "fixed") as fixed:
        deployment = await people.succeed("v2")
    assert (min(fixed.counts), max(fixed.counts)) == (0, 1), "stop-first never runs two versions"
    new = dict.fromkeys(("fixed-1", "linked-1", "shared-1"), images["v2"])
    assert stack.images() == new | dict.fromkeys(("client-1", "sidecar-1"), images["v1"])
    shared = stack.container("shared")
    assert stack.container("sidecar").attrs["HostConfig"]["NetworkMode"] == f"container:{shared.id}"
    for link in ("linked", "shop"):
        code, output = stack.container("client").exec_run(["ping", "-c", "1", "-W", "3", link])
        assert code == 0, output
    for said in (
        f"the fixed host port {port} allows only one container: it is replaced stop-first",
        "sidecar can share a namespace with one container only: it is replaced stop-first",
        "the links of client lead to the name of one container: it is replaced stop-first",
    ):
        assert sum(said in text for text in deployment.warnings) == 1, deployment.warnings


async def test_sequential_deploy_starts_in_order(settings, stack, images):
    from roas.app.application import open_application
    from tests.e2e.acceptance.people import People

    stack.write({name: alone(image=f"{REPOSITORY}:${{VERSION}}") for name in ("a", "b", "c")})
    async with open_application(settings.model_copy(update={"parallel_execution": False})) as application:
        await People(application).succeed("v1")
        assert stack.images() == dict.fromkeys(("a-1", "b-1", "c-1"), images["v1"])
        started = sorted(container.attrs["State"]["StartedAt"] for container in stack.containers())
        assert started == [stack.container(name).attrs["State"]["StartedAt"] for name in ("a", "b", "c")]
        plan = await application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
        assert plan.order == ("a", "b", "c")
