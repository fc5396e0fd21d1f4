"""A command line for a stack of `engine: swarm`, and the stack that most tests deploy."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from testbed.private_registry import PrivateRegistry
from testbed.sample import HEALTH_COMMAND
from testbed.swarm import Swarm
from tests.e2e.cli.conftest import CommandLine
from tools.campaigns.swarm.ground import QUICK

# Nothing here becomes unhealthy: once a task is well, it is asked no more.
HEALTH_CHECK = f"""
      test: ["CMD-SHELL", "{HEALTH_COMMAND}"]
      interval: 60s
      start_period: 20s
      start_interval: 200ms
"""
# Both at once: one after the other, each is watched for as long.
QUICK_TOGETHER = QUICK.replace("monitor: 1s", "monitor: 1s, parallelism: 2")


def job(repository: str, usual: str, *, grace: str) -> str:
    """Return a migration that may be told to do something else than usual, and has so long to stop."""
    return f"""
  migrate:
    image: {repository}:v1
    command: ["sh", "-c", "${{JOB:-{usual}}}"]
    stop_grace_period: {grace}
    deploy: {{endpoint_mode: dnsrr, placement: {{constraints: ["node.hostname == node1"]}}}}
""".strip("\n")


def stack(repository: str, more: str = "") -> str:
    """Return what keeps data on a node, a job, what changes with each version, and what runs nowhere and everywhere."""
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
{job(repository, "echo migrated to ${VERSION:-v1}", grace="2s")}
    depends_on:
      database: {{condition: service_healthy}}
  web:
    image: {repository}:${{VERSION:-v1}}
    stop_grace_period: 1s
    deploy: {{replicas: 2, {QUICK_TOGETHER}}}
    configs: [{{source: greeting, target: /config/greeting}}]
    depends_on:
      migrate: {{condition: service_completed_successfully}}
    healthcheck: {HEALTH_CHECK}
{more}
volumes: {{data: {{}}}}
configs:
  greeting: {{file: ./greeting}}
secrets:
  password: {{file: ./password}}
"""


# What has no replicas, and what runs on each node that takes it, where nothing tells how it is.
MORE = """
  idle:
    image: {repository}:v1
    environment: &both {{"FOR": "${{BOTH:-all}}"}}
    deploy: {{replicas: 0, endpoint_mode: dnsrr}}
  every:
    image: {repository}:v1
    stop_grace_period: 1s
    environment: *both
    deploy:
      mode: global
      endpoint_mode: dnsrr
      placement: {{constraints: ["node.hostname != node1"]}}
      update_config: {{monitor: 1s, parallelism: 2}}
"""


@dataclass
class SwarmLine(CommandLine):
    """Type commands for a stack of `engine: swarm`."""

    docker_config: Path = field(default_factory=Path)

    @property
    def stack_name(self) -> str:
        return f"{self.project}-dev"

    def environ(self, **changes: str) -> dict[str, str]:
        own = {"ENVIRONMENTS__DEV__ENGINE": "swarm", "DOCKER_CONFIG": str(self.docker_config)}
        own["COMPOSE_POLICY_ALLOW"] = "ports:database"
        return super().environ(**{**own, **changes})

    def say(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / "stack" / name).write_text(text)

    def set_variables(self, **variables: str) -> None:
        """Write the stack's variables."""
        (self.folder / "stack" / ".env").write_text("".join(f"{name}={text}\n" for name, text in variables.items()))

    def replicas(self) -> dict[str, str]:
        """Return what `docker stack services` shows of each."""
        shown = self.docker("stack", "services", "--format", "{{.Name}} {{.Replicas}}", self.stack_name)
        return dict(line.removeprefix(f"{self.stack_name}_").split(" ", 1) for line in shown.splitlines())

    def migrations(self) -> list[str]:
        """Return what the job said, run by run."""
        return sorted(self.docker("service", "logs", "--raw", f"{self.stack_name}_migrate").splitlines())

    def kept(self, kind: str) -> dict[str, str]:
        """Return the stack's configs or secrets, by id."""
        label = f"label=com.docker.stack.namespace={self.stack_name}"
        shown = self.docker(kind, "ls", "--format", "{{.ID}} {{.Name}}", "--filter", label)
        return dict(line.split() for line in shown.splitlines())

    def status_text(self) -> str:
        """Return what `roas status` says, in one line."""
        return " ".join(self.run("status", "dev").stdout.split())


@contextmanager
def line_on(swarm: Swarm, registry: PrivateRegistry, folder: Path, text: str = "") -> Iterator[SwarmLine]:
    """Give a command line for a stack of its own, written with this text, and remove the stack.

    `{repository}` in the text becomes that of the sample app's versions.
    """
    registry.write_login(folder / "docker")
    made = SwarmLine(folder, swarm.docker_host, f"line-{secrets.token_hex(3)}", docker_config=folder / "docker")
    if text:
        made.write(text.format(repository=f"{registry.address}/shop"))
    yield made
    made.clear()
