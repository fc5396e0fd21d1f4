"""What a plan is bound to besides its model: secrets by a keyed hash, settings and policy."""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from roas.errors import ComposeFileError
from roas.models.environment import Environment
from roas.redaction import Redactor
from roas.stack.stacks import Stacks
from tests.integration.stack.open_stacks import without_engine

COMPOSE = "services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {file: ./password}}"

Ask = Callable[..., object]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A stack with a secret, whose engine is away: a plan does without."""
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / "password").write_text("hunter2")
    (folder / "docker-compose.yml").write_text(COMPOSE)
    return without_engine(folder)


@pytest.fixture
async def inputs(tmp_path: Path) -> AsyncIterator[Ask]:
    """Ask a bot that is started anew each time, on the same state."""
    made: list[Stacks] = []
    (tmp_path / "state").mkdir()

    async def ask(environment: Environment, *allowed: str) -> str:
        made.append(Stacks(state_dir=tmp_path / "state", instance_id="T", policy_allow=allowed, redactor=Redactor()))
        stack = made[-1].of(environment)
        model = (await stack.resolve(None, write_contents=False)).model
        return f"{await stack.releases.hash_inputs(model)} {model}"

    yield ask
    for stacks in made:
        await stacks.close()


async def test_change_of_an_input_changes_the_hash(inputs: Ask, environment: Environment, tmp_path: Path) -> None:
    first = await inputs(environment)
    assert await inputs(environment) == first, "the key outlives the bot"
    beside = replace(environment, siblings=frozenset({"q"}), withheld=frozenset({tmp_path / "site"}))
    assert await inputs(beside) == first, "another environment in the settings changes nothing of this one"
    others = [
        await inputs(environment, "bind:/srv/nothing"),
        await inputs(replace(environment, observation_seconds=1.5)),
        await inputs(replace(environment, critical_services=frozenset({"web"}))),
        await inputs(replace(environment, needs_approval=True)),
    ]
    (environment.folder / "password").write_text("hunter3")
    others.append(await inputs(environment))
    (environment.folder / "password").write_text("hunter2")
    assert await inputs(environment) == first
    key = tmp_path / "state" / "secret_key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.unlink()
    others.append(await inputs(environment))
    assert len({first, *others}) == len(others) + 1


async def test_secret_that_is_a_pipe_is_named(inputs: Ask, environment: Environment) -> None:
    (environment.folder / "password").unlink()
    os.mkfifo(environment.folder / "password")
    with pytest.raises(ComposeFileError, match="password is not a regular file"):
        await inputs(environment)
