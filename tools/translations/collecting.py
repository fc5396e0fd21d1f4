"""Collect every text that people may read: of the interface, of the commands, and what the core says."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babel.messages.extract import extract

from roas.ui.translation import SENTENCE
from tools.translations.literals import has_own, is_speech, template, texts

ROOT = Path(__file__).resolve().parents[2]
# The states that are shown as words, and where they are.
WORDS = {
    "PhaseName": "bot/models/phases.py",
    "ServiceStep": "bot/models/deployment.py",
    "ContainerState": "bot/models/health.py",
    "Verdict": "bot/models/health.py",
    "Outcome": "bot/models/deployment.py",
    "DataChoice": "bot/models/deployment.py",
    "ReleaseState": "bot/models/release.py",
    "Action": "cogs/permissions.py",
    "Severity": "bot/models/alert.py",
    "AlertState": "bot/models/alert.py",
    "AlertSource": "bot/models/alert.py",
    "MissingPermission": "bot/ui/drawing.py",
}
COMMAND_LINE = "bot/cli/__init__.py"
# Where `said` may stand; what it says is a sentence of the core.
EVERYWHERE = ["bot", "cogs"]
INTERFACE = ["bot/ui", "cogs"]
# Calls whose texts no person reads, by how they begin.
UNREAD_CALLS = ("log.", "re.", "asyncio.", "_detached", "timer", "structlog.")
# Calls by which a text of the interface is translated.
TRANSLATING_CALLS = ("_", "app_commands.", "said")


@dataclass(frozen=True, order=True)
class Entry:
    """Hold a text, what it is (None: a text of the interface), and where it stands."""

    text: str
    context: str | None
    place: str


def collect() -> list[Entry]:
    """Return all texts of the product that are to be translated."""
    found = [entry for file in _files(INTERFACE) for entry in _interface(file)]
    found += [entry for file in _files(EVERYWHERE) for entry in _said(file)]
    found += [Entry(text, "word", place) for name, place in WORDS.items() for text in _members(name, ROOT / place)]
    found += [Entry(text, None, COMMAND_LINE) for text in _of_command_line()]
    return found


def _of_command_line() -> Iterator[str]:
    """Yield what `roas --help` shows: the text, the end, and a line for each command."""
    for node in ast.parse((ROOT / COMMAND_LINE).read_text()).body:
        name = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""
        if isinstance(node, ast.Assign) and name in {"HELP", "EPILOG", "COMMANDS"}:
            value = ast.literal_eval(node.value)
            yield from [value] if isinstance(value, str) else (text for _place, text in value.values())


def bare() -> list[Entry]:
    """Return the texts of the interface that go past the translation."""
    return [entry for file in _files(INTERFACE) for entry in _bare(file)]


def _bare(file: Path) -> Iterator[Entry]:
    tree = ast.parse(file.read_text())
    passed = [call for call in _calls(tree) if _is_unread(call) or ast.unparse(call.func).startswith(TRANSLATING_CALLS)]
    states = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name in WORDS]
    known = {id(node) for part in (*passed, *states) for node in ast.walk(part)}
    for node in texts(tree):
        text = template(node)
        if text is not None and id(node) not in known and is_speech(text):
            yield Entry(text, None, _place(file))


def _members(name: str, file: Path) -> list[str]:
    """Return the values of an enumeration as they are shown."""
    kinds = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ClassDef)]
    body = next(kind.body for kind in kinds if kind.name == name)
    values = [template(node.value) for node in body if isinstance(node, ast.Assign)]
    return [value.replace("_", " ") for value in values if value]


def _files(places: list[str]) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        yield from [path] if path.suffix else sorted(path.rglob("*.py"))


def _place(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def _interface(file: Path) -> Iterator[Entry]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_" and node.args:
            text = template(node.args[0])
            if text is None:
                raise SystemExit(f"{_place(file)}:{node.lineno}: _() takes a literal, nothing that is computed")
            yield Entry(text, None, _place(file))
        elif isinstance(node, ast.AsyncFunctionDef):
            yield from _command(node, _place(file))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "app_commands.Group":
            yield from _described(node, _place(file))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "app_commands.describe":
            for keyword in node.keywords:
                yield Entry(_literal(keyword.value) or "…", "description", _place(file))


def _said(file: Path) -> Iterator[Entry]:
    """Yield what the core says, found by Babel; what has no words is the same in each language."""
    with file.open("rb") as source:
        for _, text, _, _ in extract("python", source, keywords={"said": None}):
            if isinstance(text, str) and has_own(text):
                yield Entry(text, SENTENCE, _place(file))


def _command(function: ast.AsyncFunctionDef, place: str) -> Iterator[Entry]:
    """Yield the name and the description of a slash command, and the names of its options."""
    decorators = [node for node in function.decorator_list if isinstance(node, ast.Call)]
    called = {ast.unparse(node.func).rpartition(".")[2]: node for node in decorators}
    if "command" not in called:
        return
    given = {keyword.arg: keyword.value for keyword in called["command"].keywords}
    yield Entry(_literal(given.get("name")) or function.name, "name", place)
    yield Entry(_literal(given.get("description")) or "…", "description", place)
    renamed = {word.arg: _literal(word.value) for word in called["rename"].keywords} if "rename" in called else {}
    for argument in function.args.args[2:]:
        yield Entry(renamed.get(argument.arg) or argument.arg, "name", place)


def _described(group: ast.Call, place: str) -> Iterator[Entry]:
    for keyword in group.keywords:
        if keyword.arg in {"name", "description"} and (text := _literal(keyword.value)):
            yield Entry(text, keyword.arg, place)


def _literal(node: ast.AST | None) -> str | None:
    return template(node) if node is not None else None


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _is_unread(call: ast.Call) -> bool:
    return ast.unparse(call.func).startswith(UNREAD_CALLS)
