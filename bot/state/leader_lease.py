"""Keep the leader lease: compare-and-set in the journal, with a fencing token that only grows."""

from dataclasses import replace

from roas.errors import FencedOffError
from roas.messages.message import said
from roas.models.deployment import Deployment, Lock
from roas.models.leader_lease import Heartbeat, LeaderLease
from roas.models.state_change import ChangeType, StateChange
from roas.state.deployments.locks import locks_of, next_token, put_lock
from roas.state.deployments.rows import note_handover
from roas.state.documents import to_json
from roas.state.journal.journal import Journal
from roas.state.living_processes import Instance, boot_id, boot_seconds
from roas.state.transaction import Fence, Transaction

LEASE_NAME = "voice"
# An owner that has not renewed for so long has lost its lease; it renews every second.
LEASE_SECONDS = 6.0


class Ownership:
    """Grant, renew, transfer and seize the lease, and with it the deployments of its owner."""

    def __init__(self, journal: Journal, instance: Instance) -> None:
        self._journal = journal
        self._instance = instance

    async def lease(self) -> LeaderLease | None:
        """Return the lease, or None where there was never a leader."""
        return await self._journal.read(_read_lease)

    async def acquire(self) -> LeaderLease | None:
        """Become the leader where there is none, or where the last one is dead; None where one lives."""
        instance = self._instance

        def work(transaction: Transaction) -> LeaderLease | None:
            held = _read_lease(transaction)
            if held is not None and held.instance_id != instance.id and instance.is_alive(held.instance_id):
                return None
            return _grant_lease(transaction, instance.id, held)

        return await self._journal.write(work)

    async def renew(self, lease: LeaderLease) -> LeaderLease:
        """Renew the lease. Raises FencedOffError where another process leads."""

        def work(transaction: Transaction) -> LeaderLease:
            _check(transaction, lease)
            return _renew(transaction, lease)

        return await self._journal.write(work)

    async def transfer(self, lease: LeaderLease, deployment: Deployment, fence: Fence, successor: str) -> None:
        """Transfer the lease, the deployment and all others of this process to a successor, in one transaction.

        Raises FencedOffError.
        """

        def work(transaction: Transaction) -> None:
            _check(transaction, lease)
            _grant_lease(transaction, successor, lease)
            for lock in locks_of(transaction, transaction.instance_id):
                _transfer_lock(transaction, lock, successor)
                note_handover(transaction, lock.deployment_id, successor)
            transaction.add_change(_change(lease, successor, deployment))

        await self._journal.write(work, fence=fence)

    async def seize(self, seen: LeaderLease) -> LeaderLease | None:
        """Seize the lease and all deployments of an owner whose process ended; None if the owner changed meanwhile."""
        own = self._instance.id

        def work(transaction: Transaction) -> LeaderLease | None:
            held = _read_lease(transaction)
            if held is None or (held.token, held.instance_id) != (seen.token, seen.instance_id):
                return None
            for lock in locks_of(transaction, seen.instance_id):
                _transfer_lock(transaction, lock, own)
            transaction.add_change(_change(seen, own, None))
            return _grant_lease(transaction, own, seen)

        return await self._journal.write(work)

    async def beat(self, heartbeat: Heartbeat) -> None:
        """Write this process's heartbeat."""
        row = to_json(heartbeat)
        await self._journal.write(lambda transaction: _put_heartbeat(transaction, heartbeat, row))
        if heartbeat.instance_id == self._instance.id:
            self._journal.last_beat = row

    async def beat_and_renew(self, heartbeat: Heartbeat) -> LeaderLease | None:
        """Write this process's heartbeat and, where it holds the lease, renew that in the same commit.

        Returns the lease as it is then, whoever holds it. Raises JournalLostError where the journal is not the one at
        its path any more.
        """
        row = to_json(heartbeat)

        def work(transaction: Transaction) -> LeaderLease | None:
            _put_heartbeat(transaction, heartbeat, row)
            held = _read_lease(transaction)
            if held is None or held.instance_id != self._instance.id:
                return held
            return _renew(transaction, held)

        return await self._journal.beat(work, row)

    async def other_projects(self) -> tuple[str, ...]:
        """Return the Compose projects, other than this process's own, of bots that live for this journal."""
        beats = await self._journal.select(Heartbeat, "heartbeats")
        own = next((beat.project for beat in beats if beat.instance_id == self._instance.id), "")
        others = {beat.project for beat in beats if beat.project and beat.project != own}
        if not own or not others:
            return ()
        living = {
            beat.project for beat in beats if beat.project in others and self._instance.is_alive(beat.instance_id)
        }
        return tuple(sorted(living))

    async def has_beaten(self, container_id: str) -> bool:
        """Return whether a process in that container ever opened this journal: each one writes a heartbeat to it."""
        row = await self._journal.read(
            lambda t: t.execute("SELECT 1 FROM heartbeats WHERE container_id = ? LIMIT 1", (container_id,)).fetchone()
        )
        return bool(container_id) and row is not None

    async def heartbeat(self, *, instance_id: str = "", container_id: str = "") -> Heartbeat | None:
        """Return the last heartbeat of a process, found by its id or by its container's; the latest counts."""
        where = "heartbeats WHERE instance_id = ? OR (? != '' AND container_id = ?)"
        beats = await self._journal.select(Heartbeat, where, instance_id, container_id, container_id)
        this_boot = [beat for beat in beats if beat.boot_id == boot_id()]
        return max(this_boot, key=lambda beat: beat.beat_at, default=None)


def renewed_at(lease: LeaderLease) -> float:
    """Return when, on the boot clock, an owner renewed its lease last."""
    return lease.lease_until - LEASE_SECONDS


def lease_has_lapsed(lease: LeaderLease, now: float | None = None) -> bool:
    """Return whether an owner has not renewed its lease in time; `now` is a boot time from before the lease was read.

    A process that was stopped after it had read the lease would find it lapsed by a later clock, wrongly.
    """
    return lease.boot_id != boot_id() or (boot_seconds() if now is None else now) > lease.lease_until


def _read_lease(transaction: Transaction) -> LeaderLease | None:
    return transaction.find(LeaderLease, "owners WHERE name = ?", LEASE_NAME)


def _check(transaction: Transaction, lease: LeaderLease) -> None:
    held = _read_lease(transaction)
    if held is None or (held.token, held.instance_id) != (lease.token, lease.instance_id):
        raise FencedOffError(
            said("Another bot is the leader now; this one is on standby."),
        )


def _grant_lease(transaction: Transaction, instance_id: str, held: LeaderLease | None) -> LeaderLease:
    token = next_token(transaction, LEASE_NAME)
    given = LeaderLease(instance_id, token, boot_id(), boot_seconds() + LEASE_SECONDS)
    transaction.put("owners", given, name=LEASE_NAME)
    return given


def _renew(transaction: Transaction, lease: LeaderLease) -> LeaderLease:
    renewed = replace(lease, boot_id=boot_id(), lease_until=boot_seconds() + LEASE_SECONDS)
    transaction.put("owners", renewed, name=LEASE_NAME)
    return renewed


def _put_heartbeat(transaction: Transaction, heartbeat: Heartbeat, row: str) -> None:
    transaction.execute(
        "INSERT OR REPLACE INTO heartbeats (instance_id, container_id, document) VALUES (?, ?, ?)",
        (heartbeat.instance_id, heartbeat.container_id, row),
    )


def _transfer_lock(transaction: Transaction, lock: Lock, instance_id: str) -> None:
    token = next_token(transaction, lock.environment)
    put_lock(transaction, replace(lock, instance_id=instance_id, token=token))


def _change(lease: LeaderLease, successor: str, deployment: Deployment | None) -> StateChange:
    return StateChange(
        type=ChangeType.LOCK_CHANGED,
        source="ownership",
        environment=deployment.environment if deployment else "",
        subject=LEASE_NAME,
        old=lease.instance_id,
        new=successor,
        metadata={"deployment": deployment.id} if deployment else {},
        correlation_id=deployment.correlation_id if deployment else "",
    )
