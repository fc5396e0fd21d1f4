"""Paths that lead nowhere, in circles, or too deep are errors that say so; nothing of them waits or breaks a plan."""

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from roas.errors import ComposeFileError, RoasError
from roas.models.environment import Environment
from roas.stack.docker.engine import FILE_THREADS
from roas.stack.sources.build_context import BuildContext, IgnoreRules
from roas.stack.sources.contents import ContentStore
from roas.stack.sources.opening import is_there
from roas.stack.sources.trees import TooLargeError
from roas.stack.sources.withheld import Withheld
from roas.stack.stacks import Stacks
from tests.integration.stack.open_stacks import open_stacks, without_engine

TOKEN = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"
OTHER_USER = 4242
WEB = "services: {web: {image: x, %s}}"
PATHS = {"circle": "./circle", "in a circle": "./circle/a", "long": f"./{'a' * 5000}", "a zero": "./a\\0b"}
FIELDS = {
    "bind": WEB % 'volumes: [{type: bind, source: "%s", target: /t}]',
    "read-only bind": WEB % 'volumes: [{type: bind, source: "%s", target: /t, read_only: true}]',
    "secret": WEB % "secrets: [s]" + '\nsecrets: {s: {file: "%s"}}',
    "config": WEB % "configs: [c]" + '\nconfigs: {c: {file: "%s"}}',
    "context": WEB % 'build: "%s"',
    "Dockerfile": WEB % 'build: {context: ., dockerfile: "%s"}',
    "another context": WEB % 'build: {context: ./app, additional_contexts: {x: "%s"}}',
    "env file": WEB % 'env_file: "%s"',
    "extends": WEB % 'extends: {file: "%s", service: web}',
    "include": 'include: ["%s"]\nservices: {web: {image: x}}',
    "live bind": WEB % 'x-deploy: {live_binds: ["%s"]}',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stack's folder with a link to itself."""
    folder = tmp_path / "stack"
    (folder / "app").mkdir(parents=True)
    (folder / "circle").symlink_to("circle")
    return folder


@pytest.fixture
def environment(folder: Path) -> Environment:
    """An environment whose engine is away: a plan does without."""
    return without_engine(folder)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Stacks]:
    """One that knows of a token, for which it looks."""
    async with open_stacks(tmp_path / "state", token=TOKEN) as made:
        yield made


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("field", FIELDS)
async def test_path_that_is_none_breaks_no_plan(
    engine: Stacks, environment: Environment, field: str, path: str
) -> None:
    """It is planned, where the engine may say what it makes of it, or refused with a reason."""
    environment.compose_files[0].write_text(FIELDS[field] % PATHS[path])
    refused = ""
    try:
        async with asyncio.timeout(60):
            resolved = await engine.of(environment).resolve(None, write_contents=False)
    except RoasError as error:
        refused = f"{error.message} {error.hint}"
    assert refused or resolved.model["services"]


@pytest.mark.parametrize("text", ["5", "./app", "{a: b}", "[1]"])
async def test_live_binds_that_are_no_list_are_refused(engine: Stacks, environment: Environment, text: str) -> None:
    environment.compose_files[0].write_text(WEB % f"x-deploy: {{live_binds: {text}}}")
    with pytest.raises(ComposeFileError, match="not a list of paths"):
        await engine.of(environment).resolve(None, write_contents=False)


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """Folders in folders, more than a path can name, and than Python removes."""
    (tmp_path / "deep").mkdir()
    opened = os.open(tmp_path / "deep", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=opened)
        below = os.open("d", os.O_RDONLY, dir_fd=opened)
        os.close(opened)
        opened = below
    os.close(opened)
    yield tmp_path / "deep"
    subprocess.run(("rm", "-r", str(tmp_path / "deep")), check=True)


def test_folder_that_is_too_deep_is_not_followed(tmp_path: Path, deep: Path) -> None:
    with pytest.raises(TooLargeError):
        ContentStore(tmp_path / "contents").place(deep, write=False)
    with pytest.raises(ComposeFileError, match="folders deep"):
        BuildContext(deep, tmp_path, IgnoreRules(""), Withheld()).take()
    BuildContext(deep, tmp_path, IgnoreRules("d\n"), Withheld()).take()


@pytest.fixture
def asked_often(engine: Stacks) -> Callable[[Environment, Environment], object]:
    """Plan one environment more often than there are threads for files, then another one."""

    async def ask(hung: Environment, other: Environment) -> None:
        begun = time.monotonic()
        async with asyncio.timeout(30):
            plans = [engine.of(hung).resolve(None, write_contents=False) for _ in range(2 * FILE_THREADS)]
            await asyncio.gather(*plans, return_exceptions=True)
            assert (await engine.of(other).resolve(None, write_contents=False)).model["services"]
        assert time.monotonic() - begun < 20

    return ask


async def test_pipe_beside_a_build_leaves_others_alone(
    engine: Stacks, environment: Environment, asked_often: Callable[[Environment, Environment], object]
) -> None:
    """A container makes a pipe of `.dockerignore` in a folder that it may write and that is built from."""
    folder = environment.folder
    os.mkfifo(folder / "app" / ".dockerignore")
    environment.compose_files[0].write_text(WEB % "build: ./app, volumes: ['./app:/app']")
    (folder / "good.yml").write_text("services: {web: {image: x}}")
    await asked_often(environment, replace(environment, name="other", compose_files=(folder / "good.yml",)))


def test_what_may_not_be_looked_at_is_taken_to_be_there(tmp_path: Path) -> None:
    for place in (tmp_path, *list(tmp_path.parents)[:3]):
        place.chmod(place.stat().st_mode | 0o011)
    (tmp_path / "closed").mkdir(mode=0o700)
    os.seteuid(OTHER_USER)
    try:
        assert is_there(tmp_path / "closed" / "any")
        assert not is_there(tmp_path / "none")
    finally:
        os.seteuid(0)
