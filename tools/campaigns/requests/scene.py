"""The recipe's stack on a private engine, with a service that counts its orders, and the ways to replace it."""

import asyncio
import json
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from roas.app.application import Application, open_application
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, DeploymentRequest, Outcome
from testbed.daemon import PrivateDaemon
from testbed.engine import manual_environment
from testbed.home_stack import forget_releases
from testbed.ports import free_port
from testbed.proxy_images import caddy_image, haproxy_image, web_image
from testbed.waiting import wait_until
from tools.campaigns.requests.recipe import AdminSocket, write_recipe

ROOT = Path(__file__).resolve().parents[3]
NAME, ENVIRONMENT, SERVICE = "shop", "dev", "web"
PROJECT = f"{NAME}-{ENVIRONMENT}"
VERSIONS = ("v1", "v2")
ACTOR = Actor(ActorKind.SYSTEM, "campaign", "campaign")
ENDED = 120
# Asks the same; a Python of its own for each check takes more of a small machine than the users do.
SLOW_CHECK = """["CMD", "python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health')"]"""
ASK = (
    r"exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3"
    " && read -r _ code _ <&3 && [ $$code = 200 ]"
)
QUICK_CHECK = f'["CMD", "bash", "-c", "{ASK}"]'


@dataclass(frozen=True)
class Scene:
    """Hold where everything is."""

    folder: Path
    port: int
    docker_host: str
    client: docker.DockerClient
    observation_seconds: float = 0.5

    @property
    def orders(self) -> Path:
        """Return the log of the orders that were carried out."""
        return self.folder / "stack" / "orders" / "log"

    @property
    def settings(self) -> Settings:
        """Return the settings of a bot for this stack."""
        return Settings(
            _env_file=None,
            stack_dir=self.folder / "stack",
            state_dir=self.folder / "state",
            docker_host=self.docker_host,
            compose_project_name=NAME,
            environments={ENVIRONMENT: EnvironmentSettings(observation_seconds=self.observation_seconds)},
        )

    def admin(self) -> AdminSocket:
        """Return HAProxy's admin socket."""
        volume = self.client.volumes.get(f"{PROJECT}_haproxy")
        return AdminSocket(Path(volume.attrs["Mountpoint"]) / "admin.sock")

    def containers(self, service: str = SERVICE) -> list[Container]:
        """Return the containers of a service."""
        labels = [f"com.docker.compose.project={PROJECT}", f"com.docker.compose.service={service}"]
        return list(self.client.containers.list(all=True, filters={"label": labels}))

    def compose(self, version: str, *arguments: str) -> None:
        """Run Compose as a person does."""
        environment = {**manual_environment(self.docker_host), "VERSION": version}
        subprocess.run(
            ["docker", "compose", "-p", PROJECT, *arguments],
            cwd=self.folder / "stack",
            env=environment,
            check=True,
            capture_output=True,
            timeout=ENDED,
        )

    def addresses(self) -> set[str]:
        """Return where the containers of the service answer."""
        return addresses(self.containers())

    def versions(self) -> list[str]:
        """Return the versions of the containers, by the names of their images: `web:v1-0123456789ab` of a release."""
        tags = (str(container.attrs["Config"]["Image"]).rpartition(":")[2] for container in self.containers())
        return sorted(tag.partition("-")[0] for tag in tags)

    def is_paused(self) -> bool:
        """Return whether the journal says that the environment waits for a person."""
        with closing(sqlite3.connect(self.folder / "state" / "journal.sqlite3")) as journal:
            rows = journal.execute("SELECT document FROM locks").fetchall()
        return any(json.loads(row[0]).get("paused") for row in rows)

    def is_whole(self) -> bool:
        """Return whether HAProxy sends requests to exactly the containers that run, and has nothing set aside."""
        try:
            return self._up() == self.addresses() and not self.admin().set_aside()
        except OSError:  # it is being started again
            return False

    def serves_what_is_well(self) -> bool:
        """Return whether HAProxy sends requests to exactly what is healthy, and sets aside nothing but the rest."""
        there = self.containers()
        well = [item for item in there if item.attrs["State"].get("Health", {}).get("Status") == "healthy"]
        others = addresses(there) - addresses(well)
        try:
            admin = self.admin()
            aside = [item.partition("/")[::2] for item in admin.set_aside()]
            states = {backend: admin.states(backend) for backend in {"web", *(backend for backend, _ in aside)}}
        except OSError:  # it is being started again
            return False
        up = {address for address, status in states["web"].values() if status == "UP"}
        # Each backend gives its servers addresses of its own.
        aside_addresses = {states[backend][name][0] for backend, name in aside if name in states[backend]}
        return bool(well) and up == addresses(well) and aside_addresses <= others

    def _up(self) -> set[str]:
        return {address for address, status in self.admin().states().values() if status == "UP"}


def addresses(containers: list[Container]) -> set[str]:
    """Return where containers of the service answer."""
    return {
        f"{network['IPAddress']}:8080"
        for container in containers
        for network in container.attrs["NetworkSettings"]["Networks"].values()
    }


@contextmanager
def scene(
    folder: Path,
    *,
    proxy: str,
    replicas: int,
    engine: PrivateDaemon | None = None,
    observation_seconds: float = 0.5,
) -> Iterator[Scene]:
    """Write the recipe with a place for the orders, and make its images on an engine, by default one of its own."""
    port = free_port()
    with nullcontext(engine) if engine else PrivateDaemon(folder / "engine") as daemon:
        client = daemon.client()
        forget_releases(client, None)  # of a scene before on this engine, whose journal is away
        haproxy_image(client)
        caddy_image(client)
        for version in VERSIONS:
            web_image(client, f"shop/web:{version}", version=version)
        changes = {
            "    stop_grace_period: 10s": "    volumes: [./orders:/orders]\n    stop_grace_period: 10s",
            "replicas: 2": f"replicas: {replicas}",
            SLOW_CHECK: QUICK_CHECK,
        }
        write_recipe(folder / "stack", proxy, port, **changes)
        (folder / "stack" / "orders").mkdir()
        found = Scene(folder, port, daemon.docker_host, client, observation_seconds)
        try:
            yield found
        finally:
            found.compose("v1", "down", "-v", "-t", "1")
            client.close()


@asynccontextmanager
async def application(found: Scene) -> AsyncIterator[Application]:
    """Open a bot's application for the scene."""
    async with open_application(found.settings, instance_prefix="CLI") as opened:
        yield opened


async def deploy(opened: Application, version: str) -> float:
    """Deploy a version; returns the seconds that it took."""
    return await _run(opened, DeploymentRequest(ENVIRONMENT, DeploymentKind.DEPLOY, ACTOR, version=version))


async def roll_back(opened: Application) -> float:
    """Go back to the release before; returns the seconds that it took."""
    return await _run(opened, DeploymentRequest(ENVIRONMENT, DeploymentKind.ROLLBACK, ACTOR))


async def _run(opened: Application, request: DeploymentRequest) -> float:
    begun = time.monotonic()
    ended = await opened.orchestrator.run(request)
    if ended.outcome is not Outcome.SUCCEEDED:
        raise RuntimeError(f"{ended.id} ended as {ended.outcome}: {ended.problem}")
    return time.monotonic() - begun


def roll_out(found: Scene, version: str) -> None:
    """Replace the service as docker-rollout does by default: twice as many, wait for their health, stop the old."""
    old = found.containers()
    found.compose(version, "up", "-d", "--no-recreate", "--scale", f"{SERVICE}={2 * len(old)}", SERVICE)
    ids = {container.id for container in old}
    new = [container for container in found.containers() if container.id not in ids]
    if not wait_until(lambda: all(_is_healthy(item) for item in new), ENDED, poll=1.0):
        raise TimeoutError("the new containers are not healthy")
    for item in old:
        item.stop()
    for container in old:
        container.remove()


def _is_healthy(container: Container) -> bool:
    container.reload()
    return bool(container.attrs["State"]["Health"]["Status"] == "healthy")


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait in a thread until something is so."""
    return await asyncio.to_thread(wait_until, condition, seconds)
