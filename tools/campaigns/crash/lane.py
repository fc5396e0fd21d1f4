"""One stack that runs through many rounds: set up, made to replace its bot, inspected, and set up again."""

import asyncio
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions

from roas.api.control_client import ControlClient
from roas.errors import RoasError
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest
from sandbox.client import SandboxClient
from testbed.compose_labels import SERVICE_LABEL
from testbed.daemon import PrivateDaemon
from testbed.engine import Engine
from testbed.home_stack import (
    BOT_SERVICE,
    Home,
    forget_releases,
    home_settings,
    lay_out,
    running_sandbox,
)
from testbed.sample import CHECK
from tools.campaigns.crash.facts import ContainerFacts, FactFinder, Facts
from tools.campaigns.crash.gate import Gate
from tools.campaigns.crash.images import BEFORE, COMMANDS, GOOD, make_images, make_release_before
from tools.campaigns.crash.journal import JournalReader, Mark
from tools.campaigns.crash.judge import breaches
from tools.campaigns.crash.points import Report, Role, is_intent
from tools.campaigns.crash.renewing import renew
from tools.campaigns.instrumented.gate import GATE_VARIABLE, PLANT_VARIABLE

# Services of a stack beside the usual ones, and settings that go with them, made on its engine.
Beside = Callable[[docker.DockerClient], tuple[Mapping[str, Mapping[str, object]], Mapping[str, object]]]

ENVIRONMENT = "dev"
LOOK_SECONDS = 0.25
ANSWER_SECONDS = 30.0
EVIDENCE_LINES = 2000
POSTED_SECONDS = 30.0
# Docker's restart policy: the wait begins with 0.1 s and doubles; a run of ten seconds ends that.
STARTS_IN_A_ROW = 4
FORGIVEN_SECONDS = 11.0
OUTCOME = re.compile(r"\b([A-Z]+-[0-9A-Z]{26}) · outcome")
# Shorter than what a person would wait, longer than what a healthy bot needs.
SETTINGS = {"ENVIRONMENTS__DEV__OBSERVATION_SECONDS": "1", "HANDOVER_SECONDS": "40", "RELEASES_KEPT": "2"}
HEALTHCHECK = {"interval": "1s", "retries": 3, "start_interval": "500ms"}
# What the engine says that met the folder of a container's own shim, which had ended a moment before.
LEFT_SHIM = re.compile(r"failed to start shim: mkdir .*: file exists")
# Errors that may occur while an engine restarts during a look.
AWAY = (docker.errors.DockerException, requests.exceptions.RequestException, OSError, subprocess.SubprocessError)


@dataclass(slots=True)
class Lane:
    """Hold one engine, its sandbox and its stack, and observe both bots of it."""

    name: str
    home: Home
    gate: Gate
    reader: JournalReader
    finder: FactFinder
    daemon: PrivateDaemon
    discord: Mapping[str, Any]
    mark: Mark = field(default_factory=Mark)
    predecessor: str = ""
    unannounced: list[str] = field(default_factory=list)
    # How long recent undisturbed deployments took.
    length_seconds: float = 10.0
    # Whether to record at each step which bots run: it takes a moment, so only the clean runs do.
    surveys: bool = False
    # Whether each deployment has a service that is new.
    renews: bool = False
    # How often a container had been started again when it was last let rest, by its id.
    rested: dict[str, int] = field(default_factory=dict)
    # Why the last request was not taken.
    refusal: str = ""

    @property
    def state_dir(self) -> Path:
        """Return the stack's state folder."""
        return self.home.folder / "state"

    async def begin(self) -> None:
        """Remember what there is before a deployment."""
        self.mark = await asyncio.to_thread(self.reader.mark)
        bots = await asyncio.to_thread(self.bots)
        self.predecessor = bots[0].id
        self.unannounced = []
        self.gate.begin(self.predecessor, self._look)

    def bots(self) -> list[ContainerFacts]:
        """Return the running bots."""
        found = [
            container for container in self.finder.containers() if container.labels.get(SERVICE_LABEL) == BOT_SERVICE
        ]
        return [item for item in found if item.state == "running" and item.pid]

    def bot(self, role: Role) -> ContainerFacts | None:
        """Return the running bot of a role, or None."""
        return next((bot for bot in self.bots() if self._role(bot) is role), None)

    def other_version(self) -> str:
        """Return the good version that the environment is not on."""
        release = self.reader.look(self.mark).release
        return GOOD[0] if release is not None and release.version == GOOD[1] else GOOD[1]

    async def deploy(self, version: str) -> Deployment | None:
        """Ask the bot for a deployment; None where it was killed before it could answer."""
        if self.renews:
            renew(self.home.folder, self.reader.look(self.mark).release)
        request = DeploymentRequest(
            ENVIRONMENT, DeploymentKind.DEPLOY, Actor(ActorKind.SYSTEM, "0", "campaign"), version=version
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS), ControlClient(self.state_dir) as bot:
                if self.renews:  # bound to a plan, as from a click
                    request = replace(request, plan_digest=(await bot.plan(request)).digest)
                return await bot.start(request, confirmed=True)
        except (RoasError, TimeoutError) as error:
            self.refusal = repr(error)
            return None

    async def wait_until_asked(self) -> None:
        """Wait until the control socket answers. Raises TimeoutError."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                with suppress(RoasError, OSError):
                    async with ControlClient(self.state_dir) as bot:
                        await bot.greet()
                        return
                await asyncio.sleep(LOOK_SECONDS)

    async def wait_until_idle(self) -> None:
        """Let a bot that was restarted a few times run until the engine resets its restart delay.

        It waits twice as long before each further start, up to a minute, of a container that ran for less than ten
        seconds: who is killed round after round would not be back in time, through no fault of its own.
        """
        for bot in await asyncio.to_thread(self.bots):
            rested = self.rested.get(bot.id, 0)
            if bot.restarts - rested >= STARTS_IN_A_ROW:
                age = datetime.now(UTC) - datetime.fromisoformat(bot.started_at[:19] + "+00:00")
                await asyncio.sleep(max(0.0, FORGIVEN_SECONDS - age.total_seconds()))
                self.rested[bot.id] = bot.restarts

    def facts(self, killed: frozenset[int] = frozenset()) -> Facts:
        """Return what there is now."""
        return self.finder.look(self.mark, killed, tuple(self.unannounced))

    async def settle(self, killed: frozenset[int], seconds: float) -> tuple[float, tuple[str, ...]]:
        """Wait until nothing is wrong any more; returns how many seconds that took, and what is still wrong."""
        begun = time.monotonic()
        while True:
            took = time.monotonic() - begun
            # The engine is looked at only where the journal says that it could be over: looking costs time, too.
            if took > seconds or not await asyncio.to_thread(self.reader.unfinished):
                try:
                    wrong = breaches(await asyncio.to_thread(self.facts, killed))
                except AWAY as error:
                    wrong = (f"the stack cannot be looked at: {error}",)
                if not wrong or took > seconds:
                    return time.monotonic() - begun, wrong
            await asyncio.sleep(LOOK_SECONDS)

    def unstarted(self) -> tuple[str, ...]:
        """Return the bots that the engine gave up starting again because of its own leftovers, where none runs.

        It met the folder of the shim that had just ended, and what failed to start is not started again by its restart
        policy. A bot that runs would have to help itself, and is judged.
        """
        bots = [item for item in self.finder.containers() if item.labels.get(SERVICE_LABEL) == BOT_SERVICE]
        if any(item.state == "running" for item in bots):
            return ()
        return tuple(f"{item.name}: {item.error}" for item in bots if LEFT_SHIM.search(item.error))

    async def upgrade(self, seconds: float) -> tuple[str, ...]:
        """Let the bot of the release before bring today's back, where it runs; returns what is wrong then."""
        release = self.reader.look(self.mark).release
        if release is None or release.version != BEFORE:
            return ()
        await self.begin()
        command = ["python", "-m", "bot", "deploy", ENVIRONMENT, GOOD[0], "--yes"]
        await asyncio.to_thread(self.home.client.containers.get(self.predecessor).exec_run, command, detach=True)
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:  # until it has begun
                await asyncio.sleep(LOOK_SECONDS)
                if self.reader.look(self.mark).deployments:
                    break
        _, wrong = await self.settle(frozenset(), seconds)
        (bot,) = await asyncio.to_thread(self.bots)
        if not wrong and bot.id == self.predecessor:
            return ("the release before runs on",)
        return wrong

    async def wrong_notifications(self) -> tuple[str, ...]:
        """Return the deployments of this journal whose outcome was not posted exactly once in the channel."""
        ended = await asyncio.to_thread(self.reader.ended)
        deadline = time.monotonic() + POSTED_SECONDS
        async with SandboxClient(self.discord["control_url"], self.discord["control_token"]) as people:
            while True:
                posted = Counter(
                    found.group(1) for message in await people.messages() if (found := OUTCOME.search(message.text))
                )
                wrong = tuple(
                    f"the outcome of {item} was posted {posted[item]} times" for item in ended if posted[item] != 1
                )
                if not wrong or time.monotonic() > deadline:
                    return wrong
                await asyncio.sleep(1.0)

    async def start(self) -> None:
        """Start the stack by hand and wait until its bot answers. Raises HomeStackError, TimeoutError."""
        await asyncio.to_thread(self.home.compose, "up", "-d", "--wait")
        await self.wait_until_asked()

    async def start_anew(self) -> None:
        """Remove the stack, journal and all, and start a new one."""
        self.gate.release()
        await asyncio.to_thread(self._clear)
        await self.start()

    def keep_evidence(self, folder: Path) -> None:
        """Copy logs, journal and the engine's view of each container, for the analysis of a breach."""
        folder.mkdir(parents=True, exist_ok=True)
        for path in self.state_dir.glob("journal.sqlite3*"):
            shutil.copy(path, folder)
        with suppress(*AWAY):
            for container in self.home.client.containers.list(all=True, ignore_removed=True):
                (folder / f"{container.name}.log").write_bytes(container.logs(tail=EVIDENCE_LINES, timestamps=True))
                (folder / f"{container.name}.json").write_text(str(container.attrs))
        lines = (f"{item.at:.3f} {item.point}" for item in self.gate.trace)
        (folder / "steps.txt").write_text("\n".join(lines) + "\n")

    def _clear(self) -> None:
        for container in self.home.client.containers.list(all=True, ignore_removed=True):
            with suppress(docker.errors.APIError):
                container.remove(force=True, v=True)
        forget_releases(self.home.client)
        for path in self.state_dir.iterdir():
            if path != self.gate.path:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _role(self, bot: ContainerFacts) -> Role:
        return Role.PREDECESSOR if bot.id == self.predecessor else Role.SUCCESSOR

    async def _look(self, report: Report) -> Report:
        """Check, before a bot continues, that the journal has its intent, and which bots run."""
        present = report.present
        if self.surveys:
            bots = await asyncio.to_thread(self.bots)
            present = frozenset(map(self._role, bots))
        if report.is_act and not report.point.step.startswith("between"):
            step = await asyncio.to_thread(self.reader.step_of, report.service)
            if not is_intent(step):
                self.unannounced.append(f"{report.point} while the journal said {step or 'nothing'}")
        return replace(report, present=present)


@contextmanager
def opened_lane(
    name: str,
    folder: Path,
    *,
    plant: str = "",
    commands: Mapping[str, Sequence[str] | None] = COMMANDS,
    beside: Beside | None = None,
    on: PrivateDaemon | None = None,
    downgrades: bool = False,
) -> Iterator[Lane]:
    """Start an engine, make the images and lay out a stack, for the time of the block; nothing runs yet.

    `on` is an engine that is there already: all that runs on it is removed, before and afterwards. What `downgrades`
    has an image of the release before.
    """
    with nullcontext(on) if on else PrivateDaemon(folder / "engine", settings={"dns": []}) as daemon:
        engine = Engine(daemon.docker_host, daemon)
        client = engine.client()
        try:
            if on:
                _remove(client)
            make_images(engine, client, commands)
            if downgrades:
                make_release_before(engine, client)
            with running_sandbox(engine) as discord:
                values = home_settings(discord, engine, folder / "home") | SETTINGS
                gate = Gate(folder / "home" / "state")
                values |= {GATE_VARIABLE: gate.path, PLANT_VARIABLE: plant}
                services, more = beside(client) if beside is not None else ({}, {})
                values |= more
                yield _laid_out(
                    name, folder / "home", engine, daemon, client, discord, gate, values, services, before=downgrades
                )
        finally:
            if on:
                _remove(client)
            client.close()


def _remove(client: docker.DockerClient) -> None:
    """Remove all that there is on an engine that goes on, but for its images."""
    for container in client.containers.list(all=True, ignore_removed=True):
        with suppress(docker.errors.APIError):
            container.remove(force=True, v=True)
    client.networks.prune()
    client.volumes.prune()


def _laid_out(
    name: str,
    stack: Path,
    engine: Engine,
    daemon: PrivateDaemon,
    client: docker.DockerClient,
    discord: Mapping[str, Any],
    gate: Gate,
    values: Mapping[str, object],
    services: Mapping[str, Mapping[str, object]],
    *,
    before: bool,
) -> Lane:
    state_dir = stack / "state"
    # Without a check each deployment would be open for half a minute more.
    store: dict[str, object] = {"image": "store:${VERSION}", "restart": "unless-stopped", "healthcheck": CHECK}
    after = {
        **store,
        "init": True,
        "depends_on": {BOT_SERVICE: {"condition": "service_healthy"}},
    }
    described = {"store": store, "web": after} | dict(services)
    home = lay_out(engine, client, stack, values, healthcheck=HEALTHCHECK, **described)
    state_dir.mkdir(mode=0o700)
    reader = JournalReader(state_dir, ENVIRONMENT)
    return Lane(name, home, gate, reader, FactFinder(home, reader, state_dir, before=before), daemon, discord)
