"""What Compose made of the same bytes is used again, and a changed file is seen, whatever its times say."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from roas.models.environment import Environment
from roas.stack.compose.runner import ComposeRunner
from roas.stack.stacks import Stacks
from tests.integration.stack.open_stacks import open_stacks

FILES = {
    "docker-compose.yml": "include: [{path: ./more.yml, env_file: ./more.env}]\n"
    "services: {web: {image: 'x:${TAG}', env_file: ['./web.env', {path: './${WHERE}.env', required: false}]}}\n",
    "more.yml": "services: {more: {image: 'y:${OTHER}', labels: {a: one}}}\n",
    "more.env": "OTHER=one\n",
    "web.env": "VALUE=one\n",
    ".env": "TAG=one\nWHERE=aside\n",
    "aside.env": "ASIDE=one\n",
}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A stack of files that name each other; its engine is away."""
    folder = tmp_path / "stack"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    files = (folder / "docker-compose.yml",)
    return Environment("dev", "p", folder, files, (folder / ".env",), docker_host="unix:///nowhere.sock")


@pytest.fixture
def jailed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note each command that Compose really runs in its jail."""
    ran: list[str] = []
    run = ComposeRunner.run_jailed

    async def noted(self: ComposeRunner, arguments: Any, *others: Any, **named: Any) -> Any:
        ran.append(str(arguments[-1]))
        return await run(self, arguments, *others, **named)

    monkeypatch.setattr(ComposeRunner, "run_jailed", noted)
    return ran


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Stacks]:
    """A bot's engine, which lives through all of it."""
    (tmp_path / "state").mkdir()
    async with open_stacks(tmp_path / "state") as made:
        yield made


async def resolved(engine: Stacks, environment: Environment, version: str | None = None) -> str:
    """Return all that is resolved, as a text."""
    return str((await engine.of(environment).resolve(version, write_contents=False)).model)


async def test_same_files_are_resolved_once(engine: Stacks, environment: Environment, jailed: list[str]) -> None:
    first = await resolved(engine, environment)
    assert len(jailed) == 2, "the model, and the variables within its paths"
    assert [await resolved(engine, environment) for _ in range(3)] == [first] * 3
    assert len(jailed) == 2
    await resolved(engine, environment, "v2")
    assert len(jailed) > 2, "another version is another model"


async def test_who_asks_meanwhile_waits_for_the_same(
    engine: Stacks, environment: Environment, jailed: list[str]
) -> None:
    first, second = await asyncio.gather(resolved(engine, environment), resolved(engine, environment))
    assert first == second
    assert len(jailed) == 2, "the model, and the variables within its paths"
    assert await resolved(engine, environment) == first


@pytest.mark.parametrize("name", list(FILES))
async def test_changed_file_is_seen_whatever_its_times(engine: Stacks, environment: Environment, name: str) -> None:
    """The same size, the same times and the same inode: only the bytes say that it is another file."""
    first = await resolved(engine, environment)
    path = environment.folder / name
    before = path.stat()
    path.write_text(FILES[name].replace("one", "two").replace("'x:", "'z:"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_ino) == (before.st_size, before.st_ino)
    second = await resolved(engine, environment)
    assert second != first
    path.write_text(FILES[name])
    assert await resolved(engine, environment) == first


async def test_file_that_comes_and_goes_is_seen(engine: Stacks, environment: Environment) -> None:
    aside = environment.folder / "aside.env"
    first = await resolved(engine, environment)
    aside.unlink()
    assert "ASIDE" in first
    assert "ASIDE" not in await resolved(engine, environment)
    aside.symlink_to("web.env")
    assert "ASIDE" not in await resolved(engine, environment)
    aside.unlink()
    aside.write_text(FILES["aside.env"])
    assert await resolved(engine, environment) == first


async def test_model_of_a_replaced_compose_is_made_anew(
    engine: Stacks, environment: Environment, jailed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await resolved(engine, environment)
    before = len(jailed)
    monkeypatch.setattr("roas.stack.compose.runner.mark", lambda program: (str(program), "another"))
    await resolved(engine, environment)
    assert len(jailed) == 2 * before


async def test_another_compose_is_asked_for_its_hashes(
    engine: Stacks, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes the containers from then on, and hashes otherwise."""
    asked: list[str] = []
    run = ComposeRunner.run

    async def noted(self: ComposeRunner, arguments: Any, *others: Any, **named: Any) -> Any:
        asked.append(str(arguments[-1]))
        return await run(self, arguments, *others, **named)

    monkeypatch.setattr(ComposeRunner, "run", noted)
    model = {"name": "p", "services": {"web": {"image": "x"}}}
    first = await engine.of(environment).wanted_services(model, (), as_it_is=True)
    assert await engine.of(environment).wanted_services(dict(model), (), as_it_is=True) == first
    assert len(asked) == 1, "a model is hashed once"
    monkeypatch.setattr("roas.stack.compose.runner.mark", lambda program: (str(program), "another"))
    await engine.of(environment).wanted_services(model, (), as_it_is=True)
    assert len(asked) == 2
