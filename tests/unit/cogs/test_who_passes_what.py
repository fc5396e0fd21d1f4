"""Who passes a window, a freeze, a hold, what is required and what is verified: every case, against an oracle."""

from datetime import UTC, datetime, timedelta
from itertools import chain, combinations, product
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from roas.cogs.permissions import ACTIONS, Asker, Rules, refusal
from roas.deploy.promotion import Run, Trouble, has_soaked
from roas.models.actor import RECOVERY, Actor, ActorKind
from roas.models.deployment import DeploymentKind, DeploymentRequest
from roas.models.environment import Environment
from roas.models.gate import Gate, Passage, judge_request
from roas.models.windows import Windows, read_window

ROLES = {"deployer": 11, "approver": 12, "hotfix": 13}
RULES = Rules(1, 2, frozenset({11}), frozenset({12}), frozenset({13}))
KINDS = ("deploy", "auto", "scheduled", "hotfix", "rollback", "recovery")
# Hours around both changes of the clock, of two zones.
NIGHTS = {
    "Europe/Berlin": (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 10, 24, 23, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 11, 1, 4, tzinfo=UTC)),
}
LOCAL_HOURS_OPEN = {0, 1, 22, 23}
HOUR = timedelta(hours=1)
# What is required: the soak, how long it has been healthy there (None: it never was), whether an alert is open there,
# and whether that is too little by the manual.
REQUIRED = [
    None,
    *((soak, None, False, True) for soak in (0 * HOUR, HOUR)),
    *((soak, HOUR / 2, False, soak == HOUR) for soak in (0 * HOUR, HOUR)),
    *((soak, HOUR * 2, False, False) for soak in (0 * HOUR, HOUR)),
    *((soak, HOUR * 2, True, True) for soak in (0 * HOUR, HOUR)),
]


def is_unmet(required, moment):
    """Ask the product whether what is required is not met."""
    if required is None:
        return False
    soak, healthy, alerting, _too_little = required
    runs = [] if healthy is None else [Run(1, moment - healthy)]
    trouble = Trouble(moment - timedelta(minutes=1), None, "web is down")
    return not has_soaked(runs, [trouble] if alerting else [], soak, moment)


def request(kind: str, reason: str) -> DeploymentRequest:
    known = {"hotfix": DeploymentKind.HOTFIX, "rollback": DeploymentKind.ROLLBACK, "recovery": DeploymentKind.ROLLBACK}
    actor = Actor(ActorKind.SOURCE, "ci", "ci") if kind == "auto" else Actor(ActorKind.DISCORD, "7", "dora")
    if kind == "recovery":
        actor = Actor(ActorKind.SYSTEM, RECOVERY, "automatic recovery")
    at = datetime(2026, 1, 1, tzinfo=UTC) if kind == "scheduled" else None
    return DeploymentRequest("prod", known.get(kind, DeploymentKind.DEPLOY), actor, "v2", reason=reason, starts_at=at)


def oracle(kind: str, *, closed: bool, freeze: bool, hold: bool, requires: bool, verify: bool, reason: bool) -> str:
    """Say it as the manual says it, kind by kind."""
    if kind == "recovery":
        return "passes"
    if kind == "rollback":
        return "refused" if freeze and not reason else "passes"
    if verify:
        return "refused"
    if kind == "hotfix":
        return "refused" if (closed or freeze) and not reason else "passes"
    if kind == "scheduled":
        return "asks again" if closed or freeze or hold or requires else "passes"
    if kind == "auto":
        if hold:
            return "refused"
        return "waits" if closed or freeze or requires else "passes"
    if freeze or requires:
        return "refused"
    return "waits" if closed else "passes"


SAID = {
    Passage.PASSES: "passes",
    Passage.TOLD: "passes",
    Passage.WAITS: "waits",
    Passage.ASKS_AGAIN: "asks again",
    Passage.REFUSED: "refused",
}


@pytest.mark.parametrize("zone", NIGHTS)
@pytest.mark.parametrize("kind", KINDS)
def test_matrix_against_the_oracle(kind: str, zone: str) -> None:
    """Each hour of two nights with another clock, and every set of what may be in the way, with and without reason."""
    windows = Windows((read_window("0 22 * * * for 4h"),), zone)
    wrong, cases = [], 0
    for night, hours in product(NIGHTS[zone], range(8)):
        moment = night + timedelta(hours=hours, minutes=30)
        # What began at 22:00 is open for four hours by the real clock: an hour that comes twice is open once.
        local = moment.astimezone(ZoneInfo(zone))
        is_open, unmet = windows.is_open(moment), [is_unmet(required, moment) for required in REQUIRED]
        closed = local.hour not in LOCAL_HOURS_OPEN or bool(local.fold)
        for position, freeze, hold, verify, reason in product(range(len(REQUIRED)), *[(False, True)] * 4):
            requires = bool(REQUIRED[position]) and REQUIRED[position][-1]
            shut = {
                gate
                for gate, is_shut in zip(Gate, (not is_open, freeze, hold, unmet[position], verify), strict=True)
                if is_shut
            }
            found = SAID[judge_request(request(kind, "it burns" if reason else ""), shut).passage]
            should = oracle(
                kind, closed=closed, freeze=freeze, hold=hold, requires=requires, verify=verify, reason=reason
            )
            cases += 1
            if found != should:
                wrong.append((moment, sorted(shut), reason, found, should))
    assert cases == 2304
    assert wrong == []


@pytest.mark.parametrize("kind", ["deploy", "hotfix", "rollback"])
def test_role_comes_before_every_gate(kind: str) -> None:
    """Whoever lacks the role begins nothing, whatever is open; whoever has it is judged by the table."""
    wanted = request(kind, "why")
    environment = Environment("prod", "shop", Path("/srv"), ())
    needed = {"deploy": "deployer", "hotfix": "hotfix", "rollback": "deployer"}[kind]
    for held in chain.from_iterable(combinations(ROLES, size) for size in range(4)):
        asker = Asker(7, "dora", 1, 2, frozenset(ROLES[name] for name in held))
        refused = refusal(ACTIONS[wanted.kind], environment, asker, RULES) is not None
        assert refused == (needed not in held), held
