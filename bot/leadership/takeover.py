"""Take leadership from a process that is dead, hangs, or is a successor that failed, and undo the handover to it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from roas.app.application import Application
from roas.concurrency import end_tasks
from roas.deploy.handover.peer_processes import PeerProcesses
from roas.deploy.peers import proven_peers
from roas.errors import RoasError
from roas.limits import JOURNAL_GRACE_SECONDS
from roas.log import PersistentFault, get_logger
from roas.messages.message import said
from roas.models.deployment import Deployment, Problem
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.health import AT_WORK, ENDED, HealthStatus
from roas.models.leader_lease import BotReadiness, LeaderLease
from roas.state.leader_lease import lease_has_lapsed, renewed_at
from roas.state.living_processes import boot_id, boot_seconds

log = get_logger(__name__)


class OwnPlace:
    """Hold where this process runs; outside of containers, or while the engine does not answer, it has none."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._is_known = False
        self._trouble = PersistentFault()
        self._observing: asyncio.Task[None] | None = None
        self.container: OwnContainer | None = None
        self.home: Environment | None = None

    @property
    def container_id(self) -> str:
        """Return the id of the container, or an empty text."""
        return self.container.id if self.container else ""

    @property
    def project(self) -> str:
        """Return the Compose project of the container, or an empty text."""
        return self.container.project if self.container else ""

    async def find(self) -> None:
        """Look for it, until it is known; an engine that is not available is asked again the next time.

        Only the first look is waited for: who leads has to say so, however long an engine hangs.
        """
        if self._is_known:
            return
        before = self._observing
        if before is not None and not before.done():
            return
        self._observing = asyncio.create_task(self._observe(), name="own container")
        if before is None:
            await self._observing
        elif not before.cancelled():
            before.result()  # what it raised that is no engine's fault

    async def close(self) -> None:
        """Look no more."""
        if self._observing is not None:
            await end_tasks(self._observing)

    async def _observe(self) -> None:
        """Ask all engines at the same time: whichever has it, the others need not answer."""
        known = self._application.engines.values()
        observations = [asyncio.ensure_future(self._observe_in(environment)) for environment in known]
        try:
            is_certain = True
            for observation in asyncio.as_completed(observations):
                is_certain &= await observation
                if self.home is not None:
                    break
            self._is_known = is_certain or self.home is not None
        finally:
            await end_tasks(*observations)

    async def _observe_in(self, environment: Environment) -> bool:
        """Return whether an environment is known to be its own, or not to be."""
        try:
            own = await self._application.own_container(environment)
        except RoasError as error:
            if self._trouble.is_new(environment.name, error.message):
                log.warning("own container could not be determined", environment=environment.name, error=error.message)
            return False
        self._trouble.is_over(environment.name)
        if own is not None:
            self.container, self.home = own, environment
        return True


# A lapsed lease is looked at for so long: after a sleep of the machine, or of its disk, its owner renews it.
LAPSE_CONFIRM_SECONDS = 2.0
# One that is not ready leaves a dead bot's lease for so long to another container of the same service.
READY_PEER_WAIT_SECONDS = 20.0


class LeaseWatch:
    """Look at the lease of another process, again and again."""

    def __init__(self) -> None:
        self._lapsed: LeaderLease | None = None
        self._since = 0.0

    def has_lapsed(self, lease: LeaderLease, now: float) -> bool:
        """Return whether a lease has lapsed by a boot time, and stayed so for as long as a living owner may need."""
        if not lease_has_lapsed(lease, now):
            self._lapsed = None
            return False
        if self._lapsed != lease:
            self._lapsed, self._since = lease, time.monotonic()
        return time.monotonic() - self._since >= LAPSE_CONFIRM_SECONDS


class TakeoverReason(StrEnum):
    """Why a process on standby may become the leader; people read it of a successor that failed."""

    DIED = said("it died")
    HUNG = said("it hangs: its lease was not renewed")
    UNHEALTHY = said("its health check fails")
    CONTAINER_ENDED = said("its container ended")

    @property
    def is_of_successor(self) -> bool:
        """Return whether it is found of a successor alone: only its predecessor can do anything about that."""
        return self in {TakeoverReason.UNHEALTHY, TakeoverReason.CONTAINER_ENDED}


@dataclass(frozen=True, slots=True)
class FailedPeer:
    """Hold why a process is not the leader any more, and its last output, until the journal says so."""

    reason: TakeoverReason
    output: str


class Takeover:
    """Find out whether this process may lead in another's place, end that one first, and turn its handover back."""

    def __init__(self, application: Application, place: OwnPlace, readiness: Callable[[], BotReadiness]) -> None:
        self._application = application
        self._place = place
        self._readiness = readiness
        self._peer_processes = PeerProcesses(application.stacks, application.state, application.peers)
        self._began = boot_seconds()
        self._lease_watch = LeaseWatch()
        self._journal_unreadable_at = float("-inf")
        self._waiting_since: float | None = None
        self._failed: FailedPeer | None = None
        # One that was terminated because it blocked the journal: nothing could be written yet.
        self._ended_holder: FailedPeer | None = None

    def note_unreadable_journal(self) -> None:
        """Note that no bot can be healthy now."""
        self._journal_unreadable_at = time.monotonic()

    def forget_failed(self) -> None:
        """Drop what is known of a leader that failed: another process leads."""
        self._failed = None

    def forget_holder(self) -> None:
        """Drop what is known of one that blocked the journal: it was on standby, and left nothing to resume."""
        self._ended_holder = None

    async def reason(self, lease: LeaderLease | None, now: float) -> TakeoverReason | None:
        """Return why this process takes leadership now, or None; `now` is a boot time from before the lease was read.

        One that is not ready itself lets another go first.
        """
        reason = await self._find_reason(lease, now)
        if reason is None:
            self._waiting_since = None
            return None
        return reason if await self._is_our_turn(reason) else None

    async def take(self, lease: LeaderLease | None, reason: TakeoverReason) -> LeaderLease | None:
        """Return the lease that this process took from nobody, or from the dead; None where another was quicker."""
        acquired = await self._application.state.ownership.acquire()
        if acquired is None:
            return None
        if lease is not None and (self._ended_holder or not await self._ended_from_outside(lease)):
            text = await self._peer_processes.failure_output(self._place.home, lease.instance_id)
            self._failed = self._ended_holder or FailedPeer(reason, text)
        self._ended_holder = None
        return acquired

    async def seize(self, lease: LeaderLease, reason: TakeoverReason) -> LeaderLease | None:
        """Return the lease that this process seized from a living one, or None where that could not be ended.

        It is ended first: a fence in the journal cannot stop a Docker call that is on its way.
        """
        log.warning("forced leadership takeover", from_instance=lease.instance_id, reason=reason)
        output = await self._peer_processes.terminate(
            self._place.home, lease.instance_id, partial(self._is_still_failing, lease, reason)
        )
        if output is None:
            return None
        seized = await self._application.state.ownership.seize(lease)
        if seized is not None:
            self._failed = FailedPeer(reason, output)
        return seized

    async def settle(self) -> None:
        """Mark the deployment of a successor that failed for rollback, before anything is resumed."""
        if self._failed is not None:
            await self._revert_handover(self._failed)
            self._failed = None

    async def end_journal_holder(self) -> bool:
        """Terminate a bot that was suspended while writing and so blocks all others; returns whether there was one.

        A bot that only waits for the journal as well still answers its health check.
        """
        home, own, engine = self._place.home, self._place.container, self._application.stacks
        if home is None or own is None:
            return False
        suspended = [
            snapshot
            for snapshot in await engine.of(home).containers()
            if snapshot.service == own.service and snapshot.id != own.id and snapshot.health is HealthStatus.UNHEALTHY
        ]
        suspended = [*await proven_peers(self._application.peers, home, suspended)]
        for container in suspended:
            log.warning("terminating a suspended bot that blocks the journal", container=container.name)
            output = await engine.of(home).failure_output(container.id)
            self._ended_holder = FailedPeer(TakeoverReason.HUNG, output)
            await engine.of(home).remove(container.id, grace_seconds=0.0)
        return bool(suspended)

    async def _ended_from_outside(self, lease: LeaderLease) -> bool:
        """Return whether a dead leader was told to stop, as by `docker compose restart`, or died with the machine.

        Nor is one blamed that died before this process began, which ended then, too: nobody saw how.
        """
        heartbeat = await self._application.state.ownership.heartbeat(instance_id=lease.instance_id)
        if lease.boot_id != boot_id() or (heartbeat is not None and heartbeat.stopped):
            return True
        return renewed_at(lease) < self._began

    async def _find_reason(self, lease: LeaderLease | None, now: float) -> TakeoverReason | None:
        if lease is None or not self._application.state.instance.is_alive(lease.instance_id):
            return TakeoverReason.DIED
        if self._lease_watch.has_lapsed(lease, now):
            return TakeoverReason.HUNG
        container = await self._peer_processes.container(self._place.home, lease.instance_id)
        if container is None or self._place.container is None or await self._find_own_handover() is None:
            return None
        if container.health is HealthStatus.UNHEALTHY:
            had_no_journal = time.monotonic() - self._journal_unreadable_at < JOURNAL_GRACE_SECONDS
            return None if had_no_journal else TakeoverReason.UNHEALTHY
        return TakeoverReason.CONTAINER_ENDED if container.state in ENDED else None

    async def _is_our_turn(self, reason: TakeoverReason) -> bool:
        """Return whether this bot should take free leadership: one that is not ready lets another go first.

        The other is a predecessor that was killed and that its restart policy starts again, or that is healthy. An
        unhealthy successor does not count.
        """
        home, own, ready = self._place.home, self._place.container, self._readiness()
        is_ready = ready.gateway_ready and ready.cogs_loaded
        if is_ready or reason.is_of_successor or home is None or own is None:
            return True
        self._waiting_since = self._waiting_since or time.monotonic()
        if time.monotonic() - self._waiting_since >= READY_PEER_WAIT_SECONDS:
            return True
        containers = await self._application.stacks.of(home).containers()
        return not any(c.service == own.service and c.id != own.id and c.state in AT_WORK for c in containers)

    async def _is_still_failing(self, seen: LeaderLease, reason: TakeoverReason) -> bool:
        """Return whether leadership is unchanged since it was read; a lease renewed since then proves a live owner."""
        held = await self._application.state.ownership.lease()
        if held is None or reason is TakeoverReason.HUNG:
            return held == seen
        return (held.token, held.instance_id) == (seen.token, seen.instance_id)

    async def _find_own_handover(self) -> Deployment | None:
        """Return the unfinished deployment of home whose release this container is not of, once it was handed over."""
        home, own = self._place.home, self._place.container
        if home is None or own is None:
            return None
        deployment = await self._application.state.deployments.active(home.name)
        if deployment is None or not deployment.handed_over_to or deployment.problem is not None:
            return None
        stack = self._application.stacks.of(home)
        seen = next((c for c in await stack.containers() if c.id == own.id), None)
        wanted = (await stack.wanted_services(await stack.load_model(deployment.applied_model))).get(own.service)
        is_wanted = seen is None or (wanted is not None and wanted.fits(seen))
        return None if is_wanted else deployment

    async def _revert_handover(self, failed: FailedPeer) -> None:
        """Turn a deployment whose successor failed into a rollback, which the process that resumes it then runs."""
        deployment = await self._find_own_handover()
        if deployment is None or self._place.container is None:
            return
        service, reason = self._place.container.service, failed.reason
        problem = Problem(
            key="successor_failed",
            message=said("The new {service} failed after it had taken over: {reason}.", service=service, reason=reason),
            hint=said(
                "The old {service} is the leader again. Read the new one's last log lines, fix it, and deploy again.",
                service=service,
            ),
            service=service,
            report=failed.output,
        )
        await self._application.state.deployments.mark_for_rollback(replace(deployment, problem=problem))
