"""Read texts out of Python source: literals, and f-strings as templates."""

import ast
import re
from collections.abc import Iterator

FIELD = re.compile(r"\{[a-z0-9_]+\}")
LETTERS = re.compile(r"[A-Za-z]")
# What an attribute is called tells nothing here; what it belongs to does.
FACELESS = frozenset({"name", "value", "label", "id", "version"})


def template(node: ast.AST) -> str | None:
    """Return a literal, or an f-string with names in its `{fields}`; None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if not isinstance(node, ast.JoinedStr):
        return None
    names: list[str] = []
    parts = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            names.append(_unique(_name(part.value), names))
            parts.append(f"{{{names[-1]}}}")
        elif isinstance(part, ast.Constant):
            parts.append(str(part.value))
    return "".join(parts)


def texts(tree: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Yield the text nodes below a node, but not those within the fields of an f-string, nor docstrings."""
    left = [*ast.iter_child_nodes(tree)][::-1]
    while left:
        node = left.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            yield node
        else:
            left += [*ast.iter_child_nodes(node)][::-1]


def is_speech(text: str) -> bool:
    """Tell whether a text has words of its own that a person would read."""
    own = FIELD.sub("", text)
    return " " in text.strip() and len(LETTERS.findall(own)) >= 6


def has_own(text: str) -> bool:
    """Tell whether a template has words or punctuation of its own beside its fields."""
    return bool(FIELD.sub("", text).strip())


def _name(node: ast.expr) -> str:
    """Name a field as its expression is called."""
    if isinstance(node, ast.Name):
        return node.id.strip("_").lower()
    if isinstance(node, ast.Attribute):
        return _name(node.value) if node.attr in FACELESS else node.attr.strip("_").lower()
    if isinstance(node, ast.Call) and node.args:
        return _name(node.args[0])
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Name | ast.Attribute | ast.Call):
            return _name(child)
    return "what"


def _unique(name: str, taken: list[str]) -> str:
    number = 2
    found = name
    while found in taken:
        found, number = f"{name}{number}", number + 1
    return found
