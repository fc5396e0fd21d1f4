"""Elect a leader: renew the lease, stay on standby, and watch a successor.

Of two bots that share a journal one leads. The other is connected and ready, and says so in a heartbeat, but answers
nothing. It becomes the leader when leadership is transferred to it, when the leader is dead, or, as a predecessor that
watches its successor, when that one hangs or is unhealthy: then the old release comes back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

from roas.app.application import Application
from roas.concurrency import pause
from roas.errors import FencedOffError, JournalHeldError, JournalLostError, RoasError, StateError
from roas.leadership.takeover import OwnPlace, Takeover, TakeoverReason
from roas.log import get_logger
from roas.messages.message import said
from roas.models.leader_lease import BotReadiness, Heartbeat, LeaderLease
from roas.state.living_processes import boot_id, boot_seconds, this_process
from roas.version import __version__

log = get_logger(__name__)
# A standby polls more often: people wait for the new leader.
BEAT_SECONDS = 0.4
ACTIVE_BEAT_SECONDS = 1.0
# How long a process that is told to stop tries to note that.
STOP_SECONDS = 2.0


class Occasion(StrEnum):
    """Why a process leads, or stands by; it is logged."""

    HELD = "the lease names this process, and was renewed"
    TAKEN = "there was no living leader, and this process took the lease"
    SEIZED = "the leader hung, or was an unhealthy successor: it was ended, and its lease seized"
    ELSEWHERE = "the lease names another process, or none"
    UNREADABLE = "the journal cannot be read"


class LeaderElector:
    """Look at each beat who holds the lease, and lead or stand by accordingly.

    | this bot | becomes | on the occasion |
    |---|---|---|
    | is on standby | the leader | `HELD`, once it was transferred to it; `TAKEN`; `SEIZED` |
    | leads | the leader again | `HELD` |
    | leads | a standby | `ELSEWHERE`, `UNREADABLE` |
    | is either | nothing any more | the journal is lost |

    `start_leading` is called at each beat of a leader, `stop_leading` when it becomes a standby, and `stop` once, with
    the error and the name of this bot's own container, when the journal is lost. That is for good: another process may
    lead with the journal that is at the path now.
    """

    def __init__(
        self,
        application: Application,
        readiness: Callable[[], BotReadiness],
        start_leading: Callable[[], Awaitable[None]],
        stop_leading: Callable[[], Awaitable[None]],
        stop: Callable[[JournalLostError, str], Awaitable[None]] | None = None,
    ) -> None:
        self._stop = stop
        self._application = application
        self._leadership = application.leadership
        self._readiness = readiness
        self._start_leading = start_leading
        self._stop_leading = stop_leading
        self._place = OwnPlace(application)
        self._takeover = Takeover(application, self._place, readiness)
        self._write_error = ""
        self._leader = ""

    async def run(self) -> None:
        """Renew or await the lease until cancelled; without a readable journal this bot steps down."""
        try:
            await self._run_steps()
        except asyncio.CancelledError:
            await self._note_stop()
            raise
        finally:
            await self._place.close()

    async def _note_stop(self) -> None:
        """Write that this process was told to stop: it does not leave by a fault of its own."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._application.state.ownership.beat(self._heartbeat(stopped=True))
        except (TimeoutError, RoasError) as error:
            log.warning("the stop could not be noted", error=str(error))

    async def _run_steps(self) -> None:
        while True:
            try:
                await self._place.find()
                await self._run_step()
            except JournalLostError as error:
                await self._lose(error)
                return
            except StateError as error:
                await self._handle_write_error(error)
            except RoasError as error:
                log.warning("election round failed", error=error.message)
            except Exception:  # a bot whose lease lapses is ended, however well it is
                log.exception("election round broke")
            else:
                self._write_error = ""
            await pause(ACTIVE_BEAT_SECONDS if self._leadership.lease is not None else BEAT_SECONDS)

    async def _lose(self, error: JournalLostError) -> None:
        """Stop for good."""
        log.error("the journal is lost", error=error.message, hint=error.hint)
        self._leadership.lease = None
        if self._stop is not None:
            await self._stop(error, self._place.container.name if self._place.container else "")
        else:
            await self._stop_leading()

    async def _handle_write_error(self, error: StateError) -> None:
        """Keep the current role while the journal confirms it: if this bot cannot write (a full disk), no other did.

        A journal that cannot even be read makes this bot step down.
        """
        if error.message != self._write_error:
            log.error("the journal cannot be written", error=error.message, hint=error.hint)
        self._write_error = error.message
        occasion = Occasion.ELSEWHERE
        try:
            lease = await self._application.state.ownership.lease()
        except StateError:
            self._takeover.note_unreadable_journal()
            lease, occasion = None, Occasion.UNREADABLE
        if lease is None or lease.instance_id != self._application.state.instance_id:
            try:
                await self._follow(occasion)
            except Exception:  # as above: the election must continue
                log.exception("stepping down failed")

    async def _run_step(self) -> None:
        now = boot_seconds()
        try:
            lease = await self._beat()
        except JournalHeldError:
            if not await self._takeover.end_journal_holder():
                raise
            now = boot_seconds()
            lease = await self._beat()
        if not self._leadership.may_lead:
            await self._follow(Occasion.ELSEWHERE)
            return
        if lease is not None and lease.instance_id == self._application.state.instance_id:
            self._takeover.forget_holder()
            self._application.state.conflict = ""
            await self._hold(lease, Occasion.HELD)
            return
        await self._follow(Occasion.ELSEWHERE)
        self._takeover.forget_failed()
        await self._note_other_stack(lease)
        reason = await self._takeover.reason(lease, now)
        if reason is not None:
            await self._take_over(lease, reason)
        elif lease is not None and lease.instance_id != self._leader:
            self._leader = lease.instance_id
            log.info("another bot leads; this one is on standby", leader=lease.instance_id)

    async def _take_over(self, lease: LeaderLease | None, reason: TakeoverReason) -> None:
        if lease is None or reason is TakeoverReason.DIED:
            taken, occasion = await self._takeover.take(lease, reason), Occasion.TAKEN
        else:
            taken, occasion = await self._takeover.seize(lease, reason), Occasion.SEIZED
        if taken is None:
            return
        if lease is None:  # from nobody, so that nothing was waited for since it was granted
            await self._hold(taken, occasion)
        else:
            await self._renew(taken, occasion)

    async def _note_other_stack(self, lease: LeaderLease | None) -> None:
        """Record whether the leader is a bot of another stack, which was given the same state folder by mistake."""
        state, own = self._application.state, self._place.project
        leader = None if lease is None else await state.ownership.heartbeat(instance_id=lease.instance_id)
        conflict = ""
        if (
            leader is not None
            and own
            and leader.project not in {"", own}
            and state.instance.is_alive(leader.instance_id)
        ):
            conflict = said(
                "{folder} is the state folder of the running stack {project}; this one is {own}.",
                folder=state.folder,
                project=leader.project,
                own=own,
            )
        if conflict != state.conflict:
            log.error("another stack uses this state folder", reason=conflict or "not any more")
        state.conflict = conflict

    async def _renew(self, lease: LeaderLease, occasion: Occasion) -> None:
        """Renew the lease; a failed successor's deployment is marked for rollback before anything is resumed."""
        try:
            renewed = await self._application.state.ownership.renew(lease)
        except FencedOffError:
            self._takeover.forget_failed()
            await self._follow(Occasion.ELSEWHERE)
            return
        await self._hold(renewed, occasion)

    async def _hold(self, renewed: LeaderLease, occasion: Occasion) -> None:
        """Lead by a lease that was just renewed, unless it is being transferred."""
        await self._takeover.settle()
        if not self._leadership.is_transferred(renewed):
            await self._lead(renewed, occasion)

    async def _beat(self) -> LeaderLease | None:
        """Write a heartbeat, and renew the lease where it is this bot's; returns the lease."""
        return await self._application.state.ownership.beat_and_renew(self._heartbeat())

    def _heartbeat(self, *, stopped: bool = False) -> Heartbeat:
        ready = self._readiness()
        return Heartbeat(
            instance_id=self._application.state.instance_id,
            boot_id=boot_id(),
            beat_at=boot_seconds(),
            container_id=self._place.container_id,
            config_hash=self._place.container.config_hash if self._place.container else "",
            version=__version__,
            gateway_ready=ready.gateway_ready,
            cogs_loaded=ready.cogs_loaded,
            process=this_process(),
            project=self._place.project,
            stopped=stopped,
        )

    async def _lead(self, lease: LeaderLease, occasion: Occasion) -> None:
        """Lead, or go on leading: `start_leading` is called at each beat, so that a failed start is made up for."""
        if self._leadership.lease is None:
            log.info("this bot leads now", instance_id=lease.instance_id, token=lease.token, reason=occasion)
        self._leadership.lease = lease
        await self._start_leading()

    async def _follow(self, occasion: Occasion) -> None:
        """Be on standby, or go on being so."""
        if self._leadership.lease is None:
            return
        self._leadership.lease = None
        log.info("this bot is on standby", reason=occasion)
        await self._stop_leading()
