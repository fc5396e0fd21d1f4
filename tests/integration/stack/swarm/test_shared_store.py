"""What bots share as configs of a real Swarm: one of two writes wins, and what is large comes back as it was."""

import secrets
import time
from statistics import median

import pytest

from roas.stack.swarm.shared_store import SharedStore
from roas.state.manager import StateManager
from roas.state.shared.files import digest_of
from roas.state.shared.lease import LeaseHolder, SharedLease
from roas.state.shared.log import SharedLog
from roas.state.shared.objects import RefusedError, SealedObjects, StoreAwayError, TakenError, Term, file_name
from roas.state.shared.sealing import Seal
from testbed.swarm import client_of
from tests.unit.state.journal.journal_work import deploy, write

pytestmark = pytest.mark.engine


@pytest.fixture
def project(swarm):
    """Give a name of its own; what was kept under it is removed."""
    name = f"p{secrets.token_hex(4)}"
    yield name
    store = SharedStore(swarm.docker_host, name)
    for stored in store.all():
        store.remove(stored.name)
    store.close()


@pytest.fixture
def store(swarm, project):
    made = SharedStore(swarm.docker_host, project)
    yield made
    made.close()


def test_name_is_taken_once(store):
    store.create("entry.1", b"one")
    with pytest.raises(TakenError):
        store.create("entry.1", b"two")
    assert store.read("entry.1").data == b"one"
    assert store.read("entry.2") is None
    store.remove("entry.1")
    store.remove("entry.1")
    assert store.all() == ()


def test_longest_name_is_taken_and_a_longer_one_refused(swarm):
    """What is refused is never taken: nobody is to ask again until the lease is over."""
    store, name = SharedStore(swarm.docker_host, secrets.token_hex(10)), file_name(digest_of("path", b"text"), 999)
    store.create(name, b"content")
    with pytest.raises(RefusedError):
        store.create(f"{name}00", b"content")
    store.remove(name)
    store.close()


def test_older_version_is_refused(store):
    store.create("lease", b"lease")
    seen = store.read("lease")
    store.relabel(seen, {"a": "1"})
    with pytest.raises(TakenError):
        store.relabel(seen, {"a": "2"})
    assert store.read("lease").labels["a"] == "1"


def test_two_holders_take_and_renew(store):
    one, two = LeaseHolder(store, "BOT-1"), LeaseHolder(store, "BOT-2")
    stored, lease = one.read()
    assert lease is None
    assert one.take(stored, 1) is not None
    assert two.take(stored, 1) is None
    assert one.renew(1, 7) is not None
    _, lease = two.read()
    assert (lease.instance_id, lease.token, lease.beat, lease.head) == ("BOT-1", 1, 1, 7)
    stored, _ = two.read()
    assert two.take(stored, 2) is not None
    assert one.renew(1, 8) is None
    one.give_away(1, 8)
    assert two.read()[1].is_held
    two.give_away(2, 8)
    assert not SharedLease.of(store.read("lease")).is_held


def test_engine_that_is_not_there_is_away():
    store = SharedStore("unix:///run/no/such.sock", "shop")
    with pytest.raises(StoreAwayError):
        store.read("lease")


async def test_copy_on_another_machine(store, swarm, project, tmp_path):
    seal = Seal(b"k" * 32)
    (tmp_path / "one" / "models").mkdir(parents=True)
    (tmp_path / "one" / "models" / f"{'a' * 64}.yml").write_bytes(secrets.token_bytes(1_500_000))
    first = SharedLog(SealedObjects(store, seal), tmp_path / "one")
    second = SharedLog(SealedObjects(SharedStore(swarm.docker_host, project), seal), tmp_path / "two")
    async with (
        StateManager(tmp_path / "one", shared=first) as leader,
        StateManager(tmp_path / "two", shared=second) as standby,
    ):
        await leader.take_over(Term(1, "node1", time.monotonic() + 60))
        deployment = await deploy(leader)
        times = []
        for number in range(50):
            began = time.monotonic()
            await write(leader, 1, number)
            times.append(time.monotonic() - began)
        await standby.catch_up()
        assert await standby.changes(limit=1000) == await leader.changes(limit=1000)
        assert await standby.deployments.get(deployment.id) == await leader.deployments.get(deployment.id)
        kept = f"models/{'a' * 64}.yml"
        assert (tmp_path / "two" / kept).read_bytes() == (tmp_path / "one" / kept).read_bytes()
        print(f"a commit takes {1000 * median(times):.1f} ms")
    with client_of(swarm.manager) as client:
        shown = "".join(str(config.attrs) for config in client.configs.list())
    assert deployment.id not in shown
