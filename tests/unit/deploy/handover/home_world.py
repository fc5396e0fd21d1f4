"""A machine with one stack and its bots, in which faults strike at chosen points of a deployment.

`World.settles` waits, in virtual time, until there is nothing left to be done, and says what is missing where that
does not come to be.
"""

import asyncio
import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from contextvars import Context
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from unittest import mock

from roas.concurrency import wait_for
from roas.configuration.settings import Settings
from roas.errors import RoasError
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Deployment, DeploymentRequest, Outcome, ServiceProgress
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.health import ContainerSnapshot, HealthStatus
from roas.models.leader_lease import LeaderLease, ProcessMark
from roas.models.release import Release
from roas.state.documents import from_json
from roas.state.manager import StateManager
from roas.state.transaction import Fence
from tests.unit.deploy.bot_process import HOST, BotProcess, CommandLine, Place, Process
from tests.unit.deploy.commit_observer import ROUTINE, CommitObserver, Noted, PutOffError, Standing, WatchedJournal
from tests.unit.deploy.fake_engine import UNHEALTHY
from tests.unit.deploy.handover.home_engine import BOT, HomeEngine
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.virtual_time import LIFE, VirtualLoop, clocks_of

DORA = Actor(ActorKind.DISCORD, "1", "dora")
# After the last fault: how long until everything is in its place again, at most.
SETTLE_SECONDS = 150.0
HANDOVER_SECONDS = 20.0
EXIT_SECONDS = 0.2
SICKEN_SECONDS = 1.0
NOT_READY_SECONDS = 10.0
NOTICE_SECONDS = 3.0
RESTART_SECONDS = 0.5
FOR_GOOD = math.inf
OPERATOR_SECONDS = 60.0

# How a version of the bot is bad; every other one is good.
EXITS, NEVER_READY, SICKENS = "exits", "never-ready", "sickens"
# How a version of the other services is.
BAD_STORE, BAD_WEB = "bad-store", "bad-web"
BAD = frozenset({EXITS, NEVER_READY, SICKENS, BAD_STORE, BAD_WEB})
BEHAVIOURS = {(BAD_STORE, "store"): UNHEALTHY, (BAD_WEB, "web"): UNHEALTHY}


class Victim(StrEnum):
    """Whom a fault strikes: the bot that was active at the beginning, the others, all, or who was asked to deploy."""

    PREDECESSOR = "predecessor"
    SUCCESSOR = "successor"
    BOTH = "both"
    CARRIER = "carrier"


class Point(StrEnum):
    """What is counted until a fault strikes."""

    COMMIT = "commit"
    ACT = "act"


@dataclass(frozen=True)
class Fault:
    """Strike at the n-th point, before or after it; kill, or stop for so many seconds, or only ask to cancel."""

    point: Point
    number: int
    after: bool
    victim: Victim
    stopped_seconds: float | None = None
    cancels: bool = False


class World:
    """Hold the engine, the processes that live, and what may yet befall them."""

    def __init__(self, loop: VirtualLoop, folder: Path, *, at_home: bool) -> None:
        self.loop = loop
        self.at_home = at_home
        stack = {"store": service("store")}
        if at_home:
            stack[BOT] = service(BOT, monitor_seconds=5.0)
        stack["web"] = service("web", *(("store", BOT) if at_home else ("store",)), monitor_seconds=1.0)
        self.environment = Environment("dev", "shop", folder, (), observation_seconds=10.0, is_home=at_home)
        self.settings = Settings(_env_file=None, state_dir=folder / "state", handover_seconds=HANDOVER_SECONDS)
        self.engine = HomeEngine(stack, behaviour=BEHAVIOURS, tenants=self, point=self._acts)
        self.place = Place(self.engine, self.environment, self.settings, self._on_lead)
        self.processes: list[Process] = []
        self.observer = CommitObserver(self._lives)
        self.story: list[str] = []
        self.longest_seconds = 0.0
        self._faults: list[Fault] = []
        self._times_reached = dict.fromkeys(Point, 0)
        self._changed = asyncio.Event()
        self._last_fault = loop.time()
        self._stopped = 0
        self._struck = self._cancelled = False
        self._first: Process | None = None
        self._asked: tuple[Process, asyncio.Task[None]] | None = None
        self._deployment_id = ""
        self._patches = ExitStack()
        self._eyes: StateManager | None = None

    # The beginning and the end

    async def begin(self) -> None:
        """Bring the stack up by hand, once, and look at the journal from outside."""
        journal = type("ShownJournal", (WatchedJournal,), {"observer": staticmethod(self._commits)})
        self._eyes = StateManager(Path(self.settings.state_dir), instance_prefix="EYES")
        for name, stand_in in {
            "roas.state.manager.Journal": journal,
            "roas.leadership.elector.this_process": lambda: LIFE.get().mark,
            "roas.cli.own_process.this_process": lambda: LIFE.get().mark,
        }.items():
            self._patches.enter_context(mock.patch(name, stand_in))
        self._patches.enter_context(clocks_of(self.loop))
        await self._eyes.open()
        if self.at_home:
            self.engine.stand_on("v0")
        else:
            self._run_outside()
        await self.settles()

    async def end(self) -> None:
        """Let nothing be left of the processes."""
        for process in self.processes:
            process.dead = True
            process.go_on()
        mine = asyncio.current_task()
        while tasks := asyncio.all_tasks() - {mine}:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1.0)
        for state in [self._eyes, *(process.state for process in self.processes)]:
            await state.close()
        self._patches.close()

    # What people ask for

    async def is_asked(self, request: DeploymentRequest, faults: list[Fault], *, by_command_line: bool = False) -> None:
        """Ask the leader, or a command line, let faults strike on the way, and wait for the end of it all."""
        self._first = self.active()
        self._faults = list(faults)
        self._times_reached = dict.fromkeys(Point, 0)
        self._deployment_id = ""
        self._last_fault = self.loop.time()
        self._struck = self._cancelled = False
        if by_command_line:
            executor = CommandLine(len(self.processes) + 1, self.place)
            self.processes.append(executor)
            work = self._launch(executor, request)
        else:
            executor, work = self._first, self._start(self._first, request)
        self.tell(f"asks {executor} for {request.kind} {request.version} with {faults}")
        self._asked = (executor, executor.do(work))
        await self.settles()
        if self._deployment_id and request.version not in BAD and not self._cancelled and not self._struck:
            assert (last := await self.last()).outcome is Outcome.SUCCEEDED, last

    async def _launch(self, executor: CommandLine, request: DeploymentRequest) -> None:
        try:
            await executor.carry(lambda process: self._start(process, request))
        finally:
            self._bury(executor)

    async def is_struck_idle(self, fault: Fault) -> None:
        """Let a fault strike while nothing is going on."""
        self._first = self.active()
        self._strike(fault)
        await self.settles()

    async def _start(self, process: Process, request: DeploymentRequest) -> str:
        try:
            self._deployment_id = (await process.parts.orchestrator.start(request)).id
        except RoasError as error:
            self.tell(f"{process} refuses: {error.message}")
        return self._deployment_id

    async def another_comes(self) -> None:
        """Run a second bot outside of containers, which stands by; whoever supervises it keeps it there."""
        self._last_fault = self.loop.time()
        self._run_outside()
        await self.settles()

    async def last(self) -> Deployment:
        """Return the last deployment."""
        return (await self._eyes.deployments.list("dev", limit=1))[0]

    @property
    def supervised(self) -> list[Process]:
        """Return the bots that run outside of containers."""
        return [
            process
            for process in self.processes
            if process.container is None and process.prefix == "BOT" and not process.dead
        ]

    def active(self) -> Process:
        """Return the bot that leads."""
        return next(process for process in self.processes if process.leads)

    # What faults do

    def _strike(self, fault: Fault) -> None:
        """Kill, stop or cancel."""
        self._last_fault = self.loop.time()
        if fault.cancels:
            self._cancelled = True
            self._cancel()
            return
        self._struck = True
        for process in self._victims(fault.victim):
            self.tell(f"{process} is " + ("killed" if fault.stopped_seconds is None else "stopped"))
            if fault.stopped_seconds is None:
                self._kill(process)
            else:
                self._stop(process, fault.stopped_seconds)

    def _kill(self, process: Process) -> None:
        """Send SIGKILL from outside: whoever is responsible for it brings it back, but for a command line."""
        self._bury(process)
        if isinstance(process, CommandLine):
            return
        if process.container is None:
            self.loop.call_later(RESTART_SECONDS, self._run_outside, context=Context())
        else:
            self.engine.process_ended(process.container.id, 137)

    def _stop(self, process: Process, seconds: float) -> None:
        process.stop()
        self.loop.call_later(NOTICE_SECONDS, process.is_checked, context=Context())
        if seconds == FOR_GOOD:
            self.loop.call_later(OPERATOR_SECONDS, self._operator_looks, process, context=Context())
            return
        self._stopped += 1

        def wake() -> None:
            self._stopped -= 1
            self._last_fault = self.loop.time()
            if not process.dead:
                self.tell(f"{process} goes on")
                process.go_on()
                process.is_checked()
            self._changed.set()

        self.loop.call_later(seconds, wake, context=Context())

    def _operator_looks(self, process: Process) -> None:
        """End what no bot can: a command line that hangs, and a bot beside which there is no other."""
        others = [other for other in self.processes if other.prefix == "BOT" and not other.stopped]
        if not process.dead and (isinstance(process, CommandLine) or not others):
            self.tell(f"an operator ends {process}")
            self._last_fault = self.loop.time()
            self._kill(process)

    def _cancel(self) -> None:
        living = [process for process in self.processes if process.leads]
        if living and self._deployment_id:
            self.tell("somebody cancels")
            living[0].do(self._ask_to_cancel(living[0]))

    async def _ask_to_cancel(self, process: Process) -> None:
        try:
            await process.parts.orchestrator.cancel(self._deployment_id, DORA)
        except RoasError as error:
            self.tell(f"not cancelled: {error.message}")

    def _victims(self, victim: Victim) -> Iterator[Process]:
        for process in [process for process in self.processes if not process.stopped]:
            is_asked = self._asked is not None and process is self._asked[0]
            is_first = process is self._first or (
                process.container is not None and process.container == self._first.container
            )
            by_victim = {
                Victim.PREDECESSOR: is_first,
                Victim.SUCCESSOR: not is_first and not is_asked,
                Victim.BOTH: True,
                Victim.CARRIER: is_asked,
            }
            if by_victim[victim]:
                yield process

    def _passes(self, point: Point, *, after: bool) -> None:
        """Let what is due at this point strike; a fault waits for its victim to be born."""
        for fault in list(self._faults):
            due = fault.point is point and fault.after is after and fault.number <= self._times_reached[point]
            if due and (fault.cancels or any(self._victims(fault.victim))):
                self._faults.remove(fault)
                self._strike(fault)

    async def _acts(self, act: str, service: str, *, after: bool) -> None:
        life = LIFE.get()
        self.tell(f"{life} {'has done' if after else 'does'}: {act} {service}")
        if not after:
            self._times_reached[Point.ACT] += 1
            self._only_the_owner_acts(life, act, service)
        self._passes(Point.ACT, after=after)
        if life is not None and life.stopped:
            await asyncio.sleep(0)  # here it stays until it is woken, if ever

    def _commits(self, transaction: Noted, before: Standing, fence: Fence | None) -> None:
        if not transaction.written - ROUTINE:
            self.observer.see(transaction, before, fence)
            return
        life = LIFE.get()
        self._times_reached[Point.COMMIT] += 1
        self._passes(Point.COMMIT, after=False)
        if life is not None and life.stopped:
            raise PutOffError
        self.tell(f"{life} writes {sorted(transaction.written)} {[str(c.new) for c in transaction.changes]}")
        self.observer.see(transaction, before, fence)
        self._passes(Point.COMMIT, after=True)
        self._changed.set()

    def _only_the_owner_acts(self, life: Process, act: str, service: str) -> None:
        """Who does not hold the environment may only end another bot, and nobody may replace one in its place.

        What the owner does was announced.
        """
        if (act, service) == ("recreate", BOT):
            self.observer.objections.append(f"{life} replaces the bot in its place")
        holder = self._holder()
        mine = holder == life.state.instance_id
        if not mine and (holder is not None or act != "remove") and (act, service) != ("remove", BOT):
            self.observer.objections.append(f"{life} does {act} {service}, and {holder} holds the environment")

        if mine and act != "remove" and not (intent := self._progress(service)).endswith("ing"):
            self.observer.objections.append(f"{life} does {act} {service}, and the journal says {intent or 'nothing'}")

    def _progress(self, service: str) -> str:
        """Return the last step of a service that the journal knows of the deployment under way."""
        row = self._eyes._journal._connection.execute(
            "SELECT p.document FROM service_progress p JOIN locks USING (deployment_id) WHERE p.service = ?", (service,)
        ).fetchone()
        return from_json(ServiceProgress, row[0]).step.value if row else ""

    def _holder(self) -> str | None:
        connection = self._eyes._journal._connection
        row = connection.execute("SELECT instance_id FROM locks").fetchone()
        return row[0] if row else None

    # Tenants of the engine's containers

    def move_in(self, container: ContainerSnapshot) -> None:
        version = container.image_reference.partition(":")[2]
        own = OwnContainer(
            container.id,
            container.name,
            self.environment.project,
            container.service,
            config_hash=container.config_hash,
        )
        process = self._be_born(own, connects=version not in {EXITS, NEVER_READY})
        if version == EXITS:
            self.loop.call_later(EXIT_SECONDS, self._exits, process, context=Context())
        if version == NEVER_READY:
            self.loop.call_later(NOT_READY_SECONDS, process.is_checked, context=Context())

    def move_out(self, container_id: str) -> None:
        for process in self.processes:
            if not process.dead and process.container is not None and process.container.id == container_id:
                self._bury(process)

    def end_process(self, mark: ProcessMark) -> bool:
        neighbour = LIFE.get().mark.namespace == mark.namespace == HOST
        for process in self.processes:
            if neighbour and process.mark == mark and not process.dead:
                self._kill(process)
        return neighbour

    def _exits(self, process: Process) -> None:
        if not process.dead:
            self._bury(process)
            self.engine.process_ended(process.container.id, 1)

    def _run_outside(self) -> None:
        self._be_born(None, connects=True)

    def _be_born(self, own: OwnContainer | None, *, connects: bool) -> BotProcess:
        process = BotProcess(len(self.processes) + 1, self.place, own)
        self.processes.append(process)
        process.do(process.live(connects=connects))
        self.tell(f"{process} is born in {own.name if own else 'no container'}: {process.state.instance_id}")
        return process

    def _bury(self, process: Process) -> None:
        if not process.dead:
            self.tell(f"{process} dies")
            process.die()
            self._changed.set()

    def _on_lead(self, process: Process) -> None:
        leaders = [other for other in self.processes if other.leads]
        self.tell(f"{process} leads")
        if len(leaders) > 1:
            self.observer.objections.append(f"{leaders} lead at the same time")
        self._changed.set()
        image = self.engine.running[process.container.id].image_reference if process.container else ""
        if image.endswith(SICKENS):
            self.loop.call_later(SICKEN_SECONDS, self._sickens, process, context=Context())

    def _sickens(self, process: Process) -> None:
        process.unhealthy = True
        process.is_checked()

    def _lives(self, instance_id: str) -> bool:
        return any(process.state.instance_id == instance_id and not process.dead for process in self.processes)

    # How it stands

    def tell(self, text: str) -> None:
        self.story.append(f"{self.loop.time():9.3f} {text}")

    async def settles(self) -> None:
        """Wait until there is nothing left to do. Raises AssertionError with what there still is."""
        while missing := await self._find_missing():
            self._object()
            left = self._last_fault + SETTLE_SECONDS - self.loop.time()
            if left <= 0 and not self._stopped:
                raise AssertionError(f"it does not settle: {missing}")
            self._changed.clear()
            await wait_for(self._changed, min(max(left, 1.0), 5.0))
        self._object()
        self._faults = []
        self.longest_seconds = max(self.longest_seconds, self.loop.time() - self._last_fault)

    def _object(self) -> None:
        assert not self.observer.objections, self.observer.objections

    async def _find_missing(self) -> str:
        """Return what is not yet as it must be at the end, or an empty text."""
        if self._stopped:
            return "somebody is stopped"
        if self._asked is not None and not (self._asked[1].done() or self._asked[0].dead):
            return "what was asked is not answered"
        if unfinished := await self._eyes.deployments.unfinished():
            return f"unfinished: {[item.id for item in unfinished]}"
        if await self._eyes.locks.get("dev") is not None:
            return "the environment is locked"
        every = await self._eyes.deployments.list("dev", limit=100)
        last = next((item for item in every if item.touched), None)
        current = await self._eyes.releases.current("dev")
        lease = await self._eyes.ownership.lease()
        return self._one_bot(lease) or self._whole(last, current)

    def _one_bot(self, lease: LeaderLease | None) -> str:
        living = [process for process in self.processes if not process.dead]
        leaders = [process for process in living if process.leads]
        if len(leaders) != 1 or lease is None or lease.instance_id != leaders[0].state.instance_id:
            return f"of {living}, {leaders} lead, and {lease} is the lease"
        if any(isinstance(process, CommandLine) for process in living):
            return f"{living} live"
        bots = self.engine.of_service(BOT)
        if self.at_home and ([bot.id for bot in bots] != [leaders[0].container.id] or len(living) != 1):
            return f"{living} live, and the bot's containers are {bots}"
        return ""

    def _whole(self, last: Deployment | None, current: Release | None) -> str:
        """Say what is not of the current release. After a failure that needs an operator, only the bot must run."""
        running = self.engine.running.values()
        if last is not None and last.outcome is Outcome.FAILED:
            if last.id == self._deployment_id and not self._struck:
                self.observer.objections.append(f"{last.id} needs an operator, though nothing struck: {last.problem}")
            return ""
        version = "v0" if current is None else current.version
        wanted = {name: f"{name}:{version}" for name in self.engine.stack}
        if not self.at_home and current is None:
            wanted = {}
        if self.engine.versions() != wanted or len(running) != len(wanted):
            return f"on {version}, there is {self._containers()}"
        if any(container.health is not HealthStatus.HEALTHY for container in running):
            return f"not all are healthy: {self._containers()}"
        # What an automatic rollback put in the place of one that was well has another number.
        if any(not re.fullmatch(f"shop-{one.service}-[0-9]", one.name) for one in running if one.service != BOT):
            return f"a container has another's name: {self._containers()}"
        return ""

    def _containers(self) -> list[str]:
        return [f"{c.name} {c.image_reference} {c.state} {c.health}" for c in self.engine.running.values()]
