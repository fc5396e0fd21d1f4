"""What Prometheus knows of other nodes' containers is taken where it is a figure, and asked for no more than needed."""

import math
from collections.abc import Mapping

import pytest

from roas.health import usage
from roas.health.usage import ANSWER_SECONDS, ClusterUsage, Usage
from roas.limits import USAGE_RETRY_SECONDS
from roas.metrics.prometheus import PrometheusError

FIRST, SECOND, OTHER = "a" * 64, "b" * 64, "c" * 64
Series = tuple[tuple[Mapping[str, str], float], ...]


class Prometheus:
    """Be a Prometheus that answers with these series, of memory and of processors."""

    def __init__(self, memory: Series = (), cpu: Series = ()) -> None:
        self.memory, self.cpu = memory, cpu
        self.asked: list[str] = []
        self.away = False
        self.now = 1000.0

    async def query(self, expression: str) -> Series:
        if self.away:
            raise PrometheusError("away")
        self.asked.append(expression)
        return self.memory if "memory" in expression else self.cpu

    async def __aenter__(self) -> "Prometheus":
        return self

    async def __aexit__(self, *_error: object) -> None:
        pass


def of(container: str, value: float, name: str = "/docker/{}") -> tuple[Mapping[str, str], float]:
    return {"id": name.format(container)}, value


@pytest.fixture
def prometheus(monkeypatch: pytest.MonkeyPatch) -> Prometheus:
    made = Prometheus()
    monkeypatch.setattr(usage, "PrometheusClient", lambda _url: made)
    return made


@pytest.fixture
def cluster(prometheus: Prometheus) -> ClusterUsage:
    return ClusterUsage("http://prometheus", clock=lambda: prometheus.now)


@pytest.mark.parametrize(
    "name",
    [
        "/docker/{}",
        "/system.slice/docker-{}.scope",
        f"/docker/{OTHER}/docker/{{}}",
        f"/docker/{OTHER}/docker-{{}}.scope",
    ],
)
async def test_container_is_known_by_its_cgroup(prometheus: Prometheus, cluster: ClusterUsage, name: str) -> None:
    prometheus.memory, prometheus.cpu = (of(FIRST, 4096, name),), (of(FIRST, 0.25, name),)
    assert await cluster.read([FIRST, SECOND]) == {FIRST: Usage(25.0, 4096)}
    assert all(FIRST[:12] in expression and SECOND[:12] in expression for expression in prometheus.asked)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
async def test_what_is_no_figure_of_memory_is_not_known(
    prometheus: Prometheus, cluster: ClusterUsage, value: float
) -> None:
    """A cAdvisor to which the kernel tells no memory says zero."""
    prometheus.memory, prometheus.cpu = (of(FIRST, value), of(SECOND, 10), of(OTHER, 7)), (of(SECOND, 0.0),)
    assert await cluster.read([FIRST, SECOND]) == {SECOND: Usage(0.0, 10)}


async def test_new_container_has_no_processor_use_yet(prometheus: Prometheus, cluster: ClusterUsage) -> None:
    prometheus.memory = (of(FIRST, 10),)
    assert await cluster.read([FIRST]) == {FIRST: Usage(None, 10)}


async def test_figures_are_asked_for_when_they_may_have_changed(prometheus: Prometheus, cluster: ClusterUsage) -> None:
    prometheus.memory = (of(FIRST, 10),)
    for _ in range(3):
        assert await cluster.read([FIRST, SECOND]) == {FIRST: Usage(None, 10)}
    assert len(prometheus.asked) == 2, "of memory and of processors, once"
    await cluster.read([OTHER])
    assert FIRST[:12] not in prometheus.asked[-1]
    prometheus.now += ANSWER_SECONDS
    prometheus.memory = ()
    assert await cluster.read([FIRST]) == {}, "what was known is not shown for ever"


async def test_prometheus_that_is_away_holds_up_no_look(prometheus: Prometheus, cluster: ClusterUsage) -> None:
    prometheus.memory, prometheus.away = (of(FIRST, 10),), True
    assert await cluster.read([FIRST]) == {}
    prometheus.away = False
    assert await cluster.read([FIRST]) == {}
    assert prometheus.asked == []
    prometheus.now += USAGE_RETRY_SECONDS
    assert await cluster.read([FIRST]) == {FIRST: Usage(None, 10)}


async def test_nobody_is_asked_without_need(prometheus: Prometheus, cluster: ClusterUsage) -> None:
    assert await ClusterUsage(None).read([FIRST]) == {}
    assert await cluster.read([]) == {}
    assert await cluster.read(['x"} or vector(1)']) == {}, "what is no container's id is put into no question"
    assert prometheus.asked == []
