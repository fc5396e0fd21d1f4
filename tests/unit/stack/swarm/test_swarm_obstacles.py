"""What Swarm would accept and never do, and what it would refuse in the middle, is known before anything is written."""

from typing import Any

import pytest

from roas.models.stack import ObstacleKind
from roas.stack.docker.labels import STACK
from roas.stack.swarm.obstacles import find_on_swarm

Json = dict[str, Any]


def node(name: str, *, availability: str = "active") -> Json:
    return {
        "ID": name,
        "Spec": {"Availability": availability},
        "Status": {"State": "ready"},
        "Description": {"Hostname": name},
    }


class Manager:
    def __init__(self, *nodes: Json, services: tuple[Json, ...] = ()) -> None:
        self._nodes, self._services = nodes, services

    def nodes(self) -> list[Json]:
        return list(self._nodes)

    def all_services(self) -> list[Json]:
        return list(self._services)


def found(manager: Manager, **services: Json) -> list[tuple[ObstacleKind, str]]:
    obstacles = find_on_swarm(manager, "shop", {"services": services})  # type: ignore[arg-type]
    return [(obstacle.kind, obstacle.message) for obstacle in obstacles]


def test_constraint_that_no_node_satisfies_is_named() -> None:
    web = {"deploy": {"placement": {"constraints": ["node.hostname == nowhere"]}}}
    ((kind, text),) = found(Manager(node("node1"), node("node2")), web=web)
    assert kind is ObstacleKind.PLACEMENT
    assert text == "No node satisfies what web asks for: node.hostname == nowhere."


def test_node_that_is_drained_takes_nothing() -> None:
    ((_, text),) = found(Manager(node("node1", availability="drain")), web={})
    assert text == "web may only run on node1, where no tasks are accepted."


def test_services_of_others_with_our_names_are_named_all_at_once() -> None:
    others = ({"Spec": {"Name": "shop_web"}}, {"Spec": {"Name": "shop_db", "Labels": {STACK: "other"}}})
    ours = {"Spec": {"Name": "shop_own", "Labels": {STACK: "shop"}}}
    manager = Manager(node("node1"), services=(*others, ours, {"Spec": {"Name": "shop_not_in_the_file"}}))
    names = [(kind, text.split()[6]) for kind, text in found(manager, web={}, db={}, own={})]
    assert names == [(ObstacleKind.SERVICE_NAME, "shop_web"), (ObstacleKind.SERVICE_NAME, "shop_db")]


def publishing(name: str, mode: str, *, stack: str = "other") -> Json:
    ports = [{"PublishedPort": 80, "TargetPort": 80, "Protocol": "tcp", "PublishMode": mode}]
    return {"ID": name, "Spec": {"Name": name, "Labels": {STACK: stack}, "EndpointSpec": {"Ports": ports}}}


def web(publish: str, *, published: str = "80") -> Json:
    return {"ports": [{"target": 8080, "published": published, "mode": publish}]}


HELD = "Port 80/tcp of web is held by the service proxy."


@pytest.mark.parametrize(
    ("there", "wanted", "told"),
    [
        ("ingress", web("ingress"), [HELD]),
        ("host", web("ingress"), [HELD]),
        ("ingress", web("host"), [HELD]),
        ("ingress", web("ingress", published="81"), []),
        ("host", web("host"), []),  # on another node
    ],
)
def test_port_that_others_hold_is_named(there: str, wanted: Json, told: list[str]) -> None:
    """Swarm refuses one of the whole Swarm in the middle."""
    manager = Manager(node("node1"), node("node2"), services=(publishing("proxy", there),))
    assert found(manager, web=wanted) == [(ObstacleKind.PORT, text) for text in told]


def test_own_ports_are_in_nobodys_way() -> None:
    own = publishing("shop_web", "host", stack="shop")
    manager = Manager(node("node1"), services=(own,))
    assert found(manager, web=web("host")) == []
