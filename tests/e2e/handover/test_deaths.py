"""Whoever is killed while the bot replaces itself: in the end there is one bot, and the deployment has one end."""

import asyncio
import signal

import pytest

from testbed.container_processes import hit, successor, until
from tests.e2e.handover.conftest import other_version, rows, started
from tests.integration.sandbox.channel import ask, outcome, start

END_SECONDS = 150.0


async def test_kills_leave_one_bot_and_outcome(home, people, images, long_lane):
    """The old bot dies before there is a new one, and is stopped beside it.

    On the way back, in the long lane, it dies once one leads. There, somebody kills the first new bot: that says
    nothing of its version, and another one is started.
    """
    first = old = home.bots()[0]
    deployment_id = await deploy(home, people, images)
    hit(old, signal.SIGKILL)
    await successor(home, old.id, active=False)
    await until(lambda: started(old)[0] == "running" or None, "it is not started again", seconds=END_SECONDS)
    await asyncio.to_thread(old.stop, timeout=int(END_SECONDS))
    old.reload()
    # 143 where it had not come so far as to listen to anything.
    assert old.attrs["State"]["ExitCode"] in {0, 143}, old.logs().decode()
    assert "succeeded" in await assert_one_end(home, people, deployment_id)
    if not long_lane:
        return

    old = home.bots()[0]
    deployment_id = await start(people, "dora", "rollback", environment="dev")
    killed = await successor(home, old.id, active=False)
    killed.kill()
    await successor(home, old.id, killed.id, active=True)
    hit(old, signal.SIGKILL)
    told = await assert_one_end(home, people, deployment_id)
    assert "succeeded" in told, told
    assert "stopped or removed by hand" in told
    bot = home.bots()[0]
    assert (bot.attrs["Image"], bot.id != killed.id) == (first.attrs["Image"], True)


async def deploy(home, people, images) -> str:
    return await start(people, "dora", "deploy", environment="dev", version=other_version(home, images))


async def assert_one_end(home, people, deployment_id) -> str:
    """Check by Docker, by the journal and in the channel that one bot runs and the deployment has one end."""
    told = (await outcome(people, deployment_id, seconds=END_SECONDS)).text
    assert "succeeded" in told or "rolled back" in told, told
    bots = home.bots(stopped=True)
    assert [bot.status for bot in bots] == ["running"]
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
    ends = [m for m in await people.messages() if f"{deployment_id} · outcome" in m.text]
    assert len(ends) == 1
    assert rows(home, "SELECT environment FROM locks") == []
    return told


@pytest.mark.long
async def test_next_start_sweeps_dead_bots_and_leaves_what_is_being_made(home, people, images):
    """A container that never ran may be somebody's, who is about to start it; what has ended is nobody's any more."""
    old = home.bots()[0]
    assert "healthy" in await ask(people, "dora", "status", environment="dev")  # it has swept what it found
    home.compose("up", "-d", "--no-recreate", "--scale", "discord-bot=2", "discord-bot")
    second = next(bot for bot in home.bots() if bot.id != old.id)
    for bot in (second, old):  # neither does anything meanwhile: leads, or sweeps
        hit(bot, signal.SIGSTOP)
    second.kill()
    state = home.folder / "state"
    ours = {"environment": {"STATE_DIR": str(state)}, "volumes": [f"{state}:{state}"]}
    made = home.client.containers.create(
        old.attrs["Image"], name=f"{old.id[:12]}_{old.name}", labels=old.labels, entrypoint=["/bin/true"], **ours
    )
    of_another_release = old.labels | {"com.docker.compose.config-hash": "another"}
    ended = home.client.containers.run(
        images["v2"], detach=True, labels=of_another_release, entrypoint="/bin/true", **ours
    )
    ended.wait()
    assert len(home.bots(stopped=True)) == 4
    hit(old, signal.SIGKILL)
    await until(
        lambda: {b.id for b in home.bots(stopped=True)} == {old.id, made.id} or None, "not swept", seconds=END_SECONDS
    )
    assert home.bots()[0].name == old.name
    made.remove()
    await people.wait_until_connected(END_SECONDS)
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
