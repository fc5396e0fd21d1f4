"""Where a bot lives, it carries what the command line asks for."""

import re
import signal

from testbed.stopping import stop_process
from tests.e2e.commands.conftest import CommandLine, wait_for_line

BOTH_V1 = {"database": "v1", "web": "v1"}


def test_bot_deploys_and_command_follows(line: CommandLine) -> None:
    line.live()
    ended = line.run("deploy", "dev", "v1")
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"Started DEPLOY-\w+ in the bot", ended.stdout)
    assert "execution      success" in ended.stdout
    assert line.running() == BOTH_V1
    assert line.document("status", "dev")["environments"][0]["release"]["version"] == "v1"


def test_refusals_of_bot_passed_through(line: CommandLine) -> None:
    line.live()
    assert line.run("deploy", "dev", "v1", "--service", "moon").returncode == 2
    assert line.run("rollback", "dev").returncode == 2
    line.write("services: [")
    broken = line.run("deploy", "dev", "v1")
    assert broken.returncode == 6
    assert "→" in broken.stderr


def test_detached_deployment_cancellable(line: CommandLine) -> None:
    line.live()
    line.run("deploy", "dev", "v1")
    started = line.document("deploy", "dev", "v4", "--detach")
    assert started["outcome"] is None
    refused = line.run("deploy", "dev", "v2")
    assert refused.returncode == 5
    assert "deploy v4" in refused.stderr
    assert started["id"] in line.run("status", "dev").stdout
    assert line.document("cancel", started["id"])["cancel_requested_by"]["kind"] == "system"
    again = line.run("cancel", "dev")
    assert again.returncode in {0, 2}  # it may have ended by now


def test_leaving_keeps_deployment_running(line: CommandLine) -> None:
    line.live()
    line.run("deploy", "dev", "v1")
    child = line.start("deploy", "dev", "v4")
    wait_for_line(child, "web: waiting")
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "The bot continues it." in err
    assert line.document("status", "dev")["environments"][0]["active"]["outcome"] is None


def test_command_follows_restarted_bot(line: CommandLine) -> None:
    bot = line.live()
    line.run("deploy", "dev", "v1")
    child = line.start("deploy", "dev", "v2")
    wait_for_line(child, "web: ")
    bot.kill()
    bot.wait()
    line.live()
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, out + err
    assert line.running() == {"database": "v1", "web": "v2"}


def test_hung_bot_not_bypassed(line: CommandLine) -> None:
    bot = line.live()
    stop_process(bot.pid)
    ended = line.run("deploy", "dev", "v1")
    assert ended.returncode == 69
    assert "does not answer" in ended.stderr
    assert line.running() == {}
    bot.send_signal(signal.SIGCONT)


def test_dead_bot_socket_ignored(line: CommandLine) -> None:
    bot = line.live()
    bot.kill()
    bot.wait()
    assert (line.state / "control.sock").exists()
    ended = line.run("deploy", "dev", "v1")
    assert ended.returncode == 0, ended.stderr
    assert "in the bot" not in ended.stdout
