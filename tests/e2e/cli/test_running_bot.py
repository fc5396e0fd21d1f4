"""Where a bot lives, it carries what the command line asks for."""

import json
import re
import signal
import sqlite3
import subprocess

from testbed.stopping import stop_process
from testbed.waiting import wait_until
from tests.e2e.cli.conftest import CommandLine, wait_for_line

BOTH_V1 = {"database": "v1", "web": "v1"}
SECONDS = 30


def test_bot_carries_what_is_typed(line: CommandLine, long_lane: bool) -> None:
    """For as long as it lives and answers; one that was killed is no hindrance, and one that hangs is one."""
    bot = line.live()
    its_refusals_are_passed_through(line)
    command_follows(line)
    detached_deployment_is_carried_out(line)
    left_deployment_goes_on_and_is_cancellable(line)
    bot = command_follows_restarted_bot(line, bot)
    if long_lane:
        hung_one_is_not_bypassed(line, bot)
    dead_one_is_ignored(line, bot)


def its_refusals_are_passed_through(line: CommandLine) -> None:
    assert line.run("deploy", "dev", "v1", "--service", "moon").returncode == 2
    assert line.run("rollback", "dev").returncode == 2
    line.write("services: [")
    broken = line.run("deploy", "dev", "v1")
    assert broken.returncode == 6
    assert "→" in broken.stderr
    line.write()


def command_follows(line: CommandLine) -> None:
    done = line.run("deploy", "dev", "v1")
    assert done.returncode == 0, done.stderr
    assert re.search(r"Started DEPLOY-\w+ in the bot", done.stdout)
    assert "execution      success" in done.stdout
    assert line.running() == BOTH_V1
    assert line.document("status", "dev")["environments"][0]["release"]["version"] == "v1"


def detached_deployment_is_carried_out(line: CommandLine) -> None:
    started = line.document("deploy", "dev", "v1", "--detach")
    assert started["outcome"] is None
    assert ended(line) == (started["id"], "succeeded")


def ended(line: CommandLine) -> tuple[str, str]:
    """Wait for the end of the newest deployment, and return what the history says of it: which it is, and its end."""
    with sqlite3.connect(line.state / "journal.sqlite3") as journal:
        newest = "SELECT outcome FROM deployments ORDER BY id DESC LIMIT 1"
        assert wait_until(lambda: journal.execute(newest).fetchone()[0] is not None, SECONDS)
    (last,) = line.document("history", "dev", "--limit", "1")["deployments"]
    return last["id"], last["outcome"]


def left_deployment_goes_on_and_is_cancellable(line: CommandLine) -> None:
    """The command that follows it is ended; whoever asks for another is refused."""
    child = line.start("deploy", "dev", "v4")
    wait_for_line(child, "web: waiting")
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "The bot continues it." in err
    active = line.document("status", "dev")["environments"][0]["active"]
    assert active["outcome"] is None
    refused = line.run("deploy", "dev", "v2")
    assert refused.returncode == 5
    assert "deploy v4" in refused.stderr
    assert active["id"] in line.run("status", "dev").stdout
    assert line.document("cancel", active["id"])["cancel_requested_by"]["kind"] == "system"
    again = line.run("cancel", "dev")
    assert again.returncode in {0, 2}  # it may have ended by now
    assert ended(line) == (active["id"], "cancelled")
    assert line.running() == BOTH_V1


def command_follows_restarted_bot(line: CommandLine, bot: subprocess.Popen[str]) -> subprocess.Popen[str]:
    child = line.start("deploy", "dev", "v2")
    wait_for_line(child, "web: ")
    bot.kill()
    bot.wait()
    bot = line.live()
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, out + err
    assert line.running() == {"database": "v1", "web": "v2"}
    return bot


def hung_one_is_not_bypassed(line: CommandLine, bot: subprocess.Popen[str]) -> None:
    stop_process(bot.pid)
    before = line.running()
    refused = line.run("deploy", "dev", "v1")
    assert refused.returncode == 69
    assert "does not answer" in refused.stderr
    assert line.running() == before
    shown = line.run("status", "dev", "--json")
    assert shown.returncode == 69
    (status,) = json.loads(shown.stdout)["environments"]
    assert (status["release"]["version"], status["health"]["verdict"]) == ("v2", "healthy"), shown.stdout


def dead_one_is_ignored(line: CommandLine, bot: subprocess.Popen[str]) -> None:
    bot.kill()
    bot.wait()
    assert (line.state / "control.sock").exists()
    done = line.run("deploy", "dev", "v2")
    assert done.returncode == 0, done.stderr
    assert "in the bot" not in done.stdout
