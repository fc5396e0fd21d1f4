"""What needs no engine: help, settings, wrong usage, quick starts."""

from pathlib import Path

import pytest

from tests.e2e.cli.conftest import CommandLine

COMMANDS = (
    "run",
    "deploy",
    "hotfix",
    "rollback",
    "status",
    "history",
    "releases",
    "cancel",
    "lock",
    "unlock",
    "doctor",
    "compose",
)


def test_help_lists_commands_and_exit_codes(dry_line: CommandLine) -> None:
    ended = dry_line.run("--help")
    assert ended.returncode == 0
    for command in COMMANDS:
        assert f"  {command} " in ended.stdout
    for code in ("0 succeeded", "3 rolled back", "5 the", "69 engine", "78 wrong settings"):
        assert code in " ".join(ended.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("rollback", "dev", "--to", "first"), "'first' is not a release"),
        (("history", "moon"), "There are: dev, staging, prod"),
        (("cancel", "dev"), "No deployment of dev is under way"),
        (("cancel", "DEPLOY-01M885YZB27HYV5F843P3FZRRZ"), "There is no deployment"),
        (("compose", "dev", "--", "ps"), "runs no release"),
    ],
)
def test_wrong_usage_shows_right_one(dry_line: CommandLine, arguments: tuple[str, ...], text: str) -> None:
    ended = dry_line.run(*arguments)
    assert ended.returncode == 2
    assert text in ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr


def test_all_invalid_settings_listed(dry_line: CommandLine) -> None:
    ended = dry_line.run("status", LOG_LEVEL="loud", HTTP_PORT="x")
    assert ended.returncode == 78
    assert "LOG_LEVEL" in ended.stderr
    assert "HTTP_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_bot_command_needs_discord(dry_line: CommandLine) -> None:
    for command in ((), ("run",)):
        ended = dry_line.run(*command)
        assert ended.returncode == 78
        assert "DISCORD_TOKEN: is missing" in ended.stderr


def test_unreachable_engine_has_exit_code(dry_line: CommandLine) -> None:
    for command in (("deploy", "dev", "v1"), ("status", "dev"), ("deploy", "dev", "v1", "--dry-run")):
        ended = dry_line.run(*command)
        assert ended.returncode == 69, ended.stderr
        assert "does not answer" in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr


def test_unusable_state_folder_has_exit_code(dry_line: CommandLine) -> None:
    ended = dry_line.run("lock", "dev", "--reason", "rest", STATE_DIR="/proc/nowhere")
    assert ended.returncode == 69
    assert "Set STATE_DIR" in ended.stderr


def test_look_with_other_settings_than_the_bots(dry_line: CommandLine, tmp_path: Path) -> None:
    """It is not told that nothing was ever deployed, and leaves nothing behind in what is perhaps a wrong folder."""
    state = tmp_path / "elsewhere" / "state"
    on_dev = [(name, "dev") for name in ("status", "releases", "doctor", "cancel", "unlock")]
    for command in (*on_dev, ("history",), ("events",), ("compose", "dev", "--", "ps")):
        looked = dry_line.run(*command, STATE_DIR=str(state))
        assert "has no journal yet" in looked.stderr, command
        assert "the same STATE_DIR" in looked.stderr
        assert not state.parent.exists()
    assert dry_line.run("lock", "dev", "--reason", "rest", STATE_DIR=str(state)).returncode == 0
    assert "has no journal yet" not in dry_line.run("history", STATE_DIR=str(state)).stderr


def test_plan_with_other_settings_than_the_bots(dry_line: CommandLine, tmp_path: Path) -> None:
    state = tmp_path / "elsewhere" / "state"
    dry_line.run("deploy", "dev", "v1", "--dry-run", STATE_DIR=str(state))
    assert not state.parent.exists()


def test_json_fault_is_json(dry_line: CommandLine) -> None:
    fault = dry_line.document("deploy", "moon", "v1", code=2)
    assert fault["error"]["key"] == "invalid_request"
    assert fault["error"]["hint"] == "There are: dev, staging, prod."


def test_approval_environment_says_what_to_type(dry_line: CommandLine) -> None:
    ended = dry_line.run("deploy", "prod", "v1", "--reason", "it burns")
    assert ended.returncode == 6
    assert "roas deploy prod v1 --reason 'it burns' --yes" in ended.stderr


def test_empty_history_is_empty_json(dry_line: CommandLine) -> None:
    assert dry_line.document("history") == {"deployments": []}
    assert dry_line.document("releases", "dev") == {"environment": "dev", "current": None, "releases": []}


def test_closed_pipe_is_no_error(dry_line: CommandLine) -> None:
    child = dry_line.start("history", "--json")
    assert child.stdout is not None
    child.stdout.close()
    assert child.wait(30) == 0
    assert child.stderr is not None
    assert "Traceback" not in child.stderr.read()
    child.stdout = None


def test_debug_logs_to_stderr(dry_line: CommandLine) -> None:
    ended = dry_line.run("status", "dev", LOG_LEVEL="DEBUG")
    assert ended.returncode == 69
    assert "dev  not known" in ended.stdout
