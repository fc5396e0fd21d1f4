"""Three managers, a registry, a repository, a sandbox, and an instrumented bot as a service: all that rounds need."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.processes import start_sandbox
from sandbox.bot_settings import bot_settings
from sandbox.client import SandboxClient
from testbed.bot_service import SERVICE, BotService
from testbed.git_server import GitServer, git_server
from testbed.sample import HEALTH_COMMAND, Behaviour
from testbed.swarm import Swarm, SwarmNode, client_of
from testbed.swarm_registry import swarm_registry
from testbed.swarm_view import StackView
from tools.campaigns.crash.images import add_instruments
from tools.campaigns.instrumented.gate import GATE_VARIABLE
from tools.campaigns.swarm.gate import StepGate

NAME, ENVIRONMENT = "rounds", "prod"
BAD = "bad"
BOT_VERSIONS = ("v1", "v2")
VERSIONS: dict[str, Behaviour] = {"v1": "healthy", "v2": "healthy", BAD: "exits"}
REPLICAS = 3  # one on each node
BOT_SECONDS = 120.0
CONNECT_SECONDS = 60.0
GATE_FOLDER = "/gate"
COMMAND = ("python", "-m", "tools.campaigns.instrumented.on_swarm")
SETTINGS = """
[stack]
environment_names = ["{environment}"]
critical_services = ["web"]

[environments.{environment}]
engine = "swarm"
folder = "/stack"
observation_seconds = 1
needs_approval = true

[environments.{environment}.git]
url = "{url}"
"""
INSTRUMENTED = """
services:
  discord-bot:
    environment: {{{variable}: {folder}/gate.sock}}
    volumes: ["{source}:{folder}"]
"""
CHECK = f"""{{test: ["CMD-SHELL", "{HEALTH_COMMAND}"], interval: 5s, start_period: 20s, start_interval: 100ms}}"""
QUICK = "endpoint_mode: dnsrr, restart_policy: {delay: 300ms}, update_config: {monitor: 1s, parallelism: 2}"
STACK = """
services:
  store:
    image: {repository}:v1
    stop_grace_period: 1s
    deploy: {{{quick}}}
    healthcheck: {check}
  web:
    image: {repository}:${{VERSION:?}}
    stop_grace_period: 1s
    deploy: {{replicas: {replicas}, {quick}}}
    configs: [{{source: greeting, target: /config/greeting}}]
    depends_on: {{store: {{condition: service_healthy}}}}
    healthcheck: {check}
configs:
  greeting: {{file: ./greeting}}
"""


class LivingView(StackView):
    """Look at a stack on the nodes that answer: one that is frozen has an engine, and says nothing."""

    @property
    def nodes(self) -> list[SwarmNode]:
        """Return the nodes that answer."""
        return [node for node in self.swarm.nodes if node.answers(1)]


@dataclass(frozen=True)
class Ground:
    """Hold where everything is."""

    folder: Path
    swarm: Swarm
    repository: GitServer
    bots: BotService
    people: SandboxClient
    gate: StepGate
    image: str
    bot_images: list[str]

    @property
    def view(self) -> LivingView:
        """Return what Docker shows of the stack on the nodes that answer."""
        return LivingView(self.swarm, f"{NAME}-{ENVIRONMENT}")

    def update_bots(self) -> None:
        """Give the bot's service the image that it does not have, as a person would."""
        self.bot_images.reverse()
        self.bots.deploy(self.bot_images[0], asked=self._alive)

    def are_bots_updated(self) -> bool:
        """Return whether Swarm has ended the update of the bot's service."""
        with client_of(self._alive) as client:
            (service,) = client.services.list(filters={"name": SERVICE})
        return bool((service.attrs.get("UpdateStatus") or {}).get("State") == "completed")

    @property
    def _alive(self) -> SwarmNode:
        return next(node for node in self.swarm.nodes if node.answers(1))

    def commit(self, greeting: str) -> None:
        """Commit the stack with another greeting: each deployment has something to change."""
        stack = STACK.format(repository=self.image, check=CHECK, quick=QUICK, replicas=REPLICAS)
        self.repository.commit({"docker-compose.yml": stack, "greeting": greeting}, greeting)


@asynccontextmanager
async def ground(folder: Path) -> AsyncIterator[Ground]:
    """Start all of it, and wait until one bot leads and one is on standby."""
    with (
        Swarm(folder / "swarm", managers=3, heartbeat_seconds=1) as swarm,
        swarm_registry(swarm, folder / "registry", VERSIONS, name=NAME) as registry,
        _gate(folder) as gate,
    ):
        sandbox, address = await start_sandbox(swarm.host_address, folder)
        try:
            async with (
                git_server(folder / "git", swarm.host_address) as repository,
                SandboxClient(address["control_url"], address["control_token"]) as people,
            ):
                bots = BotService(swarm, registry, folder / "bot", NAME, overrides=("instrumented.yml",))
                settings = SETTINGS.format(environment=ENVIRONMENT, url=repository.url)
                bots.write(settings, bot_settings(address))
                override = INSTRUMENTED.format(variable=GATE_VARIABLE, folder=GATE_FOLDER, source=gate.path.parent)
                (folder / "bot" / "instrumented.yml").write_text(override)
                made = Ground(folder, swarm, repository, bots, people, gate, f"{registry.address}/{NAME}", [])
                await asyncio.to_thread(_begin, made)
                await people.wait_for_commands("deploy", "lock", "unlock", deadline_seconds=CONNECT_SECONDS)
                yield made
        finally:
            await sandbox.stop()


def _begin(made: Ground) -> None:
    made.commit("hello")

    def instrument(tag: str) -> None:
        with client_of(made.swarm.manager) as client:
            add_instruments(client, tag, COMMAND)

    made.bot_images.extend(made.bots.push(version, change=instrument) for version in BOT_VERSIONS)
    made.bots.deploy(made.bot_images[0])
    made.bots.wait_for_both(BOT_SECONDS)


def _gate(folder: Path) -> StepGate:
    """Make a gate at which the user of the bots' containers may knock."""
    place = folder / "gate"
    place.mkdir(parents=True)
    place.chmod(0o755)
    return StepGate(place, open_to_all=True)
