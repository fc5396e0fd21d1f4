"""The stage: two stacks under a unique name, their images, and the cleanup."""

import hmac
import json
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import docker
import docker.errors

from demo.unresponsive import unresponsive_image
from testbed.bot_image import bot_image
from testbed.engine import Engine
from testbed.git_server import GitServer
from testbed.sample import Behaviour, sample_image

HERE = Path(__file__).parent
# What is deployed: the sample stack, and the bot itself.
ENVIRONMENT = "staging"
HOME = "bot"
# What follows a repository; only a proposal is made for it.
PREVIEW = "preview"
API_PORT = 8081
SETTINGS = """
[api]
host = "0.0.0.0"
port = {port}

[environments.{preview}]
folder = "{folder}"

[environments.{preview}.git]
url = "{url}"

[sources.code]
kind = "gitea"
repository = "acme/shop"
secret_file = "{secret_file}"
environments = {{ {preview} = "propose" }}
version = "{{short_sha}}"
"""
PROJECT_LABEL = "com.docker.compose.project"
WEBHOOK = f"""
import sys, urllib.request
headers = {{"Content-Type": "application/json", "X-Gitea-Event": "push", "X-Gitea-Signature": sys.argv[2]}}
address = "http://127.0.0.1:{API_PORT}/v1/hooks/code"
print(urllib.request.urlopen(urllib.request.Request(address, sys.argv[1].encode(), headers)).read().decode())
"""
Plant = Literal["v3-healthy", "v2-broken", "bot-v2-deaf"]


@dataclass
class Stage:
    """The bot's own stack in a folder, the sample stack within it, and what they are called."""

    engine: Engine
    folder: Path
    name: str = field(default_factory=lambda: f"roas-demo-{secrets.token_hex(3)}")
    image_ids: dict[str, str] = field(default_factory=dict)
    repository: GitServer | None = None
    secret: str = field(default_factory=secrets.token_hex)

    @property
    def project(self) -> str:
        """Return the Compose project of the environment that is deployed to; the bot's own is the stage's name."""
        return f"{self.name}-{ENVIRONMENT}"

    @property
    def home(self) -> Path:
        """Return the folder of the bot's own compose file."""
        return self.folder / "home"

    @property
    def state(self) -> Path:
        """Return the folder in which the bot keeps what it knows."""
        return self.folder / "state"

    @property
    def followed(self) -> Path:
        """Return the folder that the bot writes from the repository."""
        return self.folder / "followed"

    @property
    def stack(self) -> Path:
        """Return the folder of the sample stack's compose file."""
        return self.home / ENVIRONMENT

    def build(self, plant: Plant | None = None) -> None:
        """Copy the stacks and make their images: v1 and v2 are good, v3 is not (`plant` changes that)."""
        shutil.copytree(HERE / "bot", self.home)
        shutil.copytree(HERE / "stack", self.stack)
        (self.stack / ".env").write_text(f"REPOSITORY={self.name}\n")
        client = self.engine.client()
        try:
            self._build_sample(client, plant)
            self._build_bot(client, plant)
        finally:
            client.close()

    def _build_sample(self, client: docker.DockerClient, plant: Plant | None) -> None:
        behaviours: dict[str, Behaviour] = {
            "v1": "healthy",
            "v2": "unhealthy" if plant == "v2-broken" else "healthy",
            "v3": "healthy" if plant == "v3-healthy" else "unhealthy",
        }
        self.image_ids["store"] = sample_image(client, f"{self.name}/store:1", version="store 1")
        for version, behaviour in behaviours.items():
            self.image_ids[version] = sample_image(
                client, f"{self.name}/web:{version}", version=version, behaviour=behaviour
            )

    def _build_bot(self, client: docker.DockerClient, plant: Plant | None) -> None:
        """Build the bot as it is here, twice; in the place of its v3 is something that ends at once."""
        self.image_ids["bot v1"] = self._build_version(good := f"{self.name}/bot:v1")
        other = f"{self.name}/bot:v2"
        unresponsive = plant == "bot-v2-deaf"
        self.image_ids["bot v2"] = (
            unresponsive_image(client, good, other) if unresponsive else self._build_version(other)
        )
        self.image_ids["bot v3"] = sample_image(client, f"{self.name}/bot:v3", version="v3", behaviour="exits")

    def _build_version(self, tag: str) -> str:
        # The tag makes an image of its own, which can be removed without harm to an equal one of somebody else.
        return bot_image(self.engine, tag, version=tag)

    def follow(self, repository: GitServer) -> None:
        """Let an environment follow a repository, which a forge announces pushes to."""
        self.repository = repository
        self.state.mkdir(exist_ok=True)
        (self.state / "webhook-secret").write_text(self.secret)
        settings = SETTINGS.format(
            port=API_PORT,
            preview=PREVIEW,
            folder=self.followed,
            url=repository.url,
            secret_file=self.state / "webhook-secret",
        )
        (self.state / "roas.toml").write_text(settings)

    def push(self, greeting: str) -> str:
        """Commit and push the sample stack with another greeting, as a developer would; returns the commit."""
        if self.repository is None:
            raise ValueError("nothing follows a repository")
        compose = (HERE / "stack" / "docker-compose.yml").read_text()
        compose = compose.replace("${REPOSITORY:?}", self.name).replace("${VERSION:?}", "v2")
        files = {"docker-compose.yml": compose, "config/greeting.txt": f"{greeting}\n"}
        return self.repository.commit(files, greeting)

    def announce(self, commit: str) -> str:
        """Tell the bot of a push as a forge does, from within its network, and return its answer."""
        push = {"ref": "refs/heads/main", "after": commit, "repository": {"full_name": "acme/shop"}}
        body = json.dumps(push)
        signature = hmac.digest(self.secret.encode(), body.encode(), "sha256").hex()
        client = self.engine.client()
        try:
            (bot,) = client.containers.list(filters={"label": f"{PROJECT_LABEL}={self.name}"})
            output = bot.exec_run(["python3", "-c", WEBHOOK, body, signature]).output
            return (output if isinstance(output, bytes) else b"".join(output)).decode().strip()
        finally:
            client.close()

    def write_greeting(self, text: str) -> None:
        """Change the configuration in the working copy, as a person would before the next version."""
        (self.stack / "config" / "greeting.txt").write_text(text + "\n")

    def clear(self, *environments: str) -> None:
        """Remove the containers, networks and volumes of these environments, the bot's first, and the images."""
        client = self.engine.client()
        try:
            for project in (
                self.name,
                *(f"{self.name}-{environment}" for environment in environments or (ENVIRONMENT,)),
            ):
                _clear(client, project)
            for image_id in reversed(self.image_ids.values()):  # those made of others first
                with suppress(docker.errors.APIError):
                    client.images.remove(image_id, force=True)
        finally:
            client.close()


def _clear(client: docker.DockerClient, project: str) -> None:
    mine: dict[str, str | list[str] | bool] = {"label": f"{PROJECT_LABEL}={project}"}
    for container in client.containers.list(all=True, filters=mine, sparse=True):
        with suppress(docker.errors.APIError):
            container.remove(force=True, v=True)
    for network in client.networks.list(filters=mine):
        with suppress(docker.errors.APIError):
            network.remove()
    for volume in client.volumes.list(filters=mine):
        with suppress(docker.errors.APIError):
            volume.remove()
