"""What the settings of today allow is asked before anything is applied: of releases, of places, of names of images."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest

from roas.errors import ComposePolicyError
from roas.models.environment import Environment, PolicyLevel
from roas.stack.docker.engine import FILE_THREADS
from roas.stack.stacks import Stacks
from testbed.daemon import PrivateDaemon
from tests.integration.stack.applying import deploy, draft
from tests.integration.stack.open_stacks import open_stacks
from tests.integration.stack.policy.test_host_gained import resolved_entries
from tests.integration.stack.test_faults import release_of

Stack = Callable[..., Environment]
PLAIN = "services: {web: {network_mode: none, image: 'tiny:v1'}}"


@asynccontextmanager
async def allowing(tmp_path: Path, *allowed: str) -> AsyncIterator[Stacks]:
    """A bot on the same state folder, with other settings."""
    async with open_stacks(tmp_path / "state", *allowed) as made:
        yield made


async def inspected(engine: Stacks, environment: Environment, client: docker.DockerClient) -> dict[str, Any]:
    (web,) = await engine.of(environment).containers()
    found: dict[str, Any] = client.api.inspect_container(web.id)
    return found


async def test_a_withdrawn_power_does_not_come_back(
    engine: Stacks, stack: Stack, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    environment = stack(f"{PLAIN[:-2]}, cap_add: [SYS_ADMIN]}}}}")
    async with allowing(tmp_path, "cap_add:web") as before:
        first = await deploy(before, environment, started=False)
        assert (await inspected(engine, environment, docker_client))["HostConfig"]["CapAdd"]
    stack("services: {web: {image: 'tiny:v2'}}")
    second = await deploy(engine, environment, started=False)
    for apply in (
        lambda: engine.of(environment).releases.renew(release_of(first.model_hash)),
        lambda: engine.of(environment).create_service(first.model_hash, "web"),
        lambda: engine.of(environment).create_missing(first.model_hash),
        lambda: engine.of(environment).releases.check(first.model_hash),
    ):
        with pytest.raises(ComposePolicyError, match="not allowed here today") as caught:
            await apply()
        assert caught.value.entries == ("cap_add:web",)
        assert caught.value.hint.startswith("Deploy a version without it, or add to roas.toml:")
    await engine.of(environment).releases.check(second.model_hash)
    assert not (await inspected(engine, environment, docker_client))["HostConfig"]["CapAdd"]


async def test_a_release_follows_no_new_link(engine: Stacks, stack: Stack, tmp_path: Path) -> None:
    """What was a folder when the release was made is a link by now: committed, or made by a container."""
    environment = stack(f"{PLAIN[:-2]}, volumes: ['./data:/data']}}}}")
    (environment.folder / "data").mkdir()
    drafted = await draft(engine, environment)
    (environment.folder / "data").rmdir()
    (environment.folder / "data").symlink_to("/etc")
    async with allowing(tmp_path) as today:
        with pytest.raises(ComposePolicyError) as caught:
            await today.of(environment).create_service(drafted.model_hash, "web")
    assert caught.value.entries == ("bind:/etc",)
    assert await engine.of(environment).containers() == ()


def crashed(client: docker.DockerClient, container_id: str) -> None:
    """Kill a container's process as a fault would, and wait until its restart policy has started it again."""
    filters = {"container": container_id, "event": "start"}
    events: Iterator[Any] = client.events(decode=True, filters=filters)
    os.kill(client.api.inspect_container(container_id)["State"]["Pid"], signal.SIGKILL)
    next(events)


def rebooted(daemon: PrivateDaemon, client: docker.DockerClient, container_id: str) -> None:
    """Have the engine and its containers die at once, as a host does, and come up again."""
    daemon.restart(kill=True)
    client.containers.get(container_id).start()  # where the engine has not done that by itself yet


async def test_strict_binds_survive_a_swap(
    engine: Stacks,
    stack: Stack,
    tmp_path: Path,
    docker_client: docker.DockerClient,
    private_daemon: PrivateDaemon,
) -> None:
    """The engine looks a path up again when it starts a container: with nobody to judge where it leads by then."""
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "shadow").write_text("of the host")
    environment = stack(f"{PLAIN[:-2]}, restart: always, volumes: ['./data:/data']}}}}")
    (environment.folder / "data").mkdir()
    await deploy(engine, environment)
    (web,) = await engine.of(environment).containers()
    (environment.folder / "data").rename(environment.folder / "gone")
    (environment.folder / "data").symlink_to(tmp_path / "host")
    crashed(docker_client, web.id)
    _, seen = docker_client.containers.get(web.id).exec_run(["cat", "/data/shadow"])
    assert seen == b"of the host"  # this is what a strict policy is against
    rebooted(private_daemon, docker_client, web.id)
    assert docker_client.containers.get(web.id).exec_run(["cat", "/data/shadow"]).output == b"of the host"
    (environment.folder / "data").unlink()
    (environment.folder / "data").mkdir()
    strict = replace(environment, policy=PolicyLevel.STRICT)
    assert await resolved_entries(engine, strict) == {f"replaceable:{environment.folder}/data"}

    place = tmp_path / "srv" / "data"
    place.mkdir(parents=True)
    stack(f"{PLAIN[:-2]}, restart: always, volumes: ['{place}:/data']}}}}")
    assert await resolved_entries(engine, strict) == {f"bind:{place}"}
    await deploy(engine, replace(strict, allowed=(f"bind:{place}",)))
    (web,) = await engine.of(environment).containers()
    container = docker_client.containers.get(web.id)
    swap = f"touch /data/own; rmdir /data; mv /data /gone; ln -s {tmp_path}/host /data/data; ln -sfn / /data"
    container.exec_run(["sh", "-c", swap])
    starts = (partial(crashed, docker_client), partial(rebooted, private_daemon, docker_client))
    for start in starts:
        start(web.id)
        assert place.is_dir()
        assert not place.is_symlink()
        assert container.exec_run(["ls", "/data/own"])[0] == 0
        assert container.exec_run(["cat", "/data/shadow"])[0] != 0


@pytest.mark.parametrize("place", ["beside", "within"])
async def test_strict_copies_what_is_read(stack: Stack, tmp_path: Path, place: str) -> None:
    """What a stack reads is bound from our copies, which no checkout reaches: wherever the bot's state lies."""
    environment = stack(
        "services: {web: {image: 'tiny:v1', volumes: ['./conf:/conf:ro', '/etc/localtime:/etc/localtime:ro'], "
        "configs: [written, named], secrets: [s]}, reader: {image: 'tiny:v1', volumes: ['./conf:/conf:ro']}}\n"
        "configs: {written: {content: a}, named: {file: conf/a}}\nsecrets: {s: {file: conf/a}}"
    )
    (environment.folder / "conf").mkdir()
    (environment.folder / "conf" / "a").write_text("a")
    state_dir = (tmp_path if place == "beside" else environment.folder) / "state"
    async with open_stacks(state_dir) as made:
        assert await resolved_entries(made, replace(environment, policy=PolicyLevel.STRICT)) == set()


async def test_trust_gives_powers_and_names_them(
    engine: Stacks, stack: Stack, docker_client: docker.DockerClient
) -> None:
    environment = stack(f"{PLAIN[:-2]}, cap_add: [NET_ADMIN], pid: host}}}}")
    assert await resolved_entries(engine, environment) == {"cap_add:web", "pid:web"}
    trusted = replace(environment, policy=PolicyLevel.TRUSTED)
    resolved = await engine.of(trusted).resolve(None)
    assert [text for text in resolved.warnings if "Allowed by trust" in text] == [
        "Allowed by trust: web has `cap_add: NET_ADMIN` (`cap_add:web`).",
        "Allowed by trust: web has `pid: host` (`pid:web`).",
    ]
    await deploy(engine, trusted, started=False)
    host = (await inspected(engine, trusted, docker_client))["HostConfig"]
    assert (host["PidMode"], [item.removeprefix("CAP_") for item in host["CapAdd"]]) == ("host", ["NET_ADMIN"])


async def test_the_bots_volume_is_not_shared(
    engine: Stacks,
    stack: Stack,
    tmp_path: Path,
    docker_client: docker.DockerClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bot's own container says which volume has its state, whatever the compose file says."""
    environment = stack(f"{PLAIN[:-2]}, volumes: ['notes:/notes']}}}}\nvolumes: {{notes: }}")
    labels = {"com.docker.compose.project": environment.project, "com.docker.compose.volume": "notes"}
    volume = docker_client.volumes.create(f"{environment.project}_notes", labels=labels)
    mounts = {volume.name: {"bind": str(tmp_path / "state"), "mode": "rw"}}
    bot = docker_client.containers.create("tiny:v1", volumes=mounts)
    try:
        assert await resolved_entries(engine, environment) == set()
        monkeypatch.setattr("roas.stack.policy.holdings.own_container_id", lambda: bot.id)
        assert await resolved_entries(engine, environment) == {"state_dir:web"}
    finally:
        bot.remove(force=True)


async def test_link_that_was_allowed_is_followed_once(
    engine: Stacks, stack: Stack, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """A link of the stack's folder to an allowed place: a checkout that leads it elsewhere reaches no container."""
    for name in ("data", "host"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "whose").write_text(name)
    environment = stack(f"{PLAIN[:-2]}, restart: always, volumes: ['./link:/data', './link:/again:ro']}}}}")
    link = environment.folder / "link"
    link.symlink_to(tmp_path / "data")
    await deploy(engine, replace(environment, allowed=(f"bind:{tmp_path}/data",)))
    (web,) = await engine.of(environment).containers()
    link.unlink()
    link.symlink_to(tmp_path / "host")
    crashed(docker_client, web.id)
    seen = docker_client.containers.get(web.id).exec_run(["cat", "/data/whose", "/again/whose"]).output
    assert seen == b"datadata"


@pytest.mark.parametrize("level", [PolicyLevel.DEFAULT, PolicyLevel.STRICT])
async def test_link_in_a_circle_leaves_others_alone(
    engine: Stacks, stack: Stack, tmp_path: Path, level: PolicyLevel
) -> None:
    """A folder that a container of one stack writes becomes a link to itself: the engine still names it."""
    environment = stack(f"{PLAIN[:-2]}, volumes: ['./data:/data']}}}}")
    (environment.folder / "data").mkdir()
    drafted = await deploy(engine, environment)
    (environment.folder / "data").rmdir()
    (environment.folder / "data").symlink_to("data")
    compose = tmp_path / "other" / "docker-compose.yml"
    compose.parent.mkdir()
    compose.write_text(PLAIN)
    other = replace(
        environment, project=f"{environment.project}x", folder=compose.parent, compose_files=(compose,), policy=level
    )
    assert await resolved_entries(engine, other) == set()
    await engine.of(environment).releases.check(drafted.model_hash)


async def test_pipe_in_place_of_variables_holds_nobody(stack: Stack, tmp_path: Path) -> None:
    """A release is judged without a copy of its stack's files: what has become of them keeps no thread."""
    environment = stack(PLAIN, env="A=1\n")
    async with open_stacks(tmp_path / "state", token="t" * 40) as made:
        drafted = await draft(made, environment)
    (environment.folder / ".env").unlink()
    os.mkfifo(environment.folder / ".env")
    async with open_stacks(tmp_path / "state", token="t" * 40) as made:
        async with asyncio.timeout(20):
            checks = [made.of(environment).releases.check(drafted.model_hash) for _ in range(2 * FILE_THREADS)]
            await asyncio.gather(*checks)
            assert (await made.of(replace(environment, env_files=())).resolve(None)).model["services"]
