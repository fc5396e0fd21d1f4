"""Be the active bot or a silent one: keep the voice, stand by for it, and watch over a successor.

Of two bots that share a journal one is active. The other is connected and ready, and says so in a heartbeat, but
answers nothing. It becomes active when the voice is passed to it, when the active one is dead, or, as a predecessor
that watches its successor, when that one hangs or is unwell: then the old release comes back.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from bot import __version__
from bot.concurrency import happens
from bot.deployment.peers import proven_peers
from bot.deployment.rivals import Rivals
from bot.errors import FencedOffError, JournalHeldError, JournalLostError, RoasError, StateError
from bot.integration import Application
from bot.log import get_logger
from bot.models.deployment import Deployment, Problem
from bot.models.environment import Environment
from bot.models.facts import OwnContainer
from bot.models.health import AT_WORK, ENDED, HealthStatus
from bot.models.ownership import Heartbeat, Readiness, VoiceRecord
from bot.state.boot_clock import boot_id, boot_seconds
from bot.state.ownership import lease_has_lapsed
from bot.state.process_marks import this_process

log = get_logger(__name__)

# One that stands by looks more often: people wait for the one that takes over.
BEAT_SECONDS = 0.4
ACTIVE_BEAT_SECONDS = 1.0
# A lapsed lease is looked at for so long: after a sleep of the machine, or of its disk, its owner renews it.
CERTAIN_SECONDS = 2.0
# One that is not fit to speak leaves a dead bot's voice for so long to another container of the same service.
PATIENCE_SECONDS = 20.0
DIED = "it died"
HANGS = "it hangs: its lease was not renewed"
SICK = "its health check fails"
CONTAINER_ENDED = "its container ended"


class VoiceKeeper:
    """Hold the voice, or stand by for it.

    `activate` is called when it comes, and at each beat for as long as it is held; `silence` when it goes; `stop` once,
    with the fault and the own container's name, when the journal is lost: from then on this bot is nothing to it.
    """

    def __init__(
        self,
        application: Application,
        readiness: Callable[[], Readiness],
        activate: Callable[[], Awaitable[None]],
        silence: Callable[[], Awaitable[None]],
        stop: Callable[[JournalLostError, str], Awaitable[None]] | None = None,
    ) -> None:
        self._stop = stop
        self._application = application
        self._readiness = readiness
        self._activate = activate
        self._silence = silence
        self._own: OwnContainer | None = None
        self._home: Environment | None = None
        self._home_is_known = False
        self._active = False
        self._refused = ""
        self._rivals = Rivals(application.engine, application.state, application.peers)
        self._lapse_seen: tuple[VoiceRecord, float] | None = None
        self._waits_since: float | None = None
        # What is still to be written of a successor that failed: why, and its last lines.
        self._owed: tuple[str, str] | None = None
        # The same of one that was ended because it held the journal: nothing could be written yet.
        self._ended: tuple[str, str] | None = None

    async def run(self) -> None:
        """Keep or await the voice until cancelled; a journal that cannot be written makes this bot silent."""
        while True:
            try:
                await self._application.state.check_place()
                await self._find_home()
                await self._step()
            except JournalLostError as error:
                await self._lose(error)
                return
            except StateError as error:
                await self._cannot_write(error)
            except RoasError as error:
                log.warning("standby cannot look around", problem=error.message)
            except Exception:  # a bot whose lease lapses is ended, however well it is
                log.exception("standby stumbles")
            else:
                self._refused = ""
            await happens(asyncio.Event(), ACTIVE_BEAT_SECONDS if self._active else BEAT_SECONDS)

    async def _lose(self, error: JournalLostError) -> None:
        """Stop acting for good: whoever opens what lies at the path by now may lead already."""
        log.error("the journal is lost", problem=error.message, hint=error.hint)
        self._application.held_voice.record = None
        self._active = False
        if self._stop is not None:
            await self._stop(error, self._own.name if self._own else "")
        else:
            await self._silence()

    async def _cannot_write(self, error: StateError) -> None:
        """Stay what we are while the journal says so: where we cannot write (a full disk, say), nobody took the voice.

        A journal that cannot even be read makes this bot silent.
        """
        if error.message != self._refused:
            log.error("the journal cannot be written", problem=error.message, hint=error.hint)
        self._refused = error.message
        try:
            record = await self._application.state.ownership.voice()
        except StateError:
            record = None
        if record is None or record.instance_id != self._application.state.instance_id:
            try:
                await self._set_active(None)
            except Exception:  # as above: it must go on
                log.exception("standby stumbles over its own silence")

    async def _find_home(self) -> None:
        """Find the container that this process runs in, and its environment; an engine that is away is asked again."""
        if self._home_is_known:
            return
        self._home_is_known = True
        for environment in self._application.environments.values():
            try:
                own = await self._application.own_container(environment)
            except RoasError as error:
                log.warning("the own container could not be looked for", problem=error.message)
                self._home_is_known = False
                continue
            if own is not None:
                self._own, self._home, self._home_is_known = own, environment, True
                return

    async def _step(self) -> None:
        ownership = self._application.state.ownership
        try:
            await self._beat()
        except JournalHeldError:
            if not await self._end_whoever_holds_the_journal():
                raise
            await self._beat()
        now = boot_seconds()
        record = await ownership.voice()
        if record is not None and record.instance_id == self._application.state.instance_id:
            self._ended = None  # of a bot that stood by: nothing is taken from it
            await self._keep(record)
            return
        await self._set_active(None)
        self._owed = None
        reason = await self._fault(record, now)
        if not reason:
            self._waits_since = None
        if not reason or not await self._is_ours_to_take(reason):
            return
        if record is not None and reason != DIED:
            await self._take_back(record, reason)
        elif (taken := await ownership.acquire()) is not None:
            if record is not None:
                words = await self._rivals.last_words(self._home, record.instance_id)
                self._owed = self._ended or (reason, words)
            self._ended = None
            await self._keep(taken)

    async def _keep(self, record: VoiceRecord) -> None:
        """Renew the voice; what a failed successor left is written before anything is taken up of it."""
        try:
            renewed = await self._application.state.ownership.renew(record)
        except FencedOffError:
            self._owed = None
            await self._set_active(None)
            return
        if self._owed is not None:
            await self._revert_failed_handover(*self._owed)
            self._owed = None
        if not self._application.held_voice.is_passed_on(renewed):
            await self._set_active(renewed)

    async def _beat(self) -> None:
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
        )
        await self._application.state.ownership.beat(heartbeat)

    async def _set_active(self, voice: VoiceRecord | None) -> None:
        """Begin or end; to be active is said again and again, so that whatever kept it from that is made up for."""
        self._application.held_voice.record = voice
        if voice is not None:
            if not self._active:
                self._active = True
                log.info("this bot is the active one now", instance_id=voice.instance_id, token=voice.token)
            await self._activate()
        elif self._active:
            self._active = False
            log.info("this bot stands by")
            await self._silence()

    async def _fault(self, record: VoiceRecord | None, now: float) -> str:
        """Return why the voice may be taken, or an empty text; `now` is a boot time from before it was looked at."""
        if record is None or not self._application.state.instance.is_alive(record.instance_id):
            return DIED
        if self._has_lapsed(record, now):
            return HANGS
        container = await self._rivals.container(self._home, record.instance_id)
        if container is None or self._own is None or await self._handed_over_by_us() is None:
            return ""
        if container.health is HealthStatus.UNHEALTHY:
            return SICK
        return CONTAINER_ENDED if container.state in ENDED else ""

    async def _end_whoever_holds_the_journal(self) -> bool:
        """End a bot that was stopped in the middle of a write, and tell whether there was one: nobody can write else.

        A bot that only waits for the journal as well still answers its health check.
        """
        if self._home is None or self._own is None:
            return False
        hanging = [
            one
            for one in await self._application.engine.containers(self._home)
            if one.service == self._own.service and one.id != self._own.id and one.health is HealthStatus.UNHEALTHY
        ]
        hanging = [*await proven_peers(self._application.peers, self._home, hanging)]
        for container in hanging:
            log.warning("ending a bot that hangs and holds the journal", container=container.name)
            self._ended = (HANGS, await self._application.engine.last_words(self._home, container.id))
            await self._application.engine.remove(self._home, container.id, grace_seconds=0.0)
        return bool(hanging)

    def _has_lapsed(self, record: VoiceRecord, now: float) -> bool:
        """Tell whether a lease has lapsed, and stays so for as long as a living owner may need to renew it."""
        if not lease_has_lapsed(record, now):
            self._lapse_seen = None
            return False
        if self._lapse_seen is None or self._lapse_seen[0] != record:
            self._lapse_seen = (record, time.monotonic())
        return time.monotonic() - self._lapse_seen[1] >= CERTAIN_SECONDS

    async def _is_ours_to_take(self, reason: str) -> bool:
        """Tell whether this bot should take a voice that is free: one that is not fit lets another go first.

        The other is a predecessor that was killed, which its restart policy brings back, or that is well. A successor
        that is unwell is no such other.
        """
        ready = self._readiness()
        is_fit = ready.gateway_ready and ready.cogs_loaded
        if is_fit or reason in {SICK, CONTAINER_ENDED} or self._home is None or self._own is None:
            return True
        self._waits_since = self._waits_since or time.monotonic()
        if time.monotonic() - self._waits_since >= PATIENCE_SECONDS:
            return True
        containers = await self._application.engine.containers(self._home)
        service, own_id = self._own.service, self._own.id
        return not any(c.service == service and c.id != own_id and c.state in AT_WORK for c in containers)

    async def _take_back(self, record: VoiceRecord, reason: str) -> None:
        """End the other's process first: a fence in the journal cannot stop a Docker call that is on its way."""
        log.warning("taking the voice by force", from_instance=record.instance_id, reason=reason)
        report = await self._rivals.end(
            self._home, record.instance_id, partial(self._is_still_at_fault, record, reason)
        )
        if report is None:
            return
        taken = await self._application.state.ownership.take_by_force(record)
        if taken is None:
            return
        self._owed = (reason, report)
        await self._keep(taken)

    async def _is_still_at_fault(self, seen: VoiceRecord, reason: str) -> bool:
        """Tell whether the voice is as it was seen to be; one that was renewed meanwhile shows that nothing hangs."""
        held = await self._application.state.ownership.voice()
        if held is None or reason == HANGS:
            return held == seen
        return (held.token, held.instance_id) == (seen.token, seen.instance_id)

    async def _handed_over_by_us(self) -> Deployment | None:
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

    async def _revert_failed_handover(self, reason: str, report: str) -> None:
        """Turn a deployment whose successor failed into a rollback; its next carrier takes it up as one."""
        deployment = await self._handed_over_by_us()
        if deployment is None or self._own is None:
            return
        service = self._own.service
        problem = Problem(
            key="successor_failed",
            message=f"The new {service} failed after it had taken over: {reason}.",
            hint=f"The old {service} has taken back. Read the new one's last lines, mend it, and deploy again.",
            service=service,
            report=report,
        )
        await self._application.state.deployments.condemn(replace(deployment, problem=problem))
