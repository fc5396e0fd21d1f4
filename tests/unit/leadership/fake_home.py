"""A home of containers in a list, and a bot that stands by in one of them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

from roas.errors import StateError
from roas.leadership.elector import LeaderElector
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.leader_lease import BotReadiness, ProcessMark
from roas.models.stack import ServiceDefinition
from roas.stack.service_comparison import WantedService
from roas.state.leadership import Leadership
from roas.state.manager import StateManager
from tests.unit.leadership.every_peer import EveryPeer
from tests.unit.one_stack import OneStack

HUNG = ProcessMark(4711, 1, "pid:[1]")


def container(name: str, health: HealthStatus = HealthStatus.HEALTHY) -> ContainerSnapshot:
    return ContainerSnapshot(name, name, "discord-bot", ContainerState.RUNNING, health, "image", "image", "hash")


async def _nothing_happens() -> None:
    return


class FakeHome(OneStack):
    """Know the containers of home, and whether a process can be reached."""

    def __init__(self, *others: ContainerSnapshot) -> None:
        self.there = [container("own"), *others]
        self.reaches = True
        self.ended: list[ProcessMark] = []
        self.looked = asyncio.Event()
        self.while_looking: Callable[[], Awaitable[object]] = _nothing_happens
        self.when_removed: Callable[[], object] = lambda: None

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        self.looked.set()
        return tuple(self.there)

    async def failure_output(self, container_id: str) -> str:
        await self.while_looking()
        return f"the last output of {container_id}"

    async def remove(self, container_id: str, *, grace_seconds: float) -> None:
        self.there = [item for item in self.there if item.id != container_id]
        self.when_removed()

    async def load_model(self, model_hash: str) -> dict[str, str]:
        return {}

    async def wanted_services(self, model: dict[str, str]) -> dict[str, WantedService]:
        return {"discord-bot": WantedService(ServiceDefinition("discord-bot", "", ""), "another hash")}

    async def end_process(self, mark: ProcessMark) -> bool:
        self.ended.append(mark)
        return self.reaches

    async def kill_orphans(self, instance_id: str) -> int:
        return 0


def elector_of(
    state: StateManager,
    home: FakeHome,
    start_leading: Callable[[], Awaitable[None]],
    stop_leading: Callable[[], Awaitable[None]],
    *,
    leadership: Leadership | None = None,
    is_ready: Callable[[], bool] = lambda: True,
) -> LeaderElector:
    """Return what stands by in the container `own` on a journal."""

    async def own_container(environment: Environment) -> OwnContainer:
        return OwnContainer("own", "own", "home", "discord-bot")

    application = SimpleNamespace(
        state=state,
        stacks=home,
        engines={"dev": Environment("dev", "home", Path(state.folder), ())},
        own_container=own_container,
        leadership=leadership or Leadership(is_leader=False),
        peers=EveryPeer(),
    )
    return LeaderElector(
        application, lambda: BotReadiness(gateway_ready=is_ready(), cogs_loaded=True), start_leading, stop_leading
    )


class Bot:
    """Stand by on a journal."""

    def __init__(self, state: StateManager) -> None:
        self.engine = FakeHome()
        self.active = asyncio.Event()
        self.ready = True
        self.faults: list[Exception] = []
        self._state = state
        self.leadership = Leadership(is_leader=False)
        self.elector = elector_of(
            state, self.engine, self._begin, self._end, leadership=self.leadership, is_ready=lambda: self.ready
        )

    async def is_active_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.active.wait()
        except TimeoutError:
            return False
        return True

    async def _begin(self) -> None:
        if self.faults:
            raise self.faults.pop()
        self.active.set()

    async def _end(self) -> None:
        self.active.clear()


def fail(*_: object, **__: object) -> None:
    raise StateError("The journal cannot be used.", hint="")
