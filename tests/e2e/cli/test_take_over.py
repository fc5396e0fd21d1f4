"""The guide for taking over somebody's stack, typed word for word: the first safe deployment in five minutes."""

import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.compose_labels import PROJECT_LABEL, SERVICE_LABEL
from testbed.inherited import inherited
from testbed.preloaded import PreloadedPopen
from tests.e2e.cli.conftest import HEALTH_CHECK, REPOSITORY, ROOT, CommandLine

GUIDE = (ROOT / "docs" / "how-to" / "take-over-a-stack.md").read_text(encoding="utf-8")
MINUTES = 5
# Made by somebody who knew of no bot: a database, a job before it, and a web server with a configuration of its own.
STACK = f"""
services:
  database:
    image: {REPOSITORY}:v1
    stop_grace_period: 1s
    volumes: ["data:/data"]
    healthcheck: {HEALTH_CHECK}
  migrate:
    image: {REPOSITORY}:v1
    entrypoint: ["/bin/sh", "-c", "exit 0"]
    network_mode: none
    depends_on: {{database: {{condition: service_healthy}}}}
  web:
    image: {REPOSITORY}:${{IMMICH_VERSION:-v1}}
    stop_grace_period: 1s
    configs: [settings]
    volumes: ["./conf:/conf:ro", "/etc/localtime:/etc/localtime:ro", "${{PHOTOS}}:/photos"]
    depends_on: {{database: {{condition: service_healthy, restart: true}}}}
    healthcheck: {HEALTH_CHECK}
volumes: {{data: {{}}}}
configs: {{settings: {{content: "greeting = hello"}}}}
"""


@pytest.fixture
def folder(line: CommandLine) -> Path:
    """The folder of a stack that runs, started as anybody does; its project is one that the line clears away."""
    folder = line.folder / "immich"
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "app.conf").write_text("first\n")
    (folder / "compose.yaml").write_text(f"name: {line.project}-prod\n{STACK}")
    (folder / ".env").write_text(f"IMMICH_VERSION=v1\nPHOTOS={line.folder}/photos\n")
    up = ["docker", "compose", "up", "-d", "--wait"]
    subprocess.run(up, cwd=folder, env=person(line), check=False, capture_output=True)
    return folder


def person(line: CommandLine) -> dict[str, str]:
    """Return the environment of somebody who has set up nothing but where the bot keeps its state."""
    named = (*inherited(), "PYTHONPATH", "STATE_DIR", "DOCKER_HOST")
    return {name: value for name, value in line.environ().items() if name in named} | {"COLUMNS": "200"}


def commands(line: CommandLine, folder: Path) -> Iterator[list[str]]:
    """Yield what the guide says to type, for this stack."""
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL):
        for text in block.splitlines():
            words = text.replace("/srv/immich", str(folder)).replace("v1.130.0", "v2")
            name = f"{line.project}-prod"
            yield [name if word == "immich" else word for word in shlex.split(words)]


def containers(line: CommandLine) -> dict[str, tuple[str, str, str]]:
    """Return of each service's container its id, the time of its start and its image."""
    own = {"label": f"{PROJECT_LABEL}={line.project}-prod"}
    found = [container.attrs for container in line.client.containers.list(all=True, filters=own)]
    return {
        item["Config"]["Labels"][SERVICE_LABEL]: (item["Id"], item["State"]["StartedAt"], item["Image"])
        for item in found
    }


def test_guide_leads_to_a_safe_deployment(line: CommandLine, folder: Path, long_lane: bool) -> None:
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    before, began = containers(line), time.monotonic()
    assert len(before) == 3
    *looks, deploy = commands(line, folder)
    assert [words[1] for words in (*looks, deploy)] == ["init", "doctor", "deploy", "deploy"]
    for words in looks:
        said = typed(line, words)
        assert containers(line) == before, words
        if words[1] == "init":
            assert "IMMICH_VERSION" in said
            assert f"-prod/bind:{line.folder}/photos" in said
            assert "Nothing changes" in said
    before = taken_over_stays_with_compose(line, deploy)
    typed(line, deploy)
    assert time.monotonic() - began < MINUTES * 60
    after = containers(line)
    assert after["web"][2] == line.image_ids["v2"]
    assert {name: after[name] for name in ("database", "migrate")} == {
        name: before[name] for name in ("database", "migrate")
    }
    typed(line, ["roas", "rollback", f"{line.project}-prod"])
    again = containers(line)
    assert again["web"][2] == line.image_ids["v1"]
    assert again["database"] == before["database"]
    assert line.docker("exec", again["web"][0], "cat", "/settings", "/conf/app.conf") == "greeting = hellofirst"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files
    if long_lane:
        renamed_volume_is_named(line, folder, deploy)


def taken_over_stays_with_compose(line: CommandLine, deploy: list[str]) -> dict[str, tuple[str, str, str]]:
    """Right after the take-over, `up -d` of the adopted release recreates nothing but what binds a copied file."""
    before = containers(line)
    typed(line, [*deploy[:-1], "v1"])
    assert containers(line) == before
    typed(line, ["roas", "compose", f"{line.project}-prod", "--", "up", "-d"])
    after = containers(line)
    assert {name for name, item in after.items() if item[0] != before[name][0]} <= {"web"}
    return after


def renamed_volume_is_named(line: CommandLine, folder: Path, deploy: list[str]) -> None:
    """A database that would begin with nothing is no detail of a diff."""
    file = folder / "compose.yaml"
    text = file.read_text()
    file.write_text(text.replace('"data:/data"', '"other:/data"').replace("{data: {}}", "{other: {}}"))
    said = typed(line, [*deploy, "--dry-run"])
    project = f"{line.project}-prod"
    assert f"database mounts {project}_other at /data instead of the volume {project}_data" in said
    file.write_text(text)
    assert "instead of the volume" not in typed(line, [*deploy, "--dry-run"])


def typed(line: CommandLine, words: list[str]) -> str:
    """Type a command of the guide, and return what it says."""
    assert words[0] == "roas"
    child = PreloadedPopen(
        ["roas", *words[1:]],
        cwd=line.folder,
        env=person(line),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: str = child.communicate()[0]
    assert child.returncode == 0, f"{words}: {said}"
    return said
