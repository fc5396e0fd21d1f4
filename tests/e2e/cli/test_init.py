"""`roas init` describes a stack that somebody else started, and changes nothing of it."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.e2e.cli.conftest import HEALTH_CHECK, REPOSITORY, CommandLine

APP = f"""
name: {{project}}
services:
  web:
    image: {REPOSITORY}:${{{{APP_TAG:-v1}}}}
    stop_grace_period: 1s
    pid: host
    healthcheck: {HEALTH_CHECK}
  migrate:
    image: {REPOSITORY}:v1
    entrypoint: ["/bin/sh", "-c", "exit 0"]
    network_mode: none
"""


@pytest.fixture
def app(line: CommandLine) -> Path:
    """A folder with a stack that runs, started by hand; its project is one that the line clears away."""
    folder = line.folder / "app"
    folder.mkdir()
    (folder / "compose.yaml").write_text(APP.format(project=f"{line.project}-prod"))
    (folder / ".env").write_text("APP_TAG=v1\n")
    environ = line.environ() | {"COMPOSE_PROJECT_NAME": ""}
    subprocess.run(["docker", "compose", "up", "-d"], cwd=folder, env=environ, check=True, capture_output=True)
    line.docker("wait", f"{line.project}-prod-migrate-1")
    return folder


def containers(line: CommandLine) -> dict[str, list[str]]:
    return {container.id: container.attrs["Names"] for container in line.client.containers.list(all=True, sparse=True)}


def test_running_stack_described_once(line: CommandLine, app: Path) -> None:
    before = containers(line)
    ended = line.run("init", str(app), "--environment", "live")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    target = line.state / "roas.toml"
    written = tomllib.loads(target.read_text())
    assert written["stack"]["environment_names"][-1] == "live"
    assert written["policy"] == {"allow": ["live/pid:web"]}
    assert written["environments"] == {
        "live": {
            "folder": str(app),
            "project_name": f"{line.project}-prod",
            "version_variables": ["APP_TAG"],
            "one_shots": ["migrate"],
        }
    }
    assert target.stat().st_mode & 0o777 == 0o600
    assert "Read what is allowed" in ended.stdout + ended.stderr
    assert "Plan for live" in ended.stdout + ended.stderr
    assert containers(line) == before
    text = target.read_bytes()
    again = line.run("init", str(app), "--environment", "live")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing was written" in again.stdout + again.stderr
    assert target.read_bytes() == text


def test_stack_that_does_not_run_is_described_by_its_file(line: CommandLine) -> None:
    """By a name that nobody looks for."""
    folder = line.folder / "other"
    folder.mkdir()
    (folder / "stack.yml").write_text(APP.format(project=f"{line.project}-other").replace("    pid: host\n", ""))
    refused = line.run("init", str(folder))
    assert (refused.returncode, "--file" in refused.stderr) == (6, True), refused.stderr
    ended = line.run("init", str(folder), "--environment", "other", "--file", "stack.yml")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    written = tomllib.loads((line.state / "roas.toml").read_text())["environments"]["other"]
    assert (written["compose_file"], written["project_name"]) == ("stack.yml", f"{line.project}-other")
