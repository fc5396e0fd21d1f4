"""Whatever is wrong with a new version of the bot, the old release runs whole in the end, and is told why."""

import signal

import pytest

from testbed.container_processes import hit, successor
from testbed.home_stack import IMAGE, PROJECT
from tests.handover.bad_versions import STARTS, make_version
from tests.handover.conftest import HANDOVER_SECONDS
from tests.wire.channel import ask, outcome, start

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

# What a rollback and the telling of it may take beyond the deadline of the handover.
GRACE_SECONDS = 30.0
HASTY = True


@pytest.fixture(scope="module")
def versions(client, images) -> dict[str, str]:
    """Make one version for each way of being bad."""
    return {how: make_version(client, images["v1"], f"{IMAGE}:{how}", how) for how in STARTS}


@pytest.fixture
def old(home, versions):
    """Know the bot that ran before anything was deployed."""
    return home.bots()[0].id


async def deploy(people, version: str) -> str:
    return await start(people, "dora", "deploy", environment="dev", version=version)


async def reverted(people, deployment_id: str):
    told = await outcome(people, deployment_id, seconds=HANDOVER_SECONDS + GRACE_SECONDS)
    assert "rolled back" in told.text
    return told.text


async def assert_whole(home, people, old) -> None:
    everything = home.client.containers.list(
        all=True, ignore_removed=True, filters={"label": f"com.docker.compose.project={PROJECT}"}
    )
    assert [c.id for c in home.bots(stopped=True)] == [old]
    assert sorted(c.image.tags[0] for c in everything) == [f"{IMAGE}:v1", "store:v1"]
    assert all(c.attrs["State"]["Health"]["Status"] == "healthy" for c in everything)
    assert "healthy" in await ask(people, "dora", "status", environment="dev")


@pytest.mark.parametrize(
    ("version", "why", "last_words"),
    [
        pytest.param("exits", "it ", "bad bot: cannot go on", id="exits at once"),
        pytest.param("loops", "it ", "bad bot: it broke after a while", id="crash-loops"),
        pytest.param("refused", "it ", "Discord refuses the token", id="is refused by the gateway"),
    ],
)
async def test_one_that_is_not_fit_never_takes_over(home, people, old, version, why, last_words):
    told = await reverted(people, await deploy(people, version))
    assert "not fit to take over" in told, told
    assert why in told, told
    assert last_words in told, told
    await assert_whole(home, people, old)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_one_that_dies_or_hangs_after_taking_over_is_replaced_by_the_old_one(home, people, old, number):
    deployment_id = await deploy(people, "good")
    hit(await successor(home, active=True), number)
    told = await reverted(people, deployment_id)
    assert "failed after it had taken over" in told
    assert "Last words" in told
    await assert_whole(home, people, old)
