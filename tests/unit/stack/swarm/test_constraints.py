"""Whether a node satisfies a constraint, as Swarm's scheduler reads it."""

import pytest

from roas.models.swarm import SwarmNode
from roas.stack.swarm.obstacles import satisfies

NODE = SwarmNode(
    "n1", "node1", labels={"disk": "ssd"}, engine_labels={"gpu": "none"}, system="linux", architecture="x86_64"
)


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("node.hostname == node1", True),
        ("node.hostname==NODE1", True),
        ("node.hostname != node1", False),
        ("node.id == n2", False),
        ("node.role == manager", False),
        ("node.role != manager", True),
        ("node.labels.disk == ssd", True),
        ("node.labels.disk == hdd", False),
        ("node.labels.zone == a", False),
        ("node.labels.zone != a", True),
        ("engine.labels.gpu == none", True),
        ("node.platform.os == linux", True),
        ("node.platform.arch == aarch64", False),
        ("node.ip == 10.0.0.0/8", True),  # not judged from here
    ],
)
def test_constraint_judged(constraint: str, expected: bool) -> None:
    assert satisfies(NODE, constraint) is expected
