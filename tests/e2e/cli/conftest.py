"""The command line as a person or a script meets it: real processes, a real engine, a stack of its own."""

import json
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient

from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from testbed.inherited import inherited
from testbed.preloaded import PreloadedPopen, can_be_preloaded

ROOT = Path(__file__).parents[3]
# How long a command may take beside other tests: nothing waits for it.
SECONDS = 240
REPOSITORY = "roas-commands/app"

# Once a service is well, nothing here waits for it to break: another probe takes 50 ms of a core.
HEALTH_CHECK = """
      test: ["CMD-SHELL", "wget -q -O /dev/null http://127.0.0.1:8080/health"]
      interval: 60s
      timeout: 2s
      retries: 2
      start_period: 20s
      start_interval: 300ms
"""
# They talk to nobody: a place in a network is a tenth of what a container costs.
STACK = f"""
services:
  database:
    image: {REPOSITORY}:v1
    network_mode: none
    stop_grace_period: 1s
    healthcheck: {HEALTH_CHECK}
  web:
    image: {REPOSITORY}:${{VERSION:-v1}}
    network_mode: none
    stop_grace_period: 1s
    environment:
      GREETING: hello ${{VERSION:-v1}}
    depends_on:
      database: {{condition: service_healthy}}
    healthcheck: {HEALTH_CHECK}
"""


@dataclass
class CommandLine:
    """Type commands for one stack and one state folder."""

    folder: Path
    docker_host: str
    project: str
    image_ids: dict[str, str] = field(default_factory=dict)
    children: list[subprocess.Popen[str]] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def environ(self, **changes: str) -> dict[str, str]:
        return {
            **inherited(),
            "PYTHONPATH": str(ROOT),
            "STACK_DIR": str(self.folder / "stack"),
            "STATE_DIR": str(self.state),
            "COMPOSE_PROJECT_NAME": self.project,
            "DOCKER_HOST": self.docker_host,
            "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": "0.2",
            "ENVIRONMENTS__PROD__OBSERVATION_SECONDS": "0.2",
            "COLUMNS": "80",
            **self.variables,
            **changes,
        }

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start a command and do not wait for it."""
        return self._start([sys.executable, "-m", "roas", *arguments], environ)

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Type a command and wait for its end."""
        child = self.start(*arguments, **environ)
        out, err = child.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess(arguments, child.returncode, out, err)

    def run_program(self, program: str) -> subprocess.CompletedProcess[str]:
        """Run a program of Python where the commands run, and wait for its end."""
        child = self._start([sys.executable, "-c", program], {})
        out, err = child.communicate(timeout=SECONDS)
        return subprocess.CompletedProcess((), child.returncode, out, err)

    def document(self, *arguments: str, code: int = 0, **environ: str) -> Any:
        """Type a command with --json and read its document."""
        ended = self.run(*arguments, "--json", **environ)
        assert ended.returncode == code, ended.stderr
        return json.loads(ended.stdout)

    def live(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start a bot and wait until it listens."""
        bot = self._start([sys.executable, "-m", "tests.e2e.cli.living_bot", *arguments], environ)
        assert bot.stdout is not None
        while (line := bot.stdout.readline()) != "READY\n":
            assert line, bot.communicate()
        return bot

    def docker(self, *arguments: str) -> str:
        """Type a command of Docker's, as a person would."""
        command = [shutil.which("docker") or "docker", *arguments]
        asked = subprocess.run(command, env=self.environ(), capture_output=True, text=True, check=True)
        return asked.stdout.strip()

    @cached_property
    def client(self) -> DockerClient:
        """Look at the engine: another program for each look would take longer than the look."""
        return DockerClient(base_url=self.docker_host)

    def running(self, environment: str = "dev") -> dict[str, str]:
        """Return what the engine runs: the version of the image of each service's running container."""
        filters = {"label": f"{PROJECT_LABEL}={self.project}-{environment}"}
        versions = {image_id: version for version, image_id in self.image_ids.items()}
        found = self.client.containers.list(filters=filters, sparse=True)
        return {item.attrs["Labels"][SERVICE_LABEL]: versions[item.attrs["ImageID"]] for item in found}

    def write(self, text: str = STACK, name: str = "docker-compose.yml") -> None:
        (self.folder / "stack").mkdir(exist_ok=True)
        (self.folder / "stack" / name).write_text(text)

    def clear(self) -> None:
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
            child.communicate()
        self.children.clear()

    def remove_projects(self) -> None:
        """Remove all that runs of any environment, and what was made for it."""
        projects = {f"{self.project}-{name}" for name in ("dev", "staging", "prod")}

        def is_ours(labels: dict[str, str] | None) -> bool:
            return (labels or {}).get(PROJECT_LABEL) in projects

        for container in self.client.containers.list(all=True, sparse=True):
            if is_ours(container.attrs["Labels"]):
                container.remove(force=True, v=True)
        for made in (*self.client.networks.list(), *self.client.volumes.list()):
            if is_ours(made.attrs["Labels"]):
                made.remove()
        self.client.close()

    def _start(self, command: list[str], environ: dict[str, str]) -> subprocess.Popen[str]:
        environment = self.environ(**environ)
        preloaded = command[1] == "-m" and can_be_preloaded(environment)
        start = PreloadedPopen if preloaded else subprocess.Popen
        child = start(
            command[2:] if preloaded else command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.children.append(child)
        return child


def wait_for_line(child: subprocess.Popen[str], text: str) -> str:
    """Read stdout up to a line that has these words."""
    assert child.stdout is not None
    seen = ""
    for line in child.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} was not said:\n{seen}\n{child.stderr.read() if child.stderr else ''}")


@pytest.fixture
def dry_line(tmp_path: Path) -> Iterator[CommandLine]:
    """Give a command line whose engine is unavailable: for everything that needs none."""
    line = CommandLine(tmp_path, f"unix://{tmp_path}/none.sock", "nothing")
    line.write()
    yield line
    line.clear()


@pytest.fixture(scope="session")
def sample_images(sample_image: Callable[..., str]) -> dict[str, str]:
    """Make a good v1 and v2, a v3 that exits at once, and a v4 that is never healthy (which takes 20 s to tell)."""
    return {
        "v1": sample_image(f"{REPOSITORY}:v1", version="v1"),
        "v2": sample_image(f"{REPOSITORY}:v2", version="v2"),
        "v3": sample_image(f"{REPOSITORY}:v3", version="v3", behaviour="exits"),
        "v4": sample_image(f"{REPOSITORY}:v4", version="v4", behaviour="unhealthy"),
    }


@pytest.fixture
def line(tmp_path: Path, docker_host: str, sample_images: dict[str, str]) -> Iterator[CommandLine]:
    """Give a command line with an engine and a stack of its own, and clear away what it ran."""
    line = CommandLine(tmp_path, docker_host, f"commands-{secrets.token_hex(3)}", sample_images)
    line.write()
    yield line
    line.clear()
    line.remove_projects()


@pytest.fixture(scope="module")
def standing(
    tmp_path_factory: pytest.TempPathFactory, docker_host: str, sample_images: dict[str, str]
) -> Iterator[CommandLine]:
    """Give a command line that all tests of a file share."""
    line = CommandLine(tmp_path_factory.mktemp("line"), docker_host, f"commands-{secrets.token_hex(3)}", sample_images)
    yield line
    line.clear()
    line.remove_projects()


@pytest.fixture
def on_v1(standing: CommandLine) -> Iterator[CommandLine]:
    """Give the shared command line where v1 runs: for what only looks, and for what ends where it began."""
    standing.write()
    if standing.running() != {"database": "v1", "web": "v1"}:
        assert standing.run("deploy", "dev", "v1").returncode == 0
    yield standing
    standing.clear()
