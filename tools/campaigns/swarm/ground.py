"""A Swarm of three nodes, a registry that asks for a password, and a stack that commands deploy to it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.inherited import inherited
from testbed.preloaded import run_preloaded, start_preloaded
from testbed.private_registry import PrivateRegistry
from testbed.sample import HEALTH_COMMAND, Behaviour
from testbed.swarm import Swarm
from testbed.swarm_registry import swarm_registry
from testbed.swarm_view import StackView
from tools.campaigns.instrumented.gate import GATE_VARIABLE
from tools.campaigns.swarm.gate import StepGate

ROOT = Path(__file__).resolve().parents[3]
NAME, ENVIRONMENT = "crash", "dev"
STACK = f"{NAME}-{ENVIRONMENT}"
FAILING, FAILING_JOB = "bad", "worse"
VERSIONS: dict[str, Behaviour] = {"v1": "healthy", "v2": "healthy", FAILING: "exits", FAILING_JOB: "healthy"}
REPLICAS = 2
COMMAND_SECONDS = 240
CHECK = f"""{{test: ["CMD-SHELL", "{HEALTH_COMMAND}"], interval: 5s, start_period: 20s, start_interval: 100ms}}"""
QUICK = "endpoint_mode: dnsrr, restart_policy: {delay: 300ms}, update_config: {monitor: 1s}"


def compose_file(repository: str) -> str:
    """Return the stack: what keeps data on the manager, a job, and what runs on the workers."""
    return f"""
services:
  store:
    image: {repository}:v1
    stop_grace_period: 1s
    deploy: {{placement: {{constraints: ["node.role == manager"]}}, {QUICK}}}
    healthcheck: {CHECK}
  migrate:
    image: {repository}:${{VERSION:-v1}}
    command: ["sh", "-c", "sleep 1; echo migrated to ${{VERSION:-v1}}; [ ${{VERSION:-v1}} != {FAILING_JOB} ]"]
    healthcheck: {{disable: true}}
    deploy: {{endpoint_mode: dnsrr, placement: {{constraints: ["node.role == manager"]}}}}
    x-deploy: {{one_shot: true}}
    depends_on: {{store: {{condition: service_healthy}}}}
  web:
    image: {repository}:${{VERSION:-v1}}
    stop_grace_period: 1s
    deploy: {{replicas: {REPLICAS}, placement: {{constraints: ["node.hostname != node1"]}}, {QUICK}}}
    configs: [{{source: greeting, target: /config/greeting}}]
    depends_on: {{migrate: {{condition: service_completed_successfully}}}}
    healthcheck: {CHECK}
configs:
  greeting: {{file: ./greeting}}
"""


@dataclass(frozen=True)
class Ground:
    """Hold where everything is."""

    folder: Path
    swarm: Swarm
    gate: StepGate

    @property
    def look(self) -> StackView:
        """Return a look at the stack on the nodes that live."""
        return StackView(self.swarm, STACK)

    def environ(self) -> dict[str, str]:
        """Return the environment of a bot of this stack."""
        return {
            **inherited(),
            "PYTHONPATH": str(ROOT),
            "STACK_DIR": str(self.folder / "stack"),
            "STATE_DIR": str(self.folder / "state"),
            "COMPOSE_PROJECT_NAME": NAME,
            "DOCKER_HOST": self.swarm.docker_host,
            "DOCKER_CONFIG": str(self.folder / "docker"),
            "ENVIRONMENTS__DEV__ENGINE": "swarm",
            "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": "1",
            GATE_VARIABLE: str(self.gate.path),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that is held at each step."""
        return start_preloaded("tools.campaigns.swarm.worker", *arguments, cwd=self.folder, env=self.environ())

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Type a command, and wait for its end."""
        return self.run_module("roas", *arguments)

    def run_module(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of Python for this stack, and wait for its end."""
        return run_preloaded(*arguments, cwd=self.folder, env=self.environ(), timeout=COMMAND_SECONDS)

    def say(self, text: str) -> None:
        """Change the configuration file of the stack."""
        (self.folder / "stack" / "greeting").write_text(text)


@contextmanager
def ground_on(swarm: Swarm, registry: PrivateRegistry, folder: Path, image: str = NAME) -> Iterator[Ground]:
    """Write a stack for a Swarm that runs; what is left of it in the end is removed."""
    (folder / "stack").mkdir(parents=True)
    (folder / "stack" / "docker-compose.yml").write_text(compose_file(f"{registry.address}/{image}"))
    registry.write_login(folder / "docker")
    with StepGate(folder) as gate:
        found = Ground(folder, swarm, gate)
        found.say("hello")
        try:
            yield found
        finally:
            found.look.remove()


@contextmanager
def ground(folder: Path, *, managers: int = 1) -> Iterator[Ground]:
    """Start a Swarm of three nodes for a stack."""
    with (
        Swarm(folder / "swarm", managers=managers, workers=3 - managers, heartbeat_seconds=1) as swarm,
        swarm_registry(swarm, folder / "registry", VERSIONS, name=NAME) as registry,
        ground_on(swarm, registry, folder / "ground") as found,
    ):
        yield found
