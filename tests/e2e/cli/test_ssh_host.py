"""Commands for a stack on another host, of which the settings alone know the key: Docker's own programs use it, too."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.private_registry import PASSWORD, USER, private_registry
from testbed.ssh_server import SshServer, ssh_server
from tests.e2e.cli.conftest import SECONDS, CommandLine, wait_for_line
from tests.integration.packages import packages_or_skip

pytestmark = pytest.mark.engine
COMPOSE = ("compose", "dev", "--")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    folder = tmp_path_factory.mktemp("host")
    with packages_or_skip(), ssh_server(folder / "ssh", "restrict,port-forwarding") as running:
        yield running


@pytest.fixture
def remote(line: CommandLine, server: SshServer) -> CommandLine:
    """Give a command line whose engine is reached by ssh."""
    known = line.folder / "known_hosts"
    known.write_text(server.known_hosts)
    access = {"DOCKER_KEY_FILE": str(server.key), "DOCKER_KNOWN_HOSTS_FILE": str(known), "HOME": str(line.folder)}
    address = f"{server.url}{line.docker_host.removeprefix('unix://')}"
    return replace(line, variables={**line.variables, **access, "DOCKER_HOST": address})


def test_commands_reach_a_host_as_the_bot_does(remote: CommandLine, server: SshServer) -> None:
    """A stack is deployed and examined, and Compose answers with its own exit codes, a connection for each command."""
    assert remote.run("deploy", "dev", "v1").returncode == 0
    assert remote.running() == {"database": "v1", "web": "v1"}
    assert remote.run("doctor", "dev").returncode == 0
    assert "database" in remote.run("logs", "dev", "database").stdout + remote.run("status", "dev").stdout
    before = server.logins
    listed = remote.run(*COMPOSE, "ps", "--format", "json")
    assert listed.returncode == 0, listed.stderr
    assert {json.loads(text)["Service"] for text in listed.stdout.splitlines()} == {"database", "web"}
    assert server.logins - before == 1
    assert remote.run(*COMPOSE, "exec", "-T", "web", "sh", "-c", "exit 7").returncode == 7
    many = remote.run(*COMPOSE, "exec", "-T", "web", "sh", "-c", "seq 1 20000")
    assert many.stdout.split() == [str(number) for number in range(1, 20001)]


def test_compose_on_a_host_ends_by_signal(remote: CommandLine) -> None:
    assert remote.run("deploy", "dev", "v1").returncode == 0
    following = remote.start(*COMPOSE, "exec", "-T", "web", "sh", "-c", "echo begun; sleep 1000")
    wait_for_line(following, "begun")
    following.send_signal(signal.SIGTERM)
    assert following.wait(SECONDS) in {128 + signal.SIGTERM, 130}


def test_host_that_is_away_is_named(remote: CommandLine) -> None:
    assert remote.run("deploy", "dev", "v1").returncode == 0
    ended = remote.run(*COMPOSE, "ps", DOCKER_HOST="ssh://root@127.0.0.1:1")
    assert ended.returncode == 69
    assert "The engine at ssh://root@127.0.0.1:1 does not answer (connection refused)." in ended.stderr


def test_login_is_checked_by_the_engine_of_the_host(remote: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "docker"
    with private_registry(tmp_path / "registry") as registry:
        typed = [sys.executable, "-m", "roas", "login", registry.address, "-u", USER]
        environ = remote.environ(DOCKER_CONFIG=str(folder))
        ended = subprocess.run(
            typed, input=PASSWORD, env=environ, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        assert ended.returncode == 0, ended.stderr
        assert registry.address in json.loads((folder / "config.json").read_text())["auths"]


def test_init_asks_the_engine_of_the_host(remote: CommandLine) -> None:
    folder = remote.folder / "app"
    folder.mkdir()
    (folder / "compose.yaml").write_text("services: {web: {image: none}}\n")
    ended = remote.run("init", str(folder), "--config", str(remote.folder / "roas.toml"))
    assert ended.stdout.startswith("Wrote "), ended.stderr
    assert "The engine at" not in ended.stdout + ended.stderr
