"""Find figures that say how often, or how long, what failed is tried again."""

import ast
import re
from collections.abc import Iterator

from tests.unit.sources import all_nodes

# Words by which such a figure is named.
NAMED = re.compile(
    r"(?:^|_)(?:TRY|TRIES|TRIED|RETRY|RETRIES|ATTEMPTS?|AGAIN|AWAY|BACKOFF|GRACE|PATIENCE|ROUNDS|SUCCESSORS"
    r"|TOLERATED)(?:_|$)"
)


def retry_figures(tree: ast.Module) -> Iterator[str]:
    """Yield the names of constants with such a figure, and the waits that are written where they are used."""
    constants = dict(_constants(tree))
    yield from (name for name in constants if NAMED.search(name))
    for node in all_nodes(tree):
        match node:
            case ast.Call(func=ast.Name(id="Retries"), args=[ast.Constant(), *_]):
                yield ast.unparse(node)
            case ast.For(iter=ast.Call(func=ast.Name(id="range"), args=[limit])) if _catches(node):
                yield from (name for name in _names(limit) if name in constants)


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield each constant of a module whose value has a number in it, and that value."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
                if any(isinstance(part, ast.Constant) and type(part.value) in {int, float} for part in ast.walk(value)):
                    yield from ((name, value) for name in _names(target) if name.isupper())


def _names(node: ast.expr) -> Iterator[str]:
    yield from (part.id for part in ast.walk(node) if isinstance(part, ast.Name))


def _catches(loop: ast.For) -> bool:
    return any(isinstance(node, ast.Try) for node in all_nodes(loop))
