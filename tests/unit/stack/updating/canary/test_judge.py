"""The judge of a canary has three answers, and is seldom wrong: the worked figures, and a table of what it is shown."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations

import pytest

from roas.models.canary import CanaryPolicy, CanaryRecord, CanaryVerdict, Counts, ErrorRates, Period, QueryCheck
from roas.stack.updating.canary.judge import SequentialTest, evidence_beside, judge, with_counted

TEST = SequentialTest(ErrorRates(0.005, 0.05))
POLICY = CanaryPolicy(shares=(10, 50), pause_seconds=120.0, deadline_seconds=600.0)
GOOD, WORSE, OPEN = CanaryVerdict.GOOD, CanaryVerdict.WORSE, CanaryVerdict.OPEN
INCONCLUSIVE = CanaryVerdict.INCONCLUSIVE


def test_fixed_window_fails_a_good_version_in_22_percent() -> None:
    """A window of 50 requests of which 99 % have to be well lets none fail: a true rate of 0.5 % breaks that often."""
    assert pytest.approx(0.22, abs=0.005) == 1 - 0.995**50


def test_sequential_test_passes_after_64_clean_requests() -> None:
    assert [TEST.is_good(Counts(requests)) for requests in (63, 64)] == [False, True]


def test_two_failures_in_a_row_are_bad_and_one_is_not() -> None:
    assert [TEST.is_bad(Counts(failures, failures)) for failures in (1, 2)] == [False, True]


def test_ranks_of_three_samples_each_say_nothing() -> None:
    """Mann-Whitney with three samples a side: the most extreme order of all, to both sides, has p = 0.10."""
    orders = list(combinations(range(6), 3))
    assert 2 * sum(order == (3, 4, 5) for order in orders) / len(orders) == pytest.approx(0.10)


def test_old_version_without_requests_says_nothing() -> None:
    assert evidence_beside(Period(Counts(40, 40)), 3.0) == 0.0
    assert evidence_beside(Period(Counts(20, 2), Counts(180)), 10.0) == pytest.approx(2 * math.log(10 / 1.9))


@pytest.mark.parametrize(
    ("seconds", "new", "old", "verdict"),
    [
        pytest.param(10, (41, 2), (380, 0), OPEN, id="two failures may be bad luck"),
        pytest.param(10, (41, 3), (380, 0), WORSE, id="three are not"),
        pytest.param(10, (41, 3), (380, 3), OPEN, id="the old version fails, too"),
        pytest.param(10, (410, 41), (3800, 380), OPEN, id="both fail: something else is broken"),
        pytest.param(120, (410, 8), (3800, 76), GOOD, id="… and the new version no more than the old"),
        pytest.param(599, (100, 100), (900, 900), OPEN, id="all fail: nothing is known of the new one"),
        pytest.param(600, (100, 100), (900, 900), INCONCLUSIVE, id="… and a person is asked"),
        pytest.param(10, (20, 9), (0, 0), INCONCLUSIVE, id="it fails, and nobody asks the old version"),
        pytest.param(120, (200, 0), (0, 0), GOOD, id="it is well, and nobody asks the old version"),
        pytest.param(120, (200, 0), (1800, 900), GOOD, id="the new version is good by itself"),
        pytest.param(120, (410, 41), (3800, 4), WORSE, id="only the new one fails"),
        pytest.param(119, (200, 0), (1800, 0), OPEN, id="good, but the pause is not over"),
        pytest.param(120, (200, 0), (1800, 0), GOOD, id="good"),
        pytest.param(120, (79, 0), (700, 0), OPEN, id="one too few: half of the error is for either way to be good"),
        pytest.param(120, (80, 0), (700, 0), GOOD, id="enough"),
        pytest.param(599, (12, 0), (110, 0), OPEN, id="few requests, and there is time"),
        pytest.param(600, (12, 0), (110, 0), INCONCLUSIVE, id="few requests, and the deadline"),
        pytest.param(600, (0, 0), (0, 0), INCONCLUSIVE, id="none at all, or a proxy that is away"),
        pytest.param(600, (100, 2), (900, 0), INCONCLUSIVE, id="neither nor"),
    ],
)
def test_step_is_judged(seconds: float, new: tuple[int, int], old: tuple[int, int], verdict: CanaryVerdict) -> None:
    record = CanaryRecord(seconds=seconds, periods=(Period(Counts(*new), Counts(*old)),))
    assert judge(POLICY, record).verdict is verdict


@pytest.mark.parametrize(
    ("seconds", "new", "readings", "verdict"),
    [
        pytest.param(120, (200, 0), (9, 0), GOOD, id="both are good"),
        pytest.param(120, (200, 0), (4, 0), OPEN, id="the query was not read often enough"),
        pytest.param(120, (10, 0), (9, 0), OPEN, id="there were too few requests"),
        pytest.param(30, (200, 0), (2, 2), WORSE, id="the query alone is bad"),
        pytest.param(30, (200, 40), (9, 0), WORSE, id="the errors alone are bad"),
        pytest.param(30, (200, 0), (3, 1), OPEN, id="one bad reading of three"),
        pytest.param(600, (200, 0), (0, 0), INCONCLUSIVE, id="Prometheus is away, or has no value"),
    ],
)
def test_query_is_judged_beside_errors(
    seconds: float, new: tuple[int, int], readings: tuple[int, int], verdict: CanaryVerdict
) -> None:
    policy = replace(POLICY, queries=(QueryCheck("latency", below=0.3),))
    periods = (Period(Counts(*new), Counts(9 * new[0])),)
    record = CanaryRecord(seconds=seconds, periods=periods, readings=(Counts(*readings),))
    judgement = judge(policy, record)
    assert judgement.verdict is verdict
    if verdict is INCONCLUSIVE:
        assert judgement.reason == "Prometheus has no value of `latency`"


def test_reason_is_a_sentence() -> None:
    record = CanaryRecord(seconds=600.0, periods=(Period(Counts(41, 2), Counts(380)),))
    text = "too few requests to tell (50 are needed): 2 of 41 requests failed, 0 of 380 on the old version"
    assert judge(POLICY, record).reason == text
    assert judge(POLICY, CanaryRecord(seconds=600.0)).reason == "nothing is known of its requests"
    outage = CanaryRecord(seconds=600.0, periods=(Period(Counts(100, 100), Counts(900, 900)),))
    assert judge(POLICY, outage).reason.startswith("the old version is bad itself, so nothing tells how the new one is")


@pytest.mark.parametrize(
    ("seconds", "new", "before", "verdict"),
    [
        pytest.param(30, (400, 40), (900, 2), WORSE, id="worse than the old version was"),
        pytest.param(30, (400, 40), (900, 90), OPEN, id="no worse than that"),
        pytest.param(900, (400, 40), (900, 90), INCONCLUSIVE, id="… but bad: whoever promoted it decides"),
        pytest.param(30, (400, 40), (0, 0), INCONCLUSIVE, id="nothing is known of the old version"),
        pytest.param(899, (9000, 9), (900, 2), OPEN, id="good, and the time is not over"),
        pytest.param(900, (9000, 9), (900, 2), GOOD, id="good"),
        pytest.param(900, (0, 0), (900, 2), INCONCLUSIVE, id="nobody came"),
    ],
)
def test_bake_is_judged_beside_the_old_version_of_before(
    seconds: float, new: tuple[int, int], before: tuple[int, int], verdict: CanaryVerdict
) -> None:
    policy = replace(POLICY, bake_seconds=900.0)
    record = CanaryRecord(1, 2, seconds=120.0, periods=(Period(Counts(200), Counts(*before)),)).next_step()
    record = record.baking(datetime.now(UTC))
    record = replace(record, seconds=seconds, periods=(Period(Counts(*new)),))
    assert judge(policy.of_bake, record).verdict is verdict


def test_chance_is_shared_with_the_bake() -> None:
    """Over all steps and the bake together it is wrong in at most 5 %."""
    assert (POLICY.tests, replace(POLICY, bake_seconds=900.0).tests) == (2, 3)


def test_extension_moves_the_deadline() -> None:
    record = CanaryRecord(seconds=700.0, verdict=INCONCLUSIVE)
    assert judge(POLICY, record.extended()).verdict is OPEN
    assert judge(POLICY, CanaryRecord(seconds=1200.0, extensions=1)).verdict is INCONCLUSIVE


def test_version_that_was_good_for_long_is_found_out_soon() -> None:
    """A leak begins after a minute: what was well before does not speak for it."""
    record = CanaryRecord(seconds=70.0)
    record = CanaryRecord(seconds=80.0, periods=with_counted(POLICY, record, Period(Counts(3000), Counts(27000))))
    assert len(record.periods) == 1
    assert len(later := with_counted(POLICY, record, Period(Counts(60, 9), Counts(540)))) == 2
    assert judge(POLICY, CanaryRecord(seconds=81.0, periods=later)).verdict is WORSE
    assert judge(POLICY, CanaryRecord(seconds=81.0, periods=(later[0] + later[1],))).verdict is OPEN


@pytest.mark.parametrize("failing", [30, 60])
def test_leak_late_in_a_long_bake_is_found_soon(failing: int) -> None:
    """Hours that were well do not speak for it: a moment of a day is a quarter of an hour."""
    policy = replace(POLICY, bake_seconds=86_400.0).of_bake
    record = CanaryRecord(2, 2, before=Counts(900, 2), bakes_until=datetime.now(UTC))
    for minute in range(24 * 60):
        counted = Counts(600, failing if minute >= 250 else 3)
        record = replace(record, seconds=60.0 * minute, periods=with_counted(policy, record, Period(counted)))
        if judge(policy, record).verdict is WORSE:
            break
    assert 250 <= minute <= 250 + 15


def test_long_after_the_last_moment_counts_to_that() -> None:
    periods = with_counted(POLICY, CanaryRecord(seconds=9000.0), Period(Counts(1)))
    assert (len(periods), periods[-1].new) == (8, Counts(1))


def test_what_speaks_against_it_right_now_holds_it_up() -> None:
    """Many good minutes would pass it, and the last one is bad, though not bad enough yet."""
    periods = (Period(Counts(900), Counts(8100)), Period(Counts(20, 2), Counts(180)))
    assert judge(POLICY, CanaryRecord(seconds=120.0, periods=periods)).verdict is OPEN
