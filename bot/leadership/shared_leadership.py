"""Lead, of the bots on several machines, by a lease that the managers of the Swarm agree on.

One renews it; the others read what it writes, and take it once it was not renewed for too long. Whoever cannot renew it
stops before that, by its own clock.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from roas.app.application import Application
from roas.concurrency import end_tasks, in_thread, pause
from roas.errors import JournalLostError, RoasError, StateError
from roas.log import PersistentFault, get_logger
from roas.models.leader_lease import BotReadiness
from roas.state.manager import StateManager
from roas.state.shared.lease import LOOK_SECONDS, RENEWED_EVERY_SECONDS, LeaseClock, LeaseHolder, SharedLease
from roas.state.shared.log import SharedLog
from roas.state.shared.objects import StoreAwayError, Stored, Term

log = get_logger(__name__)
# One that is not connected to Discord leaves the lease to another for so long.
READY_PEER_SECONDS = 15.0
GIVE_AWAY_SECONDS = 5.0
SWARM = "swarm"
Answer = TypeVar("Answer")
# Stop all that only a leader does, and have what an earlier leader still means to write refused.
StepDown = Callable[[], Awaitable[None]]
FenceOff = Callable[[], Awaitable[None]]


@asynccontextmanager
async def led_by_lease(application: Application, readiness: Callable[[], BotReadiness]) -> AsyncIterator[None]:
    """Renew or await the lease within the block, where bots on other machines share the journal; lead only by it."""
    if application.shared is None:
        yield
        return
    leadership = application.leadership

    def is_ready() -> bool:
        ready = readiness()
        return ready.gateway_ready and ready.cogs_loaded

    async def step_down() -> None:
        leadership.lose()
        await application.orchestrator.abandon()

    async def fence_off() -> None:
        for deployment in await application.state.deployments.unfinished():
            environment = application.engines.get(deployment.environment)
            if environment is not None:
                await application.stacks.of(environment).fence_off(deployment.id)

    holder = application.shared.holder(application.state.instance_id)
    shared = SharedLeadership(application.state, application.shared.log, holder, is_ready, step_down, fence_off)
    leadership.lead_only_while(shared.may_lead)
    async with shared.held():
        yield


class SharedLeadership:
    """Hold the lease, or wait for it."""

    def __init__(
        self,
        state: StateManager,
        shared: SharedLog,
        holder: LeaseHolder,
        is_ready: Callable[[], bool],
        step_down: StepDown,
        fence_off: FenceOff,
    ) -> None:
        self._state = state
        self._shared = shared
        self._holder = holder
        self._is_ready = is_ready
        self._step_down = step_down
        self._fence_off = fence_off
        self._clock = LeaseClock()
        self._trouble = PersistentFault()
        self._could_lead_since: float | None = None
        # The lease as it was when what the others wrote was read last.
        self._read_by: SharedLease | None = None
        self._has_fenced = False

    def may_lead(self) -> bool:
        """Return whether this machine's bot leads, by the clock."""
        return self._has_fenced and self._shared.leads

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Renew or await the lease within the block."""
        task = asyncio.create_task(self._run(), name="shared lease")
        try:
            yield
        finally:
            await end_tasks(task)
            await self._give_away()

    async def _run(self) -> None:
        while True:
            is_answered = False
            try:
                await self._round()
            except JournalLostError:
                await self._lose("the journal is lost")
                return
            except (StoreAwayError, RoasError) as error:
                self._clock.no_answer()
                if self._trouble.is_new(SWARM, str(error)):
                    log.warning("the lease in the Swarm is not known", error=str(error))
            except Exception:  # a bot whose lease lapses stops, however well it is
                log.exception("a round of the lease broke")
            else:
                self._trouble.is_over(SWARM)
                is_answered = True
            term = self._shared.objects.term
            if term is not None and not self._shared.objects.is_in_term():
                await self._lose("the lease was not renewed in time")
            is_well = term is not None and is_answered and not self._shared.is_behind
            await pause(RENEWED_EVERY_SECONDS if is_well else LOOK_SECONDS)

    async def _round(self) -> None:
        term = self._shared.objects.term
        if term is None:
            await self._stand_by()
        elif (until := await self._renew(term)) is None:
            await self._lose("another bot took the lease")
        else:
            self._shared.objects.renew(until)
            if self._shared.is_behind:
                await self._state.catch_up()

    async def _renew(self, term: Term) -> float | None:
        """Renew the lease, and wait for that no longer than it lasts."""
        try:
            async with asyncio.timeout(max(0.0, term.until - time.monotonic())):
                return await self._ask(lambda: self._holder.renew(term.token, self._shared.head))
        except TimeoutError as error:
            raise StoreAwayError("the manager does not answer") from error

    async def _stand_by(self) -> None:
        """Read what the leader wrote, and take the lease where nobody holds it any more."""
        stored, lease = await self._ask(self._holder.read)
        self._shared.leader = "" if lease is None or not lease.is_held else lease.node
        self._shared.lease_token = 0 if lease is None else lease.token
        has_lapsed = self._clock.has_lapsed(lease) or self._is_own(lease)
        # A leader that renews it says how far it has come.
        if has_lapsed or self._shared.is_behind or lease != self._read_by:
            await self._state.catch_up(0 if lease is None else lease.head)
            self._read_by = lease
        if not has_lapsed:
            self._could_lead_since = None
        elif self._is_our_turn():
            await self._take(stored, lease)

    def _is_own(self, lease: SharedLease | None) -> bool:
        """Return whether this process took the lease, and has not heard so."""
        return lease is not None and lease.instance_id == self._state.instance_id

    def _is_our_turn(self) -> bool:
        now = time.monotonic()
        self._could_lead_since = self._could_lead_since or now
        return self._is_ready() or now - self._could_lead_since >= READY_PEER_SECONDS

    async def _take(self, stored: Stored | None, lease: SharedLease | None) -> None:
        token = max(0 if lease is None else lease.token, self._shared.last_token) + 1
        term = await self._ask(lambda: self._holder.take(stored, token))
        if term is None:
            return
        await self._take_over(term)
        self._shared.leader = term.node
        log.info("this machine's bot leads", token=token, before="" if lease is None else lease.node)
        if lease is not None and lease.is_held:
            await self._fence()
        self._has_fenced = True

    async def _take_over(self, term: Term) -> None:
        """Begin to lead, and renew the lease meanwhile: a Swarm that lost its state is given all of it."""
        taking = asyncio.create_task(self._state.take_over(term), name="take over the shared state")
        try:
            while not (await asyncio.wait({taking}, timeout=RENEWED_EVERY_SECONDS))[0]:
                with suppress(StoreAwayError):  # then it lapses, and what is under way ends by the clock
                    if (until := await self._renew(self._shared.objects.term or term)) is None:
                        self._shared.lose()
                    else:
                        self._shared.objects.renew(until)
            await taking
        finally:
            await end_tasks(taking)

    async def _fence(self) -> None:
        """Have late writes of the leader before refused, as far as managers answer: by its own clock it writes none."""
        try:
            await self._fence_off()
        except RoasError as error:
            log.warning("services could not be fenced off", error=error.message)

    async def _lose(self, reason: str) -> None:
        log.warning("this machine's bot does not lead any more", reason=reason)
        self._shared.lose()
        self._has_fenced = False
        self._clock = LeaseClock()
        await self._step_down()

    async def _give_away(self) -> None:
        """Let another bot lead at once: this one ends."""
        term = self._shared.objects.term
        if term is None:
            return
        await self._step_down()
        self._shared.lose()
        try:
            async with asyncio.timeout(GIVE_AWAY_SECONDS):
                await self._ask(lambda: self._holder.give_away(term.token, self._shared.head))
        except (TimeoutError, StoreAwayError, StateError) as error:
            log.warning("the lease could not be given away; it lapses", error=str(error))

    async def _ask(self, work: Callable[[], Answer]) -> Answer:
        return await in_thread(work)
