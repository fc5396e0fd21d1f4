"""What no stack is given, at any level: judged by what the engine and the file system have afterwards."""

import socket
import subprocess
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from roas.configuration.environments import environments
from roas.configuration.settings import Settings
from roas.errors import ComposeFileError, ComposePolicyError, ImageNotFoundError, RoasError
from roas.models.environment import Environment, PolicyLevel
from roas.stack.compose import jail_container
from roas.stack.compose.runner import compose_binary
from roas.stack.docker.sdk import EngineClient
from roas.stack.stacks import Stacks
from testbed.images import import_image
from testbed.rootfs import Rootfs
from tests.integration.stack.applying import deploy, make
from tests.integration.stack.open_stacks import open_stacks

Stack = Callable[..., Environment]
# What the level does not give that gives most, the others do not.
MOST = PolicyLevel.TRUSTED
LEVELS = [pytest.param(level, marks=() if level is MOST else pytest.mark.long) for level in PolicyLevel]
TOKEN = "t0ken." * 10


async def report(service: str, text: str, fraction: float | None) -> None:
    """Hear of progress, and tell nobody."""


async def built(engine: Stacks, environment: Environment) -> str:
    """Build `web`, create its container as a deployment does, and return its image."""
    stack = await engine.of(environment).resolve(None)
    image_id = await engine.of(stack.environment).images.build(stack, "web", report)
    ids = dict.fromkeys(stack.definitions, image_id)
    drafted = await engine.of(stack.environment).releases.pin(stack, ids)
    await make(engine, environment, drafted.model_hash)
    return image_id


def app(environment: Environment, dockerfile: str = "FROM tiny:v1\nCOPY . /all\n") -> None:
    """Write what is built."""
    folder = environment.folder / "app"
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(dockerfile)


NAMES = ("by-hand:v1", "roas-release/other-web:r1", "roas-jail:0123456789ab", "roas/web:v1-0123456789ab", "sibling:v1")


@pytest.mark.parametrize("level", LEVELS)
async def test_build_moves_no_name_of_others(
    engine: Stacks, stack: Stack, docker_client: docker.DockerClient, level: PolicyLevel
) -> None:
    """Hand-built tags, releases of others, the jail's image, and what a sibling's container runs."""
    held = {}
    for name in NAMES:
        import_image(docker_client, Rootfs().tar(), name, LABEL=f"of={name}", CMD='["/nothing"]')
        held[name] = docker_client.images.get(name).id
    sibling = docker_client.containers.create("sibling:v1", labels={"com.docker.compose.project": "sibling"})
    try:
        for name in NAMES:
            environment = replace(stack(f"services: {{web: {{image: '{name}', build: app}}}}"), policy=level)
            app(environment, f"FROM tiny:v1\nLABEL now={name}\n")
            try:
                image = await built(engine, environment)
            except RoasError:
                continue
            (web,) = await engine.of(environment).containers()
            assert web.image_id == image, "what was built is what is made, by its pinned name"
            docker_client.containers.get(web.id).remove(force=True)
        assert {name: docker_client.images.get(name).id for name in NAMES} == held
    finally:
        sibling.remove(force=True)
        for name in NAMES:
            docker_client.images.remove(name, force=True)


async def test_own_name_moves_with_own_builds(engine: Stacks, stack: Stack, docker_client: docker.DockerClient) -> None:
    """A name that nobody had, and that this project built last, means what was built."""
    environment = stack(f"services: {{web: {{image: 'own-{secrets_of(stack)}:v1', build: app}}}}")
    name = environment.compose_files[0].read_text().split("'")[1]
    for text in ("FROM tiny:v1\nLABEL a=1\n", "FROM tiny:v1\nLABEL a=2\n"):
        app(environment, text)
        image = await built(engine, environment)
        assert docker_client.images.get(name).id == image
    docker_client.images.remove(name, force=True)


def secrets_of(stack: Stack) -> str:
    """Return a part of a name that no other test has."""
    return stack("services: {}").project


async def test_jail_is_known_by_its_content(
    environment: Environment, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever has the name of the jail's image by now, Compose runs from its own bytes; those are made once."""
    binary = compose_binary()
    with closing(EngineClient(str(environment.docker_host))) as client:
        image = jail_container._image(client, binary)
        assert jail_container._image(client, binary) == image
        (name,) = docker_client.images.get(image).tags
        import_image(docker_client, Rootfs().tar(), name, CMD='["/payload"]')
        again = jail_container._image(client, binary)
        assert again != docker_client.images.get("tiny:v1").id
        assert docker_client.images.get(again).attrs["RootFS"] == docker_client.images.get(name).attrs["RootFS"]
        assert jail_container._image(client, binary) == again


@pytest.mark.parametrize(
    "extra",
    [
        "tags: ['victim:v1']",
        'cache_to: [\'type=inline,"x","type=local","dest={out}"\']',
        'cache_to: [\'"type=local","dest={out}"\']',
        "cache_to: ['type=inline', '\"type=local\",dest={out}']",
    ],
)
@pytest.mark.parametrize("level", LEVELS)
async def test_build_writes_nothing_but_its_image(
    engine: Stacks,
    stack: Stack,
    docker_client: docker.DockerClient,
    tmp_path: Path,
    extra: str,
    level: PolicyLevel,
) -> None:
    import_image(docker_client, Rootfs().tar(), "victim:v1", CMD='["/nothing"]')
    before, out = docker_client.images.get("victim:v1").id, tmp_path / "out"
    environment = stack(f"services: {{web: {{build: {{context: app, {extra.replace('{out}', str(out))}}}}}}}")
    app(environment)
    with suppress(RoasError):
        await built(engine, replace(environment, policy=level))
    assert not out.exists()
    assert docker_client.images.get("victim:v1").id == before
    docker_client.images.remove("victim:v1")


@pytest.mark.long
async def test_cache_mounts_are_kept_apart(engine: Stacks, stack: Stack, docker_client: docker.DockerClient) -> None:
    """What one project leaves in a cache of some name, another one's build does not find; nor does `args` open it."""
    args = "args: {BUILDKIT_CACHE_MOUNT_NS: shared, N: '${N}'}"
    environment = stack(f"services: {{web: {{build: {{context: app, {args}}}}}}}")
    dockerfile = "FROM tiny:v1\nARG N\nRUN --mount=type=cache,id=shared,target=/c echo $N >> /c/f; cp /c/f /seen\n"
    app(environment, dockerfile)
    seen = []
    for project, number in ((environment.project, "1"), (f"{environment.project}x", "2"), (environment.project, "3")):
        own = replace(environment, project=project, variables={"N": number})
        stack_of = await engine.of(own).resolve(None)
        image = await engine.of(stack_of.environment).images.build(stack_of, "web", report)
        seen.append(docker_client.containers.run(image, ["cat", "/seen"], remove=True).decode().split())
    assert seen == [["1"], ["2"], ["1", "3"]]


@pytest.mark.parametrize("level", LEVELS)
async def test_build_sees_no_file_of_the_bot_or_of_others(
    stack: Stack, docker_client: docker.DockerClient, tmp_path: Path, level: PolicyLevel
) -> None:
    """By whatever rules of a `.dockerignore`: not by settings, not by value, no repository, no other environment's."""
    environment = stack("services: {web: {build: .}}")
    folder = environment.folder
    (folder / "Dockerfile").write_text("FROM tiny:v1\nCOPY . /all\n")
    (folder / "Dockerfile.dockerignore").write_text("x\n!.e*\n!**\n")
    withheld = [folder / name for name in (".env", "secrets/prod_db.txt", ".env.prod", "compose.prod.yaml")]
    for path in withheld:
        path.parent.mkdir(exist_ok=True)
        path.write_text("A=1\n")
    for name in (".env.bak", "deep/token.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x" * (1 << 20) + f"DISCORD_TOKEN={TOKEN}\n")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / "kept").write_text("kept")
    async with open_stacks(tmp_path / "state", token=TOKEN) as made:
        resolved = await made.of(replace(environment, policy=level, withheld=frozenset(withheld))).resolve(None)
        image = await made.of(resolved.environment).images.build(resolved, "web", report)
    found = docker_client.containers.run(image, ["sh", "-c", "find /all -type f"], remove=True).decode().split()
    assert sorted(found) == ["/all/Dockerfile", "/all/Dockerfile.dockerignore", "/all/docker-compose.yml", "/all/kept"]


FETCHES = {
    "frontend": ("# syntax=roas-build/prod-web\nFROM tiny:v1\n", ""),
    "frontend by an argument": ("FROM tiny:v1\n", ", args: {BUILDKIT_SYNTAX: roas-build/prod-web}"),
    "address": ("FROM tiny:v1\nADD http://127.0.0.1:{port}/x /x\n", ""),
    "address of parts": ("FROM tiny:v1\nARG U=http://127.0.0.1:{port}\nADD $U/x /x\n", ""),
    "encrypted address": ("FROM tiny:v1\nADD https://127.0.0.1:{port}/x /x\n", ""),
    "repository": ("FROM tiny:v1\nADD http://127.0.0.1:{port}/x.git /x\n", ""),
    "step in the host's network": ("FROM tiny:v1\nRUN --network=host wget -O- http://127.0.0.1:{port}/x\n", ""),
    "step with the host's rights": ("FROM tiny:v1\nRUN --security=insecure wget http://127.0.0.1:{port}/x\n", ""),
    "a stage that looks like text": ('FROM tiny:v1\nRUN echo "<<E"\nFROM roas-build/prod-web\nRUN true\nE\n', ""),
}


@pytest.mark.parametrize(("dockerfile", "more"), FETCHES.values(), ids=FETCHES)
async def test_build_fetches_nothing_as_the_host(
    engine: Stacks, stack: Stack, docker_client: docker.DockerClient, dockerfile: str, more: str
) -> None:
    """BuildKit refuses it, however it is written: images of the bot's own, and what listens on the host alone."""
    import_image(docker_client, Rootfs().tar(), "roas-build/prod-web:latest", CMD='["/nothing"]')
    environment = replace(stack(f"services: {{web: {{build: {{context: app{more}}}}}}}"), policy=PolicyLevel.TRUSTED)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        app(environment, dockerfile.replace("{port}", str(listening.getsockname()[1])))
        with pytest.raises(RoasError):
            await built(engine, environment)
        with pytest.raises(BlockingIOError):  # nobody has called
            listening.accept()
    docker_client.images.remove("roas-build/prod-web:latest")


# It runs what its configuration says where it is asked about that, as HAProxy does with Lua.
HAPROXY = '#!/bin/sh\ntest "$1" = -c && . /conf/haproxy.cfg\nexec sleep 600\n'
PROXY = "[/haproxy, -f, /conf/haproxy.cfg]"
SOCKET = ", '/var/run/docker.sock:/engine:ro'"
READS = "ls /sys/class/net /host /engine; exit 1"


@pytest.mark.parametrize(
    ("had", "has", "program", "content", "told"),
    [
        ("", "", PROXY, "ls /sys/class/net; exit 1", r"configuration: lo$"),
        ("", "", "[/haproxy, -W, -f, /conf/haproxy.cfg]", READS, None),
        ("", ", '/etc:/host:ro'", PROXY, READS, None),
        (SOCKET, SOCKET, PROXY, READS, None),
        ("", "", PROXY, "lua-load /x || exit 1", None),
        ("", ", './script:/haproxy:ro'", PROXY, "true", None),
        ("", "], environment: [LD_PRELOAD=/conf/haproxy.cfg", PROXY, "exit 1", None),
    ],
    ids=["network", "other program", "more of the host", "of the host", "Lua", "over its program", "variable"],
)
async def test_check_of_a_proxy_is_confined(
    engine: Stacks,
    stack: Stack,
    docker_client: docker.DockerClient,
    had: str,
    has: str,
    program: str,
    content: str,
    told: str | None,
) -> None:
    """It is made for a plan, which nobody has confirmed, and people see what it says."""
    make_proxy(docker_client)
    text = "services: {web: {image: 'haproxy:tiny', volumes: ['./a:/conf/haproxy.cfg:ro'%s], entrypoint: %s}}"
    environment = replace(stack(text % (had, PROXY)), policy=PolicyLevel.TRUSTED)
    (environment.folder / "a").write_text("true\n")
    (environment.folder / "script").write_text("#!/bin/sh\nexit 1\n")
    (environment.folder / "script").chmod(0o755)
    await deploy(engine, environment)
    (environment.folder / "a").write_text(f"{content}\n")
    environment.compose_files[0].write_text(text % (has, program))
    resolved = await engine.of(environment).resolve(None)
    check = engine.of(environment).proxies.check(resolved.model, "web", docker_client.images.get("haproxy:tiny").id)
    if told is None:
        await check
    else:
        with pytest.raises(ComposeFileError, match=told):
            await check


def make_proxy(docker_client: docker.DockerClient) -> None:
    files = Rootfs()
    files.add("haproxy", HAPROXY, 0o755)
    container = docker_client.containers.create("tiny:v1")
    container.put_archive("/", files.tar())
    container.commit("haproxy", "tiny")
    container.remove()


async def test_environments_share_no_file_of_a_proxy(engine: Stacks, stack: Stack) -> None:
    """On two engines of one machine, they may have one project name: what one deploys, the other's proxy would read."""
    environment = stack("services: {web: {image: 'haproxy:tiny', volumes: ['./a:/conf/a:ro']}}")
    (environment.folder / "a").write_text("a")
    stacks = [engine.of(replace(environment, name=name)) for name in ("dev", "prod")]
    one, other = [(await made.resolve(None)).model["services"]["web"]["x-deploy"]["live"] for made in stacks]
    assert one.keys().isdisjoint(other)


async def test_image_is_not_named_by_the_beginning_of_its_id(
    engine: Stacks, stack: Stack, docker_client: docker.DockerClient
) -> None:
    """Sixteen guesses of one digit would find any image of the engine, those of other environments too."""
    whole = docker_client.images.get("tiny:v1").id
    for name in (whole.removeprefix("sha256:")[:12], whole[:19]):
        environment = stack(f"services: {{web: {{image: '{name}', pull_policy: never}}}}")
        with pytest.raises(ImageNotFoundError):
            await deploy(engine, environment, started=False)


@pytest.mark.parametrize(
    "build",
    [
        "{context: state}",
        "{context: link}",
        "{context: app, dockerfile: ../state/journal}",
        "{context: app, additional_contexts: {x: ./state/models}}",
        "{context: app, secrets: [s]}",
        "{context: .git}",
    ],
)
@pytest.mark.parametrize("level", LEVELS)
async def test_build_of_what_is_withheld_is_refused(stack: Stack, build: str, level: PolicyLevel) -> None:
    environment = stack(f"services: {{web: {{build: {build}}}}}\nsecrets: {{s: {{file: state/journal}}}}")
    folder = environment.folder
    for name in ("state/models", ".git"):
        (folder / name).mkdir(parents=True)
        (folder / name / "Dockerfile").write_text("FROM tiny:v1\n")
    (folder / "state" / "journal").write_text("FROM tiny:v1\n")
    (folder / "link").symlink_to("state")
    app(environment)
    async with open_stacks(folder / "state") as made:
        judged = made.of(replace(environment, policy=level))
        with pytest.raises(ComposePolicyError):
            await judged.images.look_up(await judged.resolve(None), frozenset({"web"}))


SECRET = "of-prod-alone"
GIVEN = {
    "folder read-only": "volumes: ['.:/x:ro']",
    "folder writable": "volumes: ['.:/x']",
    "file": "volumes: ['./.env.prod:/x:ro']",
    "file by a link": "volumes: ['./link:/x:ro']",
    "writable file": "volumes: ['./.env.prod:/x']",
    "folder of secrets": "volumes: ['./secrets:/x:ro']",
    "writable folder of secrets": "volumes: ['./secrets:/x']",
    "copy with the token": "volumes: ['./.env.bak:/x:ro']",
    "writable copy with the token": "volumes: ['./.env.bak:/x']",
    "folder with the token": "volumes: ['./deep:/x:ro']",
    "env file": "env_file: .env.prod",
    "env file of the bot": "env_file: bot.env",
    "env file with the token": "env_file: .env.bak",
    "secret": "secrets: [s]}}\nsecrets: {s: {file: ./secrets/prod_db.txt}",
    "secret with the token": "secrets: [s]}}\nsecrets: {s: {file: ./.env.bak}",
    "config": "configs: [s]}}\nconfigs: {s: {file: ./.env.prod}",
    "config with the token": "configs: [s]}}\nconfigs: {s: {file: ./deep/token.txt}",
    "secret of a variable with the token": "secrets: [s]}}\nsecrets: {s: {environment: SHARED}",
    "config of a variable with the token": "configs: [s]}}\nconfigs: {s: {environment: SHARED}",
    "interpolated token": "command: ['${SHARED}']}}\nx-a: {a: {a: a",
    "override of others": "extends: {file: compose.prod.yaml, service: web}",
    "included override": "}}\ninclude: [{path: compose.prod.yaml}]\nx-a: {a: {a: a",
    "repository": "volumes: ['./.git:/x:ro']",
    "file of the repository": "volumes: ['./.git/config:/x:ro']",
    "repository by a link": "volumes: ['./to-git:/x:ro']",
    "secret of the repository": "secrets: [s]}}\nsecrets: {s: {file: .git/config}",
    "config of the repository": "configs: [s]}}\nconfigs: {s: {file: .git/config}",
    "env file of the repository": "env_file: .git/config",
    "labels of the repository": "label_file: .git/config",
    "env file of what is included": "}}\ninclude: [{path: own.yml, env_file: .env.prod}]\nx-a: {a: {a: a",
}


@pytest.mark.parametrize("text", GIVEN.values(), ids=GIVEN.keys())
@pytest.mark.parametrize("level", LEVELS)
async def test_container_has_nothing_that_is_withheld(
    stack: Stack, docker_client: docker.DockerClient, tmp_path: Path, text: str, level: PolicyLevel
) -> None:
    environment = stack(f"services: {{web: {{image: 'tiny:v1', {text}}}}}")
    folder = environment.folder
    withheld = [folder / name for name in ("bot.env", "secrets/prod_db.txt", ".env.prod", "compose.prod.yaml")]
    for path in (*withheld, folder / "deep" / "token.txt"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"A={SECRET}\n")
    (folder / "compose.prod.yaml").write_text(f"services: {{web: {{image: 'tiny:v1', labels: [a={SECRET}]}}}}")
    (folder / "own.yml").write_text("services: {own: {image: 'tiny:v1', labels: ['a=$A']}}")
    (folder / "link").symlink_to(".env.prod")
    (folder / "kept").write_text("kept")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text(f"A={SECRET}\n")
    (folder / "to-git").symlink_to(".git")
    for name in (".env.bak", "deep/token.txt"):
        (folder / name).write_text(f"DISCORD_TOKEN={TOKEN}\n")
    async with open_stacks(tmp_path / "state", token=TOKEN) as made:
        own = replace(environment, policy=level, withheld=frozenset(withheld), variables={"SHARED": TOKEN})
        with suppress(RoasError):
            await deploy(made, own, started=False)
        found = await made.of(own).containers()
    for item in found:
        inspected = docker_client.api.inspect_container(item.id)
        said = str([inspected["Config"][key] for key in ("Env", "Labels", "Cmd")])
        for mount in inspected["Mounts"]:
            place = Path(mount["Source"])
            for path in [place, *place.rglob("*")]:
                said += path.read_text() if path.is_file() else ""
        assert not {SECRET, TOKEN} & {word for word in (SECRET, TOKEN) if word in said}
    if text == GIVEN["folder read-only"] and level is not PolicyLevel.STRICT:
        (mount,) = inspected["Mounts"]
        assert (Path(mount["Source"]) / "kept").read_text() == "kept", "the rest is there, as it was approved"
        assert Path(mount["Source"]) != folder


REPOSITORIES = ("./.git/hooks:/h", "./.git:/g", ".:/x", "./sub:/s")


@pytest.mark.parametrize("bind", REPOSITORIES)
@pytest.mark.parametrize("level", [PolicyLevel.STRICT, PolicyLevel.DEFAULT])
async def test_repository_is_written_by_nobody_unasked(
    engine: Stacks, stack: Stack, bind: str, level: PolicyLevel
) -> None:
    environment = stack(f"services: {{web: {{image: 'tiny:v1', volumes: ['{bind}']}}}}")
    subprocess.run(["git", "init", "-q", str(environment.folder)], check=True)
    subprocess.run(["git", "init", "-q", str(environment.folder / "sub")], check=True)
    with pytest.raises(ComposePolicyError, match="by the next `git` command"):
        await engine.of(replace(environment, policy=level)).resolve(None)


HOST_FILES = ("{host}", "{link}", "docker-compose.yml:{host}", "../host/docker-compose.yml", "/proc/kmsg")


@pytest.mark.parametrize("named", HOST_FILES)
@pytest.mark.parametrize("level", LEVELS)
async def test_stack_names_no_file_of_the_host(
    engine: Stacks, stack: Stack, tmp_path: Path, named: str, level: PolicyLevel
) -> None:
    """By `COMPOSE_FILE` in its `.env`: no line of it is in an error, and nothing of it in what is resolved."""
    folder, host = stack("services: {web: {image: 'tiny:v1'}}").folder, tmp_path / "host" / "docker-compose.yml"
    host.parent.mkdir()
    for text in (f"root:{SECRET}:\n", f"services: {{other: {{image: 'tiny:v1', labels: [a={SECRET}]}}}}\n"):
        host.write_text(text)
        (folder / "link").unlink(missing_ok=True)
        (folder / "link").symlink_to(host)
        (folder / ".env").write_text(f"COMPOSE_FILE={named.format(host=host, link='link')}\n")
        own = environments(Settings(_env_file=None, stack_dir=folder, compose_policy=level))["dev"]
        with pytest.raises(ComposePolicyError, match="names a file outside the stack's folder") as refused:
            await engine.of(own).resolve(None)
        assert SECRET not in str((refused.value.message, refused.value.hint))
