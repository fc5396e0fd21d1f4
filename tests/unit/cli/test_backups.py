"""What is typed about backups becomes a request that the rest of the product knows."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from roas.cli import backups, run_command_line
from roas.cli.deploy import rollback
from roas.models.actor import Actor, ActorKind
from roas.models.backup import BackupReason, DataBackup

SESSION = SimpleNamespace(user=Actor(ActorKind.SYSTEM, "0", "root"))


def test_restore_is_a_rollback_with_data() -> None:
    """The same request: so it has the same plan, powers and guards."""
    typed = {"to": "r3", "reason": "a lost column", "grant": ["store: data of BACKUP-1"]}
    restored = backups.restore.__wrapped__(SESSION, "dev", ["BACKUP-1", "BACKUP-2"], **typed)
    assert restored == rollback.__wrapped__(SESSION, "dev", data=["BACKUP-1", "BACKUP-2"], **typed)
    assert (restored.data, restored.target_release) == (("BACKUP-1", "BACKUP-2"), 3)


def test_restore_needs_a_backup(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["backups", "restore", "dev"]) == 2
    assert "BACKUP" in capsys.readouterr().err


@pytest.mark.parametrize("is_sent", [False, True])
def test_list_says_where_backups_are(is_sent: bool) -> None:
    """Where they are sent to is said of environments that have a repository."""
    now, reason = datetime.now(UTC), BackupReason.SCHEDULE
    kept = DataBackup("BACKUP-1", "dev", "store", "SAVE-1", reason, 1, now, 0.1, 4, "hash")
    sent = replace(kept, id="BACKUP-2", recipient="age1key", sent_to="sftp:vault:/shop")
    table = backups._table((sent, kept), is_sent=is_sent)
    columns = {str(column.header): list(map(str, column.cells)) for column in table.columns}
    assert columns["encrypted"] == ["yes", "no"]
    assert columns["before"] == ["schedule SAVE-1"] * 2
    assert columns.get("sent to") == (["sftp:vault:/shop", "not sent yet"] if is_sent else None)
