"""What Swarm would accept and never do, and what it would refuse in the middle, is known before anything is written."""

from typing import Any

import pytest

from roas.models.stack import ObstacleKind
from roas.stack.labels import STACK
from roas.stack.swarm.obstacles import find_on_swarm

Json = dict[str, Any]
GIB = 2**30


def node(name: str, *, availability: str = "active", memory: int = 4) -> Json:
    return {
        "ID": name,
        "Spec": {"Availability": availability},
        "Status": {"State": "ready"},
        "Description": {"Hostname": name, "Resources": {"MemoryBytes": memory * GIB, "NanoCPUs": 2 * 10**9}},
    }


class Manager:
    def __init__(self, *nodes: Json, services: tuple[Json, ...] = (), tasks: tuple[Json, ...] = ()) -> None:
        self._nodes, self._services, self._tasks = nodes, services, tasks

    def tasks(self) -> list[Json]:
        return list(self._tasks)

    def nodes(self) -> list[Json]:
        return list(self._nodes)

    def all_services(self) -> list[Json]:
        return list(self._services)

    def services_named(self, prefix: str) -> list[Json]:
        return [service for service in self._services if service["Spec"]["Name"].startswith(prefix)]


def found(manager: Manager, **services: Json) -> list[tuple[ObstacleKind, str]]:
    obstacles = find_on_swarm(manager, "shop", {"services": services})  # type: ignore[arg-type]
    return [(obstacle.kind, obstacle.message) for obstacle in obstacles]


def test_constraint_that_no_node_satisfies_is_named_with_what_the_nodes_have() -> None:
    web = {"deploy": {"placement": {"constraints": ["node.hostname == nowhere"]}}}
    ((kind, text),) = found(Manager(node("node1"), node("node2")), web=web)
    assert kind is ObstacleKind.PLACEMENT
    assert text == "No node satisfies what web asks for: node.hostname == nowhere (the nodes have node1, node2)."


def test_label_that_no_node_has_is_said() -> None:
    web = {"deploy": {"placement": {"constraints": ["node.labels.disk == ssd"]}}}
    ((_, text),) = found(Manager(node("node1")), web=web)
    assert "node.labels.disk == ssd (no node has that)" in text


@pytest.mark.parametrize(
    ("deploy", "words"),
    [
        ({"resources": {"reservations": {"memory": str(900 * GIB)}}}, "reserves 921600 MiB"),
        ({"resources": {"reservations": {"cpus": 3}}}, "3 CPUs, which no node has: the largest have 8192 MiB and 2"),
    ],
)
def test_reservation_beyond_every_node_is_named(deploy: Json, words: str) -> None:
    ((kind, text),) = found(Manager(node("node1"), node("node2", memory=8)), web={"deploy": deploy})
    assert kind is ObstacleKind.PLACEMENT
    assert words in text


def test_reservation_counts_on_nodes_that_the_constraints_allow() -> None:
    deploy = {
        "placement": {"constraints": ["node.hostname == node1"]},
        "resources": {"reservations": {"memory": str(6 * GIB)}},
    }
    manager = Manager(node("node1"), node("node2", memory=8))
    assert len(found(manager, web={"deploy": deploy})) == 1
    assert found(manager, web={"deploy": {**deploy, "placement": {}}}) == []


def task(service: str, node: str, memory: int, *, state: str = "running") -> Json:
    reserved = {"Reservations": {"MemoryBytes": memory * GIB, "NanoCPUs": 10**9}}
    return {"ServiceID": service, "NodeID": node, "Status": {"State": state}, "Spec": {"Resources": reserved}}


@pytest.mark.parametrize(
    ("tasks", "fits"),
    [
        ((), True),
        ((task("other", "node1", 2),), True),
        ((task("other", "node1", 3),), False),
        ((task("other", "node1", 1), task("another", "node1", 2, state="assigned")), False),
        ((task("other", "node1", 3, state="shutdown"),), True),
        ((task("other", "node2", 3), task("other", "", 3, state="pending")), True),
        ((task("ours", "node1", 3),), True),
        ((task("other", "node1", 0), task("another", "node1", 0)), False),
    ],
)
def test_reservation_beyond_what_others_left_is_named(tasks: tuple[Json, ...], fits: bool) -> None:
    """The tasks of the stack itself do not count: they are replaced, and may be fewer afterwards."""
    ours = {"ID": "ours", "Spec": {"Name": "shop_web", "Labels": {STACK: "shop"}}}
    manager = Manager(node("node1"), services=(ours,), tasks=tasks)
    web = {"deploy": {"resources": {"reservations": {"memory": str(2 * GIB), "cpus": 0.5}}}}
    seen = found(manager, web=web)
    assert not seen if fits else "which no node has left beside other stacks (node1: " in seen[0][1]
    obstacles = find_on_swarm(manager, "shop", {"services": {"web": web}})  # type: ignore[arg-type]
    assert not any(obstacle.refuses for obstacle in obstacles), "others may make room"
    assert found(manager, web={}) == []


def test_node_that_is_drained_takes_nothing() -> None:
    ((_, text),) = found(Manager(node("node1", availability="drain")), web={})
    assert text == "web may run on node1 only, which takes no tasks now."


def test_services_of_others_with_our_names_are_named_all_at_once() -> None:
    others = ({"Spec": {"Name": "shop_web"}}, {"Spec": {"Name": "shop_db", "Labels": {STACK: "other"}}})
    ours = {"Spec": {"Name": "shop_own", "Labels": {STACK: "shop"}}}
    manager = Manager(node("node1"), services=(*others, ours, {"Spec": {"Name": "shop_not_in_the_file"}}))
    names = [(kind, text.split()[6]) for kind, text in found(manager, web={}, db={}, own={})]
    assert all(item.refuses for item in find_on_swarm(manager, "shop", {"services": {"web": {}}}))  # type: ignore[arg-type]
    assert names == [(ObstacleKind.SERVICE_NAME, "shop_web"), (ObstacleKind.SERVICE_NAME, "shop_db")]


def publishing(name: str, mode: str, *, stack: str = "other") -> Json:
    ports = [{"PublishedPort": 80, "TargetPort": 80, "Protocol": "tcp", "PublishMode": mode}]
    return {"ID": name, "Spec": {"Name": name, "Labels": {STACK: stack}, "EndpointSpec": {"Ports": ports}}}


def on(node_id: str, service: str) -> Json:
    return {"ID": f"{service}.{node_id}", "ServiceID": service, "NodeID": node_id, "DesiredState": "running"}


def web(publish: str, *, published: str = "80", **deploy: Any) -> Json:
    return {"ports": [{"target": 8080, "published": published, "mode": publish}], "deploy": deploy}


HELD = "Port 80/tcp of web is held by the service proxy."


@pytest.mark.parametrize(
    ("there", "wanted", "told"),
    [
        ("ingress", web("ingress"), [HELD]),
        ("host", web("ingress"), [HELD]),
        ("ingress", web("host"), [HELD]),
        ("ingress", web("ingress", published="81"), []),
        ("host", web("host"), []),  # on another node
        (
            "host",
            web("host", replicas=2),
            ["Of the nodes that may run web, 1 have port 80/tcp free (node2), and it wants 2."],
        ),
        (
            "host",
            web("host", placement={"constraints": ["node.hostname == node1"]}),
            ["Of the nodes that may run web, 0 have port 80/tcp free (-), and it wants 1."],
        ),
        (
            "host",
            web("host", mode="global"),
            ["Of the nodes that may run web, 1 have port 80/tcp free (node2), and it wants 2."],
        ),
    ],
)
def test_port_that_others_hold_is_named(there: str, wanted: Json, told: list[str]) -> None:
    """Swarm refuses one of the whole Swarm in the middle; for one of a node it would wait for ever."""
    manager = Manager(
        node("node1"), node("node2"), services=(publishing("proxy", there),), tasks=(on("node1", "proxy"),)
    )
    assert found(manager, web=wanted) == [(ObstacleKind.PORT, text) for text in told]


def test_own_ports_are_in_nobodys_way() -> None:
    own = publishing("shop_web", "host", stack="shop")
    manager = Manager(node("node1"), services=(own,), tasks=(on("node1", "shop_web"),))
    assert found(manager, web=web("host")) == []


@pytest.mark.parametrize(
    ("replicas", "order", "warned"), [(2, "start-first", 1), (2, "stop-first", 0), (1, "start-first", 0)]
)
def test_port_that_old_and_new_task_want_is_warned_of(replicas: int, order: str, warned: int) -> None:
    """The first deployment is well, and the next one would wait for a node for ever."""
    wanted = web("host", replicas=replicas, update_config={"order": order})
    model = {"services": {"web": wanted}}
    obstacles = find_on_swarm(Manager(node("node1"), node("node2")), "shop", model)  # type: ignore[arg-type]
    assert [obstacle.refuses for obstacle in obstacles] == [False] * warned
