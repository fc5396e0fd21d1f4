"""A release is made of what is committed."""

import subprocess
from pathlib import Path

import pytest

from tools.release.errors import ReleaseError
from tools.release.source import export


def test_uncommitted_change_stops_all_but_a_snapshot(tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    (root / "new.txt").write_text("new")
    with pytest.raises(ReleaseError, match=r"new\.txt"):
        export(root, tmp_path / "strict")
    export(root, tmp_path / "tried", snapshot=True)
    assert [path.name for path in (tmp_path / "tried").iterdir()] == ["new.txt"]
