"""The figures of the design stand here as literals, and time that passes shows that they are used."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from roas import events, limits
from roas.app import maintenance
from roas.candidates.coordinator import CandidateCoordinator
from roas.configuration.settings import Settings
from roas.deploy.applier import Applier
from roas.deploy.phases import preparation
from roas.errors import PhaseTimeoutError
from roas.limits import HOTFIX, ROLLBACK, STANDARD, coordination_of
from roas.metrics.integration_monitor import LIMITS, FigureWindows
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, DeploymentRequest, Operation
from roas.models.environment import Environment
from roas.models.phases import PhaseName
from roas.models.recovery import RecoveryAction
from roas.models.stack import Dependency, WantedImage
from roas.stack.image_supply import obtain_images
from roas.state.deployments import pruning as history
from roas.state.redis_form import STREAM_LENGTH
from tests.unit.deploy.virtual_time import VirtualLoop

ROOT = Path(__file__).parents[3]
DORA = Actor(ActorKind.DISCORD, "1", "dora")


def phases(coordination: Any) -> list[tuple[str, float, int]]:
    return [(phase.name.value, phase.timeout_seconds, phase.retries) for phase in coordination.phases]


def test_standard_coordination_as_designed() -> None:
    assert phases(STANDARD) == [
        ("initialization", 60, 2),
        ("validation", 120, 1),
        ("preparation", 600, 2),
        ("execution", 300, 3),
        ("verification", 180, 2),
        ("completion", 120, 1),
    ]
    assert (STANDARD.parallel_execution, STANDARD.rollback_on_failure) == (True, True)


def test_hotfix_coordination_as_designed() -> None:
    assert phases(HOTFIX) == [
        ("validation", 30, 0),
        ("preparation", 300, 1),
        ("execution", 120, 1),
        ("verification", 60, 0),
    ]
    assert (HOTFIX.parallel_execution, HOTFIX.rollback_on_failure) == (False, True)
    assert (HOTFIX.builds, HOTFIX.prepares_monitoring, HOTFIX.prunes) == (False, False, False)


def test_rollback_has_the_default_timeout() -> None:
    assert [STANDARD.policy(PhaseName.ROLLBACK).timeout_seconds, HOTFIX.policy(PhaseName.ROLLBACK).timeout_seconds] == [
        300,
        300,
    ]
    assert ROLLBACK.policy(PhaseName.ROLLBACK).timeout_seconds == 300
    assert ROLLBACK.rollback_on_failure is False


@pytest.mark.parametrize(
    ("operation", "name", "goes_back", "watched"),
    [
        (Operation.RESTART, "operation", False, True),
        (Operation.SCALE, "operation", True, True),
        (Operation.START, "operation", False, True),
        (Operation.STOP, "stop", False, False),
        (Operation.KEEP, "keep", False, False),
        (Operation.SAVE, "save", False, False),
    ],
)
def test_operation_says_what_a_failure_leads_to(
    operation: Operation, name: str, goes_back: bool, watched: bool
) -> None:
    """Of a number of replicas it is known what it was; the name is in the journal."""
    request = DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, operation=operation)
    coordination = coordination_of(request)
    assert (coordination.name, coordination.is_watched) == (name, watched)
    assert (coordination.can_go_back, coordination.rollback_on_failure) == (goes_back, goes_back)


class Hanging:
    """Be an engine and a monitoring that never come to an end."""

    async def pull(self, *_: object, **__: object) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    build = pull

    async def prepare_monitoring_stack(self, _: Environment) -> tuple[str, ...]:
        await asyncio.Event().wait()
        raise AssertionError


async def ignore(*_: object) -> None:
    return None


async def obtain(wanted: WantedImage) -> None:
    resolved: Any = SimpleNamespace(environment=None, wanted={"web": wanted})
    with pytest.raises(PhaseTimeoutError):
        await obtain_images(Hanging(), resolved, ignore, builds=True)


async def pull() -> None:
    await obtain(WantedImage("web:v1", must_pull=True))


async def build() -> None:
    await obtain(WantedImage("web:v1", build_hash="h"))


async def prepare_monitoring() -> None:
    warnings: list[str] = []
    context: Any = SimpleNamespace(
        coordination=STANDARD,
        components=SimpleNamespace(monitoring=Hanging()),
        environment=None,
        warn=warnings.append,
    )
    await preparation._prepare_monitoring(context)
    assert warnings == ["Monitoring was not prepared within 180 s."]


@pytest.mark.parametrize(("work", "seconds"), [(pull, 300), (build, 600), (prepare_monitoring, 180)])
def test_preparation_limits_as_designed(loop: VirtualLoop, work: Callable[[], Awaitable[None]], seconds: float) -> None:
    began = loop.time()
    loop.run_until_complete(work())
    assert loop.time() - began == pytest.approx(seconds, abs=1)


def test_dependency_limits_as_designed(loop: VirtualLoop) -> None:
    """A probe has 10 s; what fails within `startup_delay` is not reported, what fails after it is."""
    edge = Dependency("web", "store", probe="tcp://store:1", startup_delay_seconds=30)
    assert edge.timeout_seconds == 300
    asked: list[float] = []
    warned: list[float] = []

    async def probe(_: object, __: str, timeout_seconds: float) -> bool:
        asked.append(timeout_seconds)
        return False

    context: Any = SimpleNamespace(
        components=SimpleNamespace(prober=SimpleNamespace(probe=probe)),
        environment=None,
        warn=lambda _: warned.append(loop.time()),
    )
    watch: Any = SimpleNamespace(changed_within=asyncio.sleep)

    async def run() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await Applier(context, watch, {}, "")._probe(edge)

    began = loop.time()
    loop.run_until_complete(run())
    assert set(asked) == {10}
    assert [at - began for at in warned] == [pytest.approx(30, abs=1)]


def test_sweep_finds_within_five_minutes_what_none_told(loop: VirtualLoop) -> None:
    swept: list[float] = []

    async def sweep() -> None:
        swept.append(loop.time())

    async def run() -> None:
        nothing: Any = None
        coordinator = CandidateCoordinator(nothing, nothing, nothing, {})
        coordinator.inspect_with(nothing, sweep)
        coordinator._sweeping.start()
        await asyncio.sleep(1000)
        await coordinator._sweeping.stop()

    loop.run_until_complete(run())
    assert [round(later - earlier) for earlier, later in pairwise(swept)] == [300, 300, 300]


def test_integration_limits_as_designed() -> None:
    assert {limit.name: (limit.threshold, limit.unit, limit.low) for limit in LIMITS} == {
        "event_latency": (1000, "ms", False),
        "state_sync_lag": (500, "ms", False),
        "dependency_resolution": (80, "%", False),
        "integration_error_rate": (5, "%", False),
        "coordination_success_rate": (95, "%", True),
    }


def test_history_bounds_as_designed() -> None:
    settings = Settings(_env_file=None)
    assert (settings.history_days, settings.history_rows, settings.releases_kept) == (90, 100_000, 10)
    assert (history.HEARTBEATS_KEPT, history.DEPLOYMENTS_KEPT, maintenance.RESOLVED_KEPT) == (500, 5000, 2000)
    assert (STREAM_LENGTH, events.HISTORY_LENGTH) == (10_000, 1000)
    assert (1000, FigureWindows().error_seconds) == (events.REMEMBERED_HANDLINGS, events.REMEMBERED_SECONDS)
    assert settings.handover_seconds == 60


def test_recovery_budget_as_designed() -> None:
    assert limits.RECOVERY_WINDOW.total_seconds() == 900
    assert limits.RECOVERIES == {RecoveryAction.RESTART: 3, RecoveryAction.RECREATE: 1, RecoveryAction.ROLL_BACK: 1}


def test_shipped_dependencies_as_designed() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    edges = {
        (name, on): (edge["kind"], edge["startup_delay"], edge["timeout"])
        for name, service in services.items()
        for on, edge in service.get("x-deploy", {}).get("depends_on", {}).items()
    }
    assert edges == {
        ("discord-bot", "redis"): ("required", "10s", "60s"),
        ("grafana", "prometheus"): ("required", "30s", "120s"),
        ("prometheus", "discord-bot"): ("soft", "0s", "180s"),
    }
