"""What is copied once is what everybody reads: a file that is read where it lies may not become another."""

import errno
import os
from pathlib import Path

import pytest

from roas.errors import ComposeFileError, EngineError
from roas.stack.sources import snapshot as copying
from roas.stack.sources.snapshot import new_snapshot


def test_file_that_changed_while_it_was_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.env"
    path.write_text("A=1\n")
    with new_snapshot(tmp_path) as snapshot:
        assert snapshot.copy(path, path, in_place=True)
        snapshot.refuse_changed()
        with path.open("r+") as file:
            file.write("A=2\n")
        with pytest.raises(ComposeFileError, match="changed while it was read"):
            snapshot.refuse_changed()


def test_replaced_file_is_still_the_one_that_was_copied(tmp_path: Path) -> None:
    """Another file of that name is not read: the descriptor leads to the one that was judged."""
    path = tmp_path / "own.env"
    path.write_text("A=1\n")
    with new_snapshot(tmp_path) as snapshot:
        snapshot.copy(path, path, in_place=True)
        path.unlink()
        path.symlink_to("/etc/passwd")
        snapshot.refuse_changed()
        assert Path(f"/proc/self/fd/{snapshot.in_place[path]}").read_text() == "A=1\n"


BOUNDS = {"MOST_BYTES": 3, "MOST_FILES": 1, "MOST_BYTES_IN_ALL": 7, "MOST_DEPTH": 2}


@pytest.mark.parametrize("bound", BOUNDS)
def test_copy_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("A=1\n")

    def copy_both() -> None:
        with new_snapshot(tmp_path) as snapshot:
            for name in ("a", "b"):
                snapshot.copy(tmp_path / name, tmp_path / name)

    copy_both()
    monkeypatch.setattr(copying, bound, BOUNDS[bound])
    with pytest.raises(ComposeFileError):
        copy_both()


def test_copy_that_has_no_place_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("A=1\n")

    def full(_path: Path, _content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with new_snapshot(tmp_path) as snapshot:
        snapshot.copy(tmp_path / "a", tmp_path / "a")
        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(EngineError, match="No temporary file can be written: No space left"):
            snapshot.write()
