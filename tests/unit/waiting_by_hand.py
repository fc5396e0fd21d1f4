"""Find code that waits, backs off or ends tasks by itself, in place of `concurrency.py` and `backoff.py`."""

import ast
from collections.abc import Iterator

from tests.unit.sources import all_nodes


def ends_tasks_by_hand(tree: ast.AST) -> Iterator[int]:
    """Yield where tasks are cancelled, and what they raise is dropped."""
    for function in all_nodes(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and any(map(_cancels, all_nodes(function))):
            for node in all_nodes(function):
                match node:
                    case ast.Expr(value=ast.Await(value=ast.Call(func=ast.Attribute(attr="gather"), keywords=[_]))):
                        yield node.lineno


def backs_off_by_hand(tree: ast.AST) -> Iterator[int]:
    """Yield where a wait is made longer under the name that it has, or shorter at random."""
    for node in all_nodes(tree):
        match node:
            case ast.Import(names=[ast.alias(name="random")]) | ast.ImportFrom(module="random"):
                yield node.lineno
            case ast.AugAssign(op=ast.Mult(), target=ast.Name(id=name)) if "seconds" in name or "delay" in name:
                yield node.lineno
            case ast.Assign(targets=[ast.Name() | ast.Attribute() as target], value=value):
                factors = {side for part in all_nodes(value) for side in _factors(part)}
                if factors and ast.unparse(target) in factors:
                    yield node.lineno


def sleeps_by_another_name(tree: ast.AST) -> Iterator[int]:
    """Yield where an event is waited for that nobody else knows, or a pause after which nothing is looked at again."""
    loops = [node for node in all_nodes(tree) if isinstance(node, ast.While | ast.For | ast.AsyncFor)]
    looked_at_again = {id(node) for loop in loops for node in all_nodes(loop)}
    for node in all_nodes(tree):
        match node:
            case ast.Call(args=[ast.Call(func=ast.Attribute(attr="Event")), *_]):
                yield node.lineno
            case ast.Call(func=ast.Attribute(attr="wait", value=ast.Call(func=ast.Attribute(attr="Event")))):
                yield node.lineno
            case ast.Call(func=ast.Name(id="pause")) if id(node) not in looked_at_again:
                yield node.lineno


def _factors(node: ast.AST) -> tuple[str, ...]:
    match node:
        case ast.BinOp(op=ast.Mult(), left=left, right=right):
            return ast.unparse(left), ast.unparse(right)
    return ()


def _cancels(node: ast.AST) -> bool:
    """Return whether a task is cancelled that is named: one of many may be, while the others go on."""
    match node:
        case ast.Call(func=ast.Attribute(attr="cancel", value=ast.Name() | ast.Attribute()), args=[]):
            return True
    return False
