"""Elect a leader: renew the lease, stay on standby, and watch a successor.

Of two bots that share a journal one leads. The other is connected and ready, and says so in a heartbeat, but answers
nothing. It becomes the leader when leadership is transferred to it, when the leader is dead, or, as a predecessor that
watches its successor, when that one hangs or is unhealthy: then the old release comes back.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from roas.application import Application
from roas.concurrency import pause
from roas.deployment.peer_processes import PeerProcesses
from roas.deployment.peers import proven_peers
from roas.errors import FencedOffError, JournalHeldError, JournalLostError, RoasError, StateError
from roas.leadership.lease_watch import LeaseWatch
from roas.leadership.takeover import TakeoverReason
from roas.leadership.transitions import ElectorState, Occasion, after
from roas.log import get_logger
from roas.models.deployment import Deployment, Problem
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.health import AT_WORK, ENDED, HealthStatus
from roas.models.ownership import Heartbeat, LeaderLease, Readiness
from roas.state.boot_clock import boot_id, boot_seconds
from roas.state.process_marks import this_process
from roas.version import __version__

log = get_logger(__name__)

# A standby polls more often: people wait for the new leader.
BEAT_SECONDS = 0.4
ACTIVE_BEAT_SECONDS = 1.0
# A journal that could not be read made every bot on it unhealthy: until the next checks that says nothing of any.
JOURNAL_GRACE_SECONDS = 45.0
# One that is not ready leaves a dead bot's lease for so long to another container of the same service.
READY_PEER_WAIT_SECONDS = 20.0


class LeaderElector:
    """Run as leader or as standby; transitions.py defines what makes it which.

    `start_leading` is called at each beat of a leader, `stop_leading` when it becomes a standby, and `stop` once, with
    the error and the name of this bot's own container, when the journal is lost.
    """

    def __init__(
        self,
        application: Application,
        readiness: Callable[[], Readiness],
        start_leading: Callable[[], Awaitable[None]],
        stop_leading: Callable[[], Awaitable[None]],
        stop: Callable[[JournalLostError, str], Awaitable[None]] | None = None,
    ) -> None:
        self._stop = stop
        self._application = application
        self._readiness = readiness
        self._start_leading = start_leading
        self._stop_leading = stop_leading
        self._own: OwnContainer | None = None
        self._home: Environment | None = None
        self._home_is_known = False
        self._state = ElectorState.STANDBY
        self._write_error = ""
        self._journal_unreadable_at = float("-inf")
        self._peer_processes = PeerProcesses(application.engine, application.state, application.peers)
        self._lease_watch = LeaseWatch()
        self._waiting_since: float | None = None
        # What is still to be written of a successor that failed: why, and its last lines.
        self._failed_successor: tuple[TakeoverReason, str] | None = None
        # As above, for a bot that was terminated because it blocked the journal: nothing could be written yet.
        self._ended_holder: tuple[TakeoverReason, str] | None = None

    async def run(self) -> None:
        """Renew or await the lease until cancelled; without a readable journal this bot steps down."""
        while True:
            try:
                await self._application.state.check_place()
                await self._find_home()
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
            await pause(ACTIVE_BEAT_SECONDS if self._state is ElectorState.LEADER else BEAT_SECONDS)

    async def _lose(self, error: JournalLostError) -> None:
        """Stop for good: another bot may already lead with the journal that is at the path now."""
        log.error("the journal is lost", error=error.message, hint=error.hint)
        self._application.held_lease.current = None
        self._state = after(self._state, Occasion.LOST)
        if self._stop is not None:
            await self._stop(error, self._own.name if self._own else "")
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
            self._journal_unreadable_at = time.monotonic()
            lease, occasion = None, Occasion.UNREADABLE
        if lease is None or lease.instance_id != self._application.state.instance_id:
            try:
                await self._follow(occasion)
            except Exception:  # as above: the election must continue
                log.exception("stepping down failed")

    async def _find_home(self) -> None:
        """Find the container that this process runs in, and its environment; an unavailable engine is asked again."""
        if self._home_is_known:
            return
        self._home_is_known = True
        for environment in self._application.environments.values():
            try:
                own = await self._application.own_container(environment)
            except RoasError as error:
                log.warning("own container could not be determined", error=error.message)
                self._home_is_known = False
                continue
            if own is not None:
                self._own, self._home, self._home_is_known = own, environment, True
                return

    async def _run_step(self) -> None:
        ownership = self._application.state.ownership
        try:
            await self._send_heartbeat()
        except JournalHeldError:
            if not await self._end_journal_holder():
                raise
            await self._send_heartbeat()
        now = boot_seconds()
        lease = await ownership.lease()
        if lease is not None and lease.instance_id == self._application.state.instance_id:
            self._ended_holder = None  # it was a standby: it left nothing to resume
            self._application.state.conflict = ""
            await self._renew(lease, Occasion.HELD)
            return
        await self._follow(Occasion.ELSEWHERE)
        self._failed_successor = None
        await self._note_other_stack(lease)
        reason = await self._takeover_reason(lease, now)
        if reason is None:
            self._waiting_since = None
            return
        if not await self._may_take_over(reason):
            return
        if lease is not None and reason is not TakeoverReason.DIED:
            await self._force_takeover(lease, reason)
        elif (acquired := await ownership.acquire()) is not None:
            if lease is not None:
                text = await self._peer_processes.failure_output(self._home, lease.instance_id)
                self._failed_successor = self._ended_holder or (reason, text)
            self._ended_holder = None
            await self._renew(acquired, Occasion.TAKEN)

    async def _note_other_stack(self, lease: LeaderLease | None) -> None:
        """Record whether the leader is a bot of another stack, which was given the same state folder by mistake."""
        state, own = self._application.state, self._own.project if self._own else ""
        leader = None if lease is None else await state.ownership.heartbeat(instance_id=lease.instance_id)
        conflict = ""
        if (
            leader is not None
            and own
            and leader.project not in {"", own}
            and state.instance.is_alive(leader.instance_id)
        ):
            conflict = f"{state.folder} is the state folder of the running stack {leader.project}; this one is {own}."
        if conflict != state.conflict:
            log.error("another stack uses this state folder", reason=conflict or "not any more")
        state.conflict = conflict

    async def _renew(self, lease: LeaderLease, occasion: Occasion) -> None:
        """Renew the lease; a failed successor's deployment is marked for rollback before anything is resumed."""
        try:
            renewed = await self._application.state.ownership.renew(lease)
        except FencedOffError:
            self._failed_successor = None
            await self._follow(Occasion.ELSEWHERE)
            return
        if self._failed_successor is not None:
            await self._revert_failed_handover(*self._failed_successor)
            self._failed_successor = None
        if not self._application.held_lease.is_transferred(renewed):
            await self._lead(renewed, occasion)

    async def _send_heartbeat(self) -> None:
        ready = self._readiness()
        heartbeat = Heartbeat(
            instance_id=self._application.state.instance_id,
            boot_id=boot_id(),
            beat_at=boot_seconds(),
            container_id=self._own.id if self._own else "",
            config_hash=self._own.config_hash if self._own else "",
            version=__version__,
            gateway_ready=ready.gateway_ready,
            cogs_loaded=ready.cogs_loaded,
            process=this_process(),
            project=self._own.project if self._own else "",
        )
        await self._application.state.ownership.beat(heartbeat)

    async def _lead(self, lease: LeaderLease, occasion: Occasion) -> None:
        """Lead, or go on leading: `start_leading` is called at each beat, so that a failed start is made up for."""
        before, self._state = self._state, after(self._state, occasion)
        self._application.held_lease.current = lease
        if before is not self._state:
            log.info("this bot leads now", instance_id=lease.instance_id, token=lease.token, reason=occasion)
        await self._start_leading()

    async def _follow(self, occasion: Occasion) -> None:
        """Be on standby, or go on being so."""
        before, self._state = self._state, after(self._state, occasion)
        self._application.held_lease.current = None
        if before is not self._state:
            log.info("this bot is on standby", reason=occasion)
            await self._stop_leading()

    async def _takeover_reason(self, lease: LeaderLease | None, now: float) -> TakeoverReason | None:
        """Return why leadership may be taken, or None; `now` is a boot time from before it was looked at."""
        if lease is None or not self._application.state.instance.is_alive(lease.instance_id):
            return TakeoverReason.DIED
        if self._lease_watch.has_lapsed(lease, now):
            return TakeoverReason.HUNG
        container = await self._peer_processes.container(self._home, lease.instance_id)
        if container is None or self._own is None or await self._find_own_handover() is None:
            return None
        if container.health is HealthStatus.UNHEALTHY:
            had_no_journal = time.monotonic() - self._journal_unreadable_at < JOURNAL_GRACE_SECONDS
            return None if had_no_journal else TakeoverReason.UNHEALTHY
        return TakeoverReason.CONTAINER_ENDED if container.state in ENDED else None

    async def _end_journal_holder(self) -> bool:
        """Terminate a bot that was suspended while writing and so blocks all others; returns whether there was one.

        A bot that only waits for the journal as well still answers its health check.
        """
        if self._home is None or self._own is None:
            return False
        suspended = [
            one
            for one in await self._application.engine.containers(self._home)
            if one.service == self._own.service and one.id != self._own.id and one.health is HealthStatus.UNHEALTHY
        ]
        suspended = [*await proven_peers(self._application.peers, self._home, suspended)]
        for container in suspended:
            log.warning("terminating a suspended bot that blocks the journal", container=container.name)
            output = await self._application.engine.failure_output(self._home, container.id)
            self._ended_holder = (TakeoverReason.HUNG, output)
            await self._application.engine.remove(self._home, container.id, grace_seconds=0.0)
        return bool(suspended)

    async def _may_take_over(self, reason: TakeoverReason) -> bool:
        """Return whether this bot should take free leadership: an unhealthy one lets another go first.

        The other is a predecessor that was killed and that its restart policy starts again, or that is healthy. An
        unhealthy successor does not count.
        """
        ready = self._readiness()
        is_ready = ready.gateway_ready and ready.cogs_loaded
        if is_ready or reason.is_of_successor or self._home is None or self._own is None:
            return True
        self._waiting_since = self._waiting_since or time.monotonic()
        if time.monotonic() - self._waiting_since >= READY_PEER_WAIT_SECONDS:
            return True
        containers = await self._application.engine.containers(self._home)
        service, own_id = self._own.service, self._own.id
        return not any(c.service == service and c.id != own_id and c.state in AT_WORK for c in containers)

    async def _force_takeover(self, lease: LeaderLease, reason: TakeoverReason) -> None:
        """End the other's process first: a fence in the journal cannot stop a Docker call that is on its way."""
        log.warning("forced leadership takeover", from_instance=lease.instance_id, reason=reason)
        report = await self._peer_processes.terminate(
            self._home, lease.instance_id, partial(self._is_still_failing, lease, reason)
        )
        if report is None:
            return
        seized = await self._application.state.ownership.seize(lease)
        if seized is None:
            return
        self._failed_successor = (reason, report)
        await self._renew(seized, Occasion.SEIZED)

    async def _is_still_failing(self, seen: LeaderLease, reason: TakeoverReason) -> bool:
        """Return whether leadership is unchanged since it was read; a lease renewed since then proves a live owner."""
        held = await self._application.state.ownership.lease()
        if held is None or reason is TakeoverReason.HUNG:
            return held == seen
        return (held.token, held.instance_id) == (seen.token, seen.instance_id)

    async def _find_own_handover(self) -> Deployment | None:
        """Return the unfinished deployment of home whose release this container is not of, once it was handed over."""
        if self._home is None or self._own is None:
            return None
        deployment = await self._application.state.deployments.active(self._home.name)
        if deployment is None or not deployment.handed_over_to or deployment.problem is not None:
            return None
        containers = await self._application.engine.containers(self._home)
        own = next((c for c in containers if c.id == self._own.id), None)
        hashes = await self._application.engine.current_hashes(deployment.applied_model, self._home)
        return deployment if own is not None and own.config_hash != hashes.get(self._own.service) else None

    async def _revert_failed_handover(self, reason: TakeoverReason, report: str) -> None:
        """Turn a deployment whose successor failed into a rollback, which the process that resumes it then runs."""
        deployment = await self._find_own_handover()
        if deployment is None or self._own is None:
            return
        service = self._own.service
        problem = Problem(
            key="successor_failed",
            message=f"The new {service} failed after it had taken over: {reason}.",
            hint=f"The old {service} is the leader again. Read the new one's last log lines, fix it, and deploy again.",
            service=service,
            report=report,
        )
        await self._application.state.deployments.mark_for_rollback(replace(deployment, problem=problem))
