"""Configuration files belong to a release: a rollback brings their content and modes back."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest

from roas.engine.compose_engine import ComposeEngine
from roas.engine.resolution.content_binding import ContentBinder
from roas.engine.sources import contents
from roas.engine.sources.contents import ContentStore, content_hash
from roas.errors import ComposeFileError
from roas.models.environment import Environment
from tests.integration.engine.applying import apply, deploy, draft
from tests.integration.engine.test_faults import release_of

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


async def test_rollback_restores_mounted_files(
    engine: ComposeEngine, mounted: Environment, docker_client: docker.DockerClient
) -> None:
    folder = mounted.folder
    first = await deploy(engine, mounted)
    for name in ("conf/run.sh", "settings.ini", "password"):
        (folder / name).write_text("second")
    (folder / "conf" / "run.sh").chmod(0o700)
    (folder / "conf" / "more").write_text("second")
    (folder / "web.env").write_text("GREETING=second\n")
    await deploy(engine, mounted)
    (web,) = await engine.containers(mounted)
    look = "cat /conf/run.sh /etc/settings.ini /inline; echo; ls /conf; echo $GREETING; cat /run/secrets/password"
    second = "secondsecondcosts 5$\nlink\nmore\nrun.sh\nsecond\nsecond"
    assert shown(docker_client, web.id, look) == second
    restored, _ = await engine.refresh_credentials(mounted, release_of(first.model_hash))
    await apply(engine, mounted, restored)
    (web,) = await engine.containers(mounted)
    rolled_back = "firstfirstcosts 5$\nlink\nrun.sh\nfirst\nsecond"  # a secret is always today's
    assert shown(docker_client, web.id, look) == rolled_back
    assert shown(docker_client, web.id, "ls -ld /conf | cut -c1-10") == "drwxr-x---"
    kept = Path((await engine.load_model(first.model_hash))["services"]["web"]["volumes"][0]["source"])
    assert stat.S_IMODE((kept / "run.sh").stat().st_mode) == 0o755
    assert (folder / "conf" / "run.sh").read_text() == "second"


async def test_later_edit_does_not_reach_container(
    engine: ComposeEngine, mounted: Environment, docker_client: docker.DockerClient
) -> None:
    await deploy(engine, mounted)
    (mounted.folder / "settings.ini").write_text("edited")
    (web,) = await engine.containers(mounted)
    assert shown(docker_client, web.id, "cat /etc/settings.ini") == "first"


async def test_only_content_changes_change_service(engine: ComposeEngine, mounted: Environment) -> None:
    first = await draft(engine, mounted)
    (mounted.folder / "settings.ini").touch()
    assert (await draft(engine, mounted)).model_hash == first.model_hash
    (mounted.folder / "settings.ini").write_text("other")
    second = await draft(engine, mounted)
    assert second.services[0].definition_hash != first.services[0].definition_hash
    assert await engine.current_hashes(first.model_hash, mounted) != await engine.current_hashes(
        second.model_hash, mounted
    )


async def test_plan_writes_nothing(engine: ComposeEngine, mounted: Environment, tmp_path: Path) -> None:
    planned = await engine.resolve(mounted, None, write_contents=False)
    assert not (tmp_path / "state").exists()
    written = await engine.resolve(mounted, None)
    assert planned.definitions == written.definitions
    modes = {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "state").iterdir() if p.name == "contents"}
    assert modes == {0o700}


async def test_missing_sources_named_at_once(engine: ComposeEngine, mounted: Environment) -> None:
    for name in ("settings.ini", "password"):
        (mounted.folder / name).unlink()
    with pytest.raises(ComposeFileError, match="do not exist") as caught:
        await engine.resolve(mounted, None)
    assert f"the config settings from {mounted.folder}/settings.ini" in caught.value.message
    assert f"the secret password from {mounted.folder}/password" in caught.value.message
    assert caught.value.service == "web"


async def test_missing_folder_created_with_warning(
    engine: ComposeEngine, mounted: Environment, docker_client: docker.DockerClient
) -> None:
    """What Compose would create is a warning; a folder in the place of a file is none that anybody wants."""
    shutil.rmtree(mounted.folder / "conf")
    resolved = await engine.resolve(mounted, None, write_contents=False)
    assert resolved.warnings == (
        f"web binds {mounted.folder}/conf, which does not exist: an empty folder is created there.",
    )
    await deploy(engine, mounted)
    (web,) = await engine.containers(mounted)
    assert shown(docker_client, web.id, "ls -A /conf") == ""
    assert (mounted.folder / "conf").is_dir()
    compose = mounted.compose_files[0]
    compose.write_text(compose.read_text().replace("./data:/data", "./acme.json:/acme.json"))
    with pytest.raises(ComposeFileError, match=r"web binds .*acme.json, which does not exist"):
        await engine.resolve(mounted, None)


async def test_writable_source_stays_in_place(engine: ComposeEngine, stack: Callable[..., Environment]) -> None:
    environment = stack(
        """
services:
  writer: {image: "tiny:v1", volumes: ["./shared:/out"]}
  reader: {image: "tiny:v1", volumes: ["./shared:/in:ro", ".:/all:ro"]}
"""
    )
    (environment.folder / "shared").mkdir()
    model = (await engine.resolve(environment, None)).model
    sources = {v["source"] for v in model["services"]["reader"]["volumes"]}
    assert sources == {str(environment.folder / "shared"), str(environment.folder)}


async def test_large_source_bound_with_warning(
    engine: ComposeEngine, mounted: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "MOST_FILES", 1)
    stack = await engine.resolve(mounted, None)
    assert stack.model["services"]["web"]["volumes"][0]["source"] == str(mounted.folder / "conf")
    (warning,) = stack.warnings
    assert "too large" in warning


def test_content_stored_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("a")
    store = ContentStore(tmp_path / "contents")

    def broken(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(contents, "_flush", broken)
    with pytest.raises(OSError, match="No space"):
        store.place(source, write=True)
    assert list((tmp_path / "contents").iterdir()) == []


def test_content_covers_modes_names_and_links(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    file = folder / "file"
    file.write_text("text")
    file.chmod(0o644)
    seen = [content_hash(folder)]
    file.chmod(0o600)
    seen.append(content_hash(folder))
    file.rename(folder / "other")
    seen.append(content_hash(folder))
    (folder / "link").symlink_to("other")
    seen.append(content_hash(folder))
    (folder / "empty").mkdir()
    seen.append(content_hash(folder))
    assert len(set(seen)) == len(seen)
    copy = ContentStore(tmp_path / "contents").place(folder, write=True)
    assert copy.name == content_hash(copy) == seen[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_content_name_ignores_owner(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    mine = content_hash(file)
    os.chown(file, 12345, 12345)
    assert content_hash(file) == mine
    kept = ContentStore(tmp_path / "contents").place(file, write=True)
    assert (kept.name, kept.stat().st_uid) == (mine, 12345)


def test_unused_contents_cleared_later(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "contents")
    needed, fresh, old = (store.place_text(text, write=True) for text in ("needed", "fresh", "old"))
    for path in (needed, old):
        os.utime(path, (0, 0))
    store.clear(lambda name: name == needed.name, 60)
    assert (needed.exists(), fresh.exists(), old.exists()) == (True, True, False)


SWAPPED = {
    "settings.ini": {"configs": [{"source": "settings"}]},
    "conf": {"volumes": [{"type": "bind", "source": "conf", "target": "/conf", "read_only": True}]},
    "conf/run.sh": {"volumes": [{"type": "bind", "source": "conf/run.sh", "target": "/run.sh", "read_only": True}]},
}


@pytest.mark.parametrize("name", SWAPPED)
def test_link_set_after_the_judgement_is_not_kept(tmp_path: Path, name: str) -> None:
    """What is bound is what was judged: a name that leads elsewhere by then is refused, not copied, nor bound."""
    folder, outside, store = tmp_path / "stack", tmp_path / "outside", ContentStore(tmp_path / "contents")
    (folder / "conf").mkdir(parents=True)
    outside.mkdir()
    for path in (folder / "settings.ini", folder / "conf" / "run.sh", outside / "run.sh"):
        path.write_text(f"in {path.parent.name}")
    service = {**SWAPPED[name], "volumes": [dict(one) for one in SWAPPED[name].get("volumes", ())]}
    for volume in service["volumes"]:
        volume["source"] = str(folder / volume["source"])
    model = {"services": {"web": service}, "configs": {"settings": {"file": str(folder / "settings.ini")}}}
    binder = ContentBinder(store, folder, lambda path: False, write=True)
    assert binder.bind(model)["services"]["web"]["volumes"][0]["source"].startswith(str(store.folder))
    (folder / name).rename(tmp_path / "was")
    (folder / name).symlink_to(outside if name == "conf" else outside / "run.sh")
    with pytest.raises(ComposeFileError, match="leads out of the stack's folder"):
        binder.bind(model)
    assert "in outside" not in {path.read_text() for path in store.folder.rglob("*") if path.is_file()}


def test_config_that_is_a_pipe_is_named_in_the_plan(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    model = {"services": {"web": {"configs": [{"source": "c"}]}}, "configs": {"c": {"file": str(tmp_path / "pipe")}}}
    binder = ContentBinder(ContentStore(tmp_path / "contents"), tmp_path, lambda _: False, write=False)
    with pytest.raises(ComposeFileError, match="pipe is not a regular file"):
        binder.bind(model)


@pytest.mark.parametrize("name", ["conf", "conf/sub"])
def test_link_set_while_copying_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The path is resolved and its size is known when one of its folders becomes a link to elsewhere."""
    folder, outside, store = tmp_path / "stack", tmp_path / "outside", ContentStore(tmp_path / "contents")
    for place in (folder / "conf" / "sub", outside / "sub"):
        place.mkdir(parents=True)
        (place / "run.sh").write_text(f"below {place.parent.name}")
    entries = contents._entries

    def swap_and_yield(source: Path) -> Iterator[Path]:
        for path in entries(source):
            if path.name == "run.sh" and not (tmp_path / "was").exists() and copying:
                (folder / name).rename(tmp_path / "was")
                (folder / name).symlink_to(outside if name == "conf" else outside / "sub")
            yield path

    def copy_and_note(*arguments: Path) -> None:
        copying.append(arguments[0])
        copy(*arguments)

    copy, copying = contents._copy, list[Path]()
    monkeypatch.setattr(contents, "_copy", copy_and_note)
    monkeypatch.setattr(contents, "_entries", swap_and_yield)
    with suppress(OSError):
        store.place(folder / "conf", beneath=folder, write=True)
    assert (tmp_path / "was").exists()
    kept = {path.read_text() for path in store.folder.rglob("*") if path.is_file() and not path.is_symlink()}
    assert "below outside" not in kept


@pytest.mark.parametrize("source", ["/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo"])
def test_host_place_is_bound_where_it_is(tmp_path: Path, source: str) -> None:
    """The policy has judged it. That it is a link of the host's, as /etc/localtime is, says nothing about the stack."""
    stack = tmp_path / "stack"
    stack.mkdir()
    volume = {"type": "bind", "source": source, "target": "/t", "read_only": True}
    binder = ContentBinder(ContentStore(tmp_path / "contents"), stack, lambda _: False, write=True)
    bound = binder.bind({"services": {"web": {"image": "x", "volumes": [volume]}}})
    assert bound["services"]["web"]["volumes"] == [volume]
