"""The command line carries a deployment of the stack that the bot is part of: only leadership passes."""

import asyncio
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing

import pytest

from testbed.container_processes import ACTIVE, until
from testbed.engine import manual_environment
from testbed.home_stack import ROOT, Home
from testbed.inherited import chosen_programs
from testbed.preloaded import PreloadedPopen
from testbed.stopping import stop_process
from tests.e2e.handover.conftest import clear_away, other_version, rows
from tests.e2e.handover.test_own_service import changed_file
from tests.integration.sandbox.channel import ask, outcome

END_SECONDS = 150.0
PASSED_ON = "SELECT id FROM changes WHERE document LIKE '%taking over%' AND instance_id LIKE 'CLI-%'"


@pytest.fixture
def home(standing: Home) -> Iterator[Home]:
    """Give the stack in a folder that is its owner's alone, as whom the bot then runs, be it root.

    The command on the host becomes the owner of the state folder, and must be able to read its own program as that.
    """
    clear_away(standing)
    standing.folder.chmod(0o700)
    standing.compose("up", "-d")
    yield standing
    print(standing.logs())  # shown by pytest when the test fails
    clear_away(standing)
    standing.folder.chmod(0o755)


def type_on_host(home, *text: str, **variables: str) -> subprocess.Popen[str]:
    """Type a command on the host, with the settings of the stack."""
    lines = (home.folder / ".env").read_text().splitlines()
    socket, state = home.engine.docker_host, home.folder / "state"
    allowed = f"cap_add:discord-bot docker_socket:discord-bot state_dir:discord-bot bind:{state}"
    environment = {
        **chosen_programs(),
        **dict(line.split("=", 1) for line in lines),
        "DOCKER_HOST": socket,
        "COMPOSE_POLICY_ALLOW": f"{allowed} bind:{socket.removeprefix('unix://')}",
        **variables,
    }
    return PreloadedPopen(
        ["roas", *text],
        cwd=ROOT,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def stop_bot(home) -> None:
    for bot in home.bots():
        bot.stop()


@asynccontextmanager
async def carrying(home, version: str) -> AsyncIterator[subprocess.Popen[str]]:
    """Type `deploy` on the host while no bot lives; the old bot is there again before anything is replaced."""
    stop_bot(home)
    child = type_on_host(home, "deploy", "dev", version)
    try:
        await until(lambda: deployment_of(home, version), "nothing started", seconds=END_SECONDS)
        await stop_between_writes(child, home)
        bot = home.bots(stopped=True)[0]
        before = bot.logs().decode().count(ACTIVE)
        bot.start()
        await until(lambda: bot.logs().decode().count(ACTIVE) > before or None, "no bot", seconds=END_SECONDS)
        child.send_signal(signal.SIGCONT)
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        print((await asyncio.to_thread(child.communicate))[0])


async def stop_between_writes(child: subprocess.Popen[str], home) -> None:
    """Stop a process where it does not hold the journal: nobody else could write, and no bot start."""

    def is_stopped() -> bool | None:
        stop_process(child.pid)
        # Whoever is stopped holding it holds it until it goes on: to wait for it is of no use.
        with closing(sqlite3.connect(home.folder / "state" / "journal.sqlite3", timeout=0)) as journal:
            try:
                journal.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                child.send_signal(signal.SIGCONT)
                return None
        return True

    await until(is_stopped, "it writes all the time", seconds=END_SECONDS)


def deployment_of(home, version: str) -> str | None:
    question = "SELECT id FROM deployments WHERE outcome IS NULL AND json_extract(document, '$.request.version') = ?"
    found = rows(home, question, version)
    return found[0][0] if found else None


async def test_command_line_deploy_leaves_one_new_bot(home, people, images, long_lane):
    """It passes leadership to the new bot; killed at that moment, it leaves one bot and one end of the deployment."""
    stop_bot(home)
    if long_lane:
        await its_removal_is_refused(home)
    version = other_version(home, images)
    async with carrying(home, version) as child:
        deployment_id = deployment_of(home, version)
        await until(lambda: rows(home, PASSED_ON) or None, "it hands nothing over", seconds=END_SECONDS)
        child.kill()
        told = await outcome(people, deployment_id, seconds=END_SECONDS)
    assert "succeeded" in told.text, told.text
    bots = home.bots(stopped=True)
    assert [(bot.status, bot.attrs["Image"]) for bot in bots] == [("running", images[version])]
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
    ends = [m for m in await people.messages() if f"{deployment_id} · outcome" in m.text]
    assert len(ends) == 1
    assert rows(home, "SELECT environment FROM locks") == []


async def its_removal_is_refused(home) -> None:
    """Nobody lives who could carry a plan without the bot, so that the command line would do it itself.

    The journal may be another one, which knows nothing of the bot, or gone.
    """
    before = [bot.id for bot in home.bots(stopped=True)]
    state, aside = home.folder / "state", home.folder / "state.aside"
    await removal_is_refused(home)
    await removal_is_refused(home, STATE_DIR=str(home.folder / "state.other"))
    state.rename(aside)
    try:
        await removal_is_refused(home)
    finally:
        shutil.rmtree(state, ignore_errors=True)
        aside.rename(state)
    assert [bot.id for bot in home.bots(stopped=True)] == before


async def removal_is_refused(home, **variables: str) -> None:
    with changed_file(home, "deleted"):
        child = type_on_host(home, "deploy", "dev", "v2", **variables)
        said, _ = await asyncio.to_thread(child.communicate)
    assert child.returncode != 0
    assert "this bot itself" in said or "journal is missing" in said, said


@pytest.mark.long
async def test_command_in_the_old_container_says_that_it_ends_with_it(home, people, images):
    """Typed by `docker compose exec`, it cannot outlive the container: it says so before, and where the outcome is."""
    version = other_version(home, images)
    (bot,) = home.bots()
    command = ["docker", "exec", bot.id, "roas", "deploy", "dev", version]
    environ = manual_environment(home.engine.docker_host)
    ended = await asyncio.to_thread(
        subprocess.run, command, env=environ, capture_output=True, text=True, timeout=END_SECONDS
    )
    assert ended.returncode == 137, ended.stdout + ended.stderr
    assert "it ends with that, with code 137: `roas history dev --limit 1`" in ended.stdout
    told = await outcome(people, rows(home, "SELECT id FROM deployments ORDER BY rowid DESC LIMIT 1")[0][0])
    assert "succeeded" in told.text, told.text
