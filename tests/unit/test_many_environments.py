"""What is looked at in each round costs nothing for an environment that was never deployed."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from roas.alerts.drift_alerts import DriftAlerts
from roas.events import EventBus
from roas.health.collector import MonitoringCollector, StackSources
from roas.health.coordinator import HealthCoordinator
from roas.health.drift_finder import DriftFinder
from roas.models.environment import Environment
from roas.recovery.upkeep import LeftDrains
from roas.state.journal.journal import Journal
from roas.state.manager import StateManager

NOBODY: Any = None
Known = Mapping[str, Environment]
Check = Callable[[], Awaitable[None]]


def drift(state: StateManager, known: Known) -> Check:
    return DriftAlerts(DriftFinder(NOBODY, state.releases, state.deployments), NOBODY, known).check


def watches(state: StateManager, known: Known) -> Check:
    bus = EventBus()
    sources = StackSources(NOBODY, NOBODY, state.releases, state.deployments)
    return MonitoringCollector(sources, bus, HealthCoordinator(bus), known).watch_released


def drains(state: StateManager, known: Known) -> Check:
    return LeftDrains(NOBODY, state, NOBODY, known).check


@pytest.mark.parametrize("kind", [drift, watches, drains])
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
