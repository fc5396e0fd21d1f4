"""Race people's Compose commands with every moment of a deployment, and of a bot's start; judged by Docker.

`tools.campaigns.hands --races 200`. The bot is this process, so that a round takes seconds: what becomes of a bot
that is itself a service of the stack is played by the rounds of `rounds.py`.
"""

import asyncio
import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import docker

from roas.app.application import Application, open_application
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from roas.models.actor import Actor, ActorKind
from roas.models.alert import AlertSource
from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome
from testbed.daemon import UNFILTERED, PrivateDaemon
from testbed.engine import manual_environment
from testbed.sample import CHECK, sample_image
from tools.campaigns.kept_rounds import KeptRounds, code_version

REPOSITORY = "roas-races/app"
VERSIONS = ("v1", "v2")
SERVICES = ("store", "web")
COMMANDS = {
    "up -d": ("up", "-d"),
    "up -d --force-recreate": ("up", "-d", "--force-recreate"),
    "up -d --build": ("up", "-d", "--build"),
    "restart": ("restart",),
    "down": ("down",),
    "pull": ("pull", "--ignore-pull-failures"),
}
TAKES_DOWN = frozenset({"down"})
# How long before the deployment begins a command is typed at most, and for how long an outcome is waited for.
BEFORE_SECONDS = 1.5
END_SECONDS = 180.0
HAND_SECONDS = 120
WHO = Actor(ActorKind.SYSTEM, "0", "campaign")


@dataclass(frozen=True, slots=True)
class Race:
    """Describe a round: what is typed, `at` which part of a deployment's length, or of a start."""

    command: str
    at: float
    is_start: bool

    def __str__(self) -> str:
        return f"{self.command} at {self.at:+.2f} of a {'start' if self.is_start else 'deployment'}"


def races(seed: int, number: int) -> list[Race]:
    """Return so many rounds; a fourth of them are starts."""
    dice = random.Random(seed)  # noqa: S311 - reproducible on purpose
    names = list(COMMANDS)
    return [
        Race(names[n % len(names)], round(dice.uniform(-0.4, 1.1), 2), n // len(names) % 4 == 3) for n in range(number)
    ]


class RaceLane:
    """Hold one stack, the bot that deploys it, and how long that takes."""

    def __init__(self, name: str, folder: Path, client: docker.DockerClient, docker_host: str) -> None:
        self._name = name
        self._stack = folder / "stack"
        self._client = client
        self._docker_host = docker_host
        self._settings = Settings(
            _env_file=None,
            stack_dir=self._stack,
            state_dir=folder / "state",
            docker_host=docker_host,
            compose_project_name=name,
            environments={"dev": EnvironmentSettings(observation_seconds=0.5)},
        )
        self._length = 3.0
        self._version = 0

    async def play(self, race: Race) -> tuple[str, tuple[str, ...]]:
        """Play a round; returns how it ended, and what is wrong."""
        await self._clean()
        wrong = await (self._start(race) if race.is_start else self._deployment(race))
        return wrong[0], (*wrong[1], *await self._clean())

    async def _deployment(self, race: Race) -> tuple[str, tuple[str, ...]]:
        async with self._bot() as bot:
            await bot.maintenance.start()
            delay = race.at * self._length
            typing = asyncio.create_task(self._type(race.command, max(0.0, delay)))
            if delay < 0:
                await asyncio.sleep(min(-delay, BEFORE_SECONDS))
            try:
                deployment = await self._deploy(bot)
            except TimeoutError:
                return "no end", (f"it did not end within {END_SECONDS:.0f} s: {await self._progress(bot)}",)
            ended, said = time.monotonic(), self._view()
            typed = await typing
            outcome = str(deployment.outcome)
            if deployment.problem is not None:
                outcome += f": {deployment.problem.message}"
            if typed > ended or deployment.outcome is not Outcome.SUCCEEDED:
                # What was typed had not ended: it counts. And who is told of a failure is told what is to be done.
                return outcome, ()
            return outcome, tuple(f"succeeded, but {breach}" for breach in self._breaches(said))

    async def _start(self, race: Race) -> tuple[str, tuple[str, ...]]:
        typing = asyncio.create_task(self._type(race.command, 0.0))
        await asyncio.sleep(max(0.0, race.at) * self._length)
        async with self._bot() as bot:
            await bot.maintenance.start()
            await typing
            await asyncio.sleep(self._length)
            alerts = [
                alert for alert in await bot.state.alerts.all() if alert.source is AlertSource.HEALTH and alert.service
            ]
            urgent = [
                f"an alert: {alert.title}" for alert in alerts if alert.is_urgent and race.command not in TAKES_DOWN
            ]
            found = await bot.state.deployments.list("dev", limit=1)
            undone = [
                f"{deployment.id} was begun by recovery"
                for deployment in found
                if deployment.request.requested_by.id != WHO.id
            ]
            return "started", (*urgent, *undone)

    async def _clean(self) -> tuple[str, ...]:
        """Deploy with nobody beside: one release runs afterwards, whatever there was."""
        async with self._bot() as bot:
            await bot.orchestrator.resume()
            if (left := await bot.state.deployments.active("dev")) is not None:
                await bot.orchestrator.wait(left.id)
            began = time.monotonic()
            deployment = await self._deploy(bot)
            self._length = max(1.0, time.monotonic() - began)
        if deployment.outcome is not Outcome.SUCCEEDED:
            return (f"the next deployment {deployment.outcome}: {deployment.problem}",)
        return tuple(f"after the next deployment {breach}" for breach in self._breaches(self._view()))

    def _bot(self) -> Any:
        return open_application(self._settings)

    async def _deploy(self, bot: Application) -> Deployment:
        self._version += 1
        request = DeploymentRequest("dev", DeploymentKind.DEPLOY, WHO, version=VERSIONS[self._version % 2])
        async with asyncio.timeout(END_SECONDS):
            return await bot.orchestrator.run(request)

    async def _progress(self, bot: Application) -> str:
        """Say how far the deployment that runs is, and what Docker shows."""
        deployment = await bot.state.deployments.active("dev")
        phases = [f"{phase.name} {phase.status} {phase.summary}" for phase in deployment.phases] if deployment else []
        steps = [f"{service.service} {service.step}" for service in deployment.services] if deployment else []
        return "; ".join([*phases, *steps, *(f"{entry['Names'][0]} {entry['Status']}" for entry in self._view())])

    async def _type(self, command: str, delay: float) -> float:
        """Type a command of Compose as a person does, who knows of no bot; returns when it had ended."""
        await asyncio.sleep(delay)
        environment = manual_environment(self._docker_host) | {"VERSION": VERSIONS[(self._version + 1) % 2]}
        typed = ["docker-compose", "-p", f"{self._name}-dev", *COMMANDS[command]]
        await asyncio.to_thread(
            subprocess.run,
            typed,
            env=environment,
            cwd=self._stack,
            capture_output=True,
            check=False,
            timeout=HAND_SECONDS,
        )
        return time.monotonic()

    def _view(self) -> list[dict[str, Any]]:
        own = {"label": [f"com.docker.compose.project={self._name}-dev"]}
        return list(self._client.api.containers(all=True, filters=own))

    def _breaches(self, view: list[dict[str, Any]]) -> Iterator[str]:
        """Say what is not one whole release under its own names."""
        for service in SERVICES:
            there = [entry for entry in view if entry["Labels"]["com.docker.compose.service"] == service]
            if len(there) != 1:
                yield f"there are {len(there)} containers of {service}"
            for item in there:
                name = item["Names"][0].strip("/")
                if item["State"] != "running" or "(healthy)" not in item["Status"]:
                    yield f"{name} is {item['Status'] or item['State']}"
                if not name.startswith(f"{self._name}-dev-{service}-"):
                    yield f"{name} has not its own name"
        if len({entry["ImageID"] for entry in view}) > 1:
            yield "several versions run"

    def write(self) -> None:
        """Write the stack."""
        self._stack.mkdir(parents=True)
        service = {"image": f"{REPOSITORY}:${{VERSION:?}}", "init": True, "healthcheck": CHECK}
        plain = service | {"stop_grace_period": "1s", "restart": "unless-stopped"}
        web = plain | {"depends_on": {"store": {"condition": "service_healthy"}}}  # in a network, which `down` takes
        text = json.dumps({"services": {"store": plain | {"network_mode": "none"}, "web": web}})
        (self._stack / "docker-compose.yml").write_text(text)


@contextmanager
def race_lanes(folder: Path, number: int) -> Iterator[list[RaceLane]]:
    """Lay out stacks on a private engine."""
    (folder / "engine").mkdir()
    with PrivateDaemon(folder / "engine", settings=UNFILTERED) as daemon:
        client = daemon.client()
        for version in VERSIONS:
            sample_image(client, f"{REPOSITORY}:{version}", version=version)
        lanes = [RaceLane(f"race{n}", folder / f"lane{n}", client, daemon.docker_host) for n in range(number)]
        for lane in lanes:
            lane.write()
        yield lanes
        client.close()


async def run_races(folder: Path, chosen: Sequence[Race], lanes: int, *, results: Path, minutes: float = 0.0) -> bool:
    """Play the rounds that are left on stacks side by side, print the table, and return whether all went well."""
    kept, end = KeptRounds(results), time.monotonic() + (minutes * 60 or float("inf"))
    rounds = {f"{number}: {race}": race for number, race in enumerate(chosen)}
    waiting = iter([(key, race) for key, race in rounds.items() if key not in kept.last()])

    async def run(lane: RaceLane) -> None:
        for key, race in waiting:
            if time.monotonic() > end:
                return
            began = time.monotonic()
            outcome, found = await lane.play(race)
            seconds = time.monotonic() - began
            kept.add(key, {"race": asdict(race), "outcome": outcome, "wrong": found, "seconds": round(seconds, 1)})
            print(f"{key}  {outcome}  {'; '.join(found)}  {seconds:.1f} s", flush=True)

    with race_lanes(folder, lanes) as opened:
        await asyncio.gather(*(run(lane) for lane in opened))
    played = {key: line for key, line in kept.last().items() if key in rounds}
    text = _table(played.values(), len(rounds))
    (results / "races.md").write_text(text)
    print(text)
    return len(played) == len(rounds) and not any(line["wrong"] for line in played.values())


def _table(lines: Collection[Mapping[str, Any]], planned: int) -> str:
    """Return what was typed and what came of it, and each breach."""
    counts = Counter(
        (line["race"]["command"] + (" (start)" if line["race"]["is_start"] else ""), line["outcome"].partition(":")[0])
        for line in lines
    )
    wrong = [f"{line['key']}: {text}" for line in lines for text in line["wrong"]]
    rows = [f"| docker compose {typed} | {outcome} | {count} |" for (typed, outcome), count in sorted(counts.items())]
    told = f"{len(lines)} of {planned} rounds, {len(wrong)} breaches. Code: {code_version()}."
    return "\n".join(["| typed | outcome | rounds |", "|---|---|---|", *rows, "", told, *wrong, ""])
