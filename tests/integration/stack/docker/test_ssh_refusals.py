"""What keeps a bot from an engine over ssh is said by name, and asked about no oftener than sshd bears."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from roas.errors import EngineError, EngineUnavailableError
from roas.models.environment import Environment, SshAccess
from roas.stack.compose.runner import ComposeRunner
from roas.stack.docker import ssh_host
from roas.stack.docker.engine import EngineClients
from roas.stack.machine.probe import DockerProbe
from testbed.ssh_hosts import RemoteHost, SshHosts
from testbed.ssh_server import STRANGER, SshServer, make_key, ssh_server
from testbed.stopping import stop_process
from testbed.waiting import wait_until
from tests.integration.packages import packages_or_skip

pytestmark = pytest.mark.engine
AT_ONCE = 12


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    """A server of the test's own: one that was asked too often shuts its address out."""
    with ssh_server(tmp_path / "ssh", "restrict,port-forwarding") as running:
        yield running


@pytest.fixture
def there(environment: Environment, server: SshServer, tmp_path: Path) -> Environment:
    """Reach the session's engine by ssh."""
    known = tmp_path / "known_hosts"
    known.write_text(server.known_hosts)
    return replace(environment, docker_host=address(server, environment), ssh=SshAccess(server.key, known))


def address(server: SshServer, environment: Environment) -> str:
    assert environment.docker_host is not None
    return f"{server.url}{environment.docker_host.removeprefix('unix://')}"


@pytest.fixture
async def clients() -> AsyncIterator[EngineClients]:
    made = EngineClients()
    yield made
    await made.close()


async def asked(clients: EngineClients, environment: Environment) -> str:
    """Return what came of a question: the fault with its hint, or nothing."""
    try:
        await clients.of(environment).call(lambda client: client.version())
    except EngineUnavailableError as error:
        return f"{error.message}\n{error.hint}"
    return ""


async def test_all_who_ask_a_silent_host_wait_for_one_attempt(
    clients: EngineClients, there: Environment, server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its listener is stopped: the kernel takes connections, and nobody answers; it goes on, and all are answered."""
    monkeypatch.setattr(ssh_host, "CONNECT_SECONDS", 2)
    stop_process(server.process)
    try:
        begun = time.monotonic()
        told = await asyncio.gather(*(asked(clients, there) for _ in range(AT_ONCE)))
        assert time.monotonic() - begun < AT_ONCE * ssh_host.CONNECT_SECONDS / 2
        assert all("does not answer (connection timed out)" in text for text in told), told
    finally:
        os.kill(server.process, signal.SIGCONT)
    assert await asyncio.gather(*(asked(clients, there) for _ in range(AT_ONCE))) == [""] * AT_ONCE


async def test_refused_login_does_not_shut_the_bot_out(
    clients: EngineClients, there: Environment, server: SshServer, tmp_path: Path
) -> None:
    """However often it is asked, it is refused once, says so, and works as soon as the key is right."""
    key = tmp_path / "bot_key"
    key.write_text(make_key(tmp_path / "other").read_text())
    key.chmod(0o600)
    wrong = replace(there, ssh=replace(there.ssh, key_file=key))
    for _ in range(AT_ONCE):
        told = await asked(clients, wrong)
        assert "Permission denied" in told
        assert "`docker_key_file`" in told
    assert server.connections == 1
    key.write_text(server.key.read_text())
    assert await asked(clients, wrong) == ""


async def test_key_that_the_host_takes_later_is_tried_again(
    clients: EngineClients, there: Environment, server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_host, "LOGIN_RETRY_SECONDS", 0.5)
    other = make_key(tmp_path / "other")
    wrong = replace(there, ssh=replace(there.ssh, key_file=other))
    assert "Permission denied" in await asked(clients, wrong)
    accepted = server.log.parent / "authorized_keys"
    accepted.write_text(f"{accepted.read_text()}\nrestrict,port-forwarding {other.with_suffix('.pub').read_text()}")
    async with asyncio.timeout(10):
        while await asked(clients, wrong):
            pass


async def test_changed_host_key_is_asked_about_once(
    clients: EngineClients, there: Environment, server: SshServer, tmp_path: Path
) -> None:
    known = there.ssh.known_hosts_file
    assert known is not None
    known.write_text(f"{server.known_hosts.split()[0]} {make_key(tmp_path / 'k').with_suffix('.pub').read_text()}")
    for _ in range(AT_ONCE):
        assert "Host key is not trusted" in await asked(clients, there)
    assert server.connections == 1
    known.write_text(server.known_hosts)
    assert await asked(clients, there) == ""


async def test_key_with_a_passphrase_says_so(clients: EngineClients, there: Environment, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(locked)], check=True)
    told = await asked(clients, replace(there, ssh=replace(there.ssh, key_file=locked)))
    assert "Passphrase" in told
    assert "Name a key without a passphrase by `docker_key_file`" in told
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "secret", "-N", "", "-f", str(locked)], check=True)
    assert "Permission denied" in await asked(clients, replace(there, ssh=replace(there.ssh, key_file=locked)))


async def test_key_in_an_agent_is_used(
    clients: EngineClients, there: Environment, server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the way for a key with a passphrase: the setting is left out."""
    agent = tmp_path / "agent"
    monkeypatch.setenv("HOME", str(tmp_path))
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(agent)], stdout=subprocess.DEVNULL)
    try:
        assert wait_until(agent.exists, 20)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        subprocess.run(["ssh-add", "-q", str(server.key)], check=True, timeout=20)
        assert await asked(clients, replace(there, ssh=replace(there.ssh, key_file=None))) == ""
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("content", [None, "rubbish\n", ""])
async def test_unusable_known_hosts_are_named(
    clients: EngineClients, there: Environment, server: SshServer, tmp_path: Path, content: str | None
) -> None:
    known = tmp_path / "other_known_hosts"
    if content is not None:
        known.write_text(content)
    hosts = replace(there, ssh=replace(there.ssh, known_hosts_file=known))
    assert "put it into `docker_known_hosts_file`" in await asked(clients, hosts)
    known.write_text(server.known_hosts)
    assert await asked(clients, hosts) == ""


async def test_user_without_docker_is_told_so(clients: EngineClients, there: Environment, server: SshServer) -> None:
    """The host lets the user in, and not to the socket; a socket that is not there looks the same from here."""
    assert there.docker_host is not None
    before = server.logins
    stranger = replace(there, docker_host=there.docker_host.replace("root@", f"{STRANGER}@"))
    nowhere = replace(there, docker_host=f"{server.url}/nowhere/docker.sock")
    for environment, path in ((stranger, "/docker.sock there."), (nowhere, "/nowhere/docker.sock there.")):
        for _ in range(AT_ONCE):
            told = await asked(clients, environment)
            assert path in told
            assert "that this user may use its socket (group docker)" in told
    assert server.logins - before == 2


async def test_compose_says_its_version_while_the_host_is_away(
    clients: EngineClients, there: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither that nor to hash a model takes an engine: it must not fail the check of Compose, too."""
    monkeypatch.setattr(ComposeRunner, "_versions", {})
    away = replace(there, docker_host="ssh://root@127.0.0.1:1")
    probe = DockerProbe(clients.of(away), ComposeRunner("test", clients=clients))
    assert re.match(r"v?2\.", await probe.compose_version())


async def test_compose_speaks_no_tls_on_a_socket_of_this_machine(
    clients: EngineClients, environment: Environment, there: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables for TLS are of the process; another environment may be here, or be reached by ssh."""
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    runner = ComposeRunner("test", clients=clients)
    for reached in (environment, there):
        listed = await runner.run(("ls", "--format", "json"), reached)
        assert listed.stdout.startswith("[")


async def test_too_long_place_for_a_socket_is_named(
    clients: EngineClients, there: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no fault of the host; nothing is left of the attempts."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    for _ in range(2):
        with pytest.raises(EngineError, match="The path of TMPDIR is too long for a socket"):
            await clients.of(there).call(lambda client: client.version())
    assert list(long.iterdir()) == []
    monkeypatch.undo()
    assert await asked(clients, there) == ""


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ({}, "Set USER and HOME"),
        ({"HOME": "/"}, "Set USER and HOME"),
        ({"USER": "bot"}, "Set USER and HOME"),
        ({"USER": "bot", "HOME": "/"}, "connection refused"),
    ],
)
def test_user_without_a_name_is_told_to_set_one(tmp_path: Path, name: dict[str, str], told: str) -> None:
    """A container is run as any user, of whom its `/etc/passwd` knows nothing."""
    program = (
        "import asyncio\n"
        "from roas.errors import RoasError\n"
        "from roas.models.environment import SshAccess\n"
        "from roas.stack.docker.ssh_host import SshHost\n"
        "import asyncssh, os\n"
        "os.setuid(4998)\n"
        "try: asyncio.run(SshHost('ssh://root@127.0.0.1:1', SshAccess()).socket())\n"
        "except RoasError as error: print(error.message, error.hint)\n"
    )
    environ = {"TMPDIR": "/tmp", "PYTHONPATH": str(Path.cwd()), **name}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert told in ended.stdout, ended.stderr


async def test_host_that_forbids_forwarding_is_told_so(environment: Environment, tmp_path: Path) -> None:
    clients = EngineClients()
    with ssh_server(tmp_path / "strict", "restrict") as server:
        known = tmp_path / "strict_known_hosts"
        known.write_text(server.known_hosts)
        access = SshAccess(server.key, known)
        told = await asked(clients, replace(environment, docker_host=address(server, environment), ssh=access))
        assert "sshd lets the key forward it (`port-forwarding`" in told
        await clients.close()


async def test_address_that_is_shut_out_is_told_of_the_host_s_log(
    clients: EngineClients, there: Environment, server: SshServer, tmp_path: Path
) -> None:
    """Others of this address fail to log in: sshd closes all connections from it, with the right key, too."""
    other, known = make_key(tmp_path / "other"), there.ssh.known_hosts_file
    login = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", str(other)]
    for _ in range(5):
        subprocess.run([*login, "-o", f"UserKnownHostsFile={known}", server.url], capture_output=True, check=False)
    told = await asked(clients, there)
    assert "(`PerSourcePenalties`)" in told


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHosts]:
    with packages_or_skip(), SshHosts(tmp_path_factory.mktemp("hosts"), hosts=1) as made:
        yield made


def of(host: RemoteHost, hosts: SshHosts) -> Environment:
    access = SshAccess(hosts.key, hosts.known_hosts)
    return Environment("dev", "p", Path(), (), docker_host=host.url, ssh=access)


async def test_stopped_engine_costs_no_login(clients: EngineClients, hosts: SshHosts) -> None:
    """The connection is kept while Docker is away over there, and the engine answers as soon as it is back."""
    (host,) = hosts.hosts
    assert await asked(clients, of(host, hosts)) == ""
    before = host.ssh.logins
    host.stop_engine()
    for _ in range(AT_ONCE):
        told = await asked(clients, of(host, hosts))
        assert "does not answer" in told
        assert "RemoteDisconnected" not in told
    host.start_engine()
    assert await asked(clients, of(host, hosts)) == ""
    assert host.ssh.logins == before
