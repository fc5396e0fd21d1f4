"""The manager that is asked dies, or hangs, in the middle of a deployment: it goes on by another one."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.private_registry import PrivateRegistry
from testbed.swarm import Swarm, SwarmNode
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import StackView
from tests.e2e.cli.conftest import wait_for_line
from tests.e2e.stack.swarm.many_managers import ManyManagersLine, line_by

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(500)]
# A leader that is lost, and the election of another one: without other addresses, it is ten minutes.
WITHIN_SECONDS = 90.0


@pytest.fixture(scope="module")
def managers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    with Swarm(tmp_path_factory.mktemp("managers"), managers=3, heartbeat_seconds=1) as made:
        yield made


@pytest.fixture(scope="module")
def versions(managers: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    with swarm_registry(managers, tmp_path_factory.mktemp("registry"), healthy(["v1", "v2"])) as made:
        yield made


@pytest.fixture
def line(managers: Swarm, versions: PrivateRegistry, tmp_path: Path) -> Iterator[ManyManagersLine]:
    managers.wait_until_ready(3, asked=managers.nodes[1])
    made = line_by([node.docker_host for node in managers.nodes], versions, tmp_path)
    yield made
    made.clear()
    managers.wait_until_ready(3, asked=managers.nodes[1])
    assert StackView(managers, made.stack_name).remove()


def kill(node: SwarmNode) -> None:
    node.stop(kill=True)


@pytest.mark.parametrize(("lose", "bring"), [(kill, SwarmNode.start), (SwarmNode.pause, SwarmNode.resume)])
def test_deployment_goes_on_by_another_manager(
    line: ManyManagersLine, managers: Swarm, lose: Callable[[SwarmNode], None], bring: Callable[[SwarmNode], None]
) -> None:
    """It succeeds; doctor and status say who answers; and of no other Swarm anything is asked."""
    first, second, _ = managers.nodes
    deployed = line.run("deploy", "dev", "v1")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    going = line.start("deploy", "dev", "v2")
    wait_for_line(going, "execution      in progress")
    began = time.monotonic()
    lose(first)
    try:
        out, err = going.communicate(timeout=300)
        took = time.monotonic() - began
        print(f"{lose.__name__}: the deployment ended {took:.1f} s later")
        assert going.returncode == 0, out + err
        assert took < WITHIN_SECONDS, out
        status = line.status_text()
        assert "asked: the manager at" in status, status
        assert first.docker_host not in status, status
        doctor = " ".join(line.run("doctor", "dev").stdout.split())
        assert f"The manager at {first.docker_host} does not answer" in doctor, doctor
    finally:
        bring(first)
    managers.wait_until_ready(3, asked=second)
    assert StackView(managers, line.stack_name).inside("web", "/version") == {"v2"}
    other = line.run("deploy", "dev", "v1", ENVIRONMENTS__DEV__SWARM_ID="another")
    assert "was deployed to the Swarm another" in other.stderr, other.stdout + other.stderr
