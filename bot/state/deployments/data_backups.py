"""Keep which backups of services' data there are; the files are elsewhere."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from roas.models.backup import BackupReason, DataBackup
from roas.models.state_change import ChangeType, StateChange
from roas.state.documents import to_json
from roas.state.journal.journal import Journal
from roas.state.transaction import Fence, Transaction

SOURCE = "backups"


class DataBackups:
    """Read and write the records of backups."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def add(self, backup: DataBackup, fence: Fence, correlation_id: str = "") -> None:
        """Write a backup whose file is whole. Raises FencedOffError."""

        def work(transaction: Transaction) -> None:
            transaction.put(
                "data_backups",
                backup,
                id=backup.id,
                environment=backup.environment,
                service=backup.service,
                deployment_id=backup.deployment_id,
            )
            transaction.add_change(
                StateChange(
                    ChangeType.AUDIT,
                    SOURCE,
                    backup.environment,
                    backup.service,
                    new=backup.id,
                    metadata={"event": "backup.made", "bytes": backup.size, "deployment": backup.deployment_id},
                    correlation_id=correlation_id,
                )
            )

        await self._journal.write(work, fence=fence)

    async def note_sent(self, backup_id: str, sent_to: str, snapshot: str) -> None:
        """Write where a backup was sent to; one that is not kept any more stays so."""

        def work(transaction: Transaction) -> None:
            backup = transaction.find(DataBackup, "data_backups WHERE id = ?", backup_id)
            if backup is not None:
                sent = replace(backup, sent_to=sent_to, snapshot=snapshot)
                transaction.execute("UPDATE data_backups SET document = ? WHERE id = ?", (to_json(sent), backup_id))

        await self._journal.write(work)

    async def get(self, backup_id: str) -> DataBackup | None:
        """Return a backup that is kept, or None."""
        return await self._journal.find(DataBackup, "data_backups WHERE kept = 1 AND id = ?", backup_id)

    async def list(self, environment: str) -> tuple[DataBackup, ...]:
        """Return the backups that are kept, the one that was made last first: an id has the clock's time of then."""
        where = "data_backups WHERE environment = ? AND kept = 1 ORDER BY rowid DESC"
        return await self._journal.select(DataBackup, where, environment)

    async def made_by(self, deployment_id: str) -> tuple[DataBackup, ...]:
        """Return the backups that a deployment made and that are kept, oldest first."""
        where = "data_backups WHERE deployment_id = ? AND kept = 1 ORDER BY rowid"
        return await self._journal.select(DataBackup, where, deployment_id)

    async def of_release(
        self, environment: str, release: int | None, services: Collection[str] = ()
    ) -> tuple[DataBackup, ...]:
        """Return the backups made before the last deployment that left a release; None stands for any release.

        The last one that has a backup of each of these services is preferred.
        """
        made: dict[str, list[DataBackup]] = {}
        for backup in await self.list(environment):
            if backup.reason is BackupReason.DEPLOYMENT and release in {None, backup.release}:
                made.setdefault(backup.deployment_id, []).append(backup)
        whole = (backups for backups in made.values() if {backup.service for backup in backups}.issuperset(services))
        return tuple(next(whole, next(iter(made.values()), [])))

    async def forget(self, backup_ids: Sequence[str], fence: Fence) -> None:
        """Stop keeping backups; their records stay for history."""

        def work(transaction: Transaction) -> None:
            for backup_id in backup_ids:
                transaction.execute("UPDATE data_backups SET kept = 0 WHERE id = ?", (backup_id,))

        await self._journal.write(work, fence=fence)

    async def ids(self, *, kept: bool) -> frozenset[str]:
        """Return the ids of all backups that are kept, or not any more, of every environment."""
        statement = "SELECT id FROM data_backups WHERE kept = ?"
        rows = await self._journal.read(lambda t: t.execute(statement, (int(kept),)).fetchall())
        return frozenset(str(row[0]) for row in rows)
