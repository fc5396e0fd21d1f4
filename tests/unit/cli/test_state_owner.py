"""Who cannot read the program is told so, and no bot replaces the container it runs in."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.app.application import Application
from roas.cli.own_process import resume
from roas.cli.running import check_readable
from roas.errors import InvalidRequestError, StateError
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from tests.unit.one_stack import stacks_that

OWNER = 12345

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@needs_root
def test_unreadable_program_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hidden = tmp_path / "python"
    hidden.touch(mode=0o600)
    monkeypatch.setattr("sys.executable", str(hidden))
    with pytest.raises(StateError, match=f"belongs to user {OWNER}, who cannot read this program"):
        check_readable(OWNER)
    assert os.geteuid() == 0


@dataclass
class PlayedProbe:
    """Say that this process runs in a container of some project."""

    project: str

    def in_container(self) -> bool:
        return True

    async def own_container(self) -> OwnContainer:
        return OwnContainer("c" * 64, "shop-discord-bot-1", self.project, "discord-bot")


@dataclass
class CountedOrchestrator:
    """Count how often deployments were resumed."""

    resumed: int = 0
    environments: dict[str, Environment] = field(default_factory=dict)

    def environment(self, name: str) -> Environment:
        return Environment(name, f"shop-{name}", Path("/shop"), ())

    async def resume(self) -> tuple[Any, ...]:
        self.resumed += 1
        return ()


def application_in(project: str, orchestrator: CountedOrchestrator) -> Application:
    engine = stacks_that(probe=lambda _environment: PlayedProbe(project))
    return cast("Application", SimpleNamespace(orchestrator=orchestrator, stacks=engine))


async def test_own_container_not_replaced() -> None:
    orchestrator = CountedOrchestrator()
    with pytest.raises(InvalidRequestError, match="a container of prod that the deployment may replace"):
        await resume(application_in("shop-prod", orchestrator), "prod")
    assert orchestrator.resumed == 0


async def test_other_project_deployable_from_container() -> None:
    orchestrator = CountedOrchestrator()
    assert await resume(application_in("shop-prod", orchestrator), "dev") == ()
    assert orchestrator.resumed == 1
