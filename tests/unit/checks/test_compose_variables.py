"""The files of a stack are looked at where they lie, and mean no harm to who looks."""

import os
import time
from pathlib import Path

import pytest

from roas.checks.compose_variables import known_variables, variable_uses, variables_of_images

LEVELS = "".join(
    f"x-{new}: &{new} [{','.join(9 * [f'*{old}'])}]\n" for old, new in zip("abcdefghijk", "bcdefghijkl", strict=True)
)
HOSTILE = {
    "no number": "a: !!int x",
    "no time": "a: !!timestamp x",
    "no bool": "a: !!bool x",
    "itself": "a: &a [*a]",
    "aliases of aliases": f"x-a: &a ['${{B?}}']\n{LEVELS}services: *l",
    "base sixty": "a: " + ":".join(["59"] * 130_000),
    "nested": "a: " + "[" * 5000 + "]" * 5000,
    "defaults of defaults": "a: '" + "${B:-" * 50_000 + "'",
    "no path": 'include: ["\\0", "' + "a" * 5000 + '", [1], {path: {a: b}}]',
    "a key that is a list": "? [a]\n: b",
    "hidden": "a: !!binary JHtCfQ==",
}


def uses(path: Path) -> list[str]:
    """Return the variables that a file uses, in time."""
    begun = time.process_time()
    found = [use.name for use in variable_uses([path], {})]
    variables_of_images([path])
    assert time.process_time() - begun < 3.0
    return found


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_file_breaks_no_check(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "docker-compose.yml"
    path.write_text(HOSTILE[kind])
    assert set(uses(path)) <= {"B"}


def test_only_files_of_the_stack_are_read(tmp_path: Path) -> None:
    """What a compose file includes may be a pipe, endless, or somebody else's."""
    folder = tmp_path / "stack"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "outside.yml").write_text("services: {a: {image: '${OUTSIDE:?hunter2}'}}")
    (folder / "sub" / "own.yml").write_text("services: {a: {image: '${OWN:?}'}}")
    (folder / "link.yml").symlink_to(tmp_path / "outside.yml")
    os.mkfifo(folder / "pipe.yml")
    (folder / "huge.yml").touch()
    os.truncate(folder / "huge.yml", 1 << 40)
    path = folder / "docker-compose.yml"
    path.write_text(
        "include: [../outside.yml, link.yml, pipe.yml, huge.yml, /dev/zero, {path: [sub/own.yml, sub/../sub/own.yml]}]"
    )
    assert uses(path) == ["OWN"]


def test_what_is_no_env_file_sets_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 40)
    (tmp_path / "own").write_text("A=1\n")
    places = [tmp_path / "pipe", tmp_path / "huge", Path("/dev/zero"), tmp_path, tmp_path / "own"]
    assert {name: value for name, value in known_variables(places).items() if name == "A"} == {"A": "1"}
