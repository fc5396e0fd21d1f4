"""A private Swarm: nodes that join, reach each other, die and come back, and nothing of them that stays."""

import json
import urllib.request
from contextlib import closing
from pathlib import Path

import docker
import pytest

from testbed.busybox import busybox
from testbed.images import import_image
from testbed.leftovers import is_running
from testbed.network import run
from testbed.node import NODE_SOCKET
from testbed.rootfs import Rootfs
from testbed.swarm import Swarm, SwarmNode, client_of
from testbed.waiting import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.long]

SERVE = "echo $NAME > /tmp/index.html; exec httpd -f -p 80 -h /tmp"
# Of several addresses wget asks its own alone.
ASK = "nslookup shop | sed -n 's/^Address: //p' | while read one; do wget -T 2 -qO- http://$one/; done"


def states(swarm: Swarm) -> dict[str, str]:
    """Return what the manager says of each node."""
    with client_of(swarm.manager) as client:
        return {node.attrs["Description"]["Hostname"]: node.attrs["Status"]["State"] for node in client.nodes.list()}


def shop(network: str) -> dict:
    """Return a service that each node runs once, published at the nodes themselves."""
    container = {"Image": "shop:1", "Command": ["sh", "-c", SERVE], "Env": ["NAME={{.Node.Hostname}}"]}
    socket = {"Type": "bind", "Source": str(NODE_SOCKET), "Target": "/engine.sock"}
    port = {"TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host", "Protocol": "tcp"}
    return {
        "Name": "shop",
        "TaskTemplate": {"ContainerSpec": {**container, "Mounts": [socket]}, "Networks": [{"Target": network}]},
        "Mode": {"Global": {}},
        "EndpointSpec": {"Mode": "dnsrr", "Ports": [port]},
    }


def told_by_task(node: SwarmNode) -> str:
    """Return the name of the engine whose socket the task on a node has."""
    with client_of(node) as client:
        (container,) = client.containers.list()
        mounted = f"/proc/{container.attrs['State']['Pid']}/root/engine.sock"
        asked = docker.DockerClient(base_url=f"unix://{mounted}", version=client.api.api_version)
    with closing(asked):
        return str(asked.info()["Name"])


def test_nodes_join_serve_die_and_leave_nothing(tmp_path: Path) -> None:
    """Services run on each node, and reach those of the other; a node that dies is seen, and comes back."""
    with Swarm(tmp_path / "swarm", managers=1, workers=1, heartbeat_seconds=1) as swarm:
        slot, (manager, worker) = swarm.slot, swarm.nodes
        for node in swarm.nodes:
            with client_of(node) as client:
                root = Rootfs()
                root.add_busybox(busybox(client))
                import_image(client, root.tar(), "shop:1")
        with client_of(manager) as client:
            network = client.networks.create("between", driver="overlay")
            client.api._post_json(client.api._url("/services/create"), data=shop(network.id)).raise_for_status()

            def serve() -> bool:
                return [task["Status"]["State"] for task in client.api.tasks()].count("running") == 2

            assert wait_until(serve, 60), json.dumps(client.api.tasks())
            (container,) = client.containers.list()
            answers: set[str] = set()

            def both_answer() -> bool:
                answers.update(container.exec_run(["sh", "-c", ASK]).output.decode().split())
                return answers >= {"node1", "node2"}

            assert wait_until(both_answer, 20), answers
        for node in swarm.nodes:
            with urllib.request.urlopen(f"http://{node.address}:8080/", timeout=10) as answer:
                assert answer.read().decode().strip() == node.hostname
        assert {told_by_task(node) for node in swarm.nodes} == {"node1", "node2"}, "each binds its own node's socket"
        worker.freeze()
        assert wait_until(lambda: states(swarm)["node2"] == "down", 60), states(swarm)
        worker.thaw()
        swarm.wait_until_ready(2)
        processes = worker.processes()
        worker.stop(kill=True)
        assert not any(map(is_running, processes)), "the task, too"
        assert wait_until(lambda: states(swarm)["node2"] == "down", 60), states(swarm)
        worker.start()
        swarm.wait_until_ready(2)
    assert f"{slot.name}-" not in run("ip", "netns", "list")
    assert f"{slot.name}v" not in run("ip", "link")
    assert not slot.folder.exists()
    assert not (tmp_path / "swarm").exists()
