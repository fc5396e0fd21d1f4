"""A backup has its name once it is whole, and is read only as it was written."""

import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from roas.deploy.data.backups import beyond
from roas.errors import BackupError
from roas.models.backup import BackupReason, DataBackup
from roas.models.stack import BackupRule
from roas.stack.backups.files import YOUNG_SECONDS, BackupFiles
from roas.stack.backups.service_data import restore_seconds

ID = "BACKUP-01KB0000000000000000000000"
RULE = BackupRule(("dump",), ("load", "--all"), 5)


def written(files: BackupFiles, backup_id: str = ID, *, breaks: bool = False) -> DataBackup:
    with files.writing(backup_id, RULE, "dev") as writer:
        writer.write(b"ro")
        if breaks:
            raise BackupError("broken")
        writer.write(b"ws")
    now = datetime.now(UTC)
    digest = writer.digest.hexdigest()
    return DataBackup(backup_id, "dev", "db", "DEPLOY-1", BackupReason.DEPLOYMENT, 1, now, 0.1, writer.size, digest)


def test_whole_backup_is_read_again(tmp_path) -> None:
    files = BackupFiles(tmp_path / "data")
    backup = written(files)
    files.verify(backup)
    assert files.rule_of(backup) == RULE
    with files.reading(backup) as file:
        assert file.read() == b"rows"
    assert {path.name: path.stat().st_mode & 0o777 for path in files.folder.iterdir()} == {
        ID: 0o600,
        f"{ID}.json": 0o600,
    }
    assert files.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", [b"", b"rowz", b"rows and more", None])
def test_damaged_or_missing_backup_is_refused(tmp_path, damage) -> None:
    files = BackupFiles(tmp_path)
    backup = written(files)
    files.path(ID).unlink()
    if damage is not None:
        files.path(ID).write_bytes(damage)
    with pytest.raises(BackupError):
        files.verify(backup)


def test_half_a_backup_gets_no_name(tmp_path) -> None:
    files = BackupFiles(tmp_path)
    with pytest.raises(BackupError):
        written(files, breaks=True)
    assert not list(tmp_path.iterdir()), "neither it, nor what says how it is restored"


def test_what_a_killed_backup_left_goes(tmp_path) -> None:
    """Only of its own environment: another one may be writing. A folder is not ours."""
    files = BackupFiles(tmp_path)
    (tmp_path / "folder").mkdir()
    os.utime(tmp_path / "folder", (0, 0))
    names = [f"BACKUP-{name}" for name in ("KILLED", "OTHER")]
    for name, environment in zip(names, ("dev", "prod"), strict=True):
        (tmp_path / f"{name}.{environment}.part").touch()
        (tmp_path / f"{name}.json").touch()
    files.clear_unfinished("dev")
    files.clear(())
    assert {path.name for path in tmp_path.iterdir()} == {"folder", f"{names[1]}.prod.part", f"{names[1]}.json"}


def test_backup_leaves_room_for_the_journal(tmp_path, monkeypatch) -> None:
    """A disk that is all but full takes none; so much is there for the journal, which has to write how it ended."""
    files = BackupFiles(tmp_path)
    disk = SimpleNamespace(f_frsize=1, f_bavail=1024**3 + 3, f_blocks=10**12)
    monkeypatch.setattr(os, "statvfs", lambda _where: disk)
    assert files.free_bytes() == 3
    with files.writing(ID, RULE, "dev") as writer:
        writer.write(b"two")
        disk.f_bavail -= 3
        with pytest.raises(BackupError, match="No space left"):
            writer.write(b"more")


@pytest.mark.parametrize("follow", ["make room", "keep fewer"])
def test_room_is_made_as_told(tmp_path, monkeypatch, follow) -> None:
    """A file that goes gives its bytes back, whoever removes it: a person, or fewer backups that are kept."""
    files = BackupFiles(tmp_path / "data")
    larger = tmp_path / "something.iso"
    larger.write_bytes(b"0123")
    old = written(files, f"{ID[:-1]}1")

    def disk(_where: object) -> SimpleNamespace:
        taken = sum(path.stat().st_size for path in (larger, files.path(old.id)) if path.exists())
        return SimpleNamespace(f_frsize=1, f_bavail=1024**3 + 7 - taken, f_blocks=10**12)

    monkeypatch.setattr(os, "statvfs", disk)
    with pytest.raises(BackupError, match="No space left") as refused:
        written(files)
    assert refused.value.hint == "Make room below STATE_DIR, or keep fewer backups (`x-deploy.backup.keep`)."
    if follow == "make room":
        larger.unlink()
    else:
        now = datetime.now(UTC)
        known = [replace(old, id=name, created_at=now) for name in (ID, old.id)]
        gone = [*beyond(known, {"db": replace(RULE, keep=1)})]
        assert [backup.id for backup in gone] == [old.id]
        os.utime(files.path(old.id), (0, 0))
        files.clear({ID})
    files.verify(written(files))


def test_large_backup_is_synced_in_pieces(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("roas.stack.backups.files.SYNC_BYTES", 4)
    with BackupFiles(tmp_path).writing(ID, RULE, "dev") as writer:
        synced = []
        for _ in range(4):
            writer.write(b"abc")
            synced.append(writer.synced)
    assert synced == [0, 6, 6, 12]


@pytest.mark.parametrize("name", ["", "../journal.sqlite3", "BACKUP/1", "journal.sqlite3", "-"])
def test_no_other_file_is_a_backup(tmp_path, name) -> None:
    files = BackupFiles(tmp_path)
    with pytest.raises(BackupError):
        files.verify(replace(written(files), id=name))


def test_what_is_not_kept_goes_once_it_is_old(tmp_path) -> None:
    """What is young may be a backup of another environment, of which the record is about to be written."""
    files = BackupFiles(tmp_path)
    kept, old, young = (f"BACKUP-{name}" for name in ("KEPT", "OLD", "YOUNG"))
    for name in (kept, old, young):
        written(files, name)
    past = files.path(old).stat().st_mtime - YOUNG_SECONDS - 1
    for name in (kept, old):
        for path in (files.path(name), files.path(name).with_suffix(".json")):
            os.utime(path, (past, past))
    files.clear({kept})
    assert {path.stem for path in tmp_path.iterdir()} == {kept, young}


def test_backup_that_takes_hours_stays(tmp_path) -> None:
    """It is written, then verified, and counts only after that; meanwhile another environment may tidy up."""
    files = BackupFiles(tmp_path)
    with files.writing(ID, RULE, "dev") as writer:
        writer.write(b"rows")
        writer.sync()
        for path in tmp_path.iterdir():
            os.utime(path, (hours_ago := time.time() - 3 * YOUNG_SECONDS, hours_ago))
        files.clear(())
    files.clear(())
    assert {path.name for path in tmp_path.iterdir()} == {ID, f"{ID}.json"}
    unfinished = tmp_path / "BACKUP-01KB0000000000000000000001.gone.part"
    unfinished.touch()
    os.utime(unfinished, (long_ago := time.time() - 5 * 86_400, long_ago))
    files.clear(())
    assert not unfinished.exists(), "its environment is gone, and nobody else would remove it"


def test_what_another_deployment_has_just_removed_is_no_fault(tmp_path, monkeypatch) -> None:
    """Two environments have one folder."""
    files = BackupFiles(tmp_path)
    written(files)
    monkeypatch.setattr(Path, "is_file", lambda path: path.unlink(missing_ok=True) or True)
    files.clear(())
    assert not list(tmp_path.iterdir())


def test_what_an_earlier_journal_kept_stays(tmp_path) -> None:
    """Somebody brought back an older copy of the journal, or began a new one: it knows nothing of those backups."""
    files = BackupFiles(tmp_path)
    kept, dropped, unknown, since = (f"BACKUP-01KB000000000000000000000{number}" for number in "1235")
    for name in (kept, dropped, unknown, since):
        for path in (files.path(name), files.path(name).with_suffix(".json")):
            path.touch()
            os.utime(path, (0, 0))
    files.clear({kept}, {dropped}, "01KB0000000000000000000004")
    assert {path.stem for path in tmp_path.iterdir()} == {kept, unknown}, "one of a process that died goes"
    files.clear({kept}, {dropped})
    assert {path.stem for path in tmp_path.iterdir()} == {kept}


@pytest.mark.parametrize(("took", "may_take"), [(1.0, 600.0), (59.0, 600.0), (100.0, 1000.0)])
def test_restore_has_ten_minutes_or_ten_times_as_long(tmp_path, took, may_take) -> None:
    """It builds indexes again, which a backup does not have."""
    assert restore_seconds(replace(written(BackupFiles(tmp_path)), seconds=took)) == may_take
