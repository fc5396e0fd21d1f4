"""Volumes on a Swarm: pinned to a node, or shared by a driver's options, which every node is given; and renamed ones.

No kernel of a test machine need have NFS: then the node says so of just the address that the file has, which shows that
it was given the options. That options come to work is seen with a `tmpfs` of the same driver.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.private_registry import PrivateRegistry
from testbed.swarm import Swarm, SwarmNode, client_of
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import StackView
from tests.e2e.stack.swarm.swarm_line import SwarmLine, line_on

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(500)]
PINNED = "placement: {constraints: [node.hostname == node2]}, "
NFS = '{driver_opts: {type: nfs, o: "addr=10.213.0.250,ro,nolock,soft,timeo=5,retrans=1", device: ":/export"}}'
TMPFS = '{driver_opts: {type: tmpfs, device: tmpfs, o: "size=3m"}}'


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    with Swarm(tmp_path_factory.mktemp("nodes"), workers=1) as made:
        yield made


@pytest.fixture(scope="module")
def versions(nodes: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    with swarm_registry(nodes, tmp_path_factory.mktemp("registry"), healthy(["v1"])) as made:
        yield made


@pytest.fixture
def line(nodes: Swarm, versions: PrivateRegistry, tmp_path: Path) -> Iterator[SwarmLine]:
    with line_on(nodes, versions, tmp_path) as made:
        yield made
    assert StackView(nodes, made.stack_name).remove()


def write(line: SwarmLine, versions: PrivateRegistry, volume: str, *, pinned: str = "", options: str = "{}") -> None:
    line.write(f"""
services:
  web:
    image: {versions.address}/shop:v1
    stop_grace_period: 1s
    volumes: ["{volume}:/data"]
    deploy: {{{pinned}endpoint_mode: dnsrr, restart_policy: {{delay: 300ms}}, update_config: {{monitor: 1s}}}}
volumes: {{{volume}: {options}}}
""")


def words(line: SwarmLine, *arguments: str, refused: bool = False, **environ: str) -> str:
    ended = line.run(*arguments, **environ)
    told = " ".join((ended.stdout + ended.stderr).split())
    assert bool(ended.returncode) is refused, told
    return told


def test_pinned_volume_keeps_its_data_and_a_renamed_one_is_told(
    line: SwarmLine, nodes: Swarm, versions: PrivateRegistry
) -> None:
    """Where the task may move, the volume is refused; a new name is said before the service starts without its data."""
    write(line, versions, "data")
    refused = words(line, "deploy", "dev", "v1", "--dry-run", refused=True)
    assert "web may run on any node, and the volume data stays on one" in refused
    assert "`node.hostname == NAME`" in refused
    write(line, versions, "data", pinned=PINNED)
    words(line, "deploy", "dev", "v1")
    with client_of(nodes.nodes[1]) as client:
        assert client.volumes.get(f"{line.stack_name}_data").attrs["Driver"] == "local"
        (task,) = client.containers.list()
        Path("/proc", str(task.attrs["State"]["Pid"]), "root/data/file").write_text("kept")
    write(line, versions, "data2", pinned=PINNED)
    told = f"web starts with {line.stack_name}_data2 at /data, empty on a node without it; its data stays in"
    assert f"{told} {line.stack_name}_data." in words(line, "deploy", "dev", "v1", "--dry-run")
    words(line, "deploy", "dev", "v1")
    words(line, "rollback", "dev")
    assert StackView(nodes, line.stack_name).inside("web", "/data/file") == {"kept"}, "it was never removed"


def test_options_of_a_driver_are_a_power_and_reach_each_node(
    line: SwarmLine, nodes: Swarm, versions: PrivateRegistry
) -> None:
    allowed = {"ENVIRONMENTS__DEV__ALLOW": '["volume:shared"]', "ENVIRONMENTS__DEV__POLICY": "default"}
    write(line, versions, "shared", pinned=PINNED, options=TMPFS)
    refused = words(line, "deploy", "dev", "v1", "--dry-run", refused=True, ENVIRONMENTS__DEV__POLICY="default")
    assert "volume:shared" in refused, refused
    words(line, "deploy", "dev", "v1", **allowed)
    with client_of(nodes.nodes[1]) as client:
        (task,) = client.containers.list()
        mounts = Path("/proc", str(task.attrs["State"]["Pid"]), "mounts").read_text().splitlines()
    (mounted,) = [item for item in mounts if " /data " in item]
    assert mounted.startswith("tmpfs /data tmpfs"), mounted
    assert "size=3072k" in mounted, mounted


def test_network_file_system_may_be_used_on_any_node(line: SwarmLine, nodes: Swarm, versions: PrivateRegistry) -> None:
    """The node is given what the file says, and its words are in the outcome where it cannot mount it."""
    allowed = {"ENVIRONMENTS__DEV__ALLOW": '["volume:shared"]', "ENVIRONMENTS__DEV__POLICY": "default"}
    write(line, versions, "shared", options=NFS)
    words(line, "deploy", "dev", "v1", "--dry-run", **allowed)
    failed = words(line, "deploy", "dev", "v1", refused=True, **allowed)
    assert "failed to mount local volume" in failed, failed
    assert ":/export" in failed, failed
    found = json.dumps([item.attrs for node in nodes.nodes for item in _volumes(node)])
    assert "addr=10.213.0.250" in found, "each node that was tried has it with the options"


def _volumes(node: SwarmNode) -> list[Any]:
    with client_of(node) as client:
        return [item for item in client.volumes.list() if item.name.endswith("_shared")]
