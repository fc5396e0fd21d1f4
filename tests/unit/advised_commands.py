"""Collect the commands that the product tells people to type: in its messages, and in its documentation."""

import ast
import re
from pathlib import Path

from tests.unit.sources import all_nodes, tree_of

ROOT = Path(__file__).resolve().parents[2]
# What tells nobody to type anything: records, figures, and how it works inside.
NO_ADVICE = ("docs/decisions", "docs/reliability.md", "docs/performance.md", "docs/architecture.md", "docs/explanation")
COMPOSE, OURS = "docker compose", "roas"


def advised_commands(program: str = COMPOSE) -> dict[str, set[str]]:
    """Return each command of a program, its fields as written, with the files that name it."""
    found: dict[str, set[str]] = {}
    pattern = re.compile(rf"`({program} [^`]+)`|^({program} .+)$", re.MULTILINE)
    for name, text in _texts():
        for match in pattern.finditer(text):
            command = " ".join((match[1] or match[2]).split())
            found.setdefault(command, set()).add(name)
    return found


def _texts() -> list[tuple[str, str]]:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    texts = [(str(page.relative_to(ROOT)), page.read_text()) for page in pages]
    for folder in ("bot", "cogs"):
        for path in (ROOT / folder).rglob("*.py"):
            strings = (node.value for node in all_nodes(tree_of(path)) if isinstance(node, ast.Constant))
            name = str(path.relative_to(ROOT))
            texts += [(name, string) for string in strings if isinstance(string, str)]
    return [(name, text) for name, text in texts if not name.startswith(NO_ADVICE)]
