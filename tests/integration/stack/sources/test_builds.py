"""What is built is what was planned: from a copy, of which the files are those that BuildKit would take."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from roas.errors import ComposeFileError, ComposePolicyError, ImageChangedError
from roas.models.environment import Environment, PolicyLevel
from roas.stack.compose import commands
from roas.stack.compose.commands import ComposeProject
from roas.stack.compose.runner import ComposeRunner
from roas.stack.interface import ProgressReport
from roas.stack.stacks import Stacks
from tests.integration.stack.open_stacks import open_stacks
from tests.unit.stack.sources.test_builds import context

__all__ = ["context"]


@pytest.fixture
def report() -> ProgressReport:
    """Hear of progress, and tell nobody."""

    async def hear(service: str, text: str, fraction: float | None) -> None:
        return None

    return hear


def image_files(client: docker.DockerClient, image_id: str) -> dict[str, str]:
    """Return what lies in the folders and files that the build above makes."""
    look = "cd / && find all more secret ! -type d | sort | while read f; do echo $f $(stat -c %A $f) $(cat $f); done"
    output = client.containers.run(image_id, ["sh", "-c", look], remove=True).decode()
    return {line.split()[0]: line.partition(" ")[2] for line in output.splitlines()}


async def test_copy_builds_what_the_original_does(
    engine: Stacks,
    context: Environment,
    report: ProgressReport,
    docker_client: docker.DockerClient,
    tmp_path: Path,
) -> None:
    """BuildKit itself says what its rules leave out: the image is that of `docker compose build`."""
    resolved = await engine.of(context).resolve(None)
    wanted = (await engine.of(resolved.environment).images.look_up(resolved, frozenset({"web"})))["web"]
    image_id = await engine.of(resolved.environment).images.build(resolved, "web", report, expected=wanted.build_hash)
    found = image_files(docker_client, image_id)
    docker_client.images.remove(image_id, force=True)
    project = ComposeProject(context.project, context.compose_files, context.env_files)
    await ComposeRunner("T").run(commands.build(project, "web"), context)
    by_hand = docker_client.images.get(f"{context.project}-web")
    assert found == image_files(docker_client, str(by_hand.id))
    assert {"all/main", "all/keep.log", "all/A.LOG", "all/link", "more/extra", "secret"} <= found.keys()
    assert not {"all/a.log", "all/node_modules/m", "all/top", "all/sub/a/x"} & found.keys()
    docker_client.images.remove(str(by_hand.id), force=True)
    assert [path.name for path in (tmp_path / "state" / "builds").iterdir()] == [wanted.build_hash]
    await engine.of(context).images.discard_builds([wanted.build_hash])
    assert list((tmp_path / "state" / "builds").iterdir()) == []
    with pytest.raises(ImageChangedError, match="not kept any more"):
        await engine.of(resolved.environment).images.build(resolved, "web", report, expected=wanted.build_hash)


CHANGES = ("docker/Dockerfile", "app/main", "app/.dockerignore", "more/extra", "secret", "mode", "link", "new", "gone")


async def test_change_after_the_plan_is_not_built(
    engine: Stacks, context: Environment, report: ProgressReport, docker_client: docker.DockerClient
) -> None:
    """Each change makes another plan; what is built of the first one is what its copy holds."""
    folder = context.folder
    resolved = await engine.of(context).resolve(None)
    first = (await engine.of(resolved.environment).images.look_up(resolved, frozenset({"web"})))["web"]
    names = [first.identity]
    before = {name: (folder / name).read_text() for name in ("app/main", "more/extra", "secret")}
    for changed in CHANGES:
        match changed:
            case "mode":
                (folder / "app" / "main").chmod(0o755)
            case "link":
                (folder / "app" / "link").unlink()
                (folder / "app" / "link").symlink_to("run.sh")
            case "new":
                (folder / "app" / "dir" / "new").write_text("new")
            case "gone":
                (folder / "app" / "run.sh").unlink()
            case _:
                with (folder / changed).open("a") as file:
                    file.write("# changed\n")
        names.append(
            (await engine.of(resolved.environment).images.look_up(resolved, frozenset({"web"})))["web"].identity
        )
        assert names[-1] not in names[:-1], changed
    image_id = await engine.of(resolved.environment).images.build(resolved, "web", report, expected=first.build_hash)
    found = image_files(docker_client, image_id)
    docker_client.images.remove(image_id, force=True)
    assert {
        name: found[path].partition(" ")[2]
        for name, path in (("app/main", "all/main"), ("more/extra", "more/extra"), ("secret", "secret"))
    } == {name: text.strip() for name, text in before.items()}
    assert "all/dir/new" not in found
    assert "all/run.sh" in found


async def test_what_is_left_out_changes_no_plan(engine: Stacks, context: Environment) -> None:
    resolved = await engine.of(context).resolve(None)
    before = (await engine.of(resolved.environment).images.look_up(resolved, frozenset({"web"})))["web"]
    for name in ("a.log", "node_modules/m", "top"):
        (context.folder / "app" / name).write_text("changed")
    (context.folder / "app" / "main").touch()
    assert (await engine.of(resolved.environment).images.look_up(resolved, frozenset({"web"})))["web"] == before


async def test_state_in_a_context_is_left_out(
    stack: Callable[..., Environment], report: ProgressReport, docker_client: docker.DockerClient
) -> None:
    """The shipped place of the state is the stack's folder, of which an image may be built where that is allowed."""
    environment = stack("services: {web: {build: .}}")
    state = environment.folder / "state"
    state.mkdir()
    (state / "journal").write_text("of all environments")
    (environment.folder / "Dockerfile").write_text("FROM tiny:v1\nCOPY . /all\n")
    async with open_stacks(state, "state_dir:web") as allowing:
        image_id = await allowing.of(environment).images.build(
            await allowing.of(environment).resolve(None), "web", report
        )
    found = docker_client.containers.run(image_id, ["sh", "-c", "find /all -type f"], remove=True).decode().split()
    assert sorted(found) == ["/all/Dockerfile", "/all/docker-compose.yml"]
    docker_client.images.remove(image_id, force=True)


async def test_link_out_of_the_folder_is_not_built(
    engine: Stacks, context: Environment, report: ProgressReport, tmp_path: Path
) -> None:
    """A context that becomes a link to elsewhere after it was judged is refused, not followed."""
    resolved = await engine.of(context).resolve(None)
    (tmp_path / "elsewhere").mkdir()
    (context.folder / "more").rename(tmp_path / "was")
    (context.folder / "more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ComposeFileError, match="out of the stack's folder"):
        await engine.of(resolved.environment).images.build(resolved, "web", report)


async def test_large_context_is_refused_by_its_folders(
    engine: Stacks, context: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roas.stack.sources.build_context.MOST_BYTES", 10 << 20)
    for name, size in (("node", 30), ("data", 90), ("small", 1)):
        path = context.folder / "app" / name
        path.mkdir()
        (path / "file").touch()
        os.truncate(path / "file", size << 20)
    with pytest.raises(ComposeFileError, match=r"Largest: data \(90 MiB\), node \(30 MiB\), small") as caught:
        await engine.of(context).images.look_up(await engine.of(context).resolve(None), frozenset({"web"}))
    assert ".dockerignore" in caught.value.hint


async def test_base_image_that_is_moved_after_the_plan_is_not_built_upon(
    engine: Stacks, stack: Callable[..., Environment], report: ProgressReport, docker_client: docker.DockerClient
) -> None:
    """A name on this machine is everybody's: what was planned begins with what the name meant then."""
    environment = stack("services: {web: {build: .}}")
    (environment.folder / "Dockerfile").write_text("FROM base-of:web\nCOPY --from=tools-of:web / /tools\n")
    docker_client.images.get("tiny:v1").tag("tools-of", "web")
    container = docker_client.containers.create("tiny:v1")
    base = container.commit("base-of", "web")
    container.remove()
    resolved = await engine.of(environment).resolve(None)
    wanted = (await engine.of(environment).images.look_up(resolved, frozenset({"web"})))["web"]
    for name in ("base-of", "tools-of"):
        docker_client.images.get("tiny:v2").tag(name, "web", force=True)
    again = (await engine.of(environment).images.look_up(resolved, frozenset({"web"})))["web"]
    assert again.build_hash != wanted.build_hash, "another plan"
    image_id = await engine.of(environment).images.build(resolved, "web", report, expected=wanted.build_hash)
    look = ["sh", "-c", "ls /version /tools/version 2>/dev/null; true"]
    assert docker_client.containers.run(image_id, look, remove=True) == b"", "only the second one has such a file"
    left = [image.id for image in docker_client.images.list() for tag in image.tags if "roas-build/base" in tag]
    assert left == [base.id], "nothing else names it: with its last name it would be deleted, which nobody asked for"
    for name in ("base-of:web", "tools-of:web", image_id, base.id):
        docker_client.images.remove(name, force=True)


async def test_only_a_frontend_of_docker_reads_unasked(engine: Stacks, stack: Callable[..., Environment]) -> None:
    """Another one calls a mounted cache as it likes, also as another project does."""
    environment = stack("services: {web: {build: .}}")
    (environment.folder / "Dockerfile").write_text("# syntax=tiny:v1\nFROM tiny:v1\n")
    resolved = await engine.of(environment).resolve(None)
    with pytest.raises(ComposePolicyError, match="no frontend of Docker's") as caught:
        await engine.of(environment).images.look_up(resolved, frozenset({"web"}))
    allowed = replace(environment, allowed=caught.value.entries)
    assert await engine.of(allowed).images.look_up(await engine.of(allowed).resolve(None), frozenset({"web"}))


@pytest.mark.parametrize("level", PolicyLevel)
async def test_nothing_is_built_of_an_image_of_the_bot(
    engine: Stacks, stack: Callable[..., Environment], level: PolicyLevel
) -> None:
    environment = replace(stack("services: {web: {build: {context: ., args: {B: roas}}}}"), policy=level)
    for text in ("ARG B=x\nFROM ${B}-release/other-web:r1", "FROM tiny:v1\nCOPY --from=roas/web:v1-0 / /"):
        (environment.folder / "Dockerfile").write_text(text)
        resolved = await engine.of(environment).resolve(None)
        with pytest.raises(ComposePolicyError, match="the bot's own"):
            await engine.of(environment).images.look_up(resolved, frozenset({"web"}))
