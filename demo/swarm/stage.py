"""The stage: three nodes of a private Swarm, a registry that asks for a password, the sample stack, and the bot."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.processes import ROOT, Process, spawn
from sandbox.bot_settings import bot_settings
from testbed.inherited import inherited
from testbed.private_registry import PrivateRegistry, private_registry
from testbed.sample import Behaviour
from testbed.swarm import Swarm, SwarmNode, client_of
from testbed.swarm_view import StackView

HERE = Path(__file__).parent
NAME, ENVIRONMENT = "roas-demo", "staging"
VERSIONS: dict[str, Behaviour] = {"v1": "healthy", "v2": "healthy", "v3": "exits", "v4": "healthy"}


@dataclass(frozen=True)
class SwarmStage:
    """Hold where everything is; the bot is a process on this machine, which is a manager's."""

    folder: Path
    swarm: Swarm
    registry: PrivateRegistry

    @property
    def view(self) -> StackView:
        """Return what Docker shows of the stack on the nodes that live."""
        return StackView(self.swarm, f"{NAME}-{ENVIRONMENT}")

    @property
    def lost_node(self) -> SwarmNode:
        """Return the node that dies."""
        return self.swarm.nodes[-1]

    def host_address(self) -> str:
        """Return where the sandbox listens."""
        return self.swarm.host_address

    def write_greeting(self, text: str) -> None:
        """Change the configuration in the working copy, as a person would before the next version."""
        (self.folder / "stack" / "greeting").write_text(text)

    def write_settings(self, *, migration_seconds: int = 0) -> None:
        """Write what the compose file takes from its `.env`: how long a migration takes, too."""
        lines = (f"REPOSITORY={self.registry.address}/{NAME}", f"MIGRATION_SECONDS={migration_seconds}")
        (self.folder / "stack" / ".env").write_text("\n".join(lines) + "\n")

    async def start_bot(self, sandbox: Mapping[str, Any]) -> Process:
        """Start the bot as a process, with the sandbox in Discord's place."""
        log = self.folder / "bot.log"
        with log.open("wb") as output:
            child = await spawn(["-m", "roas"], self.environment(sandbox), self.folder, output, output)
        return Process("The bot", child, log)

    def environment(self, sandbox: Mapping[str, Any]) -> dict[str, str]:
        """Return all that the bot is started with."""
        own = {
            "PYTHONPATH": ROOT,
            **bot_settings(sandbox),
            "DOCKER_HOST": self.swarm.docker_host,
            "DOCKER_CONFIG": self.folder / "docker",
            "STACK_DIR": self.folder / "stack",
            "STATE_DIR": self.folder / "state",
            "COMPOSE_PROJECT_NAME": NAME,
            "ENVIRONMENT_NAMES": ENVIRONMENT,
            f"ENVIRONMENTS__{ENVIRONMENT.upper()}__ENGINE": "swarm",
            f"ENVIRONMENTS__{ENVIRONMENT.upper()}__OBSERVATION_SECONDS": 2,
            f"ENVIRONMENTS__{ENVIRONMENT.upper()}__FOLDER": self.folder / "stack",
            "CRITICAL_SERVICES": "web",
            "HTTP_PORT": 0,
        }
        return inherited() | {name: str(value) for name, value in own.items()}


@contextmanager
def swarm_stage(folder: Path) -> Iterator[SwarmStage]:
    """Start three nodes and a registry, make the images, and write the stack."""
    with (
        Swarm(folder / "swarm", workers=2, heartbeat_seconds=1) as swarm,
        private_registry(folder / "registry", host=swarm.host_address) as registry,
    ):
        with client_of(swarm.manager) as client:
            for version, behaviour in VERSIONS.items():
                registry.push_sample(client, NAME, version, behaviour)
        registry.write_login(folder / "docker")
        shutil.copytree(HERE / "stack", folder / "stack")
        stage = SwarmStage(folder, swarm, registry)
        stage.write_settings()
        stage.write_greeting("Hello from v1.")
        yield stage
