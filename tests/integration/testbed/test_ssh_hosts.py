"""Hosts of the tests: each is reached by ssh, lost in several ways, and back with its key."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from roas.errors import EngineUnavailableError
from roas.models.environment import Environment, SshAccess
from roas.stack.docker.engine import EngineClients
from testbed.ssh_hosts import RemoteHost, SshHosts
from tests.integration.packages import packages_or_skip

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHosts]:
    with packages_or_skip(), SshHosts(tmp_path_factory.mktemp("hosts"), hosts=2) as made:
        yield made


@pytest.fixture
async def clients() -> AsyncIterator[EngineClients]:
    made = EngineClients()
    yield made
    await made.close()


async def name_of(clients: EngineClients, host: RemoteHost, hosts: SshHosts) -> str:
    access = SshAccess(hosts.key, hosts.known_hosts)
    environment = Environment(host.hostname, "p", Path(), (), docker_host=host.url, ssh=access)
    name: str = await clients.of(environment).call(lambda client: client.info()["Name"])
    return name


async def test_each_host_has_an_engine_of_its_own(clients: EngineClients, hosts: SshHosts) -> None:
    before = [host.ssh.logins for host in hosts.hosts]
    assert [await name_of(clients, host, hosts) for host in hosts.hosts] == ["host1", "host2"]
    assert [host.ssh.logins for host in hosts.hosts] == [number + 1 for number in before]
    assert [host.ssh.dropped for host in hosts.hosts] == [0, 0]


@pytest.mark.parametrize(
    ("lose", "bring"),
    [
        (RemoteHost.lose, RemoteHost.start),
        pytest.param(RemoteHost.pause, RemoteHost.resume, marks=pytest.mark.long),
        pytest.param(RemoteHost.cut_off, RemoteHost.connect, marks=pytest.mark.long),
    ],
)
async def test_lost_host_is_away_and_back(
    clients: EngineClients,
    hosts: SshHosts,
    lose: Callable[[RemoteHost], None],
    bring: Callable[[RemoteHost], None],
) -> None:
    host = hosts.hosts[0]
    assert await name_of(clients, host, hosts) == "host1"
    lose(host)
    with pytest.raises(EngineUnavailableError):
        await name_of(clients, host, hosts)
    assert await name_of(clients, hosts.hosts[1], hosts) == "host2"
    bring(host)
    assert await name_of(clients, host, hosts) == "host1"
