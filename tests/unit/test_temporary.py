"""A temporary folder is one user's and one process's; what nobody uses any more is removed, and nothing else."""

import errno
import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from roas.app.application import open_application
from roas.configuration.settings import Settings
from roas.errors import EngineError
from roas.temporary import PREFIX, remove_left_folders, temporary_folder


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left(folder, name="gate-x"):
    path = folder / f"{PREFIX}{name}"
    path.mkdir()
    (path / "docker.sock").touch()
    return path


def test_folder_is_private_and_gone_afterwards(temporary):
    with temporary_folder("gate") as folder:
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").touch()
    assert not [*temporary.iterdir()]


def test_what_is_left_is_removed_and_what_is_used_stays(temporary):
    left(temporary), left(temporary, "sources-y")
    (temporary / "roas-other").mkdir()
    with temporary_folder("hashes") as folder:
        assert remove_left_folders() == 2
        assert folder.is_dir()
        assert {path.name for path in temporary.iterdir()} == {folder.name, "roas-other"}


def test_links_files_and_folders_of_others_stay(temporary, monkeypatch):
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    (temporary / f"{PREFIX}file").touch()
    assert remove_left_folders() == 0
    path = left(temporary)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert remove_left_folders() == 0
    assert path.exists()


def test_what_another_is_removing_is_left_to_it(temporary):
    path = left(temporary)
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert remove_left_folders() == 0
    os.close(descriptor)
    assert remove_left_folders() == 1


@pytest.mark.parametrize("when", ["before it is opened", "before it is locked"])
def test_folder_that_was_taken_for_a_left_one_is_made_again(temporary, monkeypatch, when):
    """Another process starts, and tidies up, in the moment between the making of a folder and its lock."""
    removed = []
    owner, name = (tempfile, "mkdtemp") if when == "before it is opened" else (os, "open")
    original = getattr(owner, name)

    def tidied_up(*arguments, **options):
        done = original(*arguments, **options)
        if not removed:
            removed.append(done)
            monkeypatch.setattr(owner, name, original)
            assert remove_left_folders() == 1
        return done

    monkeypatch.setattr(owner, name, tidied_up)
    with temporary_folder("gate") as folder:
        assert folder.is_dir()
        assert [*temporary.iterdir()] == [folder]
        assert remove_left_folders() == 0
    assert removed


def test_no_locks_in_the_place_make_a_folder_all_the_same(temporary, monkeypatch):
    def unsupported(_descriptor, _kind):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with temporary_folder("gate") as folder:
        assert remove_left_folders() == 0
        assert folder.is_dir()
    assert not [*temporary.iterdir()]


def test_no_place_for_temporary_files_has_nothing_left(temporary, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "none"))
    assert remove_left_folders() == 0
    with pytest.raises(EngineError, match="No temporary file can be written: No such file"), temporary_folder("gate"):
        pytest.fail("it has no place")
    assert not Path(temporary / "none").exists()


async def test_whoever_starts_removes_what_is_left(temporary):
    path = left(temporary)
    settings = Settings(_env_file=None, stack_dir=temporary, state_dir=temporary / "state", docker_host="unix:///none")
    async with open_application(settings):
        assert not path.exists()
