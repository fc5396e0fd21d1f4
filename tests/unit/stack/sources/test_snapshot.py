"""What is copied once is what everybody reads, by whatever path it is named."""

import errno
import os
from pathlib import Path

import pytest

from roas.errors import ComposeFileError, EngineError, unreadable_file
from roas.stack.sources import snapshot as copying
from roas.stack.sources.snapshot import new_snapshot


def test_absolute_paths_lead_to_the_copy_and_back(tmp_path: Path) -> None:
    """Whatever becomes of the files after they were judged, a command reads what was copied."""
    folder, other = tmp_path / "stack", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    text = f"a: {folder}/x.env, b: {other}/y.env, c: {folder}ping, d: reg.io{other}, e: ${{D}}/y.env"
    for path, content in ((folder / "compose.yaml", text), (folder / "x.env", "A=1"), (other / "y.env", f"D={other}")):
        path.write_text(content)
    with new_snapshot(folder) as snapshot:
        for path in (folder / "compose.yaml", folder / "x.env", other / "y.env"):
            assert snapshot.copy(path, path, str(path))
            path.unlink()
            path.symlink_to("/etc/passwd")
        snapshot.write()
        root = snapshot.mapping.root
        seen = snapshot.mapping.to_copy(folder / "compose.yaml").read_text()
        assert f"a: {root}{folder}/x.env, b: {root}{other}/y.env" in seen
        assert f"d: reg.io{other}" in seen
        assert snapshot.mapping.text_back(seen) == text
        assert (root / str(other / "y.env").lstrip("/")).read_text() == f"D={root}{other}"
        given = {"HOME": "/home/a", "PWD": str(folder), "D": str(other), "V": "v1"}
        here = snapshot.variables(given)
        assert here == {"HOME": f"{root}/home/a", "PWD": f"{root}{folder}", "D": f"{root}{other}", "V": "v1"}
        assert {name: snapshot.mapping.text_back(value) for name, value in here.items()} == given


def test_stack_in_the_root_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a: /b")
    with new_snapshot(Path("/")) as snapshot:
        snapshot.copy(tmp_path / "a", tmp_path / "a")
        snapshot.write()
        assert snapshot.mapping.to_copy(tmp_path / "a").read_text() == "a: /b"


def test_paths_that_make_a_file_large_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b" /a" * (1 << 20))
    with new_snapshot(Path("/a")) as snapshot:
        snapshot.copy(tmp_path / "a", tmp_path / "a")
        with pytest.raises(ComposeFileError, match="is too large"):
            snapshot.write()


def test_file_of_another_user_says_who_reads_it() -> None:
    error = unreadable_file("/srv/shop/front.env", PermissionError(errno.EACCES, "Permission denied"))
    assert error.message == "/srv/shop/front.env cannot be read: Permission denied."
    assert f"It is read as user {os.geteuid()}: let that user read it" in error.hint
    assert "as user" not in unreadable_file("/srv/shop/front.env", OSError(errno.EIO, "Input/output error")).hint


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
