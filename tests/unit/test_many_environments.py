"""What is looked at in each round costs nothing for an environment that was never deployed."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roas.app.maintenance import EnvironmentCheck, Maintenance
from roas.events import EventBus
from roas.health.collector import MonitoringCollector, StackSources
from roas.health.coordinator import HealthCoordinator
from roas.models.environment import Environment
from roas.state.journal.journal import Journal
from roas.state.manager import StateManager

NOBODY: Any = None
Known = Mapping[str, Environment]
Check = Callable[[], Awaitable[None]]


def checks(state: StateManager, known: Known) -> Check:
    async def never(_environment: Environment) -> None:
        pytest.fail("nothing is looked after that is on no release")

    parts: Any = SimpleNamespace(
        state=state, alert_service=None, environment_checks=[EnvironmentCheck("never", never)], environments=known
    )
    return Maintenance(parts)._check_environments


def watches(state: StateManager, known: Known) -> Check:
    bus = EventBus()
    sources = StackSources(NOBODY, NOBODY, state.releases, state.deployments)
    return MonitoringCollector(sources, bus, HealthCoordinator(bus), known).watch_released


@pytest.mark.parametrize("kind", [checks, watches])
async def test_one_read_for_all_that_were_never_deployed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Callable[[StateManager, Known], Check]
) -> None:
    reads: list[object] = []
    read = Journal.read

    async def counted(self: Journal, work: Any) -> Any:
        reads.append(work)
        return await read(self, work)

    known = {name: Environment(name, f"shop-{name}", tmp_path, ()) for name in (f"env-{n:02}" for n in range(20))}
    async with StateManager(tmp_path / "state") as state:
        monkeypatch.setattr(Journal, "read", counted)
        await kind(state, known)()
        assert len(reads) == 1
