"""Where no container is there to be compared, a plan asks for no hashes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from roas.models.environment import Environment
from roas.stack.compose.runner import ComposeOutput
from roas.stack.containers.pinned_services import PinnedServices
from roas.stack.docker.engine import Engine
from roas.stack.model.live_files import LiveFiles

MODEL = {"name": "shop-dev", "services": {"web": {"image": "web:1"}}}
ENVIRONMENT = Environment(name="dev", folder=Path("/stack"), compose_files=(), project="shop-dev")


class Clients:
    async def local(self, work: Callable[[], Any]) -> Any:
        return work()


class Runner:
    asked = 0

    def installed(self) -> tuple[str, ...]:
        return ("compose",)

    async def run_without_engine(self, _arguments: list[str], _environment: Environment) -> ComposeOutput:
        self.asked += 1
        return ComposeOutput("web hash-of-web\n", "")


async def test_plan_of_new_stack_asks_nobody() -> None:
    runner = Runner()
    pinned = PinnedServices(Engine(Clients(), ENVIRONMENT), runner, None, LiveFiles(Path("/nowhere")))  # type: ignore[arg-type]
    found = await pinned.wanted(MODEL, ())
    assert found["web"].config_hash == ""
    assert not runner.asked
    found = await pinned.wanted(MODEL, (), as_it_is=True)
    assert found["web"].config_hash == "hash-of-web"
    assert runner.asked == 1
