"""Advice is followed, word by word, until what was refused is deployed: no advice leads to another refusal of it."""

import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cli.conftest import HEALTH_CHECK, REPOSITORY, CommandLine

# What has to be read, as a person would: where the variable goes, which lines are added, which command is typed.
SET_VARIABLE = re.compile(r"Set (?P<name>[A-Z_]+) in (?P<place>.+?)\.$", re.MULTILINE)
GRANT = re.compile(r"--grant '(?P<power>[^']+)'")
MOST_ROUNDS = 8


class Scene:
    """Hold a stack that a person corrects as they are told."""

    def __init__(self, line: CommandLine, web: dict[str, Any], **others: Any) -> None:
        self.line = line
        self.version = "v1"
        self.options: tuple[str, ...] = ()
        self.web = {
            "image": f"{REPOSITORY}:${{VERSION:-v1}}",
            "network_mode": "none",
            "stop_grace_period": "1s",
            "healthcheck": yaml.safe_load(HEALTH_CHECK),
        } | web
        self.stack: dict[str, Any] = {"services": {"web": self.web}, **others}
        self.write()

    @property
    def folder(self) -> Path:
        return self.line.folder / "stack"

    def write(self) -> None:
        self.line.write(yaml.safe_dump(self.stack, sort_keys=False))

    def drop(self, key: str) -> None:
        self.web.pop(key)
        self.write()

    def follow(self, advice: str) -> bool:
        """Do what can be read out of the advice itself; returns whether there was any."""
        if (found := SET_VARIABLE.search(advice)) is not None:
            with (self.folder / ".env").open("a") as file:
                file.write(f"{found['name']}=given\n")
            return True
        if (found := GRANT.search(advice)) is not None:
            self.options += ("--grant", found["power"])
            return True
        return False


Correct = Callable[[Scene], None]


def right_version(scene: Scene) -> None:
    scene.version = "v1"


@pytest.mark.parametrize(
    ("web", "version", "advice", "correct"),
    [
        pytest.param(
            {"environment": {"GREETING": "${GREETING:?say it}"}}, "v1", "Set GREETING in", None, id="variable"
        ),
        pytest.param({"privileged": True}, "v1", "--grant", None, id="power"),
        pytest.param(
            {"privileged": True},
            "v1",
            "--grant",
            lambda scene: scene.drop("privileged"),
            id="without power",
            marks=pytest.mark.long,
        ),
        pytest.param({}, "v99", "the version", right_version, id="image"),
        pytest.param({"imagee": "x"}, "v1", "", lambda scene: scene.drop("imagee"), id="key", marks=pytest.mark.long),
        pytest.param({"depends_on": ["web"]}, "v1", "cycle", lambda scene: scene.drop("depends_on"), id="cycle"),
        pytest.param(
            {"depends_on": ["wbe"]},
            "v1",
            "",
            lambda scene: scene.drop("depends_on"),
            id="dependency",
            marks=pytest.mark.long,
        ),
    ],
)
def test_advice_is_followed_until_it_deploys(
    line: CommandLine, web: dict[str, Any], version: str, advice: str, correct: Correct | None
) -> None:
    scene = Scene(line, web)
    scene.version = version
    heard = []
    for _ in range(MOST_ROUNDS):
        ended = line.run("deploy", "dev", scene.version, *scene.options)
        if ended.returncode == 0:
            break
        heard.append(ended.stdout + ended.stderr)
        assert advice in heard[0], heard[0]
        if correct is not None:
            correct(scene)
            correct = None
            continue
        told = "\n".join(text.strip(" →") for text in heard[0].splitlines())
        assert scene.follow(told), f"nothing to do is told:\n{told}"
    else:
        pytest.fail("\n---\n".join(heard))
    assert len(heard) == 1, "\n---\n".join(heard)
    assert line.running() == {"web": "v1"}


def test_port_that_a_process_holds_is_freed_as_told(line: CommandLine) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        scene = Scene(line, {"ports": [f"127.0.0.1:{port}:8080"]})
        scene.drop("network_mode")
        refused = line.run("deploy", "dev", "v1")
        assert refused.returncode != 0
        assert f"ss -lptn 'sport = :{port}'" in refused.stderr
    assert line.run("deploy", "dev", "v1").returncode == 0


def test_file_that_is_not_there_is_written_as_told(line: CommandLine) -> None:
    scene = Scene(line, {})
    (scene.folder / "docker-compose.yml").unlink()
    refused = line.run("deploy", "dev", "v1")
    assert refused.returncode != 0
    assert "STACK_DIR" in refused.stderr
    assert line.run("deploy", "dev", "v1", STACK_DIR=str(line.folder / "elsewhere")).returncode != 0
    scene.write()
    assert line.run("deploy", "dev", "v1").returncode == 0
