"""YAML that is small and means much is refused at once; what cannot be converted is an error that says so."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from roas.configuration.compose_yaml import read_compose
from roas.errors import ComposeFileError
from roas.stack.model.raw_files import RawFile
from roas.stack.model.text import read_resolved, read_yaml
from roas.stack.resolution.discovery import read_references

NAMES = ",".join(f"f{number}" for number in range(1500))
LEVELS = "".join(
    f"x-{new}: &{new} [{','.join(9 * [f'*{old}'])}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "".join(
    f"x-{new}: &{new} {{<<: [{','.join(9 * [f'*{old}'])}], k{new}: 1}}\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
KEYS = ",".join(f"k{number}: 1" for number in range(20_000))


def services(value: str, count: int) -> str:
    """Write as many services that are all alike."""
    return ",".join(f"s{number}: {value}" for number in range(count))


BOMBS = {
    "the same entry often": f"x-e: &e {{path: [{NAMES}]}}\ninclude: [{','.join(1000 * ['*e'])}]\n",
    "env files of services": f"x-a: &a {{env_file: [{NAMES}]}}\nservices: {{{services('*a', 2000)}}}\n",
    "merged into many": f"x-a: &a {{{KEYS}}}\nservices: {{{services('{<<: *a}', 10_000)}}}\n",
    "many elements": f"x-a: [{','.join(400_000 * ['a'])}]\n",
}


def _within(seconds: float, work: Callable[[], object]) -> None:
    begin = time.process_time()
    with pytest.raises(ComposeFileError):
        work()
    assert time.process_time() - begin < seconds


@pytest.mark.parametrize("kind", BOMBS)
def test_yaml_bomb_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "compose.yml"
    path.write_text(BOMBS[kind])
    _within(3.0, lambda: read_references([RawFile(path, tmp_path)], Path.read_bytes))


@pytest.mark.parametrize("text", [f"x-a: &a [q]\n{LEVELS}include: *i\n", f"x-a: &a {{q: 1}}\n{MERGES}services: *i\n"])
def test_aliases_of_aliases_read_once(text: str, tmp_path: Path) -> None:
    path = tmp_path / "compose.yml"
    path.write_text(text)
    begin = time.process_time()
    assert len(read_references([RawFile(path, tmp_path)], Path.read_bytes)) < 10
    assert time.process_time() - begin < 3.0


def test_many_keys_shared_by_many_services_read(tmp_path: Path) -> None:
    """Each look for a key costs the same, however many there are."""
    path = tmp_path / "compose.yml"
    path.write_text(f"x-a: &a {{{KEYS}}}\nservices: {{{services('*a', 20_000)}}}\n")
    begin = time.process_time()
    assert read_references([RawFile(path, tmp_path)], Path.read_bytes) == []
    assert time.process_time() - begin < 6.0


@pytest.mark.parametrize(
    "value",
    [
        "!!int x",
        "!!bool x",
        "!!timestamp x",
        "!!float x",
        "!!int [a]",
        "!!omap 1",
        "!!set [1]",
        "!!binary \u00e9",
        "9" * 5000,
    ],
)
def test_value_that_is_none_of_its_tag_is_an_error(value: str) -> None:
    with pytest.raises(ComposeFileError, match="The model cannot be read"):
        read_yaml(f"a: {value}")


def test_number_of_base_sixty_is_text() -> None:
    begin = time.process_time()
    text = ":".join(["59"] * 130_000)
    assert read_yaml(f"a: {text}\nb: 12:30\nc: 12\nd: 1.5\ne: 0x10") == {
        "a": text,
        "b": "12:30",
        "c": 12,
        "d": 1.5,
        "e": 16,
    }
    assert time.process_time() - begin < 3.0


@pytest.mark.parametrize("byte", [b"\xfc", b"\x07"], ids=["no UTF-8", "a control character"])
def test_byte_that_is_not_allowed_is_named_by_its_line(byte: bytes) -> None:
    """An editor that writes Latin-1 makes an umlaut in a comment one: nobody sees what is wrong."""
    with pytest.raises(ComposeFileError, match=r"compose\.yaml, line 3: it has a byte"):
        read_compose(Path("compose.yaml"), b"services:\n  web: {image: a}\n# " + byte + b"\n")


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
@pytest.mark.parametrize("depth", [200, 900, 20_000])
def test_model_that_is_nested_too_deeply_is_refused(opening: str, closing: str, depth: int) -> None:
    """Whoever walks over it would run out of the stack of Python, in the middle of a plan."""
    with pytest.raises(ComposeFileError, match="The model cannot be read"):
        read_resolved(f"x-a: {opening * depth}{closing * depth}")
    assert read_resolved(f"x-a: {opening * 20}{closing * 20}")
