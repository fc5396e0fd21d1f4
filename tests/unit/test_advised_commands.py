"""No command that people are told to type recreates what they did not ask for."""

import re

from tests.unit.advised_commands import advised_commands

# The first start of a stack, before there is anything to lose, and words about the command, not advice to type it.
WHOLE_STACK = {
    "README.md",
    "docs/tutorial/discord.md",
    "docs/tutorial/your-stack.md",
    "docs/how-to/take-over-a-stack.md",
    "docs/how-to/zero-downtime.md",
    "docs/how-to/upgrade.md",
    "docs/how-to/troubleshooting.md",
    "docs/how-to/compose-file.md",
    "bot/checks/beside_compose.py",
    "bot/deploy/context.py",
    "bot/deploy/operations/scaling.py",
    "bot/stack/compose/create_requests.py",
}
RECREATES = re.compile(r"docker compose (?:-\S+ \S+ )*(?:up|run|create)\b(?P<rest>.*)")


def test_advised_commands_leave_other_services_alone():
    """`up` and `run` of a service recreate what it depends on, by the variables of today, unless told not to."""
    commands = advised_commands()
    assert len(commands) > 10
    wrong = {}
    for command, files in commands.items():
        match = RECREATES.fullmatch(command)
        if match is None or "--no-deps" in match["rest"]:
            continue
        words = [word for word in match["rest"].split() if not word.startswith("-")]
        if words or not files <= WHOLE_STACK:
            wrong[command] = files
    assert wrong == {}
