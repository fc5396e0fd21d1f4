"""Find where a text for people is put into another by an f-string, `+` or `join`: key and fields are lost there."""

import ast
from collections.abc import Iterator

from tests.unit.sources import children

# What such texts are called: of an error, an alert, a phase, a check, a plan or a service.
TEXTS = frozenset(
    """
    actions doing explanation fault hint message purpose reason reasons remedy summary title warning warnings why
    """.split()  # noqa: SIM905
)
# Nobody reads these in a language: a log, the names of tasks, what a programmer sees.
UNREAD = ("log.", "re.", "asyncio.", "structlog.", "create_task", "get_logger")


def swallowed(tree: ast.AST) -> Iterator[int]:
    """Yield the lines at which a text for people becomes part of a plain one."""
    for node in _read(tree):
        match node:
            case ast.JoinedStr(values=values):
                parts: list[ast.expr] = [one.value for one in values if isinstance(one, ast.FormattedValue)]
            case ast.BinOp(op=ast.Add() | ast.Mod(), left=left, right=right):
                parts = [left, right]
            case ast.AugAssign(op=ast.Add(), target=ast.Name() as target, value=value) if isinstance(
                value, ast.JoinedStr | ast.Constant
            ):
                parts = [target]
            case ast.Call(func=ast.Attribute(attr="join", value=ast.Constant()), args=[joined]):
                parts = [joined]
            case ast.Call(
                func=ast.Attribute(attr="strip" | "format" | "replace" | "capitalize" | "lower" | "upper", value=text)
            ):
                parts = [text]
            case _:
                continue
        if any(map(_is_text, parts)):
            yield node.lineno


def _read(tree: ast.AST) -> Iterator[ast.AST]:
    for node in children(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(UNREAD):
            continue
        yield node
        yield from _read(node)


def _is_text(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name.lower() in TEXTS
        case ast.Call(func=ast.Name(id="said" | "joined")):
            return True
        case ast.Starred(value=inner) | ast.Subscript(value=inner) | ast.FormattedValue(value=inner):
            return _is_text(inner)
        case ast.GeneratorExp(elt=part) | ast.ListComp(elt=part):
            return _is_text(part)
        case ast.IfExp(body=one, orelse=other):
            return _is_text(one) or _is_text(other)
        case ast.BoolOp(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
            return any(map(_is_text, parts))
    return False
