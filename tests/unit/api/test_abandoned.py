"""A deployment whose process died is under way for nobody: `status` says so where no bot has taken it over."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from roas.api.application import read_status
from roas.api.documents import StatusReport
from roas.cli.output import Terminal
from roas.cli.status import show_status
from roas.models.environment import Environment
from roas.state.manager import StateManager
from tests.unit.api.conftest import HEALTH
from tests.unit.state.samples import a_deployment

DEV = Environment("dev", "shop-dev", Path(), ())


class Collector:
    """Show a stack that is well."""

    async def collect_all_metrics(self, environment: Environment):
        return HEALTH


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[[StateManager], Awaitable[str]]:
    """Return what `status` writes of the environment."""

    async def show(state: StateManager) -> str:
        show_status(Terminal(), StatusReport((await read_status(DEV, state, Collector()),)))
        return " ".join(capsys.readouterr().out.split())

    return show


@pytest.mark.parametrize("dies", [True, False])
async def test_deployment_of_a_dead_process_named(tmp_path: Path, shown, *, dies: bool) -> None:
    async with StateManager(tmp_path / "state") as carrier, StateManager(tmp_path / "state") as looker:
        await carrier.deployments.create(a_deployment("dev"), "deploy v2")
        assert "its process died" not in await shown(looker)
        if dies:
            carrier.instance.withdraw()
            told = await shown(looker)
            assert "its process died, and nobody carries it out" in told
            assert "`roas cancel dev` takes it back" in told


async def test_environment_that_nobody_holds_is_not_abandoned(tmp_path: Path, shown) -> None:
    async with StateManager(tmp_path / "state") as looker:
        assert "its process died" not in await shown(looker)
