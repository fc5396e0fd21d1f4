"""What the bot makes, somebody's `docker compose up -d` leaves alone, and the other way round."""

import subprocess

import docker
import pytest

from roas.models.environment import Environment
from roas.stack.interface import PinnedStack
from roas.stack.model.services import named_model
from roas.stack.service_comparison import compare_service
from roas.stack.stacks import Stacks
from testbed.engine import manual_environment
from tests.integration.stack.applying import apply, draft
from tests.integration.stack.images.test_readable_images import release_of

# A service for each thing that Compose hashes, and no file that is bound by content.
STACK = """
services:
  db:
    image: tiny:v1
    environment: {A: "1", B: }
    volumes: [data:/data]
    labels: {of: db}
  web:
    image: "tiny:${VERSION:-v1}"
    depends_on: {db: {condition: service_started}, opt: {condition: service_started, required: false}}
    env_file: own.env
    ports: ["127.0.0.1::80"]
    logging: {options: {max-size: 10m}}
    deploy: {resources: {limits: {memory: 50M}}}
    x-deploy: {probe: {url: "tcp://db:80", startup_delay: 1s}}
  opt: {image: "tiny:v1", profiles: [never]}
  chosen: {image: "tiny:v1", profiles: [chosen], depends_on: [web]}
  wlent: {image: "tiny:v1", volumes_from: ["db:ro", web], volumes: ["own:/own"]}
  wlent2: {image: "tiny:v1", network_mode: "service:web", volumes_from: [wlent]}
  wside: {image: "tiny:v1", network_mode: "service:web"}
  fixed: {image: "tiny:${VERSION:-v1}", container_name: "$NAME"}
  within: {image: "tiny:v1", network_mode: "container:$NAME", depends_on: [fixed]}
  linked: {image: "tiny:v1", links: ["db:store"]}
  many: {image: "tiny:v1", deploy: {replicas: 2}, develop: {watch: [{path: ., action: rebuild}]}}
  job: {image: "tiny:v1", command: ["true"], depends_on: [db]}
volumes: {data: {}, own: {}}
"""
NAMES = dict.fromkeys(
    ("db", "web", "chosen", "wlent", "wlent2", "wside", "fixed", "within", "linked", "many", "job"), "tiny:v1"
)
# What goes to another version, and what is hashed with the container of such a one.
MOVED = {"web", "wlent", "wlent2", "wside", "fixed", "within"}
BOUND = """
services:
  web: {image: "tiny:v1", volumes: ["./site:/site:ro"], configs: [one], depends_on: [db]}
  db: {image: "tiny:v1"}
  after: {image: "tiny:v1", depends_on: [web]}
configs: {one: {file: ./own.env}}
"""


@pytest.fixture
def files(stack, environment) -> Environment:
    written: Environment = stack(STACK, env=f"COMPOSE_PROFILES=chosen\nNAME={environment.project}-fixed\n")
    (written.folder / "own.env").write_text("C=3\n")
    (written.folder / "site").mkdir()
    (written.folder / "site" / "index.html").write_text("one")
    return written


def up(environment: Environment, *options: str, arguments: tuple[str, ...] = (), **variables: str) -> None:
    command = ["docker", "compose", "-p", environment.project, *options, "up", "-d", "--pull", "never", *arguments]
    own = manual_environment(environment.docker_host) | variables
    done = subprocess.run(command, env=own, cwd=environment.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def there(engine: Stacks, environment: Environment) -> dict[str, str]:
    """What there is, by id, and when it was started; a job is started by any `up`."""
    containers = await engine.of(environment).containers()
    return {
        container.id: f"{container.service} {'' if container.service == 'job' else container.started_at}"
        for container in containers
    }


async def differing(engine: Stacks, environment: Environment, drafted: PinnedStack) -> set[str]:
    containers = await engine.of(environment).containers()
    wanted = await engine.of(environment).wanted_services(await engine.load_model(drafted.model_hash), containers)
    own = {name: [container for container in containers if container.service == name] for name in wanted}
    return {
        name for name, item in wanted.items() if (found := compare_service(item, own[name])).unlike or found.missing
    }


async def test_up_leaves_what_the_bot_made(engine, files, long_lane):
    """So it does what a release brings in its place: each service in place of an older one."""
    await apply(engine, files, (await draft(engine, files)).model_hash)
    before = await there(engine, files)
    up(files)
    assert await there(engine, files) == before
    if not long_lane:
        return
    await apply(engine, files, (await draft(engine, files, "v2")).model_hash)
    moved = await there(engine, files)
    up(files, VERSION="v2")
    assert await there(engine, files) == moved != before


async def test_bot_leaves_what_up_made(engine, files, long_lane):
    up(files)
    assert await differing(engine, files, await draft(engine, files)) == set()
    drafted = await draft(engine, files, "v2")
    assert await differing(engine, files, drafted) == MOVED
    await apply(engine, files, drafted.model_hash)
    if not long_lane:
        return
    up(files)  # which takes the version back
    assert await differing(engine, files, drafted) == MOVED
    # Whether Compose makes anew what joined a container by its name depends on its version.
    assert await differing(engine, files, await draft(engine, files)) <= {"within"}
    await apply(engine, files, (await draft(engine, files)).model_hash)
    moved = await there(engine, files)
    up(files)
    assert await there(engine, files) == moved


async def test_bound_file_is_made_anew_by_up_and_not_by_the_bot(engine, stack, files):
    """Compose binds the file itself, which the bot takes as it is for as long as it holds the same."""
    bound = stack(BOUND)
    drafted = await draft(engine, bound)
    await apply(engine, bound, drafted.model_hash)
    before = await there(engine, bound)
    up(bound)
    after = await there(engine, bound)
    recreated = {text.split()[0] for text in after.values() if text not in before.values()}
    assert recreated in ({"web", "after"}, {"web"})  # Compose 2.26 takes what depends on it along, 2.40 does not
    assert await differing(engine, bound, await draft(engine, bound)) == set()
    up(bound)
    assert await there(engine, bound) == after


@pytest.mark.parametrize("mine", [True, False], ids=["of this project", "of another"])
async def test_name_that_somebody_else_gave_is_not_moved(engine, files, docker_client: docker.DockerClient, mine: bool):
    """A name that somebody else gave to an image stays as it is, whoever has a container of it."""
    docker_client.images.get("tiny:v1").tag("shared", "now")
    (files.folder / "docker-compose.yml").write_text("services: {web: {image: 'shared:now'}}")
    labels = {"com.docker.compose.project": files.project if mine else "other", "com.docker.compose.service": "x"}
    other = docker_client.api.create_container("shared:now", labels=labels)
    try:
        drafted = await draft(engine, files)
        docker_client.images.get("tiny:v2").tag("shared", "now")
        if not mine:
            docker_client.api.remove_container(other["Id"])
            other = docker_client.api.create_container("shared:now", labels=labels)
        (web,) = await apply(engine, files, drafted.model_hash)
        names = {item: docker_client.images.get(item).id for item in ("tiny:v1", "tiny:v2", "shared:now")}
        assert web.image_id == names["tiny:v1"]
        assert names["shared:now"] == names["tiny:v2"]
        assert web.image_reference != "shared:now"
    finally:
        docker_client.api.remove_container(other["Id"], force=True)
        docker_client.api.remove_image("shared:now", force=True)


@pytest.mark.parametrize("hand", ["with the same content", "with another"])
async def test_what_is_bound_counts_by_content(engine, stack, files, hand: str):
    """Somebody's Compose made it of the file as it is now, or of an older one: the release knows which."""
    bound = stack(BOUND)
    drafted = await draft(engine, bound)
    up(bound)
    if hand == "with another":
        (bound.folder / "site" / "index.html").write_text("two")
    again = await engine.of(bound).releases.pin(
        await engine.of(bound).resolve("v1"),
        {service.name: service.image.image_id for service in drafted.services},
        kept_from=release_of(drafted.model_hash, drafted.services),
    )
    assert await differing(engine, bound, again) == (set() if hand == "with the same content" else {"web"})


@pytest.mark.long
async def test_adopted_release_is_that_of_the_files(engine, files):
    """What Compose made of just these files is taken over as they say, whatever version is asked for."""
    up(files)
    adopted = await engine.of(files).releases.adopt("v2")
    services = (await engine.load_model(adopted.model_hash))["services"]
    assert {name for name, fields in services.items() if "written" not in fields["x-deploy"]} == set()
    assert services["web"]["x-deploy"]["written"]["image"] == "tiny:v1"
    assert await differing(engine, files, adopted) == set()
    before = await there(engine, files)
    file = engine._parts.models.save(named_model(await engine.load_model(adopted.model_hash), NAMES))
    up(files, "-f", str(engine._parts.models.path(file)), "--profile", "*")
    assert await there(engine, files) == before
