"""What is created goes on with the Compose that was let look for it, whoever else gets ready meanwhile."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roas.engine.compose.processes import WaitingCommand
from roas.engine.containers import compose_creation
from roas.engine.containers.compose_creation import ComposeCreation
from roas.models.environment import Environment

ENVIRONMENT = Environment(name="dev", folder=Path("/stack"), compose_files=(), project="shop-dev")
SERVICES = {"web": {"image": "web:1"}}


class Runner:
    """Start commands that are numbered, and note which goes on; 0 is one that is started when nothing is ready."""

    def __init__(self) -> None:
        self.started = 0
        self.went_on: list[int] = []

    @asynccontextmanager
    async def waiting(self, arguments: list[str], *_: object) -> AsyncIterator[WaitingCommand]:
        self.started += 1
        number = self.started

        async def go_on(*_: object) -> Any:
            self.went_on.append(number)

        process: Any = SimpleNamespace(returncode=None)
        yield WaitingCommand(tuple(arguments), process, lambda: None, go_on)

    async def run(self, *_: object, **__: object) -> None:
        self.went_on.append(0)


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def creation(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> ComposeCreation:
    async def named(*_: object) -> None:
        pass

    monkeypatch.setattr(compose_creation, "set_references", named)
    models: Any = SimpleNamespace(existing=lambda model_hash: Path(f"/models/{model_hash}.yml"))
    clients: Any = None
    return ComposeCreation(clients, runner, models, clients)  # type: ignore[arg-type]


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def ready(creation: ComposeCreation, model_hash: str = "a" * 64) -> Any:
    return creation.ready(ENVIRONMENT, model_hash, SERVICES, scale={}, looked=lambda: None)


async def create(creation: ComposeCreation) -> None:
    await creation.create(ENVIRONMENT, "a" * 64, SERVICES, keep_existing=True, scale={})


@pytest.mark.parametrize("other", ["a" * 64, "b" * 64])
async def test_another_click_takes_nothing_from_a_deployment(
    creation: ComposeCreation, runner: Runner, opened: AsyncExitStack, other: str
) -> None:
    """What the other click started is refused by the deployment lock, and so is ended when its time is over."""
    look = await opened.enter_async_context(ready(creation))
    await look()
    await opened.enter_async_context(ready(creation, other))
    await create(creation)
    assert runner.went_on == [1]


async def test_what_was_not_let_look_creates_nothing(
    creation: ComposeCreation, runner: Runner, opened: AsyncExitStack
) -> None:
    """It ends by itself soon, whatever it does then."""
    await opened.enter_async_context(ready(creation))
    await create(creation)
    assert runner.went_on == [0]


async def test_what_has_ended_creates_nothing(creation: ComposeCreation, runner: Runner) -> None:
    async with ready(creation) as look:
        await look()
    await create(creation)
    assert runner.went_on == [0]
