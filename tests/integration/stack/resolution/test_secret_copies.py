"""What a container has as secrets and configs is what was planned, whatever lies in the stack's folder since."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from roas.errors import ComposePolicyError
from roas.models.environment import Environment, PolicyLevel
from roas.stack.model.text import read_model, write_model
from roas.stack.stacks import Stacks
from testbed.daemon import PrivateDaemon
from tests.integration.stack.applying import apply, deploy, draft
from tests.integration.stack.policy.test_todays_policy import crashed
from tests.integration.stack.test_faults import release_of

Stack = Callable[..., Environment]
COMPOSE = """
services:
  web:
    image: tiny:v1
    network_mode: none
    restart: always
    secrets: [password, {source: password, target: /elsewhere}, own]
    configs: [settings, inline, variable]
secrets: {password: {file: ./password}, own: {environment: OWN}}
configs: {settings: {file: ./settings}, inline: {content: first}, variable: {environment: OWN}}
"""
FILES = ("password", "settings")
LOOK = "cat /run/secrets/password /elsewhere /run/secrets/own /settings /inline /variable"


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
    engine: Stacks,
    secretive: Environment,
    tmp_path: Path,
    docker_client: docker.DockerClient,
    private_daemon: PrivateDaemon,
) -> None:
    """A crash, a start by hand and a start of the engine: each looks the paths up again."""
    (tmp_path / "shadow").write_text("of the host")
    await deploy(engine, secretive)
    (web,) = await engine.of(secretive).containers()
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
    engine: Stacks, secretive: Environment, docker_client: docker.DockerClient
) -> None:
    first = await draft(engine, secretive)
    for name in FILES:
        (secretive.folder / name).write_text("second")
    (secretive.folder / ".env").write_text("OWN=second\n")
    restored, _ = await engine.of(secretive).releases.renew(release_of(first.model_hash))
    await apply(engine, secretive, restored)
    (web,) = await engine.of(secretive).containers()
    assert shown(docker_client, web.id) == "second" * 3 + "first" * 3


async def test_release_with_secrets_in_place_returns(
    engine: Stacks, secretive: Environment, tmp_path: Path, docker_client: docker.DockerClient
) -> None:
    """Releases of the version before bind secrets from where they lie: they can be gone back to, as they are."""
    drafted = await draft(engine, secretive)
    model = read_model((tmp_path / "state" / "models" / f"{drafted.model_hash}.yml").read_text())
    web = model["services"]["web"]
    web["volumes"] = [item for item in web["volumes"] if item["target"] not in {"/run/secrets/password", "/elsewhere"}]
    web["secrets"] = [{"source": "password"}, {"source": "password", "target": "/elsewhere"}]
    model["secrets"] = {"password": {"file": str(secretive.folder / "password")}}
    before = engine._parts.models.save(read_model(write_model(model)))
    restored, _ = await engine.of(secretive).releases.renew(release_of(before))
    await apply(engine, secretive, restored)
    (container,) = await engine.of(secretive).containers()
    assert shown(docker_client, container.id) == "first" * 6


async def test_rollback_takes_no_secret_of_the_bot(engine: Stacks, secretive: Environment, tmp_path: Path) -> None:
    """What today's compose file may not have, a rollback does not get from it."""
    first = await draft(engine, secretive)
    key = tmp_path / "state" / "secret_key"
    compose = secretive.compose_files[0]
    compose.write_text(COMPOSE.replace("file: ./password", f"file: {key}"))
    kept, (warning,) = await engine.of(secretive).releases.renew(release_of(first.model_hash))
    assert kept == first.model_hash
    assert "keeps the credentials" in warning


@pytest.mark.parametrize("level", [PolicyLevel.DEFAULT, PolicyLevel.STRICT, PolicyLevel.TRUSTED])
async def test_secret_that_the_host_renews(engine: Stacks, secretive: Environment, level: PolicyLevel) -> None:
    """Only trust, or a permission, lets a secret be bound from where a checkout reaches it."""
    compose = COMPOSE.replace("restart:", "x-deploy: {live_binds: [./password]}\n    restart:")
    secretive.compose_files[0].write_text(compose)
    environment = replace(secretive, policy=level)
    entry = f"replaceable:{secretive.folder}/password"
    if level is not PolicyLevel.TRUSTED:
        with pytest.raises(ComposePolicyError) as caught:
            await engine.of(environment).resolve(None)
        assert caught.value.entries == (entry,)
        environment = replace(environment, allowed=(entry,))
    model = (await engine.of(environment).resolve(None)).model
    assert [item["source"] for item in model["services"]["web"]["secrets"]] == ["password", "password"]
