"""What runs as it was listed before is not asked about again; whatever may have changed is."""

from collections.abc import Collection
from dataclasses import replace

import pytest

from roas.engine.containers.seen_containers import SeenContainers
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus

PLACE = "unix:///engine", "shop-dev"


def listed(name: str, names: str = "", **fields: object) -> ContainerSnapshot:
    one = ContainerSnapshot(name, names or name, name, ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "i", "h")
    return replace(one, **{"endpoints": (f"none {name}-1",), **fields})  # type: ignore[arg-type]


class Looking:
    def __init__(self) -> None:
        self.seen = SeenContainers(None)  # type: ignore[arg-type]
        self.asked: list[str] = []
        self.restarts = 0

    def look(self, *there: ContainerSnapshot, moving: Collection[str] = ()) -> list[ContainerSnapshot]:
        self.asked = []

        def ask(ids: list[str]) -> tuple[ContainerSnapshot, ...]:
            self.asked = ids
            found = [replace(one, endpoints=(), restart_count=self.restarts) for one in there]
            return tuple(one for one in found if one.id in ids)

        return list(self.seen.compare(PLACE, there, ask, moving))


@pytest.fixture
def looking() -> Looking:
    return Looking()


def test_what_runs_as_before_is_asked_about_once(looking):
    first = looking.look(listed("b"), listed("a"))
    assert looking.asked == ["b", "a"]
    assert looking.look(listed("b"), listed("a")) == first
    assert [one.id for one in first] == ["a", "b"]
    assert looking.asked == []


@pytest.mark.parametrize(
    "other",
    [
        {"endpoints": ("none a-2",)},  # it was started again
        {"state": ContainerState.PAUSED},
        {"state": ContainerState.EXITED, "exit_code": 1, "endpoints": ("none ",)},
        {"names": "renamed"},
        {"image_reference": "sha256:1"},
    ],
)
def test_what_is_listed_otherwise_is_asked_about(looking, other):
    looking.look(listed("a"), listed("b"))
    looking.restarts = 1
    found = looking.look(listed("a", **other), listed("b"))
    assert looking.asked == ["a"]
    assert [one.restart_count for one in found] == [1, 0]


@pytest.mark.parametrize(
    "fields",
    [
        {"endpoints": ()},  # it shares the network of another
        {"endpoints": ("none ",)},
        {"state": ContainerState.EXITED, "exit_code": 1},  # one that ends again with the same code is listed the same
        {"state": ContainerState.RESTARTING},
    ],
)
def test_what_does_not_tell_its_starts_is_asked_about_each_time(looking, fields):
    for _ in range(2):
        looking.look(listed("a", **fields))
        assert looking.asked == ["a"]


def test_what_is_gone_is_forgotten(looking):
    looking.look(listed("a"), listed("b"))
    assert [one.id for one in looking.look(listed("b"))] == ["b"]
    looking.look(listed("a"), listed("b"))
    assert looking.asked == ["a"]


def test_what_goes_while_it_is_asked_about_is_left_out(looking):
    assert looking.seen.compare(PLACE, [listed("a")], lambda _ids: ()) == ()


def test_verdict_of_a_health_check_is_taken_from_the_list(looking):
    looking.look(listed("a", health=HealthStatus.STARTING))
    for verdict in (HealthStatus.HEALTHY, HealthStatus.UNHEALTHY, HealthStatus.UNHEALTHY):
        assert [one.health for one in looking.look(listed("a", health=verdict))] == [verdict]
        assert looking.asked == []
    looking.look(listed("a", health=HealthStatus.STARTING, endpoints=("none a-2",)))
    assert looking.asked == ["a"], "it is another process"


def test_what_never_ran_is_asked_about_once_until_it_is_started(looking):
    created = listed("a", state=ContainerState.CREATED, health=HealthStatus.NONE, endpoints=("none ",))
    for asked in (["a"], []):
        assert looking.look(created)[0].endpoints == ()
        assert looking.asked == asked
    looking.look(listed("a"))
    assert looking.asked == ["a"]


def test_what_is_being_moved_is_told_as_it_is_listed(looking):
    created = listed("a", state=ContainerState.CREATED, health=HealthStatus.NONE, endpoints=("none ",))
    for asked in (["b"], []):
        assert looking.look(created, listed("b"), moving={"a"})[0] == replace(created, endpoints=())
        assert looking.asked == asked
    looking.restarts = 1
    assert looking.look(listed("a"), listed("b"), moving={"a"})[0] == listed("a", endpoints=())
    assert looking.asked == []
    ended = listed("a", state=ContainerState.EXITED, exit_code=1, endpoints=("none ",))
    looking.look(ended, listed("b"), moving={"a"})
    assert looking.asked == ["a"], "by which policy it ended is not listed"
    assert looking.look(listed("a"), listed("b"))[0].restart_count == 1
    assert looking.asked == ["a"], "later more is to be known"
