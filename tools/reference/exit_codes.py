"""Write the page of the exit codes: from the enum, with the words of docs/command-line.md."""

import re
from pathlib import Path

from roas.cli.running import BY_KEY, BY_OUTCOME, ExitCode
from tools.reference.markdown import code, rows, section, table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "command-line.md"
HEAD = """# Exit codes

Scripts can rely on these. A deployment ends with the code of its outcome. What is refused, or fails before it
changed anything, ends with the code of its error. The key of an error is in the JSON document of `--json`.
"""


def page() -> str:
    """Return the page. Raises ValueError where docs/command-line.md explains other codes than there are."""
    meanings = dict(rows(section(PAGE.read_text(encoding="utf-8"), "Exit codes")))
    if set(meanings) != {str(int(item)) for item in ExitCode}:
        raise ValueError(f"docs/command-line.md explains the exit codes {', '.join(meanings)}; the code has others")
    found = ((str(int(item)), code(_name(item)), meanings[str(int(item))], _causes(item)) for item in ExitCode)
    return "\n".join([HEAD, table(("code", "name", "meaning", "outcomes and keys of errors"), found)])


def _name(one: ExitCode) -> str:
    return re.sub("_", " ", one.name.lower())


def _causes(one: ExitCode) -> str:
    outcomes = [outcome.value for outcome, number in BY_OUTCOME.items() if number is one]
    keys = [key for key, number in BY_KEY.items() if number is one]
    return ", ".join(code(cause) for cause in dict.fromkeys([*outcomes, *keys]))
