"""Read how a new version of a service earns its traffic: `x-deploy.canary`."""

import math
from collections.abc import Mapping
from typing import Any

from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.models.canary import CanaryPolicy, ErrorRates, QueryCheck, TimeCheck
from roas.models.stack import ServiceDefinition
from roas.stack.model.x_deploy.entry import Entry

KEYS = ("replicas", "weight", "steps", "pause", "deadline", "least_requests", "checks", "bake")
ENTRY = Entry("canary", frozenset(KEYS))
ERRORS, QUERY, TIMES = "errors", "query", "response_time"
# Who answers in nearly the same time is no slower: by less than this, luck decides.
LEAST_TIMES = 1.2
LIMITS = frozenset({"below", "above"})
RATES = frozenset({"good", "bad"})
# Who says nothing of a deadline gives each step so many times its pause.
PAUSES_TO_DEADLINE = 5
# Beside as many old containers as there are new ones at most, these have half of the requests.
MOST_BY_CONTAINERS = 50
# All queries are asked again and again, for as long as the canary lasts.
MOST_CHECKS, LONGEST_QUERY = 10, 2000
USUAL = CanaryPolicy()


def canary_of(name: str, service: Mapping[str, Any]) -> CanaryPolicy | None:
    """Return how a new version of a service earns its traffic, or None without one. Raises ComposeFileError."""
    if (found := ENTRY.written_in(service)) is None:
        return None
    written = ENTRY.require_mapping(name, found)
    pause = ENTRY.read_seconds(name, "pause", written.get("pause", USUAL.pause_seconds))
    deadline = ENTRY.read_seconds(name, "deadline", written.get("deadline", pause * PAUSES_TO_DEADLINE))
    if deadline < pause:
        raise ENTRY.has_to_be(name, "≥ pause", within="deadline")
    return CanaryPolicy(
        shares=_shares(name, written),
        replicas=_whole(name, "replicas", written.get("replicas", USUAL.replicas)),
        pause_seconds=pause,
        deadline_seconds=deadline,
        least_requests=_whole(name, "least_requests", written.get("least_requests", USUAL.least_requests)),
        bake_seconds=ENTRY.read_seconds(name, "bake", written["bake"]) if "bake" in written else 0.0,
        **_checks(name, written.get("checks", [ERRORS])),
    )


def refuse_impossible_canaries(definitions: Mapping[str, ServiceDefinition]) -> None:
    """Raise ComposeFileError where a canary cannot run beside the old version, or nobody counts its requests."""
    for name, definition in definitions.items():
        if definition.canary is None:
            continue
        is_counted = definition.proxy is not None and bool(definition.proxy.backends) and definition.canary.is_weighed
        if (definition.canary.errors or definition.canary.times) and not is_counted:
            raise ENTRY.wrong(
                name,
                said("`errors` and `response_time` need `x-deploy.proxy` with HAProxy; without it, use a `query`"),
                within="checks",
            )
        if not definition.start_first:
            raise ENTRY.wrong(name, said("it needs `order: start-first`"))
        if not definition.canary.is_weighed and max(definition.canary.shares) > MOST_BY_CONTAINERS:
            raise ENTRY.wrong(
                name,
                said("without HAProxy, a step has at most {most} %", most=MOST_BY_CONTAINERS),
                within="steps",
            )
        if definition.canary.replicas > definition.replicas > 0:
            raise ENTRY.has_to_be(name, f"≤ {definition.replicas}", within="replicas")


def _shares(name: str, written: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the share of each step, in percent; without any, there is one step in which the containers decide."""
    steps = written.get("steps", [])
    steps = steps if isinstance(steps, list) else [steps]
    shares = [*([("weight", written["weight"])] if "weight" in written else []), *(("steps", step) for step in steps)]
    if not shares:
        return USUAL.shares
    percents = tuple(_percent(name, key, share) for key, share in shares)
    if any(percent != int(percent) for percent in percents) or list(percents) != sorted(set(percents)):
        raise ENTRY.has_to_be(name, "[5, 25, 50], 5 < 25 < 50", within="steps")
    return tuple(map(int, percents))


def _checks(name: str, written: object) -> dict[str, Any]:
    """Return the errors and the times that are judged, or none, and the queries."""
    checks = [written] if isinstance(written, str | Mapping) else written
    if not isinstance(checks, list) or not checks:
        raise _wrong_check(name)
    if len(checks) > MOST_CHECKS:
        raise ENTRY.wrong(name, said("more than {most}", most=MOST_CHECKS), within="checks")
    errors: ErrorRates | None = None
    times: TimeCheck | None = None
    queries: list[QueryCheck] = []
    for check in checks:
        if check == ERRORS or (isinstance(check, Mapping) and set(check) == {ERRORS}):
            if errors is not None:
                raise _wrong_check(name)
            errors = _rates(name, {} if check == ERRORS else check[ERRORS] or {})
        elif check == TIMES or (isinstance(check, Mapping) and set(check) == {TIMES}):
            if times is not None:
                raise _wrong_check(name)
            times = _times(name, {} if check == TIMES else check[TIMES] or {})
        elif isinstance(check, Mapping) and QUERY in check and set(check) <= LIMITS | {QUERY}:
            queries.append(_query(name, check))
        else:
            raise _wrong_check(name)
    return {"errors": errors, "times": times, "queries": tuple(queries)}


def _query(name: str, check: Mapping[str, Any]) -> QueryCheck:
    query, limits = check[QUERY], {key: check[key] for key in LIMITS & set(check)}
    if not isinstance(query, str) or not query.strip() or len(query) > LONGEST_QUERY or not limits:
        raise ENTRY.has_to_be(name, "{query: QUERY, below: 0.3, above: 0.1}", within="checks")
    for key, limit in limits.items():
        if not isinstance(limit, int | float) or isinstance(limit, bool):
            raise ENTRY.has_to_be(name, "0.3", within=f"checks.{key}")
    return QueryCheck(query, **{key: float(limit) for key, limit in limits.items()})


def _rates(name: str, rates: object) -> ErrorRates:
    if not isinstance(rates, Mapping) or set(rates) - RATES:
        raise ENTRY.has_to_be(name, "{good: 1%, bad: 5%}", within=f"checks.{ERRORS}")
    usual = ErrorRates()
    good = _percent(name, f"checks.{ERRORS}.good", rates.get("good", usual.good * 100)) / 100
    bad = _percent(name, f"checks.{ERRORS}.bad", rates.get("bad", usual.bad * 100)) / 100
    # Rates that hardly differ would need more requests than anybody waits for.
    if bad < 2 * good:
        raise ENTRY.has_to_be(name, "≥ 2 × good", within=f"checks.{ERRORS}.bad")
    return ErrorRates(good, bad)


def _times(name: str, written: object) -> TimeCheck:
    if not isinstance(written, Mapping) or set(written) - {"times"}:
        raise ENTRY.has_to_be(name, "{times: 1.5}", within=f"checks.{TIMES}")
    times = written.get("times", TimeCheck().times)
    if not isinstance(times, int | float) or isinstance(times, bool) or times < LEAST_TIMES:
        raise ENTRY.has_to_be(name, f"≥ {LEAST_TIMES}", within=f"checks.{TIMES}.times")
    return TimeCheck(float(times))


def _wrong_check(name: str) -> ComposeFileError:
    return ENTRY.has_to_be(name, "[errors, response_time, {query: QUERY, below: 0.3}]", within="checks")


def _percent(name: str, key: str, written: object) -> float:
    text = written.strip().removesuffix("%") if isinstance(written, str) else written
    try:
        percent = float(text) if isinstance(text, str | int | float) and not isinstance(text, bool) else math.nan
    except ValueError:
        percent = math.nan
    if not 0 < percent < 100:
        raise ENTRY.wrong(name, said("`{key}`: {value} is no share between 0 and 100 %", key=key, value=repr(written)))
    return percent


def _whole(name: str, key: str, written: object) -> int:
    if not isinstance(written, int) or isinstance(written, bool) or written < 1:
        raise ENTRY.wrong(name, said("`{key}`: {value} is no whole number from 1 on", key=key, value=repr(written)))
    return written
