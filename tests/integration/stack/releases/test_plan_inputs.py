"""What a plan is bound to besides its model: secrets by a keyed hash, settings and policy."""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from roas.deploy.kept_plans import say_changed
from roas.errors import ComposeFileError
from roas.models.environment import Environment
from roas.redaction import Redactor
from roas.stack.releases.today import hash_inputs
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
        return await stack.releases.hash_inputs(model)

    yield ask
    for stacks in made:
        await stacks.close()


async def test_change_of_an_input_is_named(inputs: Ask, environment: Environment, tmp_path: Path) -> None:
    first = await inputs(environment)
    assert await inputs(environment) == first, "the key outlives the bot"
    beside = replace(environment, siblings=frozenset({"q"}), withheld=frozenset({tmp_path / "site"}))
    assert await inputs(beside) == first, "another environment in the settings changes nothing of this one"
    changed = {
        "policy_allow": await inputs(environment, "bind:/srv/nothing"),
        "observation_seconds": await inputs(replace(environment, observation_seconds=1.5)),
        "critical_services": await inputs(replace(environment, critical_services=frozenset({"web"}))),
        "needs_approval": await inputs(replace(environment, needs_approval=True)),
    }
    path = environment.folder / "password"
    model = {"services": {"web": {"secrets": [{"source": "s"}]}}, "secrets": {"s": {"file": str(path)}}}
    before = hash_inputs(model, environment, (), b"key")
    path.write_text("hunter3")
    assert (
        say_changed(before, hash_inputs(model, environment, (), b"key")) == "secrets.s changed since this was planned."
    )
    for name, now in changed.items():
        assert say_changed(first, now) == f"{name} changed since this was planned."
    assert "hunter" not in "".join(changed.values())
    key = tmp_path / "state" / "secret_key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.unlink()
    assert say_changed(first, await inputs(environment))
    assert "a secret or the policy changed" in say_changed("of the release before", first)


async def test_secret_that_is_a_pipe_is_named(inputs: Ask, environment: Environment) -> None:
    (environment.folder / "password").unlink()
    os.mkfifo(environment.folder / "password")
    with pytest.raises(ComposeFileError, match="password is not a regular file"):
        await inputs(environment)
