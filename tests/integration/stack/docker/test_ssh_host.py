"""The engine of another host, by a real OpenSSH server: one connection, kept, made again, refused where it must be."""

import asyncio
import os
import shutil
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from roas.errors import EngineError, EngineUnavailableError
from roas.models.environment import Environment, SshAccess
from roas.stack.docker.engine import EngineClients
from roas.stack.docker.sdk import EngineClient
from testbed.ssh_server import SshServer, make_key, ssh_server

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """A host whose key may forward, and do nothing else."""
    with ssh_server(tmp_path_factory.mktemp("host") / "ssh", "restrict,port-forwarding") as running:
        yield running


@pytest.fixture
def there(environment: Environment, server: SshServer, tmp_path: Path) -> Environment:
    """Reach the session's engine by ssh."""
    known = tmp_path / "known_hosts"
    known.write_text(server.known_hosts)
    return on_host(environment, server, SshAccess(server.key, known))


def on_host(environment: Environment, server: SshServer, access: SshAccess, socket: str | None = None) -> Environment:
    assert environment.docker_host is not None
    path = environment.docker_host.removeprefix("unix://") if socket is None else socket
    return replace(environment, docker_host=f"{server.url}{path}", ssh=access)


@pytest.fixture
async def clients() -> AsyncIterator[EngineClients]:
    """What asks engines."""
    made = EngineClients()
    yield made
    await made.close()


async def test_many_questions_take_one_connection(clients, there, server):
    before, engine = server.logins, clients.of(there)
    names = await asyncio.gather(*(engine.call(lambda client: client.info()["Name"]) for _ in range(60)))
    other = clients.of(replace(there, name="other", project="other"))
    names += await asyncio.gather(*(other.call(lambda client: client.info()["Name"]) for _ in range(20)))
    assert len(set(names)) == 1
    assert server.logins - before == 1, "also for another environment on that host"


@pytest.mark.parametrize("fault", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.long)])
async def test_lost_connection_is_an_engine_away_then_made_again(clients, there, server, fault):
    before, engine = server.logins, clients.of(there)
    await engine.call(lambda client: client.version())
    begun = threading.Event()

    def read(client: EngineClient) -> list[object]:
        stream = client.events()
        begun.set()
        return list(stream)

    reading = asyncio.create_task(engine.act(read))
    await asyncio.to_thread(begun.wait, 20)
    lost = server.sessions()
    for session in lost:
        os.kill(session, fault)
    async with asyncio.timeout(40):
        with suppress(EngineUnavailableError):
            await reading  # it ends, whichever way
        while True:  # the first question may still meet what is being closed
            try:
                await engine.call(lambda client: client.version())
                break
            except EngineUnavailableError:
                continue
    assert server.logins - before == 2
    if fault is signal.SIGSTOP:
        for session in lost:
            os.kill(session, signal.SIGKILL)


@pytest.mark.parametrize("remove", [Path.unlink, lambda socket: shutil.rmtree(socket.parent)])
async def test_socket_that_was_cleared_away_is_made_again(clients, there, remove):
    """Else no question that takes another connection to the socket would be answered until the bot is started again."""
    engine = clients.of(there)
    for _ in range(2):
        socket = Path((await engine.reached()).removeprefix("unix://"))
        await engine.call(lambda client: client.version())
        remove(socket)
    await asyncio.gather(*(engine.call(lambda client: client.version()) for _ in range(20)))
    assert socket.parent.stat().st_mode & 0o077 == 0


async def test_refusals_are_followed(clients, environment, there, server, tmp_path):
    """Each fault says what to do; done, the engine answers."""
    known, key = there.ssh.known_hosts_file, there.ssh.key_file
    assert known is not None
    right = known.read_text()
    known.write_text(f"{right.split()[0]} {make_key(tmp_path / 'k').with_suffix('.pub').read_text()}")
    await refused(clients, there, "Host key is not trusted", "`docker_known_hosts_file`")
    known.write_text(right)
    other = make_key(tmp_path / "other")
    await refused(clients, replace(there, ssh=SshAccess(other, known)), "Permission denied", "`docker_key_file`")
    missing = replace(there, ssh=SshAccess(tmp_path / "missing", known))
    await refused(clients, missing, f"No such file or directory: {tmp_path / 'missing'}", "`docker_key_file`")
    assert key is not None
    key.rename(tmp_path / "missing")
    await clients.of(missing).call(lambda client: client.version())
    (tmp_path / "missing").rename(key)
    away = replace(there, docker_host="ssh://root@127.0.0.1:1/run/docker.sock")
    await refused(clients, away, "does not answer (connection refused)", "Check by ssh that the host answers")
    await clients.of(there).call(lambda client: client.version())


async def refused(clients: EngineClients, environment: Environment, reason: str, hint: str) -> None:
    with pytest.raises(EngineUnavailableError) as caught:
        await clients.of(environment).call(lambda client: client.version())
    assert reason in caught.value.message
    assert hint in (caught.value.hint or "")


async def test_without_asyncssh_it_says_what_to_install(clients, there, monkeypatch):
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(EngineError) as caught:
        await clients.of(there).call(lambda client: client.version())
    assert "pip install 'roas-bot[ssh]'" in (caught.value.hint or "")
    monkeypatch.undo()
    await clients.of(there).call(lambda client: client.version())
