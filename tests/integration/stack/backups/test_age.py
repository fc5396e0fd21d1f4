"""What is encrypted is what age itself reads and writes: a backup is of use without this bot."""

import hashlib
import io
import os
import subprocess

from roas.stack.backups.encryption import opened, read_key, sealed

ROWS = os.urandom(1_000_000)


async def test_backup_is_read_by_age_and_what_age_wrote_by_us(tmp_path) -> None:
    key_file, backup, theirs = tmp_path / "key", tmp_path / "backup", tmp_path / "theirs"
    subprocess.run(["age-keygen", "-o", str(key_file)], check=True, capture_output=True)
    key = read_key(str(key_file))

    class Target:
        size = 0
        file = backup.open("wb")

        def write(self, chunk: bytes) -> None:
            self.size += self.file.write(chunk)

    target = Target()
    async with sealed(key, target) as sink:
        sink.write(ROWS)
    target.file.close()
    read = subprocess.run(["age", "-d", "-i", str(key_file), str(backup)], check=True, capture_output=True).stdout
    assert hashlib.sha256(read).digest() == hashlib.sha256(ROWS).digest()

    command = ["age", "-r", key.recipients[0], "-o", str(theirs)]
    subprocess.run(command, input=ROWS, check=True, capture_output=True)
    async with opened(io.BytesIO(theirs.read_bytes()), key.recipients[0], str(key_file)) as source:
        assert source.read(len(ROWS)) == ROWS
        assert source.read(1) == b""
