"""The line of every key is found, however the file is written."""

import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from roas.configuration.lines import KeyPath, lines_of

AWKWARD = '''\
# [not.a.table]
top = "# no comment, no \\" end"   # a comment with ] and }

[discord]
guild_id = 1_000
role_ids = [
    11, # [eleven]
    12,
]
"quoted key" = \'it\'
text = """
[environments.nowhere]
key = "no key"\\
""""
raw = \'\'\'
a = 1\'\'\'\'

[environments . dev]
folder.sub = { a = 1, "b.c" = [ { d = 2 }, { d = 3 } ] }
at = 2026-01-01 10:00:00
[environments."pro\\u0064"]
open = true
[[windows]]
name = "a"
[windows.days]
monday = 1
[[windows]]
name = "b"
'''


def paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of everything in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


def test_awkward_file_gives_each_key_its_line():
    found = lines_of(AWKWARD)
    assert set(found) == set(paths(tomllib.loads(AWKWARD)))
    lines = AWKWARD.splitlines()
    for path, text in {
        ("top",): "top =",
        ("discord",): "[discord]",
        ("discord", "role_ids", 1): "    12",
        ("discord", "quoted key"): '"quoted key"',
        ("discord", "raw"): "raw =",
        ("environments", "dev", "folder", "sub", "b.c", 1, "d"): "folder.sub",
        ("environments", "prod", "open"): "open =",
        ("windows", 0, "days", "monday"): "monday",
        ("windows", 1, "name"): 'name = "b"',
    }.items():
        assert lines[found[path] - 1].startswith(text), path


def test_line_ends_of_windows_are_counted():
    assert lines_of("a = 1\r\n\r\nb = 2\r\n") == {("a",): 1, ("b",): 3}


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
values = st.recursive(
    st.one_of(st.integers(-9, 9), st.booleans(), texts), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(value: Any) -> str:
    """Write a value; an array has each item on a line of its own."""
    if isinstance(value, list):
        return "[\n" + "".join(f"{written(one)}, # ]\n" for one in value) + "]"
    return quoted(value) if isinstance(value, str) else str(value).lower()


@given(st.dictionaries(texts, st.dictionaries(texts, values, max_size=4), max_size=4), st.data())
def test_any_document_has_a_line_for_each_key(document: dict[str, dict[str, Any]], data: st.DataObject):
    text, expected = "", {}
    for table, content in document.items():
        text += "# 'comment' = [\n" * data.draw(st.integers(0, 2))
        expected[(table,)] = text.count("\n") + 1
        text += f"[{quoted(table)}] # x\n"
        for key, value in content.items():
            expected[(table, key)] = text.count("\n") + 1
            text += f"{quoted(key)} = {written(value)}\n"
    assert tomllib.loads(text) == document
    found = lines_of(text)
    assert set(found) == set(paths(document))
    assert {path: found[path] for path in expected} == expected
