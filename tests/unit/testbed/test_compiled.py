"""What Python compiled in one clone holds in the next, whose files were written at another time."""

import importlib.util
import os
import py_compile
from pathlib import Path

import pytest

from testbed.compiled import keep, take


def source(clone: Path, text: str, *, written: int) -> Path:
    path = clone / "tests" / "test_one.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (written, written))
    return path


def loaded_without_compiling(path: Path, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """Load a module as an import would, where nothing can be compiled."""
    spec = importlib.util.spec_from_file_location("one", path)
    assert spec is not None
    assert isinstance(spec.loader, importlib.machinery.SourceFileLoader)
    with monkeypatch.context() as patch:
        patch.setattr(spec.loader, "source_to_code", lambda *_, **__: compile("value = None", "none", "exec"))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    assert module.__spec__ is not None
    return module.value  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "by", [py_compile.PycInvalidationMode.TIMESTAMP, py_compile.PycInvalidationMode.CHECKED_HASH], ids=str
)
def test_compiled_file_holds_in_next_clone(
    by: py_compile.PycInvalidationMode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    py_compile.compile(str(source(tmp_path / "a", "value = 1", written=1000)), invalidation_mode=by)
    keep(tmp_path / "a", tmp_path / "kept")
    there = source(tmp_path / "b", "value = 1", written=2000)
    assert loaded_without_compiling(there, monkeypatch) is None
    assert take(tmp_path / "b", tmp_path / "kept")
    assert loaded_without_compiling(there, monkeypatch) == 1


def test_compiled_file_of_another_text_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where both were written at the same time, and are as long."""
    py_compile.compile(str(source(tmp_path / "a", "value = 1", written=1000)))
    keep(tmp_path / "a", tmp_path / "kept")
    there = source(tmp_path / "b", "value = 2", written=1000)
    take(tmp_path / "b", tmp_path / "kept")
    assert loaded_without_compiling(there, monkeypatch) is None


def test_what_is_kept_is_kept_by_who_compiled_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    py_compile.compile(str(source(tmp_path / "a", "value = 1", written=1000)))
    keep(tmp_path / "a", tmp_path / "kept")
    there = source(tmp_path / "b", "value = 1", written=2000)
    keep(tmp_path / "b", tmp_path / "kept")
    take(tmp_path / "b", tmp_path / "kept")
    assert loaded_without_compiling(there, monkeypatch) == 1


def test_nothing_kept_is_not_nearly_all(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / "tests" / str(number)).mkdir(parents=True)
        (tmp_path / "tests" / str(number) / "test_one.py").touch()
    (tmp_path / "kept").write_bytes(b"half of it")
    assert not take(tmp_path, tmp_path / "kept")
