"""Bots that are a service of the stack that they deploy, over a shared journal and engines of dictionaries."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roas.configuration.settings import Settings
from roas.deploy.orchestrator import DeploymentOrchestrator
from roas.events import EventBus
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.leader_lease import Heartbeat
from roas.models.release import ImagePin, ReleaseService
from roas.stack.interface import PinnedStack
from roas.state.leadership import Leadership
from roas.state.living_processes import boot_id, boot_seconds
from roas.state.manager import StateManager
from tests.unit.deploy.fake_engine import HEALTHY, FakeEngine
from tests.unit.deploy.played_parts import components_over, service

BOT = "bot"


@dataclass
class ToldEngine(FakeEngine):
    """Tell in `born` which containers of the bot were started."""

    born: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)

    async def start(self, container_id: str) -> None:
        await super().start(container_id)
        if self.running[container_id].service == BOT:
            self.born.put_nowait(container_id)


class Engines:
    """Have a stack for each environment, with the same models."""

    def __init__(self, **engines: FakeEngine) -> None:
        self._engines = engines
        models: dict[str, dict[str, Any]] = {}
        for engine in engines.values():
            engine.models = models

    def of(self, environment: Environment) -> FakeEngine:
        return self._engines[environment.name].of(environment)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engines["home"], name)

    def definitions(self, model: dict[str, Any]) -> Any:
        known = {name: item for engine in self._engines.values() for name, item in engine.stack.items()}
        return {name: known[name] for name in model["services"]}


class Bot:
    """Be one bot in a container of home, or, without a container, a command line beside it."""

    def __init__(self, folder: Path, engine: Any, container_id: str) -> None:
        self.container_id = container_id
        self.state = StateManager(folder / "state")
        self.bus = EventBus()
        self.leadership = Leadership(is_leader=False)
        # So long that no busy machine comes to its end: who waits for that end makes it shorter.
        self.settings = Settings(_env_file=None, state_dir=folder / "state", handover_seconds=30.0)
        parts = components_over(
            self.state,
            self.bus,
            engine,
            settings=self.settings,
            own_container=self._own_container,
            leadership=self.leadership,
        )
        environments = {
            "home": Environment("home", "home", folder, (), observation_seconds=0.0, is_home=True),
            "staging": Environment("staging", "staging", folder, (), observation_seconds=0.0),
        }
        self.orchestrator = DeploymentOrchestrator(parts, environments)

    async def stand_by(self, *, config_hash: str = "") -> None:
        """Open the journal, and say in it that all is well, and of which release this bot is."""
        await self.state.open()
        beat = Heartbeat(
            self.state.instance_id,
            boot_id(),
            boot_seconds(),
            self.container_id,
            config_hash,
            gateway_ready=True,
            cogs_loaded=True,
        )
        await self.state.ownership.beat(beat)

    async def lead(self) -> None:
        """Take leadership, which must be free or this bot's own."""
        self.leadership.lease = await self.state.ownership.acquire()
        assert self.leadership.lease is not None

    async def end(self) -> None:
        """Be no more."""
        await self.orchestrator.close()
        await self.bus.close()
        await self.state.close()

    async def _own_container(self, environment: Environment) -> OwnContainer | None:
        if not environment.is_home or not self.container_id:
            return None
        return OwnContainer(self.container_id, self.container_id, environment.project, BOT)


@dataclass
class Scene:
    """Hold what there is: a bot of v0 at work beside a store, and a staging environment that has nothing yet."""

    folder: Path
    home: ToldEngine = field(default_factory=lambda: ToldEngine({"store": service("store"), BOT: service(BOT)}))
    staging: FakeEngine = field(default_factory=lambda: FakeEngine({"web": service("web")}))
    bots: list[Bot] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engines = Engines(home=self.home, staging=self.staging)

    async def first(self) -> Bot:
        """Return the bot that runs at the beginning."""
        images = {name: f"{name}:v0" for name in self.home.stack}
        self.home.models["v0"] = {"services": {name: {"image": image} for name, image in images.items()}}
        pins = tuple(ReleaseService(name, ImagePin(image, f"sha256:{image}"), "d") for name, image in images.items())
        self.home.adoptable = PinnedStack("v0", pins, "v0")
        for name in self.home.stack:
            await self.home.create_service("v0", name)
            self.home.become(name, *HEALTHY)
        bot = await self._born(next(c.id for c in self.home.running.values() if c.service == BOT))
        await bot.lead()
        return bot

    async def next(self, *, config_hash: str = "") -> Bot:
        """Return the bot in the container of it that is started next, as soon as it is on standby."""
        return await self._born(await self.home.born.get(), config_hash)

    async def command_line(self) -> Bot:
        """Return a command line that carries deployments itself."""
        return await self._born("")

    def bot_containers(self) -> list[str]:
        """Return the containers of the bot."""
        return [c.id for c in self.home.running.values() if c.service == BOT]

    async def _born(self, container_id: str, config_hash: str = "") -> Bot:
        bot = Bot(self.folder, self.engines, container_id)
        self.bots.append(bot)
        await bot.stand_by(config_hash=config_hash)
        return bot


@asynccontextmanager
async def a_scene(folder: Path) -> AsyncIterator[Scene]:
    """Set the scene, and clear it."""
    scene = Scene(folder)
    try:
        yield scene
    finally:
        for bot in scene.bots:
            await bot.end()
