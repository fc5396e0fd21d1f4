"""Who approves a change sees it: by key and by file, old and new, but for secrets."""

import base64
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from roas.redaction import Redactor
from roas.stack.releases.differences import MOST_BYTES, MOST_LINES, MOST_SHOWN, describe_changes

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
    ({"environment": {"A": "x"}}, {"environment": {"A": "x\u3164"}}, (f"-{A}: x", rf"+{A}: x\u{{3164}}")),
    ({"environment": {"A": "x y"}}, {"environment": {"A": "x\xa0y"}}, (f"-{A}: x y", rf"+{A}: x\u{{a0}}y")),
    ({"environment": {"A": "x"}}, {"environment": {"\u0410": "x"}}, (f"-{A}: x", r"+environment.\u0410: x")),
    ({"environment": {"A": "x"}}, {"environment": {"A": SECRET}}, (f"{A} changed: {HIDDEN}",)),
    (
        {"x-deploy": {"depends_on": {"db": {"condition": "service_healthy"}}}},
        {"x-deploy": {"depends_on": {"db": {"condition": "service_started"}}}},
        ("-x-deploy.depends_on.db.condition: service_healthy", "+x-deploy.depends_on.db.condition: service_started"),
    ),
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


@pytest.mark.parametrize(("old", "new"), [("a", "b"), ("a", "a"), ("\0a", "\0b")])
def test_mode_of_a_file_is_shown_whatever_else_changed(tmp_path: Path, old: str, new: str) -> None:
    for name, text, mode in (("1", old, 0o644), ("2", new, 0o755)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    assert shown(bound(tmp_path / "1"), bound(tmp_path / "2"), tmp_path)[:3] == (
        "web:/conf:",
        "-mode: 644",
        "+mode: 755",
    )


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


def test_every_file_of_a_folder_is_compared_to_its_end(tmp_path: Path) -> None:
    """And no link in it is followed: the bot may read more of the host than the stack."""
    (tmp_path / "outside").write_text("of-the-host")
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        for number in range(250):
            (tmp_path / name / f"{number:03}").touch()
    (tmp_path / "2" / "249").write_text("late")
    (tmp_path / "2" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "2" / "000").chmod(0o755)
    (tmp_path / "2" / "empty").touch()
    (tmp_path / "1" / "breaks").write_text("a\nb")
    (tmp_path / "2" / "breaks").write_text("a\u2028b")
    for name, end in (("1", "x"), ("2", "y")):
        (tmp_path / name / "large").write_text("x" * MOST_BYTES + "\n" + end)
    lines = shown(bound(tmp_path / "1"), bound(tmp_path / "2"), tmp_path)
    assert {"web:/conf/249:", "+late", f"+-> {tmp_path}/outside", "-mode: 644", "+mode: 755", r"+a\u{2028}b"} <= {
        *lines
    }
    assert {"web:/conf/empty:", "+"} <= {*lines}
    assert any("large changed" in line for line in lines)
    assert "of-the-host" not in "".join(lines)


def test_what_a_proxy_reads_again_is_shown(tmp_path: Path) -> None:
    place = tmp_path / "live-1"
    for name, text in (("1", "old"), ("2", "new"), ("live-1", "old")):
        (tmp_path / name).write_text(text)
    before, after = (bound(place) | {"x-deploy": {"live": {str(place): str(tmp_path / name)}}} for name in ("1", "2"))
    assert shown(before, after, tmp_path) == ("web:/conf:", "@@ -1 +1 @@", "-old", "+new")


def test_what_the_bot_is_told_of_a_service_is_shown() -> None:
    """A backup, a probe and a canary are what somebody wrote; what a release notes there is not."""
    before = {"x-deploy": {"image_id": "1", "live": {}, "backup": {"restore": ["untar"]}}}
    after = {"x-deploy": {"image_id": "2", "written": {}, "backup": {"restore": ["/payload"]}}}
    key = "x-deploy.backup.restore"
    assert shown(before, after) == ("web:", f'-{key}: ["untar"]', f'+{key}: ["/payload"]')
    assert shown({}, {"x-deploy": {"image_id": "2"}}) == ()


def bound_files(folder: Path, ours: list[str], theirs: list[str]) -> tuple[str, ...]:
    for name, lines in (("1", ours), ("2", theirs)):
        (folder / name).write_text("\n".join(lines) + "\n")
    return shown(bound(folder / "1"), bound(folder / "2"), folder)[1:]


def test_lines_that_repeat_are_compared_in_time(tmp_path: Path) -> None:
    """Whoever writes a file chooses its lines: a diff of these took minutes, and nobody can stop a thread."""
    lines = [f"{number % 120}" for number in range(MOST_BYTES // 4)]
    begun = time.process_time()
    one = list(lines)
    one[40_000] = "x"
    assert bound_files(tmp_path, lines, one)[0] == "@@ -39998,7 +39998,7 @@"
    many = ["a", *lines[1:-1], "b"]
    many[10::9] = reversed(many[10::9])
    found = bound_files(tmp_path, lines, many)
    assert len(found) == MOST_LINES
    assert "cut" in found[-1]
    assert time.process_time() - begun < 4.0


def test_diff_of_a_file_leads_from_one_to_the_other(tmp_path: Path) -> None:
    random = Random(SEED)
    for _ in range(300):
        ours = ["begin", *random.choices("abcde", k=random.randrange(30))]
        theirs = list(ours)
        for _ in range(random.randrange(1, 4)):
            at = random.randrange(1, len(theirs) + 1)
            theirs[at : at + random.randrange(3)] = random.choices("abcdexyz", k=random.randrange(3))
        lines, made, at = bound_files(tmp_path, ours, theirs), [], 0
        for line in lines:
            if line.startswith("@@"):
                first, _, count = line.split()[1].removeprefix("-").partition(",")
                begin = int(first) - (count != "0")
                made, at = made + ours[at:begin], begin
            elif line[0] in " -":
                assert ours[at] == line[1:]
                made, at = made + ([line[1:]] if line[0] == " " else []), at + 1
            else:
                made.append(line[1:])
        assert made + ours[at:] == theirs


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
    wide = shown({}, {"environment": {str(number): "\u2603" * 400 for number in range(MOST_LINES)}})
    assert sum(len(line.encode()) for line in wide) < MOST_SHOWN + 100
    assert "cut" in wide[-1]


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


# And where in a service's own keys.
KEYS: tuple[Callable[[str], dict[str, Any]], ...] = (
    lambda text: {"environment": {"NOTE": text}},
    lambda text: {"labels": {"note": text}},
    lambda text: {"command": ["serve", text]},
    lambda text: {"entrypoint": ["sh", "-c", text]},
    lambda text: {"healthcheck": {"test": ["CMD", "check", text]}},
    lambda text: {"environment": {text: "1"}},
)


def test_no_secret_is_shown_of_many_generated_files(tmp_path: Path) -> None:
    """Secrets that the product knows, wherever they stand and however they are spelled; what else changes is shown."""
    random = Random(SEED)
    redactor, leaked, unseen = Redactor(), [], []
    secrets = ["".join(random.choices(string.ascii_letters + string.digits + "+/=&%", k=20)) for _ in range(20)]
    redactor.add(secrets)
    for number in range(FILES):
        old, new = random.choices(secrets, k=2)
        place, key, word = random.choice(PLACES), random.choice(KEYS), random.choice(WORDS)
        plain = [f"{random.choice(WORDS)} = {random.randrange(100)}" for _ in range(random.randrange(6))]
        models = []
        for name, secret, value in (("1", old, "before"), ("2", new, f"after-{number}")):
            (tmp_path / name).write_text("\n".join([*plain, f"{word} = {value}", place(secret), *plain]))
            models.append({"services": {"web": bound(tmp_path / name) | key(place(secret))}})
        text = "\n".join(describe_changes(*models, tmp_path, redactor.redact))
        leaked += [number for secret in (old, new) if any(form in text for form in spellings(secret))]
        unseen += [] if f"+{word} = after-{number}" in text and "looks like a secret" in text else [number]
    assert (leaked, unseen) == ([], [])


def spellings(secret: str) -> Iterator[str]:
    """Yield a secret as it is, and encoded: in base64 by what does not depend on its neighbours."""
    yield from (secret, secret.encode().hex(), quote(secret, safe=""), quote(secret), quote_plus(secret))
    for before in range(3):
        encoded = base64.b64encode(b"-" * before + secret.encode()).decode()
        yield encoded[4 if before else 0 :].rstrip("=")[:-1]
