"""A backup is encrypted on its way to the disk, and nobody reads it without its key."""

import io
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pyrage
import pytest

from roas.errors import BackupError
from roas.stack.backups.encryption import check_encrypted, opened, read_key, sealed

ROWS = os.urandom(3_000_000)
CHUNK = 100_000


@dataclass
class Kept:
    """Keep what is written, up to so many bytes."""

    most: int = 10**9
    size: int = 0
    chunks: list[bytes] = field(default_factory=list)

    def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self.most:
            raise BackupError("the disk is full")
        self.chunks.append(bytes(chunk))

    @property
    def content(self) -> bytes:
        return b"".join(self.chunks)


def key_file(folder: Path, *more: str, name: str = "key") -> Path:
    """Write a file as `age-keygen` does; `more` are older keys."""
    path = folder / name
    path.write_text("\n".join(["# created: 2026-06-01", str(pyrage.x25519.Identity.generate()), *more, ""]))
    return path


async def encrypt(path: Path, kept: Kept) -> tuple[bytes, str]:
    key = read_key(str(path))
    async with sealed(key, kept) as target:
        for start in range(0, len(ROWS), CHUNK):
            target.write(ROWS[start : start + CHUNK])
        assert target.size == len(ROWS)
    return kept.content, key.recipients[0]


async def decrypt(content: bytes, recipient: str, path: Path) -> bytes:
    read = b""
    async with opened(io.BytesIO(content), recipient, str(path)) as source:
        while chunk := source.read(CHUNK):
            read += chunk
    return read


async def test_what_is_written_is_encrypted_and_read_again(tmp_path) -> None:
    path = key_file(tmp_path)
    content, recipient = await encrypt(path, Kept())
    assert content.startswith(b"age-encryption.org/v1")
    assert ROWS[:64] not in content
    assert await decrypt(content, recipient, path) == ROWS
    newer = key_file(tmp_path, path.read_text().splitlines()[1], name="newer")
    assert await decrypt(content, recipient, newer) == ROWS, "an older key of the file"


async def test_without_a_key_nothing_is_in_between() -> None:
    kept = Kept()
    async with sealed(None, kept) as target:
        assert target is kept
    async with opened(file := io.BytesIO(b"rows"), "", "") as source:
        assert source is file


async def test_wrong_key_is_named_before_anything_is_read(tmp_path) -> None:
    content, recipient = await encrypt(key_file(tmp_path), Kept())
    file = io.BytesIO(content)
    with pytest.raises(BackupError, match=f"encrypted for {recipient}, and .*other has no key"):
        check_encrypted(file, recipient, str(key_file(tmp_path, name="other")))
    assert file.tell() == 0


@pytest.mark.parametrize("where", [150, 1_000_000, -1, None])
async def test_changed_content_is_no_backup(tmp_path, where) -> None:
    """Its head, its middle and its end; one that was cut off, too."""
    path = key_file(tmp_path)
    content, recipient = await encrypt(path, Kept())
    damaged = bytearray(content)
    if where is None:
        del damaged[-70_000:]
    else:
        damaged[where] ^= 1
    with pytest.raises(BackupError, match="cannot be decrypted"):
        await decrypt(bytes(damaged), recipient, path)


async def test_fault_of_the_disk_is_told_as_it_is(tmp_path) -> None:
    with pytest.raises(BackupError, match="the disk is full"):
        await encrypt(key_file(tmp_path), Kept(most=1_000_000))


async def test_who_stops_reading_leaves_nothing_running(tmp_path) -> None:
    path = key_file(tmp_path)
    content, recipient = await encrypt(path, Kept())
    async with opened(io.BytesIO(content), recipient, str(path)) as source:
        assert source.read(10) == ROWS[:10]
    assert source._ended.is_set()


@pytest.mark.parametrize("content", ["", "# nothing\n", "AGE-SECRET-KEY-1NONSENSE", "\udcff", None])
def test_file_without_a_key_is_refused(tmp_path, content) -> None:
    """Nothing that it has is told."""
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content, errors="surrogateescape")
    with pytest.raises(BackupError, match=f"{path} cannot be read") as raised:
        read_key(str(path))
    assert "NONSENSE" not in str(raised.value.message)


@pytest.mark.parametrize("is_pipe", [True, False])
def test_key_that_has_no_end_is_not_read(tmp_path, is_pipe) -> None:
    """A stack names the file: nobody writes into a pipe, and /dev/zero fills all memory."""
    path = tmp_path / "key"
    if is_pipe:
        os.mkfifo(path)
    else:
        path.write_text("# a comment\n" * 10_000)
    with pytest.raises(BackupError, match=f"{path} cannot be read: {path} is "):
        read_key(str(path))


def test_missing_library_is_said(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrage", None)
    with pytest.raises(BackupError) as raised:
        read_key("/key")
    assert "roas-bot[encryption]" in str(raised.value.hint)
