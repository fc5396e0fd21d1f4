"""One Swarm of three nodes for all files of this folder, with a registry that asks for a password."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from campaigns.swarm.ground import FAILING_JOB
from testbed.private_registry import PASSWORD, PrivateRegistry, private_registry
from testbed.sample import Behaviour
from testbed.swarm import Swarm, client_of
from testbed.swarm_look import StackLook
from tests.e2e.engine.swarm.swarm_line import SwarmLine, stack

VERSIONS: dict[str, Behaviour] = {
    **dict.fromkeys(("v1", "v2", "v4", FAILING_JOB), "healthy"),
    "v3": "exits",
}


@pytest.fixture(scope="session")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    with Swarm(tmp_path_factory.mktemp("swarm"), workers=2) as made:
        yield made


@pytest.fixture(scope="session")
def registry(swarm: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    """A registry that has the versions, which no node has."""
    with private_registry(tmp_path_factory.mktemp("registry"), host=swarm.host_address) as made:
        with client_of(swarm.manager) as client:
            for version, behaviour in VERSIONS.items():
                made.push_sample(client, "shop", version, behaviour)
        yield made


@pytest.fixture
def line(swarm: Swarm, registry: PrivateRegistry, tmp_path: Path) -> Iterator[SwarmLine]:
    registry.write_login(tmp_path / "docker")
    project = f"line-{secrets.token_hex(3)}"
    made = SwarmLine(tmp_path, swarm.docker_host, project, docker_config=tmp_path / "docker")
    made.write(stack(f"{registry.address}/shop"))
    made.say(greeting="hello one", password="the first password")
    yield made
    made.clear()
    registry.change_password(PASSWORD)  # the stacks of other tests have that
    # Swarm takes tasks down after that, and the port of the next test's stack is one of theirs.
    assert StackLook(swarm, made.stack_name).remove(), "the stack's containers are not removed"


@pytest.fixture
def look(line: SwarmLine, swarm: Swarm) -> StackLook:
    """Give a look at the stack on all nodes."""
    return StackLook(swarm, line.stack_name)
