"""Decide which bot is the active one: by compare-and-set in the journal, with a token that only grows."""

from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Protocol

from bot.concurrency import to_the_end
from bot.errors import FencedOffError
from bot.models.change import ChangeType, StateChange
from bot.models.deployment import Deployment, Lock
from bot.models.ownership import Heartbeat, VoiceRecord
from bot.state.boot_clock import boot_id, boot_seconds
from bot.state.deployments import note_handover
from bot.state.documents import from_row, readable, to_json
from bot.state.instance import Instance
from bot.state.journal import Fence, Journal, Transaction
from bot.state.locks import locks_of, next_token, put_lock

VOICE = "voice"
# An owner that has not renewed for so long has lost its lease; it renews every second.
LEASE_SECONDS = 6.0


class Speaker(Protocol):
    """Speak for the process that holds the voice."""

    def give(self) -> None:
        """Let it speak."""
        ...

    def take(self) -> None:
        """Silence it, at once."""
        ...


class HeldVoice:
    """Remember the voice that this process holds, for those who pass it on."""

    def __init__(self) -> None:
        self.record: VoiceRecord | None = None
        self._speaker: Speaker | None = None
        self._passed = 0

    def __call__(self) -> VoiceRecord | None:
        """Return the voice, or None while another process has it."""
        return self.record

    def speaks_through(self, speaker: Speaker) -> None:
        """Name who falls silent when the voice is passed on."""
        self._speaker = speaker

    async def pass_on(self, writing: Coroutine[Any, Any, None]) -> None:
        """Write that the voice is another's, silent from before on; where it could not be passed on, speak on.

        Whoever is cancelled meanwhile leaves only when that is decided: half passed on, nobody would speak for good.
        """
        await to_the_end(self._pass_on(writing))

    async def _pass_on(self, writing: Coroutine[Any, Any, None]) -> None:
        self._passed = self.record.token if self.record is not None else 0
        if self._speaker is not None:
            self._speaker.take()
        try:
            await writing
        except Exception:
            self._passed = 0
            if self._speaker is not None:
                self._speaker.give()
            raise

    def is_passed_on(self, record: VoiceRecord) -> bool:
        """Tell whether a voice is another's by now, or is just being passed on: it was renewed a moment before."""
        return record.token == self._passed


class Ownership:
    """Give, renew and take the voice, and with it the deployments that its owner carries."""

    def __init__(self, journal: Journal, instance: Instance) -> None:
        self._journal = journal
        self._instance = instance

    async def voice(self) -> VoiceRecord | None:
        """Return who is the active bot, or None where there was never one."""
        return await self._journal.read(_read_voice)

    async def acquire(self) -> VoiceRecord | None:
        """Become the active bot where there is none, or where the last one is dead; None where one lives."""
        instance = self._instance

        def work(transaction: Transaction) -> VoiceRecord | None:
            held = _read_voice(transaction)
            if held is not None and held.instance_id != instance.id and instance.is_alive(held.instance_id):
                return None
            return _give_voice(transaction, instance.id, held)

        return await self._journal.write(work)

    async def renew(self, voice: VoiceRecord) -> VoiceRecord:
        """Go on being the active bot. Raises FencedOffError where another is by now."""

        def work(transaction: Transaction) -> VoiceRecord:
            _check(transaction, voice)
            renewed = replace(voice, boot_id=boot_id(), lease_until=boot_seconds() + LEASE_SECONDS)
            _put_voice(transaction, renewed)
            return renewed

        return await self._journal.write(work)

    async def pass_on(self, voice: VoiceRecord, deployment: Deployment, fence: Fence, successor: str) -> None:
        """Give the voice, the deployment and all others that this process carries to a successor, at once.

        Raises FencedOffError.
        """

        def work(transaction: Transaction) -> None:
            _check(transaction, voice)
            _give_voice(transaction, successor, voice)
            for lock in locks_of(transaction, transaction.instance_id):
                _give_lock(transaction, lock, successor)
                note_handover(transaction, lock.deployment_id, successor)
            transaction.add_change(_change(voice, successor, deployment))

        await self._journal.write(work, fence=fence)

    async def take_by_force(self, seen: VoiceRecord) -> VoiceRecord | None:
        """Take the voice, and all that its owner carries, from one whose process was ended; None if it moved on."""
        own = self._instance.id

        def work(transaction: Transaction) -> VoiceRecord | None:
            held = _read_voice(transaction)
            if held is None or (held.token, held.instance_id) != (seen.token, seen.instance_id):
                return None
            for lock in locks_of(transaction, seen.instance_id):
                _give_lock(transaction, lock, own)
            transaction.add_change(_change(seen, own, None))
            return _give_voice(transaction, own, seen)

        return await self._journal.write(work)

    async def beat(self, heartbeat: Heartbeat) -> None:
        """Say how this process is."""
        document = to_json(heartbeat)

        def work(transaction: Transaction) -> None:
            transaction.execute(
                "INSERT OR REPLACE INTO heartbeats (instance_id, container_id, document) VALUES (?, ?, ?)",
                (heartbeat.instance_id, heartbeat.container_id, document),
            )

        await self._journal.write(work)
        if heartbeat.instance_id == self._instance.id:
            self._journal.last_beat = document

    async def has_beaten(self, container_id: str) -> bool:
        """Tell whether a process in that container ever opened this journal: whoever does so writes that it lives."""
        row = await self._journal.read(
            lambda t: t.execute("SELECT 1 FROM heartbeats WHERE container_id = ? LIMIT 1", (container_id,)).fetchone()
        )
        return bool(container_id) and row is not None

    async def heartbeat(self, *, instance_id: str = "", container_id: str = "") -> Heartbeat | None:
        """Return the last word of a process, found by its id or by its container's; the latest counts."""
        rows = await self._journal.read(
            lambda t: t.execute(
                "SELECT document FROM heartbeats WHERE instance_id = ? OR (? != '' AND container_id = ?)",
                (instance_id, container_id, container_id),
            ).fetchall()
        )
        beats = readable(Heartbeat, (row[0] for row in rows))
        this_boot = [beat for beat in beats if beat.boot_id == boot_id()]
        return max(this_boot, key=lambda beat: beat.beat_at, default=None)


def lease_has_lapsed(voice: VoiceRecord, now: float | None = None) -> bool:
    """Tell whether an owner has not renewed its lease in time; `now` is a boot time from before the lease was read.

    A process that was stopped after it had read the lease would find it lapsed by a later clock, wrongly.
    """
    return voice.boot_id != boot_id() or (boot_seconds() if now is None else now) > voice.lease_until


def _read_voice(transaction: Transaction) -> VoiceRecord | None:
    row = transaction.execute("SELECT document FROM owners WHERE name = ?", (VOICE,)).fetchone()
    return from_row(VoiceRecord, row[0]) if row else None


def _check(transaction: Transaction, voice: VoiceRecord) -> None:
    held = _read_voice(transaction)
    if held is None or (held.token, held.instance_id) != (voice.token, voice.instance_id):
        raise FencedOffError(
            "Another bot is the active one now; this one is silent.", hint="Nothing to do: the other one answers."
        )


def _give_voice(transaction: Transaction, instance_id: str, held: VoiceRecord | None) -> VoiceRecord:
    token = next_token(transaction, VOICE)
    given = VoiceRecord(instance_id, token, boot_id(), boot_seconds() + LEASE_SECONDS)
    _put_voice(transaction, given)
    return given


def _put_voice(transaction: Transaction, voice: VoiceRecord) -> None:
    transaction.execute("INSERT OR REPLACE INTO owners (name, document) VALUES (?, ?)", (VOICE, to_json(voice)))


def _give_lock(transaction: Transaction, lock: Lock, instance_id: str) -> None:
    token = next_token(transaction, lock.environment)
    put_lock(transaction, replace(lock, instance_id=instance_id, token=token))


def _change(voice: VoiceRecord, successor: str, deployment: Deployment | None) -> StateChange:
    return StateChange(
        type=ChangeType.LOCK_CHANGED,
        source="ownership",
        environment=deployment.environment if deployment else "",
        subject=VOICE,
        old=voice.instance_id,
        new=successor,
        metadata={"deployment": deployment.id} if deployment else {},
        correlation_id=deployment.correlation_id if deployment else "",
    )
