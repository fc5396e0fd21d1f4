"""What a plan for a Swarm refuses and names, before anything is written."""

import pytest

from testbed.private_registry import PrivateRegistry
from tests.e2e.stack.swarm.swarm_line import SwarmLine, stack

pytestmark = pytest.mark.engine


def test_what_swarm_cannot_do_is_refused_in_the_plan(line: SwarmLine, registry: PrivateRegistry) -> None:
    """All of it at once, with what to do instead, and nothing is made."""
    line.write(f"""
services:
  web:
    image: {registry.address}/shop:v1
    container_name: web
    volumes: ["data:/data"]
  built:
    build: .
volumes: {{data: {{}}}}
""")
    (line.folder / "stack" / "Dockerfile").write_text("FROM scratch\n")
    refused = line.run("deploy", "dev", "v1")
    assert refused.returncode != 0
    for what in ("web has `container_name`", "built has `build`", "the volume data stays on one"):
        assert what in refused.stderr, refused.stderr
    assert line.replicas() == {}
    trusted = line.run("deploy", "dev", "v1", ENVIRONMENTS__DEV__POLICY="trusted")
    assert "the volume data stays on one" in trusted.stderr, trusted.stderr
    named = line.run("deploy", "dev", "v1", ENVIRONMENTS__DEV__ALLOW='["unpinned_volume:data"]')
    assert named.returncode != 0
    assert "the volume data stays on one" not in named.stderr, named.stderr


def test_what_stands_in_the_way_is_in_the_plan(line: SwarmLine, registry: PrivateRegistry) -> None:
    """What Swarm cannot do, then what the policy refuses, then what the nodes and others do not let it do."""
    service = f"image: {registry.address}/shop:v1, stop_grace_period: 1s"
    line.write(f"services: {{web: {{{service}, privileged: true, sysctls: {{vm.swappiness: 1}}}}}}")
    refused = line.run("deploy", "dev", "v1", "--dry-run")
    assert refused.returncode != 0
    assert "web has `privileged`" in refused.stderr, refused.stderr
    assert "privileged:web" not in refused.stderr, "no entry would help"
    line.write(f"services: {{web: {{{service}, sysctls: {{vm.swappiness: 1}}}}}}")
    refused = line.run("deploy", "dev", "v1", "--dry-run", ENVIRONMENTS__DEV__POLICY="default")
    assert "sysctls:web" in refused.stderr, refused.stderr
    start_first = "update_config: {order: start-first}"
    nowhere = "deploy: {placement: {constraints: [node.hostname == nowhere]}}"
    line.write(f"""
services:
  web: {{{service}, {nowhere}, ports: ["18999:80"]}}
  node: {{{service}, ports: [{{target: 80, published: 18998, mode: host}}], deploy: {{replicas: 3, {start_first}}}}}
  other: {{{service}}}
""")
    other = f"{line.project}-dev_other"
    made = ("service", "create", "--detach", "--no-resolve-image", "--replicas", "0", "--publish", "18999:80")
    line.docker(*made, "--name", other, "app:hand")
    try:
        plan = line.run("deploy", "dev", "v1", "--dry-run")
        deployed = line.run("deploy", "dev", "v1")
    finally:
        line.docker("service", "rm", other)
    for words in (
        "No node satisfies what web asks for: node.hostname == nowhere.",
        f"Port 18999/tcp of web is held by the service {other}.",
        f"The Swarm already has a service {other} that does not belong to this stack.",
    ):
        assert words in plan.stdout, plan.stdout + plan.stderr
        assert words in deployed.stdout, deployed.stdout + deployed.stderr
    assert f"refused: The Swarm already has a service {other} that" in plan.stdout, plan.stdout
    assert "it is replaced stop-first" not in plan.stdout, "Swarm does as the file says"
    assert "As things are, this is refused, and nothing is changed:" in plan.stdout
    assert deployed.returncode == 6
    assert line.replicas() == {}, "nothing is written"


def test_without_the_registry_nothing_is_deployed(line: SwarmLine) -> None:
    """A manager that has the image would take the tag for granted."""
    line.write(stack("127.0.0.1:9/shop"))
    refused = line.run("deploy", "dev", "v1")
    assert refused.returncode != 0
    assert "127.0.0.1:9" in refused.stderr
    assert line.replicas() == {}


def test_somebody_elses_stack_is_not_touched(line: SwarmLine) -> None:
    """What was deployed by hand is not written over."""
    label = f"com.docker.stack.namespace={line.project}-dev"
    line.docker(
        "service",
        "create",
        "--detach",
        "--no-resolve-image",
        "--label",
        label,
        "--name",
        f"{line.project}-dev_web",
        "app:hand",
    )
    refused = line.run("deploy", "dev", "v1")
    assert "was not deployed by this bot" in refused.stderr, refused.stdout
    assert "web runs app:hand without a digest" in refused.stderr, refused.stderr
