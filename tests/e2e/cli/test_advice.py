"""Advice is followed, word by word, until what was refused is deployed: no advice leads to another refusal of it."""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
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
        self.variables: dict[str, str] = {}
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
        powers = GRANT.findall(advice)
        self.options += tuple(option for power in powers for option in ("--grant", power))
        return bool(powers)


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
        pytest.param({}, "v99", "the version", right_version, id="image", marks=pytest.mark.long),
        pytest.param({"imagee": "x"}, "v1", "", lambda scene: scene.drop("imagee"), id="key", marks=pytest.mark.long),
        pytest.param(
            {"depends_on": ["web"]},
            "v1",
            "cycle",
            lambda scene: scene.drop("depends_on"),
            id="cycle",
            marks=pytest.mark.long,
        ),
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


@pytest.mark.long
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


@pytest.mark.long
def test_file_that_is_not_there_is_written_as_told(line: CommandLine) -> None:
    scene = Scene(line, {})
    (scene.folder / "docker-compose.yml").unlink()
    refused = line.run("deploy", "dev", "v1")
    assert refused.returncode != 0
    assert "STACK_DIR" in refused.stderr
    assert line.run("deploy", "dev", "v1", STACK_DIR=str(line.folder / "elsewhere")).returncode != 0
    scene.write()
    assert line.run("deploy", "dev", "v1").returncode == 0


@dataclass(frozen=True)
class Hint:
    """Say what is wrong, how its hint begins, and what a person does who reads that."""

    told: str
    wrong: Callable[[Scene], object]
    right: Callable[[Scene], object]
    command: tuple[str, ...] = ("deploy", "dev", "v1")


def with_variables(**variables: str) -> Callable[[Scene], None]:
    """Return what sets variables of the command."""
    return lambda scene: scene.variables.update(variables)


def without_variables(scene: Scene) -> None:
    scene.variables.clear()


def external(kind: str) -> Callable[[Scene], None]:
    """Return what lets the service have a network or a volume that nobody has created."""

    def write(scene: Scene) -> None:
        name = f"{scene.line.project}-external"
        scene.web[f"{kind}s"] = ["there:/there"] if kind == "volume" else ["there"]
        scene.web.pop("network_mode")
        scene.stack[f"{kind}s"] = {"there": {"external": True, "name": name}}
        scene.write()

    return write


def held_name(scene: Scene) -> None:
    name = f"{scene.line.project}-held"
    scene.line.docker("create", "--name", name, f"{REPOSITORY}:v1")
    scene.web["container_name"] = name
    scene.write()


def scaled_to_none(scene: Scene) -> None:
    assert scene.line.run("deploy", "dev", "v1").returncode == 0
    assert scene.line.run("scale", "dev", "web", "0", "--yes").returncode == 0


def stopped_need(scene: Scene) -> None:
    scene.stack["services"]["store"] = {**scene.web, "image": f"{REPOSITORY}:v1"}
    scene.web["depends_on"] = ["store"]
    scene.write()
    for command in (("deploy", "dev", "v1"), ("stop", "dev", "store", "--yes")):
        assert scene.line.run(*command).returncode == 0


def on_v2(scene: Scene) -> None:
    for version in ("v1", "v2"):
        assert scene.line.run("deploy", "dev", version).returncode == 0


def looked_elsewhere(scene: Scene) -> None:
    assert scene.line.run("deploy", "dev", "v1").returncode == 0
    scene.variables["STATE_DIR"] = "/nowhere"


def locked_on_v2(scene: Scene) -> None:
    on_v2(scene)
    assert scene.line.run("lock", "dev", "--reason", "a freeze").returncode == 0


def other_variable(scene: Scene) -> None:
    scene.web["image"] = f"{REPOSITORY}:${{TAG:-v1}}"
    scene.write()


def mapped(scene: Scene) -> None:
    """Do as `roas doctor` says."""
    told = " ".join(scene.line.run("doctor", "dev").stdout.split())
    assert "Nothing in the stack follows the version that is deployed" in told
    assert 'Set `version_variables = ["TAG"]` in [environments.dev]' in told
    (scene.line.state / "roas.toml").write_text('[environments.dev]\nversion_variables = ["TAG"]\n')


def missing_build(scene: Scene) -> None:
    scene.web |= {"image": f"{scene.line.project}-built", "build": "app"}
    scene.write()


def build_made(scene: Scene) -> None:
    (scene.folder / "app").mkdir()
    (scene.folder / "app" / "Dockerfile").write_text(f"FROM {REPOSITORY}:v1\n")


def with_options(*options: str, after: Callable[[Scene], object] = Scene.write) -> Callable[[Scene], None]:
    """Return what has the command typed with options, after something else."""

    def choose(scene: Scene) -> None:
        after(scene)
        scene.options = options

    return choose


def typed(*words: str) -> Callable[[Scene], None]:
    """Return what types a command of ours or of Docker's."""

    def type_it(scene: Scene) -> None:
        filled = [word.format(name=scene.line.project) for word in words[1:]]
        if words[0] == "docker":
            scene.line.docker(*filled)
        else:
            assert scene.line.run(*filled).returncode == 0

    return type_it


NOWHERE = "127.0.0.1:1"
START, AGAIN = ("start", "dev", "web"), ("restart", "dev", "web")
CONFIRMED = ("--reason", "it is needed", "--yes")
BACK, LOOK = ("rollback", "dev"), ("history",)
HINTS = [
    Hint("Start Docker, or correct DOCKER_HOST", with_variables(DOCKER_HOST="unix:///nowhere"), without_variables),
    Hint(
        "Check DOCKER_CERT_PATH",
        with_variables(DOCKER_HOST=f"tcp://{NOWHERE}", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH="/nowhere"),
        without_variables,
    ),
    Hint(
        "Look at the redis service, or correct REDIS_URL",
        with_variables(REDIS_URL=f"redis://{NOWHERE}/0"),
        without_variables,
        ("doctor", "dev"),
    ),
    Hint(
        "Look at the prometheus service, or correct PROMETHEUS_URL",
        with_variables(PROMETHEUS_URL=f"http://{NOWHERE}"),
        without_variables,
    ),
    Hint("Set STATE_DIR to a folder that", with_variables(STATE_DIR="/proc/nowhere"), without_variables),
    Hint(
        "Create it with `docker network create",
        external("network"),
        typed("docker", "network", "create", "{name}-external"),
    ),
    Hint(
        "Create it with `docker volume create",
        external("volume"),
        typed("docker", "volume", "create", "{name}-external"),
    ),
    Hint("Remove it with `docker rm -f", held_name, typed("docker", "rm", "-f", "{name}-held")),
    Hint("Scale it: `/scale web 1`", scaled_to_none, typed("roas", "scale", "dev", "web", "1"), START),
    Hint("Start it first: `/start store`", stopped_need, typed("roas", "start", "dev", "store"), AGAIN),
    Hint("It passes with a reason", locked_on_v2, with_options("--reason", "v2 is broken"), BACK),
    Hint(
        "Choose another release (`roas releases",
        with_options("--to", "9", after=on_v2),
        with_options("--to", "1"),
        BACK,
    ),
    Hint("Look at the plan with --dry-run", Scene.write, with_options(*CONFIRMED), ("deploy", "prod", "v1")),
    Hint("Where a bot runs already, use its settings", looked_elsewhere, without_variables, LOOK),
    Hint("Nothing in the stack follows the version v2", other_variable, mapped, ("deploy", "dev", "v2")),
    Hint("Get it (`git submodule update --init`", missing_build, build_made),
    Hint(
        "Ask",
        typed("roas", "lock", "dev", "--reason", "a freeze"),
        typed("roas", "unlock", "dev"),
    ),
]


@pytest.mark.long
@pytest.mark.parametrize("hint", HINTS, ids=lambda hint: hint.told)
def test_hint_is_followed_until_it_is_not_told(line: CommandLine, hint: Hint) -> None:
    """What it names is set, or typed: after that the same command does what it was typed for."""
    scene = Scene(line, {})
    hint.wrong(scene)
    refused = line.run(*hint.command, *scene.options, **scene.variables)
    assert hint.told in " ".join((refused.stdout + refused.stderr).split()), refused
    hint.right(scene)
    for _ in range(MOST_ROUNDS):
        done = line.run(*hint.command, *scene.options, **scene.variables)
        if done.returncode == 0 or not scene.follow(done.stdout + done.stderr):
            break
    assert hint.told not in " ".join((done.stdout + done.stderr).split()), done
    assert "doctor" in hint.command or done.returncode == 0, done
