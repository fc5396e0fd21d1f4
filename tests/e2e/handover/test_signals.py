"""The bot as it is shipped is told to stop, and leaves in order; what is no call to stop ends nobody."""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.container_processes import until
from testbed.home_stack import BOT_SERVICE, Home, forget_releases
from testbed.waiting import wait_until
from tests.e2e.handover.conftest import clear_away, started
from tests.integration.sandbox.channel import ask

BOT_USER = 10001
LOG_SECONDS = 30.0
END_SECONDS = 150.0
NO_CALLS_TO_STOP = ("HUP", "USR1", "USR2", "ALRM", "WINCH", "PROF", "RTMIN")
REFUSED = "Operation not permitted"


def by_docker_stop(_home: Home, bot: Any) -> None:
    bot.stop()


def by_compose_stop(home: Home, _bot: Any) -> None:
    home.compose("stop", BOT_SERVICE)


def by_docker_kill(number: str) -> Callable[[Home, Any], None]:
    return lambda _home, bot: bot.kill(signal=number)


def socket_group(home: Home) -> int:
    return Path(home.engine.docker_host.removeprefix("unix://")).stat().st_gid


@pytest.fixture
def as_people_have_it(standing: Home) -> Iterator[Callable[..., Home]]:
    """Give `start(**keys)`, which starts the stack with more keys of the bot's service, as somebody's own file has."""
    override = standing.folder / "docker-compose.override.yml"

    def start(**keys: object) -> Home:
        for bot in standing.bots(stopped=True):
            bot.remove(force=True)
        state = standing.folder / "state"
        forget_releases(standing.client)
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(mode=0o700)
        os.chown(state, BOT_USER, BOT_USER)
        override.write_text(yaml.safe_dump({"services": {BOT_SERVICE: keys}}))
        standing.compose("up", "-d", "--wait")
        return standing

    yield start
    print(standing.logs())
    override.unlink(missing_ok=True)
    clear_away(standing)


def leaves_in_order(home: Home, way: Callable[[Home, Any], None]) -> None:
    """Stop the bot, and check by Docker and by its log that it left in order, within its grace: else it is killed."""
    bot = home.bots()[0]
    assert wait_until(lambda: is_healthy(bot), END_SECONDS)
    way(home, bot)
    bot.wait(timeout=int(END_SECONDS))
    bot.reload()
    state, log = bot.attrs["State"], bot.logs().decode()
    assert state["ExitCode"] == 0, log
    assert "stop requested" in log
    assert REFUSED not in log
    assert not list((home.folder / "state").glob("journal.sqlite3-*")), "the journal was not closed"


# What has nothing to do with each other is in one file: whether there is an init, whose the bot is, what else there is.
@pytest.mark.parametrize(
    ("keys", "way"),
    [
        pytest.param(
            {"init": False, "read_only": False, "security_opt": []},
            by_docker_kill("SIGINT"),
            id="INT, no init, writable root",
            marks=pytest.mark.long,
        ),
        pytest.param({"user": str(BOT_USER), "init": False}, by_docker_stop, id="own user, no init"),
        pytest.param(
            {"environment": {"BOT_UID": "0"}, "tty": True},
            by_docker_kill("SIGQUIT"),
            id="QUIT, root, terminal",
            marks=pytest.mark.long,
        ),
    ],
)
def test_stop_in_peoples_own_files_is_orderly(as_people_have_it, standing, keys, way):
    if "user" in keys:
        keys |= {"group_add": [str(socket_group(standing))]}
    home = as_people_have_it(**keys)
    leaves_in_order(home, way)


async def test_stop_right_after_start_is_orderly(home):
    await asyncio.to_thread(leaves_in_order, home, by_compose_stop)
    bot = home.bots(stopped=True)[0]
    bot.start()
    # Until a container's first process has begun its work, the kernel drops what it is sent, whatever the program is.
    await until(lambda: len(bot.top()["Processes"]) > 1 or None, "the program does not start", seconds=END_SECONDS)
    bot.stop(timeout=int(END_SECONDS))  # it may still be starting, on a machine that has much else to do
    bot.reload()
    # 143 is the program's end before it listens to anything; after the grace it would be killed, which is 137.
    assert bot.attrs["State"]["ExitCode"] in {0, 143}, bot.logs().decode()
    bot.start()  # the next test has it again


async def test_bot_runs_as_no_more_than_its_user(home):
    bot = home.bots()[0]

    def users() -> list[str] | None:
        processes = [row[1:] for row in bot.top(ps_args="-eo pid,uid,args")["Processes"]]
        return [user for user, command in processes if command.endswith("/python /usr/local/bin/roas")] or None

    assert await until(users, "the bot does not run", seconds=LOG_SECONDS) == [str(BOT_USER)]
    assert (home.folder / "state").stat().st_uid == BOT_USER


async def test_other_signals_end_no_bot(home, people):
    bot = home.bots()[0]
    before = started(bot)
    for number in NO_CALLS_TO_STOP:
        bot.kill(signal=f"SIG{number}")
        if number != "WINCH":  # which a terminal sends at every turn: not worth a line
            await until(
                lambda number=number: is_logged(bot, number), f"SIG{number} not in the log", seconds=LOG_SECONDS
            )
    assert "healthy" in await ask(people, "dora", "status", environment="dev")
    assert started(bot) == before


def is_healthy(bot: Any) -> bool:
    bot.reload()
    return bool(bot.attrs["State"]["Health"]["Status"] == "healthy")


def is_logged(bot: Any, number: str) -> bool | None:
    return any("signal ignored" in line and f"SIG{number}" in line for line in bot.logs().decode().splitlines()) or None
