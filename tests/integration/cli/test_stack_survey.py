"""Stacks with the features of public ones are described as an environment, with all that the policy has to allow."""

import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from roas.cli.init import FoundStack, survey_stack
from roas.configuration.settings import GivenSettings
from roas.errors import InvalidRequestError
from testbed.engine import manual_environment

REPOSITORY = "roas-survey/app"

PHOTOS = {
    "docker-compose.yml": """
name: photos
services:
  server:
    container_name: photos_server
    image: ghcr.io/photos/server:${PHOTOS_VERSION:-release}
    volumes: ["${UPLOADS}:/data", "/etc/localtime:/etc/localtime:ro"]
    env_file: [.env]
    depends_on: [redis, database]
    healthcheck: {disable: false}
  learning: {image: "ghcr.io/photos/learning:${PHOTOS_VERSION:-release}", volumes: ["models:/cache"]}
  redis: {image: "docker.io/valkey/valkey:8@sha256:%s", healthcheck: {test: redis-cli ping || exit 1}}
  database: {image: "postgres:${PG_VERSION:-14}", shm_size: 128mb, volumes: ["${DB}:/var/lib/postgresql/data"]}
volumes: {models: }
"""
    % ("a" * 64),
    ".env": "UPLOADS=./library\nDB=./postgres\n",
}
PROXIED = {
    "compose.yml": """
x-common: &common {restart: unless-stopped, logging: {driver: json-file, options: {max-size: 1m}}}
include: [more/compose.yml]
services:
  proxy:
    <<: *common
    image: traefik:v3
    command: ["--providers.docker"]
    ports: ["127.0.0.1:8480:80", "8443-8444:443"]
    volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro", "./acme:/acme"]
  app:
    <<: *common
    extends: {file: base.yml, service: app}
    build: {context: ., target: prod}
    env_file: [{path: optional.env, required: false}]
    volumes: [".:/code", "/code/node_modules"]
    depends_on:
      migrate: {condition: service_completed_successfully}
      extra: {condition: service_started, required: false}
  migrate: {<<: *common, image: "app:1", restart: "no"}
  extra: {<<: *common, image: "app:1", profiles: [extra]}
""",
    "base.yml": "services: {app: {image: 'app:1', user: '${UID:-1000}', ulimits: {nofile: 65535}}}",
    "more/compose.yml": """
services:
  worker: {image: 'worker:${WORKER_TAG:-1}', links: [queue]}
  queue: {image: 'rabbitmq:3'}
""",
    "compose.override.yml": "services: {app: {environment: {DEBUG: '1'}}}",
    "Dockerfile": "FROM scratch AS prod\n",
}
VPN = {
    "compose.yaml": """
services:
  vpn:
    image: vpn:1
    cap_add: [NET_ADMIN, SYS_MODULE]
    devices: ["/dev/net/tun:/dev/net/tun"]
    sysctls: {net.ipv4.ip_forward: "1"}
    volumes: ["/lib/modules:/lib/modules:ro"]
  client: {image: "client:1", network_mode: "service:vpn"}
  agent: {image: "agent:1", pid: host, privileged: true, network_mode: host}
""",
}
SEARCH = {
    "docker-compose.yaml": """
services:
  search: {image: "search:${VERSION}", volumes: ["data:/data", "logs:/logs"], networks: [edge]}
networks: {edge: {external: true, name: survey-edge}}
volumes:
  data: {external: true, name: survey-data}
  logs: {driver: local, driver_opts: {type: tmpfs, device: tmpfs, o: size=1m}}
""",
    ".env": "VERSION=8\nCOMPOSE_PROJECT_NAME=finder\n",
}


@pytest.fixture(scope="session")
def sample_images(sample_image: Callable[..., str]) -> str:
    """Make the image of what runs."""
    return sample_image(f"{REPOSITORY}:v1", version="v1")


async def survey(folder: Path, files: dict[str, str], docker_host: str) -> FoundStack:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)
    settings = GivenSettings(docker_host=docker_host, state_dir=folder.parent / "state")
    return await survey_stack(settings, folder, None, None)


@pytest.mark.parametrize(
    ("files", "project", "versions", "allow"),
    [
        (PHOTOS, "photos", ("PHOTOS_VERSION",), set()),
        (PROXIED, "public", ("WORKER_TAG",), {"docker_socket:proxy"}),
        (
            VPN,
            "public",
            None,
            {
                "cap_add:vpn",
                "devices:vpn",
                "pid:agent",
                "privileged:agent",
                "network_mode:agent",
            },
        ),
        (SEARCH, "finder", None, {"external_network:survey-edge", "external_volume:survey-data", "volume:logs"}),
    ],
    ids=["photos", "proxied", "vpn", "search"],
)
async def test_public_stack_is_described(tmp_path, docker_host, files, project, versions, allow):
    folder = tmp_path / "public"
    folder.mkdir()
    found = await survey(folder, files, docker_host)
    assert found.values == {
        "folder": str(folder),
        "project_name": project,
        **({"version_variables": versions} if versions else {}),
    }
    # Which binds of the machine have to be allowed is the policy's affair, and tested there.
    assert {entry for entry in found.allow if entry.partition(":")[0] not in {"bind", "replaceable"}} == allow
    assert (found.name, found.running) == (project, 0)


PROGRAMS = """
services:
  server: {image: "server:${SERVER:-2.1}"}
  ui: {image: "ui:${UI}"}
  worker: {image: "server:${WORKER-2.1}"}
  other: {image: "other:${OTHER}-slim"}
"""


async def test_variables_of_one_version_are_named(tmp_path, docker_host):
    """A version that is right for the server is none of the user interface."""
    folder = tmp_path / "programs"
    folder.mkdir()
    found = await survey(folder, {"compose.yaml": PROGRAMS, ".env": "UI=7\nOTHER=2.1\n"}, docker_host)
    assert found.values["version_variables"] == ("SERVER", "WORKER", "OTHER")
    assert any("another value today than SERVER: UI." in note for note in found.notes)


MEDIA = """
services:
  vpn: {image: "%(image)s", profiles: [vpn]}
  client: {image: "%(image)s", profiles: [vpn, plain]}
  extra: {image: "%(image)s", profiles: [extra, vpn-extra]}
  debug: {image: "%(image)s", profiles: [vpn-extra]}
  always: {image: "%(image)s", profiles: ["${MEDIA_PROFILE:-}"]}
"""


async def test_profile_that_runs_is_described(tmp_path, docker_host, sample_images):
    """`--profile` leaves no trace on the containers; a profile of which only a part runs is not taken for it."""
    folder = tmp_path / f"media-{secrets.token_hex(3)}"
    folder.mkdir()
    (folder / "compose.yaml").write_text(MEDIA % {"image": f"{REPOSITORY}:v1"})
    command = ["docker-compose", "--profile", "vpn", "--profile", "extra"]
    try:
        subprocess.run([*command, "create"], cwd=folder, env=manual_environment(docker_host), check=True)
        found = await survey(folder, {".env": "COMPOSE_PROFILES=extra\n"}, docker_host)
    finally:
        subprocess.run([*command, "down"], cwd=folder, env=manual_environment(docker_host), check=True)
    assert found.values["variables"] == {"COMPOSE_PROFILES": "extra,vpn"}
    assert any("by a profile (vpn)" in note for note in found.notes)


async def test_model_of_release_is_no_file_of_stack(tmp_path, docker_host, sample_images):
    """What a deployment made was made from a model below STATE_DIR, which by default is in the stack's folder."""
    folder = tmp_path / f"deployed-{secrets.token_hex(3)}"
    model = folder / "state" / "models" / f"{'a' * 64}.yml"
    model.parent.mkdir(parents=True)
    model.write_text(f"name: {folder.name}\nservices: {{web: {{image: '{REPOSITORY}:v1'}}}}\n")
    command = ["docker-compose", "--project-directory", str(folder), "-f", str(model)]
    environ = manual_environment(docker_host)
    own = f"services: {{web: {{image: '{REPOSITORY}:${{SHOP:-v1}}'}}}}\n"
    try:
        subprocess.run([*command, "create"], env=environ, check=True)
        found = await survey(folder, {"compose.yaml": own}, docker_host)
    finally:
        subprocess.run([*command, "down"], env=environ, check=True)
    assert found.values == {"folder": str(folder), "project_name": folder.name, "version_variables": ("SHOP",)}
    assert (found.allow, found.running) == ((), 1)
    assert any("deployed by ROAS Bot" in note for note in found.notes)


async def test_folder_that_is_none_named(tmp_path, docker_host):
    settings = GivenSettings(docker_host=docker_host, state_dir=tmp_path / "state")
    with pytest.raises(InvalidRequestError, match="no folder"):
        await survey_stack(settings, tmp_path / "gone", None, None)
