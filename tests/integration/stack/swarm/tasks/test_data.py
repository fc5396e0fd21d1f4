"""The data of a task is saved by a command in its container, and verified in its image."""

from datetime import UTC, datetime
from pathlib import Path

from roas.models.backup import BackupReason, DataBackup
from roas.models.stack import BackupRule
from roas.models.stored import new_id
from roas.stack.backups.files import BackupFiles
from roas.stack.docker.engine import EngineClients
from roas.stack.swarm.tasks.data import TaskData
from roas.stack.swarm.writing.update_verdict import UpdateVerdict
from tests.integration.stack.swarm.conftest import Shop

RULE = BackupRule(("sh", "-c", "hostname; echo rows"), ("cat",), 5, verify=("grep", "-q", "rows"))


async def test_data_of_a_task_is_saved_and_verified(shop: Shop, tmp_path: Path) -> None:
    clients = EngineClients()
    data = TaskData(clients.of(shop.environment), BackupFiles(tmp_path / "data"), shop.writer.read_stack)
    assert await data.find_container("shop", RULE, "") is None
    assert (await shop.bring(hostname="held")).verdict is UpdateVerdict.DONE
    container_id = await data.find_container("shop", RULE, "")
    assert container_id is not None
    backup_id = new_id("BACKUP")
    saved = await data.save(backup_id, "shop", RULE, container_id)
    assert data.files.path(backup_id).read_text() == "held\nrows\n"
    now = datetime.now(UTC)
    reason = BackupReason.DEPLOYMENT
    await data.try_out(DataBackup(backup_id, "dev", "shop", "D", reason, 1, now, 0.1, saved.size, saved.sha256))
    await clients.close()
