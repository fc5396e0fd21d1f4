"""What needs no engine: help, settings, wrong usage, quick starts."""

import pytest

from tests.commands.conftest import CommandLine

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
HEAVY = ("discord", "docker", "redis", "prometheus_client", "aiohttp")


def test_help_names_every_command_and_every_exit_code(dry_line: CommandLine) -> None:
    ended = dry_line.run("--help")
    assert ended.returncode == 0
    for command in COMMANDS:
        assert f"  {command} " in ended.stdout
    for code in ("0 succeeded", "3 rolled back", "5 the", "69 engine", "78 wrong settings"):
        assert code in " ".join(ended.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("deploy", "dev"), "VERSION"),
        (("deploy", "moon", "v1"), "There are: dev, staging, prod"),
        (("deploy", "dev", "--version"), "No such option"),
        (("hotfix", "dev", "v1"), "--reason"),
        (("rollback", "dev", "--to", "first"), "'first' is no release"),
        (("history", "moon"), "There are: dev, staging, prod"),
        (("history", "--outcome", "great"), "great"),
        (("releases", "moon"), "There are: dev, staging, prod"),
        (("cancel", "dev"), "No deployment of dev is under way"),
        (("cancel", "DEPLOY-01M885YZB27HYV5F843P3FZRRZ"), "There is no deployment"),
        (("compose", "dev", "--", "ps"), "runs no release"),
        (("fly",), "No such command"),
    ],
)
def test_wrong_usage_is_told_with_what_would_be_right(
    dry_line: CommandLine, arguments: tuple[str, ...], text: str
) -> None:
    ended = dry_line.run(*arguments)
    assert ended.returncode == 2
    assert text in ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr


def test_wrong_settings_are_all_listed(dry_line: CommandLine) -> None:
    ended = dry_line.run("status", LOG_LEVEL="loud", HTTP_PORT="x")
    assert ended.returncode == 78
    assert "LOG_LEVEL" in ended.stderr
    assert "HTTP_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_bot_itself_needs_discord(dry_line: CommandLine) -> None:
    for command in ((), ("run",)):
        ended = dry_line.run(*command)
        assert ended.returncode == 78
        assert "DISCORD_TOKEN: is missing" in ended.stderr


def test_an_engine_that_is_away_has_a_code_of_its_own(dry_line: CommandLine) -> None:
    for command in (("deploy", "dev", "v1"), ("status", "dev"), ("deploy", "dev", "v1", "--dry-run")):
        ended = dry_line.run(*command)
        assert ended.returncode == 69, ended.stderr
        assert "does not answer" in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_state_folder_that_cannot_be_used_has_a_code_of_its_own(dry_line: CommandLine) -> None:
    ended = dry_line.run("history", STATE_DIR="/proc/nowhere")
    assert ended.returncode == 69
    assert "Set STATE_DIR" in ended.stderr


def test_with_json_a_fault_is_a_document_too(dry_line: CommandLine) -> None:
    fault = dry_line.document("deploy", "moon", "v1", code=2)
    assert fault["error"]["key"] == "invalid_request"
    assert fault["error"]["hint"] == "There are: dev, staging, prod."


def test_an_environment_that_needs_approval_says_what_to_type(dry_line: CommandLine) -> None:
    ended = dry_line.run("deploy", "prod", "v1", "--reason", "it burns")
    assert ended.returncode == 6
    assert "python -m bot deploy prod v1 --reason 'it burns' --yes" in ended.stderr


def test_nothing_heavy_is_imported_to_read_the_journal(dry_line: CommandLine) -> None:
    program = (
        "import sys\n"
        "from bot.commands import run_command_line\n"
        "assert run_command_line(['history']) == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ended = dry_line.run_program(program)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_discord_is_never_imported_to_deploy(dry_line: CommandLine) -> None:
    program = (
        "import sys\n"
        "from bot.commands import run_command_line\n"
        "assert run_command_line(['deploy', 'dev', 'v1']) == 69\n"
        "print('discord' in sys.modules)"
    )
    ended = dry_line.run_program(program)
    assert ended.stdout.splitlines()[-1] == "False"


def test_an_empty_history_is_an_empty_document(dry_line: CommandLine) -> None:
    assert dry_line.document("history") == {"deployments": []}
    assert dry_line.document("releases", "dev") == {"environment": "dev", "current": None, "releases": []}


def test_a_closed_pipe_is_no_fault_of_ours(dry_line: CommandLine) -> None:
    child = dry_line.start("history", "--json")
    assert child.stdout is not None
    child.stdout.close()
    assert child.wait(30) == 0
    assert child.stderr is not None
    assert "Traceback" not in child.stderr.read()
    child.stdout = None


def test_debugging_shows_the_log_on_stderr(dry_line: CommandLine) -> None:
    ended = dry_line.run("status", "dev", LOG_LEVEL="DEBUG")
    assert ended.returncode == 69
    assert "dev  not known" in ended.stdout
