"""What is typed about backups becomes a request that the rest of the product knows."""

from types import SimpleNamespace

import pytest

from roas.cli import backups, run_command_line
from roas.cli.deploy import rollback
from roas.models.actor import Actor, ActorKind

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
