"""Who approves a change sees it: by key and by file, old and new, but for secrets."""

from pathlib import Path
from typing import Any

import pytest

from roas.redaction import Redactor
from roas.stack.releases.differences import MOST_LINES, describe_changes

SECRET = "hunter2-hunter2"


def shown(before: dict[str, Any], after: dict[str, Any], contents: Path = Path("/c")) -> tuple[str, ...]:
    redactor = Redactor()
    redactor.add([SECRET])
    models = ({"services": {"web": fields}} for fields in (before, after))
    return describe_changes(*models, contents, redactor.redact)


CHANGES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"environment": {"LEVEL": "info"}}, {"environment": {"LEVEL": "debug"}}, "web.environment.LEVEL: info → debug"),
    ({"user": "1"}, {}, "web.user: 1 → –"),
    ({"command": ["a"]}, {"command": ["a", "b"]}, 'web.command: ["a"] → ["a", "b"]'),
    ({"environment": {"A": "x"}}, {"environment": {"A": "x\u200b"}}, r"web.environment.A: x → x\u{200b}"),
    ({"environment": {"A": "x"}}, {"environment": {"A": "\u202ex"}}, r"web.environment.A: x → \u{202e}x"),
    ({"environment": {"A": "x"}}, {"environment": {"A": SECRET}}, "cannot be read here"),
    ({"environment": {"DB_PASSWORD": "a-long-one-1"}}, {"environment": {"DB_PASSWORD": "a-long-one-2"}}, "secret"),
    ({"environment": {"A": "x"}}, {"environment": {"A": "y" * 600}}, "… (600)"),
]


@pytest.mark.parametrize(("before", "after", "text"), CHANGES)
def test_change_of_a_key_is_shown(before: dict[str, Any], after: dict[str, Any], text: str) -> None:
    (line,) = shown(before, after)
    assert text in line
    assert "hunter2" not in line
    assert "a-long-one" not in line
    assert shown(after, after) == ()


def bound(path: Path) -> dict[str, Any]:
    return {"volumes": [{"type": "bind", "source": str(path), "target": "/conf", "read_only": True}]}


def test_change_of_a_file_is_shown(tmp_path: Path) -> None:
    for name, text in (("1", "a=1\nb=1\n"), ("2", f"a=1\nb=\u202e2\npass={SECRET}\n"), ("3", "\0")):
        (tmp_path / name).write_text(text)
    lines = shown(bound(tmp_path / "1"), bound(tmp_path / "2"), tmp_path)
    assert lines[0] == "web:/conf:"
    assert "  -b=1" in lines
    assert r"  +b=\u{202e}2" in lines
    assert "looks like a secret" in lines[-1]
    assert SECRET not in "".join(lines)
    assert "too large" in shown(bound(tmp_path / "1"), bound(tmp_path / "3"), tmp_path)[0]
    assert "/conf.source" in shown(bound(tmp_path / "1"), bound(Path("/etc/x")), tmp_path)[0]


def test_folder_is_shown_by_its_files(tmp_path: Path) -> None:
    for name, text in (("1/a", "old"), ("2/a", "new"), ("1/b", "same"), ("2/b", "same")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert shown(bound(tmp_path / "1"), bound(tmp_path / "2"), tmp_path)[0] == "web:/conf/a:"


def test_secret_file_is_not_shown(tmp_path: Path) -> None:
    for name in ("secret-1", "secret-2"):
        (tmp_path / name).write_text(name)
    (line,) = shown(bound(tmp_path / "secret-1"), bound(tmp_path / "secret-2"), tmp_path)
    assert "is a secret" in line


def test_cut_diff_says_so() -> None:
    many = {str(number): "x" for number in range(MOST_LINES + 5)}
    lines = shown({}, {"environment": many})
    assert len(lines) == MOST_LINES + 1
    assert "cut" in lines[-1]
