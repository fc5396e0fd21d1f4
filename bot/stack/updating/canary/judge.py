"""Judge a new version by how many of its requests fail, beside the old version in the same minutes.

The evidence is Wald's: the logarithm of how much likelier what was seen is if the version is bad than if it is good.
It may be read at each look, since the chance that it ever reaches `log(1 / ERROR)` by accident is at most `ERROR`,
however often it is read. An average of such likelihood ratios has the same property, and so has the least of two.

- *Worse* needs both: more failures than a good version has, and more than the old version had meanwhile. What makes
  both versions fail, such as a database that is away, is no fault of the new one. Each step may be wrong in its share
  of `ERROR` only, so that all of them together are in `ERROR`.
- A version may become worse later. So the evidence counts from several moments on, each with its share of the chance.
- *Good* is who is not bad, or fails no more than the old version, unless that is bad itself: each may be wrong in half
  of `ERROR`. From no moment on may anything speak against it.
- A query of Prometheus is judged by its readings as requests are: which of them are well is the question. So is how
  long answers take: a reading is of fifty requests of each version at least, and compares their averages. With fewer,
  chance alone makes answers of one version twice as long, where a few take very long.
- What is neither by the deadline is *inconclusive*: a person decides. So is a version that had few requests, or
  none; and, at once, one that fails where nobody asks the old version.
- After the last step a version may bake: nobody asks an old version then, and what that failed in the steps before
  stands for it.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from roas.messages.message import said
from roas.models.canary import (
    CanaryPolicy,
    CanaryRecord,
    CanaryVerdict,
    Counts,
    ErrorRates,
    Period,
    QueryCheck,
)

# How often, at most, a good version is called worse, and a bad one good.
ERROR = 0.05
# So many times the old version's failures are clearly more; for who is not worse, the least of them counts.
RATIOS = (3.0, 10.0)
# Which share of the readings of a query is beyond its limit where a version is good, and where it is bad.
READINGS = ErrorRates(0.05, 0.5)
# Which share of the comparisons of answer times finds a version too slow that is not, and one that is.
COMPARISONS = ErrorRates(0.05, 0.8)
# The moments from which a version may have become worse; half of the chance is for the first. What lasts for long has
# more of them: what was well just before a leak, within the same moment, hides it for a while.
MOMENTS, MOST_MOMENTS, MOMENT_SECONDS = 8, 96, 450.0
FIRST_SHARE = 0.5
QUERY_LENGTH = 80
# Where errors and times are known from; a query is known from itself.
PROXY = ""


@dataclass(frozen=True, slots=True)
class SequentialTest:
    """Test by Wald's sequential probability ratio whether a rate of failures is good or bad."""

    rates: ErrorRates
    false_alarms: float = ERROR
    false_passes: float = ERROR

    def evidence(self, counts: Counts) -> float:
        """Return the logarithm of how much likelier counts are of a bad rate than of a good one."""
        good, bad = self.rates.good, self.rates.bad
        well = counts.requests - counts.failed
        return counts.failed * math.log(bad / good) + well * math.log((1 - bad) / (1 - good))

    def is_bad(self, counts: Counts) -> bool:
        """Return whether the counts are of a bad rate."""
        return self.evidence(counts) >= math.log((1 - self.false_passes) / self.false_alarms)

    def is_good(self, counts: Counts) -> bool:
        """Return whether the counts are of a good rate."""
        return self.evidence(counts) <= math.log(self.false_passes / (1 - self.false_alarms))


def evidence_beside(period: Period, ratio: float) -> float:
    """Return the logarithm of how much likelier it is that the new version fails `ratio` times as often as the old one.

    Of each failure counts whose it is: by chance it is the new version's as often as the new version is asked.
    """
    new, old = period.new, period.old
    if not new.requests or not old.requests:
        return 0.0
    share = new.requests / (new.requests + old.requests)
    expected = share * ratio + 1 - share
    return new.failed * math.log(ratio / expected) - old.failed * math.log(expected)


@dataclass(frozen=True, slots=True)
class CanaryJudgement:
    """Say how a step of a canary is, and why in a sentence; `why_unsure` is said where time does not tell, either."""

    verdict: CanaryVerdict
    reason: str
    why_unsure: str = ""


def judge(policy: CanaryPolicy, record: CanaryRecord, stale: Collection[str] = ()) -> CanaryJudgement:
    """Judge the step that a canary is in by all that was counted in it: worse by one check, good by all of them.

    Of the proxy and of queries that are `stale` nothing is known now: what they told before is no reason to go on.
    """
    chance = ERROR / policy.tests
    readings = [*record.readings, *[Counts()] * (len(policy.queries) - len(record.readings))]
    pairs = zip(policy.queries, readings, strict=True)
    found = [_unless_stale(_judge_query(check, read, chance), check.query, stale) for check, read in pairs]
    if policy.times is not None:
        found.insert(0, _unless_stale(_judge_times(record, chance), PROXY, stale))
    if policy.errors is not None:
        found.insert(0, _unless_stale(_judge_errors(policy, policy.errors, record, chance), PROXY, stale))
    at_once = [CanaryVerdict.WORSE, *([] if record.extensions else [CanaryVerdict.INCONCLUSIVE])]
    for judgement in (judgement for verdict in at_once for judgement in found if judgement.verdict is verdict):
        return judgement
    unsure = [judgement for judgement in found if judgement.verdict is not CanaryVerdict.GOOD]
    if not unsure and record.seconds >= policy.pause_seconds:
        return found[0]
    if unsure and record.seconds >= policy.deadline_seconds * (1 + record.extensions):
        return CanaryJudgement(CanaryVerdict.INCONCLUSIVE, unsure[0].why_unsure or unsure[0].reason)
    return CanaryJudgement(CanaryVerdict.OPEN, found[0].reason)


def _unless_stale(judgement: CanaryJudgement, source: str, stale: Collection[str]) -> CanaryJudgement:
    if judgement.verdict is not CanaryVerdict.GOOD or source not in stale:
        return judgement
    why = said("the proxy cannot be asked any more: {seen}", seen=judgement.reason)
    if source != PROXY:
        why = said("Prometheus has no value of `{query}` any more", query=source[:QUERY_LENGTH])
    return CanaryJudgement(CanaryVerdict.OPEN, judgement.reason, why)


def _judge_errors(policy: CanaryPolicy, rates: ErrorRates, record: CanaryRecord, chance: float) -> CanaryJudgement:
    test, total = SequentialTest(rates), record.total
    since = [_evidence_of_worse(test, period) for period in _from_each_moment(record)]
    if _average(since, _moments(policy)) >= -math.log(chance):
        return CanaryJudgement(CanaryVerdict.WORSE, describe(total))
    if not total.old.requests and SequentialTest(rates, false_alarms=chance).is_bad(total.new):
        reason = said("nobody asked the old version meanwhile, and the new one fails: {seen}", seen=describe(total))
        return CanaryJudgement(CanaryVerdict.INCONCLUSIVE, reason)
    is_asked_enough = total.new.requests >= policy.least_requests
    beside = 0.0 if _is_failing(rates, total.old) else evidence_beside(total, RATIOS[0])
    is_good = min(test.evidence(total.new), beside) <= math.log(ERROR / 2)
    if is_asked_enough and is_good and max(since, default=0.0) <= 0:
        return CanaryJudgement(CanaryVerdict.GOOD, describe(total))
    return CanaryJudgement(CanaryVerdict.OPEN, describe(total), _why_inconclusive(policy, rates, total))


def _is_failing(rates: ErrorRates, old: Counts) -> bool:
    """Return whether the old version fails as much as a bad one: who fails no more than that is not good for it."""
    return old.failed > 0 and old.failed >= rates.bad * old.requests


def _judge_query(check: QueryCheck, readings: Counts, chance: float) -> CanaryJudgement:
    test, query = SequentialTest(READINGS, false_alarms=chance), check.query[:QUERY_LENGTH]
    if not readings.requests:
        return CanaryJudgement(CanaryVerdict.OPEN, said("Prometheus has no value of `{query}`", query=query))
    reason = said(
        "`{query}` was beyond its limit in {failed} of {requests} {requests|reading|readings}",
        query=query,
        failed=readings.failed,
        requests=readings.requests,
    )
    return CanaryJudgement(_verdict(test, readings), reason)


def _judge_times(record: CanaryRecord, chance: float) -> CanaryJudgement:
    test, readings = SequentialTest(COMPARISONS, false_alarms=chance), record.times
    if not readings.requests:
        return CanaryJudgement(CanaryVerdict.OPEN, said("too few answers to tell how long they take"))
    reason = said(
        "answers took {new} ms, {old} ms on the old version: too long in {failed} of {requests} "
        "{requests|reading|readings}",
        new=round(record.took.new_ms),
        old=round(record.took.old_ms),
        failed=readings.failed,
        requests=readings.requests,
    )
    return CanaryJudgement(_verdict(test, readings), reason)


def _verdict(test: SequentialTest, readings: Counts) -> CanaryVerdict:
    """Return what readings tell, each of which was well or not."""
    is_bad, is_good = test.is_bad(readings), test.is_good(readings)
    return CanaryVerdict.WORSE if is_bad else CanaryVerdict.GOOD if is_good else CanaryVerdict.OPEN


def with_counted(policy: CanaryPolicy, record: CanaryRecord, counted: Period) -> tuple[Period, ...]:
    """Return the periods of a step with what was counted since; each begins at a moment that the evidence counts from.

    What comes after the last such moment belongs to it.
    """
    moments = _moments(policy)
    number = min(moments - 1, int(record.seconds / (policy.deadline_seconds / moments)))
    periods = [*record.periods, *[Period()] * (number + 1 - len(record.periods))]
    periods[number] += counted
    return tuple(periods)


def _moments(policy: CanaryPolicy) -> int:
    return min(MOST_MOMENTS, max(MOMENTS, round(policy.deadline_seconds / MOMENT_SECONDS)))


def describe(total: Period) -> str:
    """Say how many requests failed of each version."""
    return said(
        "{failed} of {requests} {requests|request|requests} failed, {old_failed} of {old_requests} on the old version",
        failed=total.new.failed,
        requests=total.new.requests,
        old_failed=total.old.failed,
        old_requests=total.old.requests,
    )


def _why_inconclusive(policy: CanaryPolicy, rates: ErrorRates, total: Period) -> str:
    if not total.new.requests:
        return said("nothing is known of its requests")
    if total.new.requests < policy.least_requests:
        return said(
            "too few requests to tell ({least} are needed): {seen}", least=policy.least_requests, seen=describe(total)
        )
    if _is_failing(rates, total.old):
        return said("the old version is bad itself, so nothing tells how the new one is: {seen}", seen=describe(total))
    return said("neither good nor worse so far: {seen}", seen=describe(total))


def _from_each_moment(record: CanaryRecord) -> Iterator[Period]:
    return (record.total_since(begin) for begin in range(len(record.periods)))


def _evidence_of_worse(test: SequentialTest, period: Period) -> float:
    """Return the evidence that a version is bad, as far as it is also worse than the old one."""
    beside = math.log(sum(math.exp(_bounded(evidence_beside(period, ratio))) for ratio in RATIOS) / len(RATIOS))
    return min(test.evidence(period.new), beside)


def _average(since: list[float], moments: int) -> float:
    """Return the evidence on average over all moments; of those that are yet to come, there is none."""
    shares = [FIRST_SHARE, *[(1 - FIRST_SHARE) / (moments - 1)] * (moments - 1)]
    values = [*since, *[0.0] * (moments - len(since))]
    return math.log(sum(share * math.exp(_bounded(value)) for share, value in zip(shares, values, strict=True)))


def _bounded(evidence: float) -> float:
    """Keep evidence within what a power of e can be of: more than that changes nothing."""
    return max(-500.0, min(500.0, evidence))
