"""What a container has as secrets and configs is what was planned, whatever lies in the stack's folder since."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from roas.engine.compose_engine import ComposeEngine
from roas.engine.model.text import read_model, write_model
from roas.engine.resolution.secret_binding import SecretBinder
from roas.engine.sources.contents import ContentStore
from roas.errors import ComposeFileError, ComposePolicyError
from roas.models.environment import Environment, PolicyLevel
from testbed.daemon import PrivateDaemon
from tests.integration.engine.applying import apply, deploy
from tests.integration.engine.policy.test_todays_policy import crashed
from tests.integration.engine.test_faults import release_of

Stack = Callable[..., Environment]
COMPOSE = """
services:
  web:
    image: tiny:v1
    restart: always
    secrets: [password, {source: password, target: /elsewhere}, own]
    configs: [settings, inline, variable]
secrets: {password: {file: ./password}, own: {environment: OWN}}
configs: {settings: {file: ./settings}, inline: {content: first}, variable: {environment: OWN}}
"""
FILES = ("password", "settings")
LOOK = "cat /run/secrets/password /elsewhere /run/secrets/own /settings /inline /variable"
OTHER_USER = 4242


@pytest.fixture
def secretive(stack: Stack) -> Environment:
    """A stack with secrets and configs of every kind."""
    environment = stack(COMPOSE, env="OWN=first\n")
    for name in FILES:
        (environment.folder / name).write_text("first")
    return environment


def shown(client: docker.DockerClient, container_id: str) -> str:
    """Return what a container sees of them."""
    printed: str = client.containers.get(container_id).exec_run(["sh", "-c", LOOK]).output.decode()
    return printed


async def test_swap_reaches_no_restarted_container(
    engine: ComposeEngine,
    secretive: Environment,
    tmp_path: Path,
    docker_client: docker.DockerClient,
    private_daemon: PrivateDaemon,
) -> None:
    """A crash, a start by hand and a start of the engine: each looks the paths up again."""
    (tmp_path / "shadow").write_text("of the host")
    await deploy(engine, secretive)
    (web,) = await engine.containers(secretive)
    for name in FILES:
        (secretive.folder / name).unlink()
        (secretive.folder / name).symlink_to(tmp_path / "shadow")
    (secretive.folder / ".env").write_text("OWN=second\n")
    crashed(docker_client, web.id)
    assert shown(docker_client, web.id) == "first" * 6
    docker_client.containers.get(web.id).restart(timeout=1)
    assert shown(docker_client, web.id) == "first" * 6
    private_daemon.restart()
    docker_client.containers.get(web.id).start()
    assert shown(docker_client, web.id) == "first" * 6


async def test_rollback_has_secrets_of_today(
    engine: ComposeEngine, secretive: Environment, docker_client: docker.DockerClient
) -> None:
    first = await deploy(engine, secretive)
    for name in FILES:
        (secretive.folder / name).write_text("second")
    (secretive.folder / ".env").write_text("OWN=second\n")
    restored, _ = await engine.refresh_credentials(secretive, release_of(first.model_hash))
    await apply(engine, secretive, restored)
    (web,) = await engine.containers(secretive)
    assert shown(docker_client, web.id) == "second" * 3 + "first" * 3


async def test_release_with_secrets_in_place_returns(
    engine: ComposeEngine, secretive: Environment, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """Releases of the version before bind secrets from where they lie: they can be gone back to, as they are."""
    drafted = await deploy(engine, secretive)
    model = read_model((tmp_path / "state" / "models" / f"{drafted.model_hash}.yml").read_text())
    web = model["services"]["web"]
    web["volumes"] = [one for one in web["volumes"] if one["target"] not in {"/run/secrets/password", "/elsewhere"}]
    web["secrets"] = [{"source": "password"}, {"source": "password", "target": "/elsewhere"}]
    model["secrets"] = {"password": {"file": str(secretive.folder / "password")}}
    before = engine._models.save(read_model(write_model(model)))
    restored, _ = await engine.refresh_credentials(secretive, release_of(before))
    await apply(engine, secretive, restored)
    (container,) = await engine.containers(secretive)
    assert shown(docker_client, container.id) == "first" * 6


async def test_rollback_takes_no_secret_of_the_bot(
    engine: ComposeEngine, secretive: Environment, tmp_path: Path
) -> None:
    """What today's compose file may not have, a rollback does not get from it."""
    first = await deploy(engine, secretive)
    key = tmp_path / "state" / "secret_key"
    compose = secretive.compose_files[0]
    compose.write_text(COMPOSE.replace("file: ./password", f"file: {key}"))
    kept, (warning,) = await engine.refresh_credentials(secretive, release_of(first.model_hash))
    assert kept == first.model_hash
    assert "keeps the credentials" in warning


@pytest.mark.parametrize("level", [PolicyLevel.DEFAULT, PolicyLevel.STRICT, PolicyLevel.TRUSTED])
async def test_secret_that_the_host_renews(engine: ComposeEngine, secretive: Environment, level: PolicyLevel) -> None:
    """Only trust, or a permission, lets a secret be bound from where a checkout reaches it."""
    compose = COMPOSE.replace("restart:", "x-deploy: {live_binds: [./password]}\n    restart:")
    secretive.compose_files[0].write_text(compose)
    environment = replace(secretive, policy=level)
    entry = f"replaceable:{secretive.folder}/password"
    if level is not PolicyLevel.TRUSTED:
        with pytest.raises(ComposePolicyError) as caught:
            await engine.resolve(environment, None)
        assert caught.value.entries == (entry,)
        environment = replace(environment, allowed=(entry,))
    model = (await engine.resolve(environment, None)).model
    assert [one["source"] for one in model["services"]["web"]["secrets"]] == ["password", "password"]


@pytest.fixture
def as_plain_user() -> Iterator[None]:
    """Be somebody who can neither read everything nor give files away, as the bot is in its container."""
    os.seteuid(OTHER_USER)
    yield
    os.seteuid(0)


def place(tmp_path: Path, mode: int, uid: int, gid: int) -> Path:
    """Keep a secret's file; returns the copy."""
    source = tmp_path / "password"
    source.write_text("hunter2")
    os.chown(source, uid, gid)
    source.chmod(mode)
    return ContentStore(tmp_path / "contents", lambda: b"key").place_secret(source, write=True)


@pytest.mark.parametrize(("mode", "uid", "gid"), [(0o400, 0, 0), (0o440, 70, 71), (0o644, 999, 999)])
def test_copy_of_secret_is_readable_by_the_same(tmp_path: Path, mode: int, uid: int, gid: int) -> None:
    copied = place(tmp_path, mode, uid, gid)
    status = copied.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (mode, uid, gid)
    assert stat.S_IMODE(copied.parent.stat().st_mode) == 0o700
    assert place(tmp_path, mode, uid, gid) == copied
    assert place(tmp_path, mode, uid + 1, gid) != copied
    assert b"hunter2".hex() not in copied.name


def test_plain_user_keeps_secrets_readable(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A bot that cannot give the copy to its owner lets everybody in the container read it, and refuses what it
    cannot read itself.
    """
    tmp_path.chmod(0o755)
    for folder in list(tmp_path.parents)[:3]:
        folder.chmod(folder.stat().st_mode | 0o011)
    for name, mode in (("shared", 0o440), ("private", 0o400)):
        (tmp_path / name).write_text("hunter2")
        (tmp_path / name).chmod(mode)
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", OTHER_USER, -1)
    store = ContentStore(tmp_path / "state" / "contents", lambda: b"key")
    request.getfixturevalue("as_plain_user")
    binder = SecretBinder(store, tmp_path, lambda _: False, write=True)
    model = {
        "services": {"web": {"secrets": [{"source": "shared"}, {"source": "private"}]}},
        "secrets": {name: {"file": str(tmp_path / name)} for name in ("shared", "private")},
    }
    web = binder.bind(model)["services"]["web"]
    (volume,) = web["volumes"]
    assert (volume["target"], volume["read_only"]) == ("/run/secrets/shared", True)
    assert stat.S_IMODE(Path(volume["source"]).stat().st_mode) == 0o444
    assert web["secrets"] == [{"source": "private"}]


def test_secret_file_that_is_large_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "s").open("wb") as file:
        file.truncate(5 << 20)
    binder = SecretBinder(ContentStore(tmp_path / "c"), tmp_path, lambda _: False, write=False)
    model = {"services": {"web": {"secrets": [{"source": "s"}]}}, "secrets": {"s": {"file": str(tmp_path / "s")}}}
    with pytest.raises(ComposeFileError, match="too large"):
        binder.bind(model)
