"""An environment is laid out again when one of its files changed, and only then."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from roas.configuration import environments as module
from roas.configuration.environments import Environments, environments
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Make a stack in a folder to which a link leads, as where each release of the files has a folder of its own."""
    for release in ("1", "2"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "compose.yml").write_text(f"name: shop{release}\n")
    (tmp_path / "stack").symlink_to(tmp_path / "1")
    return tmp_path / "stack"


@pytest.fixture
def known(stack: Path, monkeypatch: pytest.MonkeyPatch) -> Environments:
    monkeypatch.setattr(module, "SETTLED_NS", 0)
    other = EnvironmentSettings(folder=stack.parent / "2", compose_file="compose.yml")
    names = {"environment_names": ("dev", "prod"), "home_environment": "dev", "environments": {"prod": other}}
    return environments(Settings(stack_dir=stack, state_dir=stack.parent / "state", **names))


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the environments that are laid out."""
    names: list[str] = []
    lay_out = Environments._lay_out

    def noted(self: Environments, name: str) -> object:
        names.append(name)
        return lay_out(self, name)

    monkeypatch.setattr(Environments, "_lay_out", noted)
    return names


def test_unchanged_files_are_laid_out_once(known: Environments, laid_out: list[str]) -> None:
    first = dict(known)
    del laid_out[:]
    assert [dict(known) for _ in range(10)] == [first] * 10
    assert laid_out == []


def test_file_written_just_now_is_not_trusted(
    known: Environments, laid_out: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED_NS", 3600 * 10**9)
    for _ in range(3):
        assert known["dev"].project == "shop1"
    assert laid_out == ["dev"] * 3


def swap(stack: Path) -> None:
    (stack.parent / "new").symlink_to(stack.parent / "2")
    (stack.parent / "new").replace(stack)


def write(name: str, text: str = "services: {}\n") -> Callable[[Path], None]:
    def hand(stack: Path) -> None:
        (stack / name).write_text(text)

    return hand


def link(stack: Path) -> None:
    (stack / "compose.override.yml").symlink_to(stack.parent / "2" / "compose.yml")


def reown(stack: Path) -> None:
    """Put another file of the same size and times in the place of one."""
    before = (stack / "compose.yml").stat()
    other = stack / "other"
    other.write_text("name: shop3\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(stack / "compose.yml")


@pytest.mark.parametrize(
    "hand",
    [
        swap,
        link,
        reown,
        write("compose.yml", "name: another\n"),
        write("compose.yaml"),
        write("compose.override.yaml"),
        write("compose.dev.yaml"),
        write("docker-compose.yml"),
        write(".env", "COMPOSE_PROJECT_NAME=mine\n"),
        write(".env", "COMPOSE_FILE=compose.yml:more.yml\n"),
        write(".env.dev", "A=1\n"),
    ],
)
def test_each_change_is_seen(known: Environments, stack: Path, hand: Callable[[Path], None]) -> None:
    before = known["dev"]
    hand(stack)
    fresh = environments(known._settings)
    assert dict(known) == dict(fresh)
    assert known["dev"] != before


def test_file_that_env_names_is_followed(known: Environments, stack: Path) -> None:
    (stack / ".env").write_text("COMPOSE_FILE=mine.yml\n")
    (stack / "mine.yml").write_text("name: first\n")
    assert known["dev"].project == "first"
    (stack / "mine.yml").write_text("name: second\n")
    assert known["dev"].project == "second"


def test_sibling_in_another_folder_is_followed(known: Environments, stack: Path) -> None:
    """Whose projects are siblings depends on where the folders of all of them lead."""
    assert known["prod"].siblings == frozenset()
    swap(stack)
    assert known["prod"].siblings == environments(known._settings)["prod"].siblings != frozenset()
