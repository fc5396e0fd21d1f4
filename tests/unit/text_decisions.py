"""Find code that decides by the words of a text which is meant for people."""

import ast
import re
from collections.abc import Iterator

from tests.unit.sources import all_nodes

# What such texts are called, of an error, an alert, a phase or a check; `__name__` is that of an error's class.
TEXTS = frozenset(
    {"actions", "detail", "explanation", "hint", "message", "reason", "report", "summary", "title", "warnings"}
)
READING = frozenset({"endswith", "find", "findall", "fullmatch", "index", "match", "partition", "search", "startswith"})
# The same of a stored document: what a recovery attempt says of its end is its `result`.
TEXT_IN_SQL = re.compile(rf"json_extract\(\w+, '\$[\w.]*\.({'|'.join(sorted(TEXTS | {'result'}))})'\)")
# What `_reads_words` and `_asked` know; most of what a file is made of is none of it.
DECIDING = (ast.Constant, ast.Compare, ast.Call, ast.BoolOp, ast.If, ast.While, ast.UnaryOp, ast.comprehension)
COMPARING = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)


def text_decisions(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that compare a text with fixed words, look for some in it, or ask whether there is one.

    Whether two texts are the same may be asked: nothing is known twice. Putting one text in place of another is none.
    """
    for node in all_nodes(tree):
        if not isinstance(node, DECIDING):
            continue
        if _reads_words(node):
            yield node.lineno
        if any(map(_is_text, _asked(node))):
            yield node.lineno


def _reads_words(node: ast.AST) -> bool:
    """Return whether a text is compared with fixed words, or looked into."""
    match node:
        case ast.Constant(value=str(text)):
            return TEXT_IN_SQL.search(text) is not None
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if isinstance(operator, COMPARING):
            return (_is_text(left) and _is_fixed(right)) or (_is_text(right) and _is_fixed(left))
        case ast.Call(func=ast.Attribute(attr=name, value=inner), args=arguments) if name in READING | {"split"}:
            return any(map(_is_text, [inner, *arguments]))
    return False


def _asked(node: ast.AST) -> list[ast.expr]:
    """Return what is asked whether it is empty."""
    match node:
        case ast.Call(func=ast.Name(id="bool"), args=asked) | ast.BoolOp(op=ast.And(), values=asked):
            return asked
        case ast.If(test=test) | ast.While(test=test) | ast.UnaryOp(op=ast.Not(), operand=test):
            return [test]
        case ast.comprehension(ifs=asked):
            return asked
    return []


def _is_text(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name) if name in TEXTS:
            return True
        case ast.Attribute(attr="__name__") | ast.Call(func=ast.Name(id="str"), args=[ast.Name(id="error")]):
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in TEXTS
        case ast.Subscript(value=inner) | ast.Call(func=ast.Attribute(attr="lower" | "strip", value=inner)):
            return _is_text(inner)
    return False


def _is_fixed(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=str()):
            return True
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name.isupper()
        case ast.Set(elts=parts) | ast.Tuple(elts=parts):
            return any(map(_is_fixed, parts))
    return False
