"""A canary counts what both versions are asked, and is taken on after a death as far as it had come."""

import math
import time
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from roas.errors import ProxyError
from roas.models.canary import (
    CanaryPolicy,
    CanaryRecord,
    CanaryVerdict,
    Counts,
    Period,
    QueryCheck,
    ServerCount,
    TimeCheck,
    Took,
)
from roas.models.rollout import RolloutRecord
from roas.models.stack import ServiceDefinition
from roas.stack.updating.canary.service_canary import ServiceCanary, canary_of
from roas.state.documents import from_json, to_json

POLICY = CanaryPolicy(shares=(10, 50), pause_seconds=10.0, deadline_seconds=50.0)
WEB = ServiceDefinition("web", "web:v2", "d", replicas=4, canary=POLICY)
OLD, NEW = ("o1", "o2"), ("n1",)


@dataclass
class Front:
    """Have counters that a test sets, and note what is weighed."""

    counters: dict[str, Counts] | None = field(default_factory=dict)
    answer_ms: dict[str, float] = field(default_factory=dict)
    weighed: list[tuple[tuple[str, ...], int, int]] = field(default_factory=list)
    refuses: bool = False

    async def weigh(self, old: Collection[str], new: int, share: int) -> None:
        if self.refuses:
            raise ProxyError("no")
        self.weighed.append((tuple(old), new, share))

    async def counts(self) -> Mapping[Hashable, ServerCount] | None:
        if self.counters is None:
            return None
        seen = self.counters.items()
        return {name: ServerCount(name, counts, self.answer_ms.get(name, 0.0)) for name, counts in seen}


def canary(front: Front, record: CanaryRecord | None = None) -> ServiceCanary:
    found = canary_of(WEB, cast("Any", front), RolloutRecord(canary=record))
    assert found is not None
    return found


async def observed(web: ServiceCanary, front: Front, **counters: Counts) -> Period:
    before = web.record.total
    front.counters = counters
    await web.observe(OLD, NEW)
    after = web.record.total
    return Period(
        Counts(after.new.requests - before.new.requests, after.new.failed - before.new.failed),
        Counts(after.old.requests - before.old.requests, after.old.failed - before.old.failed),
    )


async def test_increments_are_counted() -> None:
    """What others, or an earlier process, were asked is nobody's; a proxy that was started again begins anew."""
    front = Front()
    web = canary(front)
    assert await observed(web, front, o1=Counts(1000, 9), n1=Counts(50)) == Period()
    assert await observed(web, front, o1=Counts(1010, 9), n1=Counts(52, 1), x=Counts(7)) == Period(
        Counts(2, 1), Counts(10)
    )
    assert await observed(web, front, o1=Counts(3), o2=Counts(5), n1=Counts(53, 1)) == Period(Counts(1), Counts())
    assert await observed(web, front, o1=Counts(4), o2=Counts(6, 1), n1=Counts(53, 1)) == Period(Counts(), Counts(2, 1))
    front.counters = None
    front.refuses = True
    assert (await web.observe(OLD, NEW)).verdict is CanaryVerdict.OPEN
    front.refuses = False
    assert await observed(web, front, o1=Counts(90), n1=Counts(90)) == Period(), "the proxy was away"
    assert front.weighed == [(OLD, 1, 10)] * 5


@pytest.mark.parametrize(
    ("value", "counts"),
    [(0.2, Counts(1)), (0.4, Counts(1, 1)), (None, Counts()), (math.nan, Counts()), (math.inf, Counts())],
)
async def test_query_is_read_now_and_then(clock: list[float], value: float | None, counts: Counts) -> None:
    """No data, NaN and a Prometheus that is away say nothing, neither well nor bad."""
    asked: list[str] = []

    async def read(query: str) -> float | None:
        asked.append(query)
        return value

    definition = replace(WEB, canary=replace(POLICY, queries=(QueryCheck("latency", below=0.3),)))
    web = canary_of(definition, cast("Any", Front()), RolloutRecord(), read)
    assert web is not None
    for _ in range(15):
        await web.observe(OLD, NEW)
        clock[0] += 1
    assert asked == ["latency"]
    assert web.record.readings == (counts,)
    await web.observe(OLD, NEW)
    assert web.record.readings == (counts + counts,)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


async def test_canary_goes_on_where_another_process_left_it(clock: list[float]) -> None:
    """Neither its evidence nor its time is lost, and the time in which nobody observed it does not count."""
    front = Front()
    web = canary(front)
    await observed(web, front, o1=Counts(), n1=Counts())
    clock[0] += 8
    await observed(web, front, o1=Counts(700), n1=Counts(79))
    clock[0] += 3600
    record = from_json(RolloutRecord, to_json(RolloutRecord(canary=web.record)))
    assert record.canary is not None
    again = canary(front, record.canary)
    await again.observe(OLD, NEW)
    clock[0] += 2
    front.counters = {"o1": Counts(702), "n1": Counts(80)}
    assert (await again.observe(OLD, NEW)).verdict is CanaryVerdict.GOOD
    assert (again.record.seconds, again.record.old) == (10.0, OLD)
    again.record = again.record.next_step()
    assert (again.record.step, again.record.total, again.new_containers) == (1, Period(), 2)
    assert not again.is_over
    again.record = again.record.next_step()
    assert again.is_over
    await again.end()
    assert front.weighed[-1] == ((), 0, 0)


def test_release_before_reads_a_rollout_without_its_canary() -> None:
    """It takes the rollout on, without a canary; what it writes has none."""
    assert from_json(RolloutRecord, '{"state": "rolling", "slots": 2}').canary is None
    unknown = '{"canary": {"step": 1, "verdict": "excellent"}}'
    assert from_json(RolloutRecord, unknown).canary == CanaryRecord(1)


async def test_verdict_is_written_at_once_and_counts_now_and_then(clock: list[float]) -> None:
    web = canary(Front())
    assert [web.is_due(CanaryVerdict.OPEN), web.is_due(CanaryVerdict.OPEN), web.is_due(CanaryVerdict.GOOD)] == [
        True,
        False,
        True,
    ]
    clock[0] += 3
    assert web.is_due(CanaryVerdict.OPEN)


@pytest.mark.parametrize("returns", [True, False])
async def test_proxy_that_tells_nothing_lets_nothing_pass(clock: list[float], returns: bool) -> None:
    """What was counted before it went away says nothing of now."""
    front = Front()
    definition = replace(WEB, canary=replace(POLICY, pause_seconds=90.0, deadline_seconds=300.0))
    web = canary_of(definition, cast("Any", front), RolloutRecord())
    assert web is not None
    verdicts = []
    for second in range(302):
        front.counters = {"o1": Counts(90 * second), "n1": Counts(10 * second)} if second < 20 else None
        if returns and second > 200:
            front.counters = {"o1": Counts(9), "n1": Counts(1)}
        judgement = await web.observe(OLD, NEW)
        verdicts.append(judgement.verdict)
        clock[0] += 1
    ends = CanaryVerdict.GOOD if returns else CanaryVerdict.INCONCLUSIVE
    assert (verdicts[90], verdicts[199], verdicts[-1]) == (CanaryVerdict.OPEN, CanaryVerdict.OPEN, ends)
    if not returns:
        assert judgement.reason.startswith("the proxy cannot be asked any more: 0 of 190 requests failed")


async def test_server_of_another_container_begins_to_count(clock: list[float]) -> None:
    """A container that is made anew may get the address of the one before, and its server at the proxy."""
    front = Front()
    web = canary(front)

    async def counts(container: str, requests: Counts) -> Period:
        async def read() -> Mapping[Hashable, ServerCount]:
            return {"s1": ServerCount(container, requests)}

        front.counts = read
        await web.observe(OLD, NEW)
        return web.record.total

    await counts("o1", Counts(100, 0))
    await counts("o1", Counts(110, 0))
    assert await counts("n1", Counts(130, 9)) == Period(Counts(), Counts(10))
    assert await counts("n1", Counts(140, 9)) == Period(Counts(10), Counts(10))


async def test_restart_by_somebody_is_not_timed(clock: list[float]) -> None:
    """How long answers take meanwhile is no fault of the version, as what fails meanwhile is none."""
    front = Front(answer_ms={"o1": 60.0})
    definition = replace(WEB, canary=replace(POLICY, errors=None, times=TimeCheck(), deadline_seconds=500.0))
    web = canary_of(definition, cast("Any", front), RolloutRecord())
    assert web is not None
    answers: list[float] = []
    for second in range(40):
        answers += [3000.0 if second in {10, 11} else 60.0] * 20
        front.counters = {"o1": Counts(9000 + 180 * second), "n1": Counts(len(answers))}
        front.answer_ms["n1"] = average_of(answers)
        if second == 12:
            web.forget_counts()
        await web.observe(OLD, NEW)
        clock[0] += 1
    assert web.record.times == Counts(1)


def average_of(answers: list[float]) -> float:
    """Average as HAProxy does: all alike, and from 512 on the last ones most."""
    average = 0.0
    for number, took in enumerate(answers, 1):
        average += (took - average) / min(number, 512)
    return average


@pytest.mark.parametrize(("before", "since"), [(0, 20), (20, 20), (400, 300), (500, 20), (5000, 20), (5000, 2000)])
def test_average_of_a_while_is_taken_out_of_haproxys(before: int, since: int) -> None:
    """Whoever had the server's place before is in its average, and no figure of HAProxy's leaves that out."""
    then, now = [90.0] * before, [90.0] * before + [30.0] * since
    seen = ServerCount("n1", Counts(len(now)), average_of(now))
    assert seen.since(ServerCount("o1", Counts(before), average_of(then))) == (since, pytest.approx(30.0, abs=0.01))


@pytest.mark.parametrize(
    ("took", "is_well"),
    [
        (Took(100.0, 60.0), True),
        (Took(121.0, 60.0), False),
        (Took(21.0, 2.0), True),
        (Took(23.0, 2.0), False),
        (Took(20.0, 0.0), True),
    ],
)
def test_slower_is_twice_as_long_and_by_20_ms(took: Took, is_well: bool) -> None:
    assert TimeCheck().is_well(took) is is_well


@pytest.mark.parametrize(("takes", "verdict"), [(300.0, CanaryVerdict.WORSE), (70.0, CanaryVerdict.GOOD)])
async def test_answers_are_compared_now_and_then(clock: list[float], takes: float, verdict: CanaryVerdict) -> None:
    front = Front(answer_ms={"o1": 60.0, "n1": takes})
    definition = replace(WEB, canary=replace(POLICY, errors=None, times=TimeCheck(), deadline_seconds=500.0))
    web = canary_of(definition, cast("Any", front), RolloutRecord())
    assert web is not None
    found = CanaryVerdict.OPEN
    for second in range(200):
        front.counters = {"o1": Counts(9000 + 18 * second), "n1": Counts(2 * second)}
        found = (await web.observe(OLD, NEW)).verdict
        if found is not CanaryVerdict.OPEN:
            break
        clock[0] += 1
    assert found is verdict
    assert (round(web.record.took.old_ms), round(web.record.took.new_ms)) == (60, round(takes))


async def test_few_answers_say_nothing_of_their_time(clock: list[float]) -> None:
    """Nor do those of one version alone: by the deadline a person is asked."""
    front = Front(answer_ms={"o1": 60.0, "n1": 900.0})
    definition = replace(WEB, canary=replace(POLICY, errors=None, times=TimeCheck()))
    web = canary_of(definition, cast("Any", front), RolloutRecord())
    assert web is not None
    for second in range(51):
        front.counters = {"o1": Counts(9000), "n1": Counts(20 * second)}
        judgement = await web.observe(OLD, NEW)
        clock[0] += 1
    assert judgement.verdict is CanaryVerdict.INCONCLUSIVE
    assert judgement.reason == "too few answers to tell how long they take"


async def test_bake_compares_answers_with_those_before_it(clock: list[float]) -> None:
    front = Front(answer_ms={"n1": 300.0})
    definition = replace(WEB, canary=replace(POLICY, errors=None, times=TimeCheck(), bake_seconds=500.0))
    record = CanaryRecord(1, 2, took=Took(61.0, 60.0)).next_step().baking(datetime.now(UTC))
    web = canary_of(definition, cast("Any", front), RolloutRecord(canary=record))
    assert web is not None
    found = CanaryVerdict.OPEN
    for second in range(60):
        front.counters = {"n1": Counts(20 * second)}
        found = (await web.judge((), NEW)).verdict
        if found is not CanaryVerdict.OPEN:
            break
        clock[0] += 1
    assert found is CanaryVerdict.WORSE
