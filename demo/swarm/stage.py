"""The stage: a private Swarm of three managers, a registry, a repository with the sample stack, and the bot."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.bot_settings import bot_settings
from testbed.bot_service import BotService
from testbed.git_server import GitServer, git_server
from testbed.private_registry import PrivateRegistry
from testbed.sample import Behaviour
from testbed.swarm import Swarm, SwarmNode, client_of
from testbed.swarm_registry import swarm_registry
from testbed.swarm_view import StackView

HERE = Path(__file__).parent
NAME, ENVIRONMENT = "roas-demo", "staging"
VERSIONS: dict[str, Behaviour] = {"v1": "healthy", "v2": "healthy", "v3": "exits"}
BOT_SECONDS = 90.0
# The stack's files are of a repository, which the bots of all nodes reach.
SETTINGS = """
[stack]
environment_names = ["{environment}"]
critical_services = ["web"]

[environments.{environment}]
engine = "swarm"
folder = "/stack"
observation_seconds = 2

[environments.{environment}.git]
url = "{url}"
"""


@dataclass(frozen=True)
class SwarmStage:
    """Hold where everything is; the bot is a service of the Swarm that it deploys to."""

    folder: Path
    swarm: Swarm
    registry: PrivateRegistry
    repository: GitServer
    bots: BotService

    @property
    def view(self) -> StackView:
        """Return what Docker shows of the stack on the nodes that live."""
        return StackView(self.swarm, f"{NAME}-{ENVIRONMENT}")

    def commit(self, greeting: str, *, migration_seconds: int = 0) -> None:
        """Commit the sample stack with another greeting, as a developer would, and how long a migration takes."""
        variables = (f"REPOSITORY={self.registry.address}/{NAME}", f"MIGRATION_SECONDS={migration_seconds}")
        compose = (HERE / "stack" / "docker-compose.yml").read_text()
        files = {"docker-compose.yml": compose, "greeting": greeting, ".env": "\n".join(variables) + "\n"}
        self.repository.commit(files, greeting)

    def start_bots(self, sandbox: Mapping[str, Any]) -> None:
        """Begin the bot's service, with the sandbox in Discord's place; the stack's data is where no bot is."""
        image = self.bots.push("v1")
        self.bots.write(SETTINGS.format(environment=ENVIRONMENT, url=self.repository.url), bot_settings(sandbox))
        self.bots.deploy(image)
        with_bots = [task.node for task in self.bots.wait_for_both(BOT_SECONDS)]
        label(self.swarm, next(node for node in self.swarm.nodes if node not in with_bots), data="yes")


@asynccontextmanager
async def swarm_stage(folder: Path) -> AsyncIterator[SwarmStage]:
    """Start three managers, a registry and a server of git, and make the images of the sample stack."""
    with (
        Swarm(folder / "swarm", managers=3, heartbeat_seconds=1) as swarm,
        swarm_registry(swarm, folder / "registry", VERSIONS, name=NAME) as registry,
    ):
        async with git_server(folder / "git", swarm.host_address) as repository:
            bots = BotService(swarm, registry, folder / "bot", NAME)
            stage = SwarmStage(folder, swarm, registry, repository, bots)
            await asyncio.to_thread(stage.commit, "Hello from v1.")
            yield stage


def label(swarm: Swarm, node: SwarmNode, **labels: str) -> None:
    """Give a node of a Swarm labels, by which services are placed."""
    with client_of(swarm.manager) as client:
        found = next(item for item in client.nodes.list() if item.attrs["Description"]["Hostname"] == node.hostname)
        found.update({**found.attrs["Spec"], "Labels": labels})
