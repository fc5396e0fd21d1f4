"""Somebody closes the terminal in which a deployment is carried: it goes on to its end."""

import sys

from testbed.terminal import terminal
from tests.e2e.cli.conftest import STACK, CommandLine

SECONDS = 60


def test_deployment_outlives_its_terminal(line: CommandLine) -> None:
    line.write(STACK.partition("  web:")[0])
    command = [sys.executable, "-m", "roas", "deploy", "dev", "v1"]
    with terminal(command, line.environ(TERM="xterm"), line.folder) as opened:
        opened.read_until("Started DEPLOY-", SECONDS)
        opened.close()
        assert opened.process.wait(SECONDS) == 0
    assert line.running() == {"database": "v1"}
    (deployment,) = line.document("history")["deployments"]
    assert deployment["outcome"] == "succeeded"
