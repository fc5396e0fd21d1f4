"""A stack says where the key of its backups lies: whatever that is, it is read to an end."""

import os
from pathlib import Path

import pytest

from roas.errors import BackupError
from roas.stack.backups.encryption import MOST_BYTES, read_key


@pytest.mark.parametrize(
    "name", ["/dev/zero", "/dev/tty", "/proc/kmsg", "/proc/self/environ", "pipe", "folder", "large"]
)
def test_what_is_no_file_of_keys_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_text("#" * (MOST_BYTES + 1))
    (tmp_path / "link").symlink_to(tmp_path / name)
    for path in (tmp_path / name, tmp_path / "link"):
        with pytest.raises(BackupError, match=f"{path} cannot be read"):
            read_key(str(path))


def test_key_is_read_by_a_link(tmp_path: Path) -> None:
    """As where a secret of Docker or Kubernetes is mounted."""
    (tmp_path / "key").write_text("# nothing yet\n")
    (tmp_path / "link").symlink_to("key")
    with pytest.raises(BackupError, match="it is empty"):
        read_key(str(tmp_path / "link"))
