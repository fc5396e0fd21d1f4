"""A login that has expired is renewed by `roas login`, and a node that takes over a week later pulls by it.

The bot's clock is a week ahead (libfaketime). A Docker Engine reads its machine's clock, which is every test's: what a
week does to it is that its registry takes the login of that day no more.
"""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from testbed.debian_packages import unpacked
from testbed.private_registry import USER, PrivateRegistry
from testbed.swarm import Swarm, SwarmNode, client_of
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import StackView
from testbed.waiting import wait_until
from tests.e2e.stack.swarm.swarm_line import SwarmLine, line_on

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(500)]
LIBRARY = "usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
STACK = """
services:
  web:
    image: {repository}:v1
    stop_grace_period: 1s
    deploy:
      endpoint_mode: dnsrr
      restart_policy: {{delay: 2s}}
      placement: {{constraints: ["node.role == worker"]}}
"""


@pytest.fixture(scope="module")
def week_later() -> dict[str, str]:
    """Return the variables of a process whose clock is a week ahead, as far as it shows dates."""
    library = unpacked("libfaketime", ("libfaketime",)) / LIBRARY
    return {"LD_PRELOAD": str(library), "FAKETIME": "+7d", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Swarm]:
    with Swarm(tmp_path / "nodes", workers=2) as made:
        yield made


@pytest.fixture
def registry(nodes: Swarm, tmp_path: Path) -> Iterator[PrivateRegistry]:
    with swarm_registry(nodes, tmp_path / "registry", healthy(["v1"])) as made:
        yield made


@pytest.fixture
def line(nodes: Swarm, registry: PrivateRegistry, tmp_path: Path) -> Iterator[SwarmLine]:
    with line_on(nodes, registry, tmp_path, STACK) as made:
        yield made


def log_in(line: SwarmLine, registry: PrivateRegistry, environ: dict[str, str]) -> None:
    """Type `roas login`."""
    typed = [sys.executable, "-m", "roas", "login", registry.address, "--username", USER]
    ended = subprocess.run(
        typed, env=line.environ(**environ), input=registry.password, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_node_that_takes_over_a_week_later_pulls_by_the_login_of_that_day(
    line: SwarmLine, nodes: Swarm, registry: PrivateRegistry, week_later: dict[str, str]
) -> None:
    """Until somebody logs in again, the task is nowhere, and it is said why; nobody has to deploy."""
    look = StackView(nodes, line.stack_name)
    deployed = line.run("deploy", "dev", "v1")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    (first,) = look.nodes_of("web")
    idle = next(node for node in nodes.nodes[1:] if node.hostname != first)
    with client_of(idle) as client:
        assert client.images.list() == [], "it never pulled"
    line.live("rounds", **week_later)
    (status,) = line.document("status", "dev", **week_later)["environments"]
    ahead = datetime.fromisoformat(status["health"]["taken_at"])
    assert ahead - datetime.now(UTC) > timedelta(days=6), "its clock is a week ahead"

    registry.change_password("the login of the next week")
    look.set_availability(node_called(nodes, first), "drain")
    assert wait_until(lambda: "No such image" in line.status_text(), 60), line.status_text()
    log_in(line, registry, week_later)
    assert wait_until(lambda: look.nodes_of("web") == [idle.hostname], 120), line.status_text()
    assert look.versions("web") == {"v1": 1}
    assert "by hand" not in line.status_text(), "what was written is the login, and no drift"


def node_called(swarm: Swarm, hostname: str) -> SwarmNode:
    return next(node for node in swarm.nodes if node.hostname == hostname)
