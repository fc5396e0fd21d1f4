"""Find texts in the code that a person would read, and that are said without a key."""

import ast
import re
from collections.abc import Iterator

from tests.unit.sources import all_nodes
from tools.translations.literals import is_speech, template, texts

# Who reads these: a log, a regular expression, a task's name; and what `said` makes of a text is said.
OTHERS = ("said", "log.", "re.", "asyncio.", "structlog.", "get_logger", "_detached", "timer")
SQL = re.compile(r"\b(?:SELECT|UPDATE|INSERT|DELETE|CREATE|PRAGMA|BEGIN|SAVEPOINT|ROLLBACK|RELEASE|ORDER BY)\b|json_")
CONDITION = re.compile(r" (?:=|<|IS) ")
ANNOTATION = re.compile(r"\w+ \| None|\w+\[.*\]")


def bare_texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the template of each."""
    calls = [node for node in all_nodes(tree) if isinstance(node, ast.Call)]
    known = {id(node) for call in calls if ast.unparse(call.func).startswith(OTHERS) for node in all_nodes(call)}
    for node in texts(tree):
        text = template(node)
        if text is None or id(node) in known or not is_speech(text):
            continue
        if not (SQL.search(text) or CONDITION.search(text) or ANNOTATION.fullmatch(text)):
            yield node.lineno, text
