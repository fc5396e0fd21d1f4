"""Services start in the order of what they depend on, and no later than they could."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roas.deploy.dependencies import DependencyCoordinator, Milestones
from roas.errors import DependencyCycleError, ServiceFailedError
from roas.models.stack import Dependency, DependencyCondition, DependencyKind, ServiceDefinition


def stack(**needs: list[Dependency] | list[str]) -> dict[str, ServiceDefinition]:
    def edges(name: str, wanted: list) -> tuple[Dependency, ...]:
        return tuple(need if isinstance(need, Dependency) else Dependency(name, need) for need in wanted)

    return {name: ServiceDefinition(name, "i", "h", edges(name, wanted)) for name, wanted in needs.items()}


async def run(coordinator, work, *, settled=None, probe=None, parallel=True) -> list[str]:
    warnings: list[str] = []

    async def fine(_: Dependency) -> None:
        return None

    services = coordinator.order()
    await coordinator.run(
        services, work, settled=settled or fine, probe=probe or fine, warn=warnings.append, parallel=parallel
    )
    return warnings


def test_dependencies_come_first():
    order = DependencyCoordinator(stack(web=["api"], api=["db", "cache"], db=[], cache=[])).order()
    assert order == ("cache", "db", "api", "web")


def test_cycle_error_names_it():
    with pytest.raises(DependencyCycleError) as error:
        DependencyCoordinator(stack(a=["b"], b=["c"], c=["a"], d=[]))
    assert all(name in error.value.message for name in ("a", "b", "c"))
    assert "d" not in error.value.message.split(":")[1]


def test_soft_edge_dropped_to_break_cycle():
    soft = Dependency("prometheus", "bot", DependencyKind.SOFT)
    coordinator = DependencyCoordinator(stack(bot=["prometheus"], prometheus=[soft]))
    assert coordinator.order() == ("prometheus", "bot")
    assert coordinator.dropped == (soft,)


def test_edge_outside_stack_ignored():
    assert DependencyCoordinator(stack(web=["ghost"])).order() == ("web",)


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sets(st.sampled_from("abcdefgh")), min_size=1))
def test_order_respects_dependencies_or_names_cycle(needs):
    definitions = stack(**{name: sorted(wanted) for name, wanted in needs.items()})
    try:
        order = DependencyCoordinator(definitions).order()
    except DependencyCycleError:
        return
    for name, wanted in needs.items():
        for need in wanted & set(needs):
            assert order.index(need) < order.index(name)


async def test_service_starts_once_dependencies_ready():
    """It starts when its own dependencies are ready, not when a whole level is."""
    slow_is_up, quick_dependent_started = asyncio.Event(), asyncio.Event()

    async def work(name: str, milestones: Milestones) -> None:
        if name == "slow":
            await quick_dependent_started.wait()  # would hang if "on_quick" waited for the whole level
            slow_is_up.set()
        if name == "on_quick":
            assert not slow_is_up.is_set()
            quick_dependent_started.set()

    async with asyncio.timeout(5):
        await run(DependencyCoordinator(stack(slow=[], quick=[], on_quick=["quick"], on_slow=["slow"])), work)
    assert slow_is_up.is_set()


async def test_sequential_never_overlaps():
    under_way: set[str] = set()

    async def work(name: str, milestones: Milestones) -> None:
        assert not under_way
        under_way.add(name)
        await asyncio.to_thread(lambda: None)
        under_way.remove(name)

    await run(DependencyCoordinator(stack(a=[], b=[], c=["a"])), work, parallel=False)


async def test_started_condition_suffices():
    web_up = asyncio.Event()

    async def work(name: str, milestones: Milestones) -> None:
        milestones.started.set()
        if name == "db":
            await web_up.wait()
        else:
            web_up.set()

    edge = Dependency("web", "db", condition=DependencyCondition.STARTED)
    async with asyncio.timeout(5):
        await run(DependencyCoordinator(stack(web=[edge], db=[])), work)


async def failing_db(name: str, milestones: Milestones) -> None:
    if name == "db":
        raise ServiceFailedError("db failed: it ended with code 1.", service="db")


async def test_required_failure_fails_dependents():
    """The failed dependency itself is reported, not its dependents."""
    with pytest.raises(ServiceFailedError) as error:
        await run(DependencyCoordinator(stack(web=["api"], api=["db"], db=[])), failing_db)
    assert error.value.message == "db failed: it ended with code 1."


@pytest.mark.parametrize("kind", [DependencyKind.OPTIONAL, DependencyKind.SOFT])
async def test_optional_failure_lets_dependent_start(kind):
    """A failed dependency that is not required does not stop its dependent."""
    started: list[str] = []
    warnings: list[str] = []

    async def work(name: str, milestones: Milestones) -> None:
        started.append(name)

    async def fails(dependency: Dependency) -> None:
        raise ServiceFailedError(f"{dependency.on} is unhealthy")

    definitions = stack(web=[Dependency("web", "db", kind, probe="tcp://db:1")], db=[])
    coordinator = DependencyCoordinator(definitions)
    await coordinator.run(["web"], work, settled=fails, probe=fails, warn=warnings.append, parallel=True)
    assert started == ["web"]
    assert len(warnings) == (1 if kind is DependencyKind.OPTIONAL else 0)


async def test_dependency_timeout_fails_dependent():
    """The error of a required dependent names the time."""

    async def never(_: Dependency) -> None:
        await asyncio.Event().wait()

    async def work(name: str, milestones: Milestones) -> None:
        return None

    edge = Dependency("web", "db", timeout_seconds=0.05)
    coordinator = DependencyCoordinator(stack(web=[edge], db=[]))
    with pytest.raises(ServiceFailedError, match=r"needs db \(not ready after 0.05 s\)"):
        await coordinator.run(["web"], work, settled=never, probe=never, warn=print, parallel=True)


async def test_probe_runs_after_dependency_ready():
    told: list[str] = []

    async def work(name: str, milestones: Milestones) -> None:
        told.append(f"up {name}")

    async def probe(dependency: Dependency) -> None:
        told.append(f"probe {dependency.on}")

    edge = Dependency("web", "redis", probe="redis://redis:6379")
    await run(DependencyCoordinator(stack(web=[edge], redis=[])), work, probe=probe)
    assert told == ["up redis", "probe redis", "up web"]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.usefixtures("hurried_time")
async def test_dependency_wait_time_reported(fails: bool) -> None:
    allowed = 0.15 if fails else 300
    coordinator = DependencyCoordinator(stack(web=[Dependency("web", "db", timeout_seconds=allowed)], db=[]))
    told: dict[str, tuple[float, float]] = {}

    async def work(service: str, _: Milestones) -> None:
        await asyncio.sleep(5 if fails else 0.1)

    async def nothing(_: Dependency) -> None:
        return

    running = coordinator.run(
        ["web", "db"],
        work,
        settled=nothing,
        probe=nothing,
        warn=print,
        parallel=True,
        resolved=lambda service, seconds, may_take: told.update({service: (seconds, may_take)}),
    )
    if fails:
        with pytest.raises(ServiceFailedError):
            await running
    else:
        await running
    assert set(told) == {"web"}, "db waits for nothing"
    assert 0.1 <= told["web"][0] < 0.5
    assert told["web"][1] == allowed
