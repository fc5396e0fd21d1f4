"""Whatever is wrong with a new version of the bot, the old release runs whole in the end, and is told why."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from testbed.compose_labels import SERVICE_LABEL
from testbed.container_processes import ACTIVE, processes, successor
from testbed.home_stack import BOT_SERVICE, Home
from tests.e2e.handover.conftest import HANDOVER_SECONDS, WATCHED_CHECK, other_version, rows
from tests.e2e.handover.versions import SICK
from tests.integration.sandbox.channel import ask, outcome, start

# What a rollback and the telling of it may take beyond the deadline of the handover.
GRACE_SECONDS = 120.0


@pytest.fixture
def old(home):
    """Know the bot that ran before anything was deployed."""
    return home.bots()[0].id


async def deploy(people, version: str) -> str:
    return await start(people, "dora", "deploy", environment="dev", version=version)


async def reverted(home, people, deployment_id: str) -> tuple[str, str]:
    """Return what the channel is told of a deployment that was rolled back, and the report that goes with it."""
    told = await outcome(people, deployment_id, seconds=HANDOVER_SECONDS + GRACE_SECONDS)
    assert "rolled back" in told.text, told.text
    assert "Last log lines" in told.text, told.text
    question = "SELECT json_extract(document, '$.problem.report') FROM deployments WHERE id = ?"
    return told.text, rows(home, question, deployment_id)[0][0]


def ended_with(code: int) -> str:
    """Return how it is told that a container ended so; the engine may have started it again by the time of the look."""
    return rf"it ended with code {code}\b|it restarted \d+ times?"


async def assert_whole(home, people, old) -> None:
    assert [c.id for c in home.bots(stopped=True)] == [old]
    everything = home.everything()
    assert sorted(c.labels[SERVICE_LABEL] for c in everything) == ["discord-bot", "store"]
    assert all(c.attrs["State"]["Health"]["Status"] == "healthy" for c in everything)
    assert "healthy" in await ask(people, "dora", "status", environment="dev")


@pytest.mark.parametrize(
    ("version", "why", "failure_output"),
    [
        pytest.param("exits", ended_with(3), "bad bot: cannot go on", id="ends"),
        pytest.param(
            "deaf",
            "not connected to Discord",
            "gateway unreachable",
            id="hangs before READY",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "blind",
            "health check|had not opened the journal",
            "file is not a database",
            id="cannot read the journal",
            marks=pytest.mark.long,
        ),
    ],
)
async def test_unfit_successor_never_takes_over(home, people, old, version, why, failure_output):
    told, report = await reverted(home, people, await deploy(people, version))
    assert "not ready to take over" in told, told
    assert re.search(why, told), told
    assert failure_output in report, report
    await assert_whole(home, people, old)


@pytest.fixture
def watched(home: Home) -> Iterator[None]:
    """Let the file have the next version of the bot probed so often that its failure shows while it is observed."""
    path = home.folder / "docker-compose.yml"
    before = path.read_text()
    stack = yaml.safe_load(before)
    stack["services"][BOT_SERVICE]["healthcheck"] |= WATCHED_CHECK
    path.write_text(yaml.safe_dump(stack, sort_keys=False))
    yield
    path.write_text(before)


@pytest.mark.usefixtures("watched")
async def test_late_unhealthy_successor_rolled_back(home, people, images, old):
    """A successor that becomes unhealthy while it is observed is replaced by the old bot."""
    deployment_id = await deploy(people, other_version(home, images))
    new = await successor(home, old, active=True)
    assert new.exec_run(["touch", SICK]).exit_code == 0
    told, report = await reverted(home, people, deployment_id)
    assert "health check" in told, told
    assert "I feel sick" in report, report
    await assert_whole(home, people, old)


async def taken_back(home, people, deployment_id: str) -> str:
    """Return what is told of a successor that failed after it had taken over."""
    told, report = await reverted(home, people, deployment_id)
    assert "failed after it had taken over" in told, told
    assert ACTIVE in report, report
    return told


@pytest.mark.long
async def test_hung_successor_is_ended(home, people, old):
    """It hangs after it took over: one stopped between its fence check and its engine call never wakes up."""
    deployment_id = await deploy(people, "stalls")
    new = await successor(home, old, active=True)
    stopped = processes(new)
    told = await taken_back(home, people, deployment_id)
    assert "it hangs" in told or "health check" in told, told
    assert not [pid for pid in stopped if Path(f"/proc/{pid}").exists()], "something is left that could wake up and act"
    await assert_whole(home, people, old)
