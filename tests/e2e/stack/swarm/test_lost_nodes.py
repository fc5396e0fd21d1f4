"""A node of a task is lost, at rest and in a deployment: what may still answer there is said, until it is back."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.journal_view import documents
from testbed.private_registry import PrivateRegistry
from testbed.swarm import Swarm, SwarmNode
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import StackView
from testbed.waiting import wait_until
from tests.e2e.cli.conftest import wait_for_line
from tests.e2e.stack.swarm.swarm_line import SwarmLine, line_on

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(500)]
SEEN_SECONDS = 90.0
GOES_BACK_SECONDS = 45.0
STACK = """
services:
  web:
    image: {repository}:${{VERSION:-v1}}
    stop_grace_period: 1s
    deploy:
      replicas: 4
      endpoint_mode: dnsrr
      placement: {{constraints: ["node.role == worker"]}}
      restart_policy: {{delay: 300ms}}
      update_config: {{monitor: 3s, failure_action: rollback}}
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    with Swarm(tmp_path_factory.mktemp("nodes"), workers=2, heartbeat_seconds=1) as made:
        yield made


@pytest.fixture(scope="module")
def versions(nodes: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    with swarm_registry(nodes, tmp_path_factory.mktemp("registry"), healthy(["v1", "v2"])) as made:
        yield made


@pytest.fixture
def line(nodes: Swarm, versions: PrivateRegistry, tmp_path: Path) -> Iterator[SwarmLine]:
    """Give a command line for a stack that runs, beside a bot that watches it."""
    with line_on(nodes, versions, tmp_path, STACK) as made:
        made.live("rounds", ENVIRONMENTS__DEV__OBSERVATION_SECONDS="8")
        deployed = made.run("deploy", "dev", "v1")
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        yield made
    nodes.wait_until_ready(3)
    assert StackView(nodes, made.stack_name).remove()


def alerts(line: SwarmLine, words: str) -> list[dict[str, Any]]:
    """Return the alerts whose title has these words, by the journal."""
    return [item for item in documents(line.state, "alerts") if words in item["title"]]


def alert(line: SwarmLine, words: str, *texts: str, state: str = "firing") -> dict[str, Any]:
    """Wait for an alert in which all of this is said."""

    def said() -> bool:
        return any(
            item["state"] == state and all(text in item["summary"] for text in texts) for item in alerts(line, words)
        )

    assert wait_until(said, SEEN_SECONDS), alerts(line, "")
    return alerts(line, words)[-1]


def said_to_have_ended(line: SwarmLine) -> bool:
    """Return whether all is over: the last alert of the node says so, or was that it still runs them."""
    found = alerts(line, "node node3")
    ended = "what was left there has ended: dev/web." in found[-1]["summary"] or "still runs" in found[-1]["title"]
    return ended and all(item["state"] == "resolved" for item in found)


def kill(node: SwarmNode) -> None:
    """End the engine and all that runs on it."""
    node.stop(kill=True)


LOSSES = pytest.mark.parametrize(
    ("lose", "bring"), [(kill, SwarmNode.start), (SwarmNode.cut_off, SwarmNode.reconnect)], ids=["killed", "cut off"]
)
Act = Callable[[SwarmNode], None]


def versions_on(nodes: Swarm, line: SwarmLine, node: SwarmNode) -> list[str]:
    """Return what runs on a node, by its own engine."""
    look = StackView(nodes, line.stack_name)
    return sorted(item.files[0] for item in look.containers("/version", service="web") if item.node == node.hostname)


@LOSSES
def test_node_lost_at_rest_is_told_with_what_may_still_answer(
    line: SwarmLine, nodes: Swarm, lose: Act, bring: Act
) -> None:
    lost, look = nodes.nodes[2], StackView(nodes, line.stack_name)
    there = versions_on(nodes, line, lost)
    assert there, "it has tasks"
    lose(lost)
    alert(line, "node node3 is down", "these may still run there, and answer, as they were: dev/web.")
    assert wait_until(lambda: look.nodes_of("web").count("node2") == 4, SEEN_SECONDS)
    assert lose is kill or versions_on(nodes, line, lost) == there, "they do"
    bring(lost)
    assert wait_until(lambda: said_to_have_ended(line), SEEN_SECONDS), alerts(line, "node node3")
    assert versions_on(nodes, line, lost) == [], "the managers replaced them"
    assert [item["state"] for item in alerts(line, "node node3")] == ["resolved"] * len(alerts(line, "node node3"))


@LOSSES
@pytest.mark.parametrize("phase", ["execution", "verification"])
def test_node_lost_in_a_deployment_is_named_in_its_outcome(
    line: SwarmLine, nodes: Swarm, phase: str, lose: Act, bring: Act
) -> None:
    """Whichever way it goes, what is left on the node is said, and what became of it when the node is back."""
    lost, look = nodes.nodes[2], StackView(nodes, line.stack_name)
    going = line.start("deploy", "dev", "v2")
    wait_for_line(going, "web: creating" if phase == "execution" else "verification   in progress")
    assert wait_until(lambda: look.versions("web")["v2"] > 0, 60)
    there = versions_on(nodes, line, lost)
    lose(lost)
    told = " ".join("".join(going.communicate(timeout=300)).split())
    print(f"{there} when it was lost: {told}")
    named = re.search(r"node3 is down: web may still run there, and answer, as (.*?), until the node is back", told)
    assert named, told
    if lose is SwarmNode.cut_off:
        assert {name.rpartition(":")[2] for name in named[1].split(", ")} == set(versions_on(nodes, line, lost)), told
    assert going.returncode == 0 or phase == "execution", f"nothing is wrong with the version: {told}"
    assert going.returncode == 0 or "a task was given to a node that is lost" in told, told
    alert(line, "node node3 is down", "these may still run there, and answer, as they were: dev/web.")
    bring(lost)
    assert wait_until(lambda: said_to_have_ended(line), SEEN_SECONDS), alerts(line, "node node3")
    want = {"v2": 4} if going.returncode == 0 else {"v1": 4}
    assert wait_until(lambda: look.versions("web") == want, 60)


def test_what_was_told_stays_so_when_a_frozen_node_goes_on(nodes: Swarm, line: SwarmLine) -> None:
    """Swarm waits for the node in its update, and may roll that back once the node is there again."""
    node, view = nodes.nodes[-1], StackView(nodes, line.stack_name)
    going = line.start("deploy", "dev", "v2")
    wait_for_line(going, "execution      in progress")
    node.freeze()
    try:
        out, err = going.communicate(timeout=300)
    finally:
        node.thaw()
    told = "v2" if going.returncode == 0 else "v1"
    nodes.wait_until_ready(3)

    def is_other() -> bool:
        return f":{told}" not in str((view.service("web") or {"Spec": ""})["Spec"])

    assert not wait_until(is_other, GOES_BACK_SECONDS), f"{view.service('web')}\n{out}{err}"
    assert wait_until(lambda: view.versions("web") == {told: 4}, SEEN_SECONDS), view.versions("web")
