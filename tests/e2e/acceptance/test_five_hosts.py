"""One bot and five hosts by ssh: what it holds does not grow, and a host that is lost harms no other."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from roas.app.application import open_application
from roas.metrics.bot_metrics import Metrics
from roas.models.deployment import Deployment, Outcome
from roas.stack.docker.engine import ACTING_THREADS, ASKING_THREADS
from testbed.compose_labels import PROJECT_LABEL
from testbed.ssh_hosts import RemoteHost, SshHosts
from tests.e2e.acceptance.hosts import VERSIONS, Fleet, held, with_images
from tests.e2e.acceptance.people import People
from tests.e2e.acceptance.stack import alone
from tests.integration.packages import packages_or_skip

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
HOSTS = 5
# The SDK keeps as many connections to an engine as it has threads, and each is a file at both of its ends here.
FILES_OF_A_HOST = 2 * (ASKING_THREADS + ACTING_THREADS)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHosts]:
    with packages_or_skip(), SshHosts(tmp_path_factory.mktemp("hosts"), HOSTS, prepare=with_images) as made:
        yield made


@pytest.fixture
def fleet(hosts: SshHosts, tmp_path: Path) -> Iterator[Fleet]:
    with ExitStack() as closing:
        clients = {host.hostname: host.client() for host in hosts.hosts}
        for client in clients.values():
            closing.callback(client.close)
        made = Fleet(hosts, tmp_path, clients, f"fleet{secrets.token_hex(3)}")
        made.stack("host1").write({f"web{number}": alone(restart="unless-stopped") for number in range(3)})
        yield made
        for name in made.names:
            made.stack(name).clear()


@pytest.fixture
async def people(fleet: Fleet) -> AsyncIterator[People]:
    async with open_application(fleet.settings(), metrics=Metrics("test")) as opened:
        yield People(opened)


async def to_all(people: People, fleet: Fleet, version: str) -> list[Deployment]:
    """Deploy a version to all hosts at the same time."""
    return await asyncio.gather(*(people.deploy(version, name) for name in fleet.names))


@pytest.mark.long
@pytest.mark.parametrize("rounds", [3, 40])
async def test_what_is_held_does_not_grow(people: People, fleet: Fleet, hosts: SshHosts, rounds: int) -> None:
    """Five deployments at a time, 200 in the long run: one login for each host, and no more files than at first."""
    seen = [held(hosts)]  # the bot has looked at each of them already
    for number in range(rounds):
        ended = await to_all(people, fleet, VERSIONS[number % 2])
        assert [deployment.outcome for deployment in ended] == [Outcome.SUCCEEDED] * HOSTS
        seen.append(held(hosts))
        print(number, seen[-1], file=sys.stderr)
    opened, first, *_, last = seen
    assert (last.logins, last.dropped) == (opened.logins, 0)
    assert last.servers == first.servers
    assert last.children <= first.children
    assert last.threads <= first.threads + 5
    assert last.files <= opened.files + FILES_OF_A_HOST * HOSTS
    assert {version for name in fleet.names for version in fleet.version(name)} == {VERSIONS[(rounds - 1) % 2]}


@pytest.mark.long
@pytest.mark.parametrize(
    ("lose", "bring"),
    [
        (RemoteHost.lose, RemoteHost.start),
        (RemoteHost.pause, RemoteHost.resume),
        (RemoteHost.cut_off, RemoteHost.connect),
    ],
    ids=["killed", "stalled", "cut off"],
)
async def test_host_lost_in_a_deployment_harms_no_other(
    people: People, fleet: Fleet, lose: Callable[[RemoteHost], None], bring: Callable[[RemoteHost], None]
) -> None:
    """The others are deployed meanwhile; once it is back, its deployment ends on one of the two versions."""
    await to_all(people, fleet, "v1")
    lost = fleet.host("host1")
    own = {"event": "create", "label": f"{PROJECT_LABEL}={fleet.stack('host1').project('host1')}"}
    creating = fleet.clients["host1"].events(decode=True, filters=own)
    deploying = asyncio.create_task(people.deploy("v2", "host1"))
    await asyncio.to_thread(next, creating)
    creating.close()
    await asyncio.to_thread(lose, lost)
    try:
        others = await asyncio.gather(*(people.deploy("v2", name) for name in fleet.names if name != "host1"))
        assert [deployment.outcome for deployment in others] == [Outcome.SUCCEEDED] * (HOSTS - 1)
    finally:
        await asyncio.to_thread(bring, lost)
    ended = await deploying
    assert ended.outcome in {Outcome.SUCCEEDED, Outcome.ROLLED_BACK}, ended.problem
    wanted = "v2" if ended.outcome is Outcome.SUCCEEDED else "v1"
    assert fleet.version("host1") == {wanted}
    assert (await people.deploy("v2", "host1")).outcome is Outcome.SUCCEEDED
    assert fleet.version("host1") == {"v2"}
