"""Write the page of the events: the types that the code names, with what docs/explanation/state.md says of each."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tools.reference.markdown import code, rows, section, table

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "state.md"
EVENT_TYPE = re.compile(r"(candidate|deployment|environment|monitoring|error|integration|release)(\.[a-z_]+){1,2}")
HEAD = """# Events

The bot publishes these in its own process, after the journal's commit. Each carries the correlation id of the
deployment or alert that caused it. `roas events --follow` shows what the journal keeps of them.
"""


def page() -> str:
    """Return the page. Raises ValueError where docs/explanation/state.md knows other events than the code."""
    explained = dict(_explained(PAGE.read_text(encoding="utf-8")))
    named = event_types()
    if set(explained) != set(named):
        differ = ", ".join(sorted(set(explained) ^ set(named)))
        raise ValueError(f"docs/explanation/state.md (Events) and the code do not have the same events: {differ}")
    found = ((code(item), *explained[item], " ".join(code(m) for m in sorted(named[item]))) for item in sorted(named))
    return "\n".join([HEAD, table(("event", "published by", "effect", "named in"), found)])


@cache
def event_types() -> Mapping[str, set[str]]:
    """Return each type of event with the modules that name it."""
    found: dict[str, set[str]] = {}
    for folder in ("bot", "cogs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            module = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and EVENT_TYPE.fullmatch(node.value):
                    found.setdefault(node.value, set()).add(module)
    return found


def _explained(text: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each event of the table; a cell may name several, of which later ones may be written by their end alone."""
    for names, by, effect in rows(section(text, "Events")):
        first, *others = re.findall(r"`([^`]+)`", names)
        yield first, (by, effect)
        for other in others:
            yield (first.rpartition(".")[0] + other if other.startswith(".") else other), (by, effect)
