"""Managers of a Swarm by ssh and by TLS: one is lost in the middle of a deployment, and it goes on the other way."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.private_registry import PrivateRegistry
from testbed.ssh_server import Place, SshServer, make_key, ssh_server
from testbed.swarm import Swarm, SwarmNode
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import StackView
from testbed.tls_files import make_tls_files
from tests.e2e.cli.conftest import wait_for_line
from tests.e2e.stack.swarm.many_managers import ManyManagersLine, line_by
from tests.integration.packages import packages_or_skip

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(500)]


@dataclass(frozen=True)
class Managers:
    """Know how each manager is reached: all by TLS and by ssh."""

    swarm: Swarm
    servers: tuple[SshServer, ...]
    key: Path
    known_hosts: Path

    def lose(self, number: int) -> SwarmNode:
        """Kill the server, its connections and the engine of a manager."""
        for process in self.servers[number].processes():
            os.kill(process, signal.SIGKILL)
        node = self.swarm.nodes[number]
        node.stop(kill=True)
        return node

    def address(self, number: int, way: str) -> str:
        """Return the address of a manager by a way."""
        return self.servers[number].url if way == "ssh" else self.swarm.nodes[number].tls_host


@pytest.fixture
def managers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managers]:
    folder = tmp_path_factory.mktemp("remote")
    key = make_key(folder / "key")
    with (
        packages_or_skip(),
        Swarm(folder / "swarm", managers=3, heartbeat_seconds=1, tls=True) as swarm,
        ExitStack() as serving,
    ):
        servers = []
        for node in swarm.nodes:
            place = Place(node.address, node.namespace, node.run_folder / "docker.sock")
            run = ssh_server(folder / node.hostname, "restrict,port-forwarding", place, key)
            servers.append(serving.enter_context(run))
        known = folder / "known_hosts"
        known.write_text("".join(server.known_hosts for server in servers))
        yield Managers(swarm, tuple(servers), key, known)


@pytest.fixture
def versions(managers: Managers, tmp_path: Path) -> Iterator[PrivateRegistry]:
    with swarm_registry(managers.swarm, tmp_path / "registry", healthy(["v1", "v2"])) as made:
        yield made


def line_of(managers: Managers, versions: PrivateRegistry, folder: Path, *ways: str) -> ManyManagersLine:
    """Give a command line that reaches the managers by these ways, in their order."""
    line = line_by([managers.address(number, way) for number, way in enumerate(ways)], versions, folder)
    line.variables = {
        "DOCKER_KEY_FILE": str(managers.key),
        "DOCKER_KNOWN_HOSTS_FILE": str(managers.known_hosts),
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(managers.swarm.tls_files),
    }
    return line


@pytest.mark.parametrize("ways", [("ssh", "tls", "ssh"), ("tls", "ssh", "tls")], ids="-".join)
def test_deployment_goes_on_the_other_way(
    managers: Managers, versions: PrivateRegistry, tmp_path: Path, ways: tuple[str, ...]
) -> None:
    line = line_of(managers, versions, tmp_path, *ways)
    deployed = line.run("deploy", "dev", "v1")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    going = line.start("deploy", "dev", "v2")
    wait_for_line(going, "execution      in progress")
    managers.lose(0)
    out, err = going.communicate(timeout=300)
    assert going.returncode == 0, out + err
    doctor = " ".join(line.run("doctor", "dev").stdout.split())
    assert f"The manager at {line.docker_host} does not answer" in doctor, doctor
    assert "Compose" not in "".join(text for text in doctor.split("✗")[1:]), doctor
    view = StackView(managers.swarm, line.stack_name)
    assert "v2" in view.inside("web", "/version")
    line.clear()


def test_wrong_certificate_and_wrong_host_key_are_named(
    managers: Managers, versions: PrivateRegistry, tmp_path: Path
) -> None:
    """With neither of the managers trusted, nothing is asked of them; each is named with what to correct."""
    line = line_of(managers, versions, tmp_path, "tls", "ssh", "ssh")
    line.variables["COLUMNS"] = "400"
    addresses = [node.address for node in managers.swarm.nodes]
    other = make_tls_files(tmp_path / "other-tls", addresses)
    known = tmp_path / "other_known_hosts"
    strange = make_key(tmp_path / "strange").with_suffix(".pub").read_text()
    known.write_text("".join(f"{address} {strange}" for address in addresses))
    by_tls = line.run("doctor", "dev", DOCKER_CERT_PATH=str(other), ENVIRONMENTS__DEV__MANAGERS="[]")
    said = " ".join((by_tls.stdout + by_tls.stderr).split())
    assert "certificate verify failed" in said
    assert "DOCKER_CERT_PATH" in said
    half = make_tls_files(tmp_path / "half-tls", addresses)
    assert managers.swarm.tls_files is not None
    (half / "ca.pem").write_text((managers.swarm.tls_files / "ca.pem").read_text())
    by_tls = line.run("doctor", "dev", DOCKER_CERT_PATH=str(half), ENVIRONMENTS__DEV__MANAGERS="[]")
    said = " ".join((by_tls.stdout + by_tls.stderr).split())
    assert "alert" in said
    assert "DOCKER_CERT_PATH" in said
    by_ssh = line.run(
        "doctor",
        "dev",
        DOCKER_HOST=managers.address(1, "ssh"),
        DOCKER_KNOWN_HOSTS_FILE=str(known),
        ENVIRONMENTS__DEV__MANAGERS="[]",
    )
    said = " ".join((by_ssh.stdout + by_ssh.stderr).split())
    assert "Host key is not trusted" in said
    assert "`docker_known_hosts_file`" in said
