"""Configuration files belong to a release: a rollback brings their content and modes back."""

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from roas.errors import ComposeFileError
from roas.models.environment import Environment
from roas.stack.sources import contents
from roas.stack.stacks import Stacks
from tests.integration.stack.applying import apply, deploy, draft, hashes_of
from tests.integration.stack.test_faults import release_of

MOUNTED = """
services:
  web:
    image: tiny:v1
    env_file: [web.env]
    volumes: ["./conf:/conf:ro", "./data:/data"]
    configs: [{source: settings, target: /etc/settings.ini}, {source: inline, target: /inline}]
    secrets: [password]
configs:
  settings: {file: ./settings.ini}
  inline: {content: "costs 5$$"}
secrets:
  password: {file: ./password}
"""


@pytest.fixture
def mounted(stack: Callable[..., Environment]) -> Environment:
    environment = stack(MOUNTED)
    folder = environment.folder
    (folder / "conf").mkdir(mode=0o750)
    (folder / "data").mkdir()
    (folder / "conf" / "run.sh").write_text("first")
    (folder / "conf" / "run.sh").chmod(0o755)
    (folder / "conf" / "link").symlink_to("run.sh")
    (folder / "settings.ini").write_text("first")
    (folder / "password").write_text("first")
    (folder / "web.env").write_text("GREETING=first\n")
    return environment


def shown(client: docker.DockerClient, container_id: str, command: str) -> str:
    """Return what a command in a container prints."""
    return client.containers.get(container_id).exec_run(["sh", "-c", command]).output.decode().strip()


@pytest.mark.long
async def test_rollback_restores_mounted_files(
    engine: Stacks, mounted: Environment, docker_client: docker.DockerClient
) -> None:
    folder = mounted.folder
    first = await deploy(engine, mounted)
    for name in ("conf/run.sh", "settings.ini", "password"):
        (folder / name).write_text("second")
    (folder / "conf" / "run.sh").chmod(0o700)
    (folder / "conf" / "more").write_text("second")
    (folder / "web.env").write_text("GREETING=second\n")
    await deploy(engine, mounted)
    (web,) = await engine.of(mounted).containers()
    look = "cat /conf/run.sh /etc/settings.ini /inline; echo; ls /conf; echo $GREETING; cat /run/secrets/password"
    second = "secondsecondcosts 5$\nlink\nmore\nrun.sh\nsecond\nsecond"
    assert shown(docker_client, web.id, look) == second
    restored, _ = await engine.of(mounted).releases.renew(release_of(first.model_hash))
    await apply(engine, mounted, restored)
    (web,) = await engine.of(mounted).containers()
    rolled_back = "firstfirstcosts 5$\nlink\nrun.sh\nfirst\nsecond"  # a secret is always today's
    assert shown(docker_client, web.id, look) == rolled_back
    assert shown(docker_client, web.id, "ls -ld /conf | cut -c1-10") == "drwxr-x---"
    kept = Path((await engine.load_model(first.model_hash))["services"]["web"]["volumes"][0]["source"])
    assert stat.S_IMODE((kept / "run.sh").stat().st_mode) == 0o755
    assert (folder / "conf" / "run.sh").read_text() == "second"


async def test_later_edit_does_not_reach_container(
    engine: Stacks, mounted: Environment, docker_client: docker.DockerClient
) -> None:
    await deploy(engine, mounted)
    (mounted.folder / "settings.ini").write_text("edited")
    (web,) = await engine.of(mounted).containers()
    assert shown(docker_client, web.id, "cat /etc/settings.ini") == "first"


async def test_only_content_changes_change_service(engine: Stacks, mounted: Environment) -> None:
    first = await draft(engine, mounted)
    (mounted.folder / "settings.ini").touch()
    assert (await draft(engine, mounted)).model_hash == first.model_hash
    (mounted.folder / "settings.ini").write_text("other")
    second = await draft(engine, mounted)
    assert second.services[0].definition_hash != first.services[0].definition_hash
    found = [await hashes_of(engine.of(mounted), made.model_hash, as_it_is=True) for made in (first, second)]
    assert found[0] != found[1]


async def test_plan_writes_nothing(engine: Stacks, mounted: Environment, tmp_path: Path) -> None:
    planned = await engine.of(mounted).resolve(None, write_contents=False)
    assert not (tmp_path / "state").exists()
    written = await engine.of(mounted).resolve(None)
    assert planned.definitions == written.definitions
    modes = {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "state").iterdir() if p.name == "contents"}
    assert modes == {0o700}


async def test_missing_sources_named_at_once(engine: Stacks, mounted: Environment) -> None:
    for name in ("settings.ini", "password"):
        (mounted.folder / name).unlink()
    with pytest.raises(ComposeFileError, match="do not exist") as caught:
        await engine.of(mounted).resolve(None)
    assert f"the config settings from {mounted.folder}/settings.ini" in caught.value.message
    assert f"the secret password from {mounted.folder}/password" in caught.value.message
    assert caught.value.service == "web"


async def test_missing_folder_created_with_warning(
    engine: Stacks, mounted: Environment, docker_client: docker.DockerClient
) -> None:
    """What Compose would create is a warning; a folder in the place of a file is none that anybody wants."""
    shutil.rmtree(mounted.folder / "conf")
    resolved = await engine.of(mounted).resolve(None, write_contents=False)
    assert resolved.warnings == (
        f"web binds {mounted.folder}/conf, which does not exist: an empty folder is created there.",
    )
    await deploy(engine, mounted)
    (web,) = await engine.of(mounted).containers()
    assert shown(docker_client, web.id, "ls -A /conf") == ""
    assert (mounted.folder / "conf").is_dir()
    compose = mounted.compose_files[0]
    compose.write_text(compose.read_text().replace("./data:/data", "./acme.json:/acme.json"))
    with pytest.raises(ComposeFileError, match=r"acme\.json"):
        await engine.of(mounted).resolve(None)


async def test_writable_source_stays_in_place(engine: Stacks, stack: Callable[..., Environment]) -> None:
    environment = stack(
        """
services:
  writer: {image: "tiny:v1", volumes: ["./shared:/out"]}
  reader: {image: "tiny:v1", volumes: ["./shared:/in:ro", ".:/all:ro"]}
"""
    )
    (environment.folder / "shared").mkdir()
    model = (await engine.of(environment).resolve(None)).model
    sources = {v["source"] for v in model["services"]["reader"]["volumes"]}
    assert sources == {str(environment.folder / "shared"), str(environment.folder)}


async def test_large_source_bound_with_warning(
    engine: Stacks, mounted: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "MOST_FILES", 1)
    stack = await engine.of(mounted).resolve(None)
    assert stack.model["services"]["web"]["volumes"][0]["source"] == str(mounted.folder / "conf")
    (warning,) = stack.warnings
    assert "too large" in warning
