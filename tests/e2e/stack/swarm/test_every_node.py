"""What tasks on each node use, and what they write: also of nodes that are drained, down, out of reach, and back."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from testbed.private_registry import PrivateRegistry
from testbed.prometheus_server import CAdvisor, PrometheusServer
from testbed.swarm import Swarm, SwarmNode, client_of
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import SERVICE_LABEL, StackView
from testbed.waiting import wait_until
from tests.e2e.stack.swarm.swarm_line import SwarmLine, line_on

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(500)]
NEVER = {"alert": "Never", "expr": "vector(0) > 1"}
# One container burns a fifth of a processor on each node that is not asked.
STACK = """
services:
  busy:
    image: {repository}:v1
    command: ["sh", "-c", "while :; do :; done"]
    stop_grace_period: 1s
    deploy:
      mode: global
      endpoint_mode: dnsrr
      placement: {{constraints: ["node.role == worker"]}}
      resources: {{limits: {{cpus: "0.2"}}}}
  every:
    image: {repository}:v1
    stop_grace_period: 1s
    deploy: {{mode: global, endpoint_mode: dnsrr}}
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    with Swarm(tmp_path_factory.mktemp("nodes"), workers=2, heartbeat_seconds=3) as made:
        yield made


@pytest.fixture(scope="module")
def versions(nodes: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    with swarm_registry(nodes, tmp_path_factory.mktemp("registry"), healthy(["v1"])) as made:
        yield made


@pytest.fixture(scope="module")
def line(nodes: Swarm, versions: PrivateRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwarmLine]:
    """Give a command line for a stack that is deployed."""
    with line_on(nodes, versions, tmp_path_factory.mktemp("line"), STACK) as made:
        deployed = made.run("deploy", "dev", "v1")
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        yield made


@pytest.fixture
def prometheus(nodes: Swarm, tmp_path: Path) -> Iterator[PrometheusServer]:
    """A Prometheus that scrapes a cAdvisor of each node."""
    with ExitStack() as running:
        each = [running.enter_context(CAdvisor(tmp_path / node.hostname, node.docker_host)) for node in nodes.nodes]
        first, *others = [item.target for item in each if isinstance(item, CAdvisor)]
        made = PrometheusServer(tmp_path / "prometheus", first, NEVER, None, *others)
        running.enter_context(made)
        yield made


def services(line: SwarmLine, **environ: str) -> Mapping[str, Any]:
    (status,) = line.document("status", "dev", **environ)["environments"]
    return {item["service"]: item for item in status["health"]["services"]}


def memory_that_engines_know(swarm: Swarm, line: SwarmLine, service: str) -> int:
    """Return what the engines of all nodes say, without what the kernel could give back at once."""
    found = 0
    for node in swarm.nodes:
        with client_of(node) as client:
            label = {"label": f"{SERVICE_LABEL}={line.stack_name}_{service}"}
            for container in client.containers.list(filters=label):
                memory = client.api.stats(container.id, stream=False, one_shot=True)["memory_stats"]
                details = memory["stats"]
                found += memory["usage"] - details.get("inactive_file", details.get("total_inactive_file", 0))
    return found


def test_usage_of_tasks_elsewhere_is_that_of_their_engines(
    line: SwarmLine, nodes: Swarm, prometheus: PrometheusServer
) -> None:
    """Without a Prometheus it is said to be not known, and so it is where it knows nothing of them."""
    blind = services(line)
    assert (blind["busy"]["memory_bytes"], blind["busy"]["unmeasured"]) == (None, 2)
    assert blind["every"]["unmeasured"] == 2
    assert "not known" in line.status_text()
    known = {"PROMETHEUS_URL": prometheus.url}
    measured: dict[str, Any] = {}

    def whole() -> bool:
        measured.update(services(line, **known))
        busy = measured["busy"]
        return busy["unmeasured"] == 0 and (busy["cpu_percent"] or 0) > 30

    assert wait_until(whole, 90, poll=2), {**measured["busy"], "containers": ()}
    assert measured["every"]["unmeasured"] == 0
    assert 30 < measured["busy"]["cpu_percent"] < 50, "two burn a fifth each"
    for name in ("busy", "every"):
        told, true = measured[name]["memory_bytes"], memory_that_engines_know(nodes, line, name)
        assert told == pytest.approx(true, rel=0.25), name
    assert "not known" not in " ".join(line.run("status", "dev", **known).stdout.split())
    prometheus.kill()
    assert services(line, **known)["busy"]["unmeasured"] == 2, "where it is away, nothing is known"


def logged(line: SwarmLine) -> dict[str, str]:
    """Return by node what `roas logs` shows; whatever a node does, it does not take long."""
    began = time.monotonic()
    ended = line.run("logs", "dev", "every")
    took = time.monotonic() - began
    assert (ended.returncode, took < 15) == (0, True), f"{took:.0f} s: {ended.stdout}{ended.stderr}"
    found: dict[str, str] = {}
    for head, _, text in (entry.partition(" | ") for entry in ended.stdout.splitlines()):
        node = head.rpartition("@")[2]
        found[node] = found.get(node, "") + text + "\n"
    return found


def nodes_with_words(line: SwarmLine) -> set[str]:
    return {node for node, text in logged(line).items() if "sample app v1: healthy" in text.splitlines()[-1]}


def test_log_of_each_node_also_drained_and_back(line: SwarmLine, nodes: Swarm) -> None:
    look, third = StackView(nodes, line.stack_name), nodes.nodes[2]
    assert nodes_with_words(line) == {"node1", "node2", "node3"}
    look.set_availability(third, "drain")
    assert wait_until(lambda: nodes_with_words(line) == {"node1", "node2"}, 60, poll=1)
    look.set_availability(third, "active")
    assert wait_until(lambda: nodes_with_words(line) == {"node1", "node2", "node3"}, 60, poll=1)


def kill(node: SwarmNode) -> None:
    node.stop(kill=True)


@pytest.mark.parametrize(
    ("lose", "bring"),
    [(kill, SwarmNode.start), (SwarmNode.pause, SwarmNode.resume), (SwarmNode.cut_off, SwarmNode.reconnect)],
    ids=["killed", "hung", "cut off"],
)
def test_log_of_a_lost_node_holds_up_none_of_the_others(
    line: SwarmLine, nodes: Swarm, lose: Callable[[SwarmNode], None], bring: Callable[[SwarmNode], None]
) -> None:
    """It is said where it is known that there is a task: Swarm takes it off its list once it knows that it is lost."""
    look, second = StackView(nodes, line.stack_name), nodes.nodes[1]
    assert wait_until(lambda: nodes_with_words(line) == {"node1", "node2", "node3"}, 60, poll=1)
    lose(second)
    try:
        found = logged(line)
        assert "sample app v1: healthy" in found["node1"] + found["node3"]
        assert "(its log cannot be read: node node2 " in found["node2"], found
        assert wait_until(lambda: look.node_state(second) == "down", 60)
        assert nodes_with_words(line) == {"node1", "node3"}
    finally:
        bring(second)
    nodes.wait_until_ready(3)
    assert wait_until(lambda: nodes_with_words(line) == {"node1", "node2", "node3"}, 60, poll=1)
