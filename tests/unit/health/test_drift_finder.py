"""What runs is compared with the release; one alert says that it is another, and is resolved when it fits."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from roas.alerts.alert_service import AlertService
from roas.alerts.drift_alerts import DriftAlerts
from roas.errors import EngineUnavailableError, RoasError
from roas.health.drift_finder import DriftFinder
from roas.models.alert import AlertState
from roas.models.deployment import ServiceProgress, ServiceStep
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.release import Holding, ImagePin, Release, ReleaseService, ReleaseState
from roas.models.stack import ServiceDefinition
from roas.stack.service_comparison import ContainerDifference, WantedService
from roas.state.manager import StateManager
from roas.ui.translation import translate, using_locale
from tests.unit.one_stack import OneStack
from tests.unit.ui.samples import DORA

DEV = Environment("dev", "shop", None, ())  # type: ignore[arg-type]


def container(service: str, config_hash: str = "h", image_id: str = "sha256:1", number: int = 1) -> ContainerSnapshot:
    return ContainerSnapshot(
        f"{service}{number}{config_hash}",
        f"shop-{service}-{number}",
        service,
        ContainerState.RUNNING,
        HealthStatus.NONE,
        image_id,
        f"app:{image_id}",
        config_hash,
        number=number,
    )


class World(OneStack):
    """Be an engine, its releases and its locks."""

    def __init__(self) -> None:
        self.there = [container("web"), container("db")]
        self.holds: Holding | None = None
        self.newer: dict[str, tuple[tuple[str, str], ...]] = {}
        self.left: tuple[str, frozenset[str]] = ("", frozenset())
        self.looks = 0
        self.now = 1000.0
        self.different: dict[str, ContainerDifference] = {}

    async def current(self, environment: str) -> Release:
        services = tuple(ReleaseService(name, ImagePin("app:v1", "sha256:1"), "d") for name in ("db", "web"))
        return Release("dev", 3, "v1", ReleaseState.SUCCEEDED, services, "m", datetime.now(UTC), DORA)

    async def released(self) -> frozenset[str]:
        return frozenset({"dev"})

    async def applied_model(self, environment: str) -> str:
        return "m"

    async def holding(self, environment: str) -> Any:
        return self.holds

    async def left_by_failure(self, environment: str) -> tuple[str, frozenset[str]]:
        return self.left

    async def load_model(self, model_hash: str) -> dict[str, Any]:
        return {"services": {"web": {}, "db": {}}, "x-deploy": {"inactive": ["tools"]}}

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        return tuple(self.there)

    async def differences(self, *_: Any) -> dict[str, ContainerDifference]:
        self.looks += 1
        return self.different

    async def superseded(self, _model: Any) -> dict[str, tuple[tuple[str, str], ...]]:
        return self.newer

    async def wanted_services(self, model: Any, containers: Any) -> dict[str, WantedService]:
        return {name: WantedService(ServiceDefinition(name, "app:v1", "d"), "h") for name in ("db", "web")}


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("there", "reasons"),
    [
        ([container("web"), container("db")], {}),
        ([container("web")], {}),  # what is missing is a matter of health
        (
            [container("web", "x", "sha256:2")],
            {"web": "it runs the image app:sha256:2 instead of app:v1"},
        ),
        (
            [replace(container("web", "x", "sha256:2"), image_reference="app:v1")],  # the name was moved since
            {"web": "it runs the image app:v1 (2) instead of 1"},
        ),
        ([container("web", "x"), container("db")], {"web": "its configuration is not that of r3"}),
        ([container("web"), container("web", number=2)], {"web": "it has 2 containers instead of 1"}),
        ([container("tools")], {}),
        ([container("other")], {"other": "r3 does not have it"}),
    ],
)
async def test_drift_names_what_differs(world: Any, there: Any, reasons: Any) -> None:
    world.there = there
    found = await DriftFinder(world, world, world).find(DEV)
    assert {service.service: service.reason for service in found or ()} == reasons


async def test_drift_of_what_a_failed_deployment_left_is_of_no_hand(world: Any) -> None:
    world.there, world.left = [container("web", "x"), container("db", "x")], ("ROLLBACK-1", frozenset({"web"}))
    found = await DriftFinder(world, world, world).find(DEV)
    assert {drift.service: drift.left_by for drift in found or ()} == {"web": "ROLLBACK-1", "db": ""}


async def test_job_that_has_ended_does_not_drift(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The release was brought back, and ran none: whatever there is of one is left of another release."""
    job = WantedService(ServiceDefinition("web", "app:v1", "d", one_shot=True), "h")

    async def wanted_services(*_: Any) -> dict[str, WantedService]:
        return {"web": job}

    monkeypatch.setattr(world, "wanted_services", wanted_services)
    world.there = [replace(container("web", "x"), state=ContainerState.EXITED)]
    assert await DriftFinder(world, world, world).find(DEV) == ()
    world.there = [container("web", "x")]
    assert await DriftFinder(world, world, world).find(DEV) != ()


async def test_settled_comparison_holds_until_an_event(world: Any) -> None:
    """What was seen twice holds for half a minute, but for who asks, or is told that a container was changed."""
    finder = DriftFinder(world, world, world, clock=lambda: world.now)

    async def looks(*steps: tuple[float, bool]) -> list[int]:
        before, made = world.looks, []
        for seconds, asked in steps:
            world.now += seconds
            await finder.find(DEV, tuple(world.there) if asked else None)
            made.append(world.looks - before)
        return made

    assert await looks((0, False), (10, False), (10, False), (19, False)) == [1, 2, 2, 2], "seen twice is enough"
    assert await looks((2, False), (1, True), (20, False), (260, False), (30, False)) == [0, 1, 1, 1, 2], "listed since"
    world.there = [container("web"), container("db", config_hash="h2")]
    assert await finder.find(DEV) == ()
    finder.compare_closely(DEV.name)
    assert [service.service for service in await finder.find(DEV) or ()] == ["db"]
    assert await looks((0, False), (0, False)) == [1, 1], "seen twice again"


KEYS = ("command", "environment: A", "environment: B", "ports", "volumes: /data")


@pytest.mark.parametrize(
    ("there", "difference", "reason"),
    [
        ("x", ContainerDifference(KEYS[:1], ("cpus",)), "its configuration is not that of r3: command"),
        (
            "x",
            ContainerDifference(KEYS),
            "its configuration is not that of r3: command, environment: A, environment: B, ports, +1",
        ),
        ("h", ContainerDifference(KEYS), None),  # its hash says that it was made from this configuration
        ("h", ContainerDifference(changed=("cpus",)), "it was changed while it ran: cpus"),
    ],
)
async def test_drift_names_keys(world: Any, there: str, difference: ContainerDifference, reason: str | None) -> None:
    web = container("web", there)
    world.there, world.different = [web], {web.id: difference}
    found = await DriftFinder(world, world, world).find(DEV)
    assert [item.reason for item in found or ()] == ([reason] if reason else [])
    with using_locale("zh-TW"):
        assert all(translate(item.reason).isascii() is False for item in found or ())


async def test_newer_version_of_a_secret_is_drift(world: Any) -> None:
    world.there, world.newer = [container("web"), container("db")], {"web": (("key", "key_v2"),)}
    found = await DriftFinder(world, world, world).find(DEV)
    assert {item.service: item.reason for item in found or ()} == {
        "web": "it has the secret key, and key_v2 is newer: deploy it again"
    }


async def test_drift_unknown_while_deploying(world: Any) -> None:
    world.there, world.holds = [container("web", "x")], Holding("DEPLOY-1", is_partial=False, to_release=4, services={})
    assert await DriftFinder(world, world, world).find(DEV) is None


@pytest.mark.parametrize("ended", ["release", "model", "deployment"])
async def test_deployment_during_the_look_leaves_nothing_found(world: Any, monkeypatch: Any, ended: str) -> None:
    world.there, differences = [container("web", "x")], world.differences

    async def deployed_meanwhile(*arguments: Any) -> Any:
        if ended == "release":
            monkeypatch.setattr(world, "current", lambda _: _release_before(world))
        elif ended == "model":
            monkeypatch.setattr(world, "applied_model", lambda _: _another_model())
        else:
            world.holds = Holding("DEPLOY-1", is_partial=False, to_release=4, services={})
        return await differences(*arguments)

    assert await DriftFinder(world, world, world).find(DEV)
    monkeypatch.setattr(world, "differences", deployed_meanwhile)
    assert await DriftFinder(world, world, world).find(DEV) is None


async def _release_before(world: World) -> Release:
    return replace(await World.current(world, "dev"), number=2)


async def _another_model() -> str:
    return "another"


async def test_drift_of_what_a_paused_deployment_has_not_moved(world: Any) -> None:
    """It waits for hours, perhaps: what hands change of the other services meanwhile is said."""
    world.there = [container("web", "x"), container("db", "x")]
    moved = {"web": ServiceProgress("web", ServiceStep.PAUSED), "db": ServiceProgress("db", changed=True)}
    world.holds = Holding("DEPLOY-1", is_partial=True, to_release=4, services=moved)
    found = await DriftFinder(world, world, world).find(DEV)
    assert [service.service for service in found or ()] == ["db"]


async def test_drift_alert_fires_once_and_resolves(world: Any, tmp_path: Any) -> None:
    async with StateManager(tmp_path / "state") as state:
        finder = DriftFinder(world, world, world)
        alerts = DriftAlerts(finder, AlertService(state.alerts, _Bus()))  # type: ignore[arg-type]

        async def rounds(number: int) -> list[tuple[AlertState, int]]:
            finder.compare_closely(DEV.name)
            for _ in range(number):
                await alerts.check(DEV)
            return [(alert.state, alert.count) for alert in await state.alerts.all()]

        assert await rounds(3) == []
        world.there = [container("web", "x"), container("db")]
        assert await rounds(1) == [], "one look may be the middle of a recreation"
        assert await rounds(4) == [(AlertState.FIRING, 1)]
        world.there = [container("web"), container("db")]
        assert await rounds(3) == [(AlertState.RESOLVED, 1)]


async def test_release_restored_once_where_the_settings_say_so(world: Any, tmp_path: Any) -> None:
    """What a failed deployment left is none of it; what holds the environment goes first."""
    asked: list[str] = []
    fault: list[RoasError] = []

    async def restore(environment: Environment) -> None:
        asked.append(environment.name)
        if fault:
            raise fault.pop()

    restoring = replace(DEV, restores_drift=True)
    async with StateManager(tmp_path / "state") as state:
        service, finder = AlertService(state.alerts, _Bus()), DriftFinder(world, world, world)  # type: ignore[arg-type]
        alerts = DriftAlerts(finder, service, restore)

        async def rounds(number: int) -> list[str]:
            finder.compare_closely(DEV.name)
            for _ in range(number):
                await alerts.check(restoring)
            return asked

        assert await rounds(3) == []
        world.there = [container("web", "x"), container("db")]
        assert await rounds(1) == [], "one look may be the middle of a recreation"
        fault.append(EngineUnavailableError("away"))
        assert await rounds(1) == ["dev"]
        assert await rounds(4) == ["dev", "dev"], "once more after what passes, then never"
        world.there = [container("web"), container("db")]
        await rounds(3)
        world.there = [container("web", "x"), container("db")]
        assert await rounds(4) == ["dev"] * 3
        quiet = DriftAlerts(finder, service, restore)
        await quiet.check(DEV)
        await quiet.check(DEV)
        assert asked == ["dev"] * 3, "never without being asked to"


class _Bus:
    def publish(self, event: object) -> None:
        return
