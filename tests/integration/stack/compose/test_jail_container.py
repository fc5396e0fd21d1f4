"""Where the kernel has no Landlock, Compose is confined in a container: the same results, and no more to see."""

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from roas.errors import ComposeFileError
from roas.models.environment import Environment
from roas.redaction import Redactor
from roas.stack.compose import commands, jail_container, runner
from roas.stack.compose.commands import ComposeProject
from roas.stack.compose.jail_container import LABEL, ContainerJail
from roas.stack.compose.runner import ComposeRunner
from roas.stack.docker.engine import EngineClients
from roas.stack.docker.sdk import EngineClient
from roas.stack.model.text import read_resolved
from roas.stack.policy.compose_policy import ComposePolicy
from roas.stack.resolution.resolver import StackResolver
from roas.stack.sources.contents import ContentStore
from roas.stack.sources.snapshot import new_snapshot
from testbed.busybox import busybox
from tests.integration.stack.compose.test_jail import BOMBS, FILES, LITTLE_MEMORY, STACKS, compose_config, write_stacks
from tests.integration.stack.open_stacks import open_stacks

SHORT = ("env files", "absolute env file", "include with folder")
# Each line is printed where it is possible.
ATTEMPTS = """
cat {copy}
cat {outside} 2>&-
cat /etc/passwd 2>&-
(echo x >> {copy}) 2>&- && echo wrote the copy
(echo x > {scratch}/new) 2>&- && echo created
(echo x > /new) 2>&- && echo wrote the root
mount -t tmpfs x /proc 2>&- && echo mounted
ls -d /run/docker.sock /var/run/docker.sock 2>&-
grep -v lo: /proc/net/dev | tail -n +3
grep -E "^(Uid|CapEff|CapBnd|NoNewPrivs)" /proc/self/status
grep -cE "^[^ ]+ / [^ ]+ ro," /proc/mounts
ulimit -c
"""


@pytest.fixture
def without_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be on a kernel that has none."""
    monkeypatch.setattr(runner, "has_landlock", lambda: False)


@pytest.fixture
async def resolver(tmp_path: Path, without_landlock: None) -> AsyncIterator[StackResolver]:
    """One that resolves in containers of the session's engine."""
    clients = EngineClients()
    yield StackResolver(
        clients,
        ComposeRunner("T", clients=clients),
        ContentStore(tmp_path / "c"),
        ComposePolicy((), tmp_path / "state"),
        Redactor(),
    )
    await clients.close()


def fill(environment: Environment) -> Environment:
    """Write the files that the stacks name."""
    (environment.folder / "sub").mkdir(exist_ok=True)
    for name, content in FILES.items():
        (environment.folder / name).write_text(content)
    variables = {"STACK": str(environment.folder)}
    return replace(environment, project="p", variables=variables, env_files=(environment.folder / "own.env",))


async def resolve_as_compose(resolver: StackResolver, environment: Environment, *names: str) -> None:
    """Make sure that some stacks mean the same in the container."""
    environment = write_stacks(environment, names)
    expected = compose_config(environment, dict(environment.variables))
    assert expected.returncode == 0, expected.stderr
    assert (await resolver._read(environment, None)).model == read_resolved(expected.stdout)


async def hash_in_each_jail(jailing: ComposeRunner, environment: Environment) -> list[str]:
    """Have Compose hash the services of one copy where Landlock confines it, and in the container."""
    folder = environment.folder
    with new_snapshot(folder.resolve()) as snapshot:
        for path in (*environment.compose_files, *(folder / name for name in FILES)):
            snapshot.copy(path, path.resolve(), str(path))
        snapshot.write()
        files = tuple(map(snapshot.mapping.to_copy, environment.compose_files))
        env_files = tuple(map(snapshot.mapping.to_copy, environment.env_files))
        arguments = commands.config_hashes(ComposeProject(environment.project, files, env_files))
        hashes = []
        for has_landlock in (True, False):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(runner, "has_landlock", lambda found=has_landlock: found)
                output = await jailing.run_jailed(arguments, environment, snapshot, environment.variables)
            hashes.append(output.stdout)
        return hashes


async def hash_as_in_the_other_jails(environment: Environment, *names: str) -> None:
    """Make sure that a container of Compose hashes as Compose does where Landlock confines it."""
    environment = write_stacks(environment, names)
    clients = EngineClients()
    hashes = await hash_in_each_jail(ComposeRunner("T", clients=clients), environment)
    await clients.close()
    assert len(hashes) > 1
    assert hashes[0].startswith(("web", "inner "))
    assert len(hashes[0].splitlines()) >= len(names)
    assert set(hashes) == {hashes[0]}


async def test_container_hashes_as_landlock(environment: Environment) -> None:
    await hash_as_in_the_other_jails(fill(environment), *SHORT)


@pytest.mark.long
async def test_container_hashes_every_file_as_landlock(environment: Environment) -> None:
    environment = fill(environment)
    for name in STACKS:
        if name not in SHORT:
            await hash_as_in_the_other_jails(environment, name)


async def test_container_resolves_as_compose(
    resolver: StackResolver, environment: Environment, docker_client: docker.DockerClient
) -> None:
    await resolve_as_compose(resolver, fill(environment), *SHORT)
    assert docker_client.containers.list(all=True, filters={"label": LABEL}) == []


@pytest.mark.long
async def test_container_resolves_every_file_as_compose(resolver: StackResolver, environment: Environment) -> None:
    environment = fill(environment)
    for name in STACKS:
        if name not in SHORT:
            await resolve_as_compose(resolver, environment, name)


async def test_container_of_compose_sees_the_copy_alone(
    tmp_path: Path, docker_client: docker.DockerClient, docker_host: str
) -> None:
    scratch, shell = tmp_path / "scratch", tmp_path / "busybox"
    scratch.mkdir()
    shell.write_bytes(busybox(docker_client).read_bytes())
    shell.chmod(0o755)
    (scratch / "own.env").write_text("own\n")
    (tmp_path / "outside.env").write_text("LEAKED\n")
    script = ATTEMPTS.format(copy=scratch / "own.env", outside=tmp_path / "outside.env", scratch=scratch)
    with closing(EngineClient(docker_host)) as client:
        confined = ContainerJail(client)
        done = confined.run([str(shell), "sh", "-c", script], scratch, {}, scratch, 1 << 20)
    assert done is not None
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    rights = [["CapEff:", "0" * 16], ["CapBnd:", "0" * 16], ["NoNewPrivs:", "1"]]
    assert lines == [["own"], ["Uid:", *["65534"] * 4], *rights, ["1"], ["0"]], done
    assert docker_client.containers.list(all=True, filters={"label": LABEL}) == []


async def test_container_takes_no_more_than_it_may(
    without_landlock: None,
    environment: Environment,
    tmp_path: Path,
    docker_client: docker.DockerClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jail_container, "MEMORY_BYTES", LITTLE_MEMORY)
    async with open_stacks(tmp_path / "state") as engine:
        (environment.folder / ".env").write_text(BOMBS["variables"])
        environment.compose_files[0].write_text("services: {web: {image: x, environment: {V: '${A8}'}}}")
        bombed = replace(environment, env_files=(environment.folder / ".env",))
        with pytest.raises(ComposeFileError, match="Resolving the compose file takes"):
            await engine.of(bombed).resolve(None, write_contents=False)
    assert docker_client.containers.list(all=True, filters={"label": LABEL}) == []


async def test_container_that_a_dead_bot_left_is_removed(
    resolver: StackResolver,
    environment: Environment,
    busybox_image: str,
    docker_client: docker.DockerClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jail_container, "LEFT_SECONDS", -1.0)
    left = docker_client.containers.create(busybox_image, name="roas-jail-left", labels={LABEL: "1"})
    other = docker_client.containers.create(busybox_image, labels={LABEL: "1"})  # as an image may have it
    environment.compose_files[0].write_text("services: {web: {image: x}}")
    await resolver.working_copy(environment, None)
    with pytest.raises(docker.errors.NotFound):
        left.reload()
    other.remove()
