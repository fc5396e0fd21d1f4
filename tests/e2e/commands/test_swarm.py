"""A stack on a Swarm by the command line, with a registry that asks for a password; judged by Docker alone."""

import base64
import json
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from testbed.private_registry import PrivateRegistry, private_registry
from testbed.sample import Behaviour, sample_image
from testbed.swarm import Swarm, client_of
from testbed.waiting import wait_until
from tests.e2e.commands.conftest import HEALTH_CHECK, CommandLine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

VERSIONS: dict[str, Behaviour] = {"v1": "healthy", "v2": "healthy", "v3": "exits"}
QUICK = "endpoint_mode: dnsrr, restart_policy: {delay: 300ms}, update_config: {monitor: 1s}"


def stack(repository: str) -> str:
    return f"""
services:
  database:
    image: {repository}:v1
    stop_grace_period: 1s
    deploy: {{placement: {{constraints: ["node.hostname == node1"]}}, {QUICK}}}
    secrets: [password]
    volumes: ["data:/data"]
    ports: [{{target: 8080, published: 18080, mode: host}}]
    healthcheck: {HEALTH_CHECK}
  migrate:
    image: {repository}:${{VERSION:-v1}}
    command: ["echo", "migrated to ${{VERSION:-v1}}"]
    deploy: {{endpoint_mode: dnsrr}}
    depends_on:
      database: {{condition: service_healthy}}
  web:
    image: {repository}:${{VERSION:-v1}}
    stop_grace_period: 1s
    deploy: {{replicas: 2, {QUICK}}}
    configs:
      - source: greeting
        target: /config/greeting
    depends_on:
      migrate: {{condition: service_completed_successfully}}
    healthcheck: {HEALTH_CHECK}
volumes: {{data: {{}}}}
configs:
  greeting: {{file: ./greeting}}
secrets:
  password: {{file: ./password}}
"""


@dataclass
class SwarmLine(CommandLine):
    """Type commands for a stack of `engine: swarm`."""

    docker_config: Path = field(default_factory=Path)

    def environ(self, **changes: str) -> dict[str, str]:
        own = {"ENVIRONMENTS__DEV__ENGINE": "swarm", "DOCKER_CONFIG": str(self.docker_config)}
        return super().environ(**own, **changes)

    def say(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / "stack" / name).write_text(text)

    def replicas(self) -> dict[str, str]:
        """Return what `docker stack services` shows of each."""
        shown = self.docker("stack", "services", "--format", "{{.Name}} {{.Replicas}}", f"{self.project}-dev")
        return dict(line.removeprefix(f"{self.project}-dev_").split(" ", 1) for line in shown.splitlines())

    def inside(self, service: str, path: str) -> set[str]:
        """Return what the containers of a service have in a file."""
        name = f"label=com.docker.swarm.service.name={self.project}-dev_{service}"
        found = self.docker("ps", "--quiet", "--filter", name, "--filter", "health=healthy").split()
        return {self.docker("exec", one, "cat", path) for one in found}

    def migrations(self) -> list[str]:
        """Return what the job said, run by run."""
        return sorted(self.docker("service", "logs", "--raw", f"{self.project}-dev_migrate").splitlines())


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    with Swarm(tmp_path_factory.mktemp("swarm")) as made:
        yield made


@pytest.fixture(scope="module")
def registry(swarm: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    """A registry that has the versions, which no node has."""
    with private_registry(tmp_path_factory.mktemp("registry"), host=swarm.host_address) as made:
        with client_of(swarm.manager) as client:
            for version, behaviour in VERSIONS.items():
                sample_image(client, f"{made.address}/shop:{version}", version=version, behaviour=behaviour)
                pushed = client.api.push(f"{made.address}/shop", version, auth_config=made.login)
                assert "error" not in pushed, pushed
                client.images.remove(f"{made.address}/shop:{version}")
        yield made


@pytest.fixture
def line(swarm: Swarm, registry: PrivateRegistry, tmp_path: Path) -> Iterator[SwarmLine]:
    login = f"{registry.login['username']}:{registry.login['password']}".encode()
    auths = {registry.address: {"auth": base64.b64encode(login).decode()}}
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": auths}))
    project = f"line-{secrets.token_hex(3)}"
    made = SwarmLine(tmp_path, swarm.docker_host, project, docker_config=tmp_path / "docker")
    made.write(stack(f"{registry.address}/shop"))
    made.say(greeting="hello one", password="the first password")
    yield made
    made.clear()
    made.docker("stack", "rm", f"{project}-dev")
    # Swarm takes tasks down after that, and the port of the next test's stack is one of theirs.
    mine = ("ps", "--all", "--quiet", "--filter", f"label=com.docker.stack.namespace={project}-dev")
    assert wait_until(lambda: not made.docker(*mine), 60), "the stack's containers are not removed"


def test_story_of_a_stack(line: SwarmLine) -> None:
    """Deploy, nothing to do, a version with another config, one that fails, back by two, and a hand's change."""
    assert line.run("deploy", "dev", "v1").returncode == 0
    assert line.replicas() == {"database": "1/1", "migrate": "0/1 (1/1 completed)", "web": "2/2"}
    assert (line.inside("web", "/version"), line.inside("web", "/config/greeting")) == ({"v1"}, {"hello one"})
    assert line.inside("database", "/run/secrets/password") == {"the first password"}
    plan = line.document("deploy", "dev", "v1", "--dry-run")
    assert {one["action"] for one in plan["services"]} == {"keep"}

    line.say(greeting="hello two")
    assert line.run("deploy", "dev", "v2").returncode == 0
    assert (line.inside("web", "/version"), line.inside("web", "/config/greeting")) == ({"v2"}, {"hello two"})
    assert line.migrations() == ["migrated to v1", "migrated to v2"]

    failed = line.run("deploy", "dev", "v3")
    assert failed.returncode == 3, failed.stdout
    assert "web failed: Swarm rolled it back" in failed.stderr
    assert "cannot go on" in failed.stderr, "the task's last lines are told"
    assert (line.inside("web", "/version"), line.inside("web", "/config/greeting")) == ({"v2"}, {"hello two"})
    assert line.replicas()["web"] == "2/2"

    assert line.run("rollback", "dev", "--to", "1").returncode == 0
    assert (line.inside("web", "/version"), line.inside("web", "/config/greeting")) == ({"v1"}, {"hello one"})

    line.docker("service", "update", "--quiet", "--env-add", "BY=hand", f"{line.project}-dev_web")
    status = " ".join(line.run("status", "dev").stdout.split())
    assert "web was changed by hand" in status, status
    assert "ContainerSpec.Env" in status, status


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
    for what in ("web has `container_name`", "built is built", "the volume data stays on one"):
        assert what in refused.stderr, refused.stderr
    assert line.replicas() == {}
    trusted = line.run("deploy", "dev", "v1", ENVIRONMENTS__DEV__POLICY="trusted")
    assert "the volume data stays on one" in trusted.stderr, trusted.stderr
    named = line.run("deploy", "dev", "v1", ENVIRONMENTS__DEV__ALLOW='["unpinned_volume:data"]')
    assert named.returncode != 0
    assert "the volume data stays on one" not in named.stderr, named.stderr


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
    line.docker("service", "create", "--detach", "--label", label, "--name", f"{line.project}-dev_web", "app:hand")
    refused = line.run("deploy", "dev", "v1")
    assert "was not deployed by this bot" in refused.stderr, refused.stdout


def test_killed_in_the_middle_is_resumed(line: SwarmLine) -> None:
    """The bot dies while Swarm updates; the next command brings the deployment to its end."""
    assert line.run("deploy", "dev", "v1").returncode == 0
    child = line.start("deploy", "dev", "v2")
    assert child.stdout is not None
    assert any("web: creating" in said for said in child.stdout)
    child.kill()
    child.wait(30)
    ended = line.run("deploy", "dev", "v2")
    assert isinstance(ended, subprocess.CompletedProcess)
    history = line.document("history", "dev")
    assert [one["outcome"] for one in history["deployments"]][-1] == "succeeded"
    assert line.inside("web", "/version") == {"v2"}
    assert line.replicas()["web"] == "2/2"
