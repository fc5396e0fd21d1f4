"""What a child inherits is said in one place; and a folder of logins of its own has the chosen plugins."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.inherited import chosen_programs, inherited, link_plugins
from tests.unit.sources import tree_of

ROOT = Path(__file__).resolve().parents[3]
PLACES = ("testbed", "tests", "demo", "tools")
ONE_PLACE = ROOT / "testbed" / "inherited.py"


def own_lists(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that pick variables of this process by name, for another one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.DictComp) and "os.environ[" in ast.unparse(node.value):
            yield node.lineno
        if isinstance(node, ast.Dict) and any(ast.unparse(value) == "os.environ['PATH']" for value in node.values):
            yield node.lineno


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}', 1),
        ('{"PATH": os.environ["PATH"], "HOME": "/root"}', 1),
        ('inherited() | {"HOME": os.environ["HOME"]}', 0),
        ('{name: value for name, value in os.environ.items() if name != "X"}', 0),
    ],
)
def test_own_list_is_seen(text: str, count: int) -> None:
    assert len(list(own_lists(ast.parse(text)))) == count


def test_one_place_says_what_children_inherit() -> None:
    sources = (path for place in PLACES for path in sorted((ROOT / place).rglob("*.py")))
    readers = (path for path in sources if path != ONE_PLACE and "os.environ[" in path.read_text())
    assert [f"{path.relative_to(ROOT)}:{line}" for path in readers for line in own_lists(tree_of(path))] == []


def test_chosen_programs_go_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/chosen/bin")
    monkeypatch.setenv("DOCKER_CONFIG", "/chosen/config")
    monkeypatch.setenv("HTTP_PORT", "1")
    assert chosen_programs() == {"PATH": "/chosen/bin", "DOCKER_CONFIG": "/chosen/config"}
    assert chosen_programs().items() <= inherited().items()
    assert "HTTP_PORT" not in inherited()
    monkeypatch.delenv("DOCKER_CONFIG")
    assert "DOCKER_CONFIG" not in inherited()


def test_own_folder_has_chosen_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, chosen = tmp_path / "own", tmp_path / "chosen"
    own.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(chosen))
    link_plugins(own)
    assert list(own.iterdir()) == [], "there are none"
    (chosen / "cli-plugins").mkdir(parents=True)
    for _ in range(2):
        link_plugins(own)
    assert (own / "cli-plugins").resolve() == chosen / "cli-plugins"
    link_plugins(chosen)
    assert not (chosen / "cli-plugins").is_symlink()
