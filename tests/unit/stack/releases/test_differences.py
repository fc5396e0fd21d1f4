"""Who approves a change sees it: by key and by file, old and new, but for secrets."""

import base64
import string
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest

from roas.redaction import Redactor
from roas.stack.releases.differences import MOST_LINES, describe_changes

SECRET = "hunter2-hunter2"
HIDDEN = "it looks like a secret, and is not shown."


def shown(before: dict[str, Any], after: dict[str, Any], contents: Path = Path("/c")) -> tuple[str, ...]:
    redactor = Redactor()
    redactor.add([SECRET])
    models = ({"services": {"web": fields}} for fields in (before, after))
    return describe_changes(*models, contents, redactor.redact)


A = "environment.A"
CHANGES: list[tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    ({"environment": {"A": "info"}}, {"environment": {"A": "debug"}}, (f"-{A}: info", f"+{A}: debug")),
    ({"user": "1"}, {}, ("-user: 1",)),
    ({}, {"user": "1"}, ("+user: 1",)),
    ({"networks": {"a": None}}, {"networks": {"a": None, "b": None}}, ("+networks.b",)),
    ({"environment": {"A": "x", "B": None}}, {"environment": {"A": "x"}}, ("-environment.B",)),
    ({"user": "1"}, {"user": "2", "command": None}, ("-user: 1", "+user: 2")),
    ({"command": ["a"]}, {"command": ["a", "b"]}, ('-command: ["a"]', '+command: ["a", "b"]')),
    ({"environment": {"A": "x"}}, {"environment": {"A": "x\u200b"}}, (f"-{A}: x", rf"+{A}: x\u{{200b}}")),
    ({"environment": {"A": "x"}}, {"environment": {"A": "\u202ex"}}, (f"-{A}: x", rf"+{A}: \u{{202e}}x")),
    ({"environment": {"A": "x"}}, {"environment": {"A": SECRET}}, (f"{A} changed: {HIDDEN}",)),
    (
        {"environment": {"DB_PASSWORD": "a-long-one-1"}},
        {"environment": {"DB_PASSWORD": "a-long-one-2"}},
        (f"environment.DB_PASSWORD changed: {HIDDEN}",),
    ),
    ({"environment": {"A": "x"}}, {"environment": {"A": "y" * 600}}, (f"-{A}: x", f"+{A}: {'y' * 500}… (600)")),
]


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES)
def test_change_of_a_key_is_shown(before: dict[str, Any], after: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert shown(before, after) == ("web:", *expected)
    assert shown(after, after) == ()


def bound(path: Path) -> dict[str, Any]:
    return {"volumes": [{"type": "bind", "source": str(path), "target": "/conf", "read_only": True}]}


def test_change_of_a_file_is_shown(tmp_path: Path) -> None:
    for name, text in (("1", "a=1\nb=1\n"), ("2", f"a=1\nb=\u202e2\npass={SECRET}\n"), ("3", "\0")):
        (tmp_path / name).write_text(text)
    lines = shown(bound(tmp_path / "1"), bound(tmp_path / "2"), tmp_path)
    assert lines[0] == "web:/conf:"
    assert "-b=1" in lines
    assert r"+b=\u{202e}2" in lines
    assert "whether that changed" in lines[-1]
    assert SECRET not in "".join(lines)
    assert "too large" in shown(bound(tmp_path / "1"), bound(tmp_path / "3"), tmp_path)[0]
    assert "+source: /etc/x" in shown(bound(tmp_path / "1"), bound(Path("/etc/x")), tmp_path)


def test_only_a_masked_value_changed_is_said(tmp_path: Path) -> None:
    for name, value in (("1", "a-long-one-1"), ("2", "a-long-one-2")):
        (tmp_path / name).write_text(f"user = web\npassword = {value}\n")
    assert shown(bound(tmp_path / "1"), bound(tmp_path / "2"), tmp_path) == (
        "web:/conf changed: it looks like a secret, and is not shown.",
    )


def test_folder_is_shown_by_its_files(tmp_path: Path) -> None:
    for name, text in (("1/a", "old"), ("2/a", "new"), ("1/b", "same"), ("2/b", "same")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert shown(bound(tmp_path / "1"), bound(tmp_path / "2"), tmp_path)[0] == "web:/conf/a:"


def test_secret_file_is_not_shown(tmp_path: Path) -> None:
    for name in ("secret-1", "secret-2"):
        (tmp_path / name).write_text(name)
    (line,) = shown(bound(tmp_path / "secret-1"), bound(tmp_path / "secret-2"), tmp_path)
    assert "is not shown" in line


def test_cut_diff_says_so() -> None:
    many = {str(number): "x" for number in range(MOST_LINES + 5)}
    lines = shown({}, {"environment": many})
    assert len(lines) == MOST_LINES + 1
    assert "cut" in lines[-1]


FILES = 2000
SEED = 37
WORDS = ("level", "host", "cache", "timeout", "upstream", "region")
# Where secrets stand in files: each of these has the value, or what encodes it.
PLACES: tuple[Callable[[str], str], ...] = (
    lambda secret: f"password = {secret}",
    lambda secret: f'"api_token": "{secret}",',
    lambda secret: f"url: postgres://web:{secret}@store:5432/web",
    lambda secret: f"Authorization: Basic {base64.b64encode(f'web:{secret}'.encode()).decode()}",
    lambda secret: f"# used to be {secret}, see the ticket",
    lambda secret: f"  - --requirepass {secret}",
    lambda secret: f"x={secret.encode().hex()}",
    lambda secret: f"https://hooks.test/?key={quote(secret, safe='')}",
)


def test_no_secret_is_shown_of_many_generated_files(tmp_path: Path) -> None:
    """Secrets that the product knows, wherever they stand and however they are spelled; what else changes is shown."""
    random = Random(SEED)
    redactor, leaked, unseen = Redactor(), [], []
    secrets = ["".join(random.choices(string.ascii_letters + string.digits + "+/=&%", k=20)) for _ in range(20)]
    redactor.add(secrets)
    for number in range(FILES):
        old, new = random.choices(secrets, k=2)
        place, word = random.choice(PLACES), random.choice(WORDS)
        plain = [f"{random.choice(WORDS)} = {random.randrange(100)}" for _ in range(random.randrange(6))]
        for name, secret, value in (("1", old, "before"), ("2", new, f"after-{number}")):
            (tmp_path / name).write_text("\n".join([*plain, f"{word} = {value}", place(secret), *plain]))
        models = ({"services": {"web": bound(tmp_path / name)}} for name in ("1", "2"))
        text = "\n".join(describe_changes(*models, tmp_path, redactor.redact))
        leaked += [number for secret in (old, new) if secret in text or secret.encode().hex() in text]
        unseen += [] if f"+{word} = after-{number}" in text and "looks like a secret" in text else [number]
    assert (leaked, unseen) == ([], [])
