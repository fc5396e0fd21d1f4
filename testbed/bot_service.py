"""The bot as a service of a private Swarm, from `docker-stack.yml`, as a person would begin it: leader and standby."""

import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors
import requests.exceptions

from testbed.bot_image import bot_image
from testbed.engine import Engine
from testbed.images import ImageError
from testbed.inherited import inherited
from testbed.node import NODE_SOCKET
from testbed.private_registry import PrivateRegistry
from testbed.swarm import Swarm, SwarmNode, client_of
from testbed.waiting import wait_until

ROOT = Path(__file__).resolve().parents[1]
STACK, SERVICE = "bot", "bot_discord-bot"
IMAGE = "roas/bot"
DEPLOY_SECONDS = 120
REPLICAS = 2
LEASE_LABEL = "io.roas.lease"
SERVICE_LABEL = "com.docker.swarm.service.name"


class BotServiceError(RuntimeError):
    """The bot's stack could not be deployed; the message has what Docker says."""


@dataclass(frozen=True)
class BotTask:
    """Hold one container of the bot's service, and the node that it runs on."""

    node: SwarmNode
    container_id: str
    pid: int
    health: str

    @property
    def host_name(self) -> str:
        """Return what the bot calls its own machine: the beginning of the container's id."""
        return self.container_id[:12]

    def run(self, *command: str) -> tuple[int, str]:
        """Run a command in the container, such as `roas status`; returns its exit code and all that it says."""
        with client_of(self.node) as client:
            done = client.containers.get(self.container_id).exec_run([*command])
        output = done.output if isinstance(done.output, bytes) else b"".join(done.output)
        return int(done.exit_code or 0), output.decode(errors="replace")

    def log(self, lines: int = 0) -> str:
        """Return what the bot has logged, all of it or its last lines."""
        with client_of(self.node) as client:
            text: bytes = client.containers.get(self.container_id).logs(tail=lines or "all")
        return text.decode(errors="replace")


@dataclass(frozen=True)
class Lease:
    """Hold who leads, as the Swarm says it."""

    node: SwarmNode
    instance_id: str
    token: int


@dataclass(frozen=True)
class BotService:
    """Deploy the bot to a Swarm by `docker stack deploy`, and say which containers it has there."""

    swarm: Swarm
    registry: PrivateRegistry
    folder: Path
    project: str
    overrides: tuple[str, ...] = ()  # more files of the stack, in the folder

    def push(self, version: str, *, change: Callable[[str], None] = lambda _: None) -> str:
        """Build today's bot, let it be changed, push it, and return its name. Raises ImageError."""
        name = f"{self.registry.address}/{IMAGE}"
        bot_image(Engine(self.swarm.docker_host), f"{name}:{version}", version=version)
        change(f"{name}:{version}")
        with client_of(self.swarm.manager) as client:
            said = client.api.push(name, version, auth_config=self.registry.login)
        if "error" in said:
            raise ImageError(f"The registry takes no {name}:{version}: {said[-300:]}")
        return f"{name}:{version}"

    def write(self, settings: str, variables: Mapping[str, str]) -> None:
        """Write the stack file beside what it names, and give the Swarm the secrets that it has to have."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "docker-stack.yml").write_text((ROOT / "docker-stack.yml").read_text())
        (self.folder / "roas.toml").write_text(settings)
        rest = {name: value for name, value in variables.items() if name != "DISCORD_TOKEN"}
        (self.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in rest.items()))
        self.registry.write_login(self.folder / "docker")
        with client_of(self.swarm.manager) as client:
            for name, value in (
                ("roas_state_key", secrets.token_urlsafe(32)),
                ("discord_token", variables["DISCORD_TOKEN"]),
                ("registry_logins", (self.folder / "docker" / "config.json").read_text()),
            ):
                client.secrets.create(name=name, data=value.encode())

    def deploy(self, image: str, *, asked: SwarmNode | None = None) -> None:
        """Begin the service, or update it to another image. Raises BotServiceError."""
        files = [part for name in ("docker-stack.yml", *self.overrides) for part in ("-c", name)]
        done = subprocess.run(
            ["docker", "stack", "deploy", "--with-registry-auth", "--detach=true", *files, STACK],
            cwd=self.folder,
            env={
                **inherited(),
                "DOCKER_HOST": (asked or self.swarm.manager).docker_host,
                "DOCKER_CONFIG": str(self.folder / "docker"),
                "DOCKER_SOCKET": str(NODE_SOCKET),
                "BOT_IMAGE": image,
                "STACK_NAME": self.project,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=DEPLOY_SECONDS,
        )
        if done.returncode:
            raise BotServiceError(f"The bot's stack was not deployed:\n{done.stdout}{done.stderr}")

    def tasks(self) -> list[BotTask]:
        """Return the bots that run on the nodes whose engine answers."""
        return [task for node in self.swarm.nodes if node.answers(1) for task in self._of_node(node)]

    def lease(self) -> Lease | None:
        """Return what the Swarm says of who leads, where a manager answers and somebody does."""
        for node in self.swarm.nodes:
            with suppress(docker.errors.APIError, requests.exceptions.RequestException):
                if node.answers(1):
                    return self._lease(node)
        return None

    def leader(self) -> BotTask | None:
        """Return the bot that leads, by the lease and what runs on its node."""
        lease = self.lease()
        return None if lease is None else next((task for task in self.tasks() if task.node is lease.node), None)

    def wait_for_both(self, seconds: float) -> tuple[BotTask, BotTask]:
        """Wait until two bots are healthy, of which one leads; returns leader and standby. Raises BotServiceError."""
        found: list[BotTask] = []

        def are_there() -> bool:
            tasks, lease = self.tasks(), self.lease()
            found[:] = sorted(tasks, key=lambda task: lease is None or task.node is not lease.node)
            return [task.health for task in found] == ["healthy"] * REPLICAS and lease is not None

        if not wait_until(are_there, seconds):
            raise BotServiceError(f"There are not two bots of which one leads: {found}, {self.lease()}")
        leader, standby = found
        return leader, standby

    def _lease(self, node: SwarmNode) -> Lease | None:
        with client_of(node) as client:
            found = [item for item in client.configs.list() if item.name == f"roas.{self.project}.lease"]
        labels = found[0].attrs["Spec"]["Labels"] if found else {}
        holder = labels.get(f"{LEASE_LABEL}.node", "")
        if not labels.get(f"{LEASE_LABEL}.instance"):
            return None
        at = next(item for item in self.swarm.nodes if item.hostname == holder)
        return Lease(at, labels[f"{LEASE_LABEL}.instance"], int(labels[f"{LEASE_LABEL}.token"]))

    def _of_node(self, node: SwarmNode) -> Iterator[BotTask]:
        with suppress(docker.errors.APIError, requests.exceptions.RequestException), client_of(node) as client:
            own: dict[str, str | list[str] | bool] = {"label": f"{SERVICE_LABEL}={SERVICE}"}
            for container in client.containers.list(filters=own, ignore_removed=True):
                state: dict[str, Any] = container.attrs["State"]
                health = (state.get("Health") or {}).get("Status") or ""
                yield BotTask(node, str(container.id), int(state["Pid"]), health)
