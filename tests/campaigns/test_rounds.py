"""The campaign hits every step with everybody who is there, says so, and draws the same rounds from the same seed."""

from dataclasses import replace

from bot.models.change import ChangeType, StateChange
from campaigns.crash.coverage import Coverage
from campaigns.crash.playing import Played, Verdict
from campaigns.crash.points import Point, Report, Role, Victim
from campaigns.crash.rounds import Script, random_rounds, step_rounds
from campaigns.instrumented.hooks import announcement

ALONE = Report(Point(Role.PREDECESSOR, "execution: create_service store", "before"), "store", 0.0)
ALONE = replace(ALONE, present=frozenset({Role.PREDECESSOR}))
BOTH = replace(ALONE, point=replace(ALONE.point, step="execution: start discord-bot"), present=frozenset(Role))


def rounds():
    return list(step_rounds(Script.REPLACE, [ALONE, BOTH]))


def test_each_step_is_hit_with_each_victim_that_there_is():
    assert [(one.point, one.victim) for one in rounds()] == [
        (ALONE.point, Victim.PREDECESSOR),
        (BOTH.point, Victim.PREDECESSOR),
        (BOTH.point, Victim.SUCCESSOR),
        (BOTH.point, Victim.BOTH),
    ]


def test_what_was_never_hit_is_known():
    coverage = Coverage(rounds())
    for one in rounds()[:3]:
        coverage.count(Played(one, Verdict.GOOD, 1.0, ()))
    coverage.count(Played(rounds()[3], Verdict.MISSED, 1.0, ()))
    assert coverage.missing == (rounds()[3],)


def test_the_same_seed_draws_the_same_rounds():
    assert list(random_rounds(20, 7)) == list(random_rounds(20, 7))
    assert list(random_rounds(20, 7)) != list(random_rounds(20, 8))
    assert all(0 <= one.moment < 1 for one in random_rounds(50, 7))


def test_a_step_is_named_by_what_the_journal_announces():
    phase = StateChange(
        ChangeType.DEPLOYMENT_PHASE_CHANGED, "deployments", new="in_progress", metadata={"phase": "execution"}
    )
    end = StateChange(ChangeType.DEPLOYMENT_FINISHED, "deployments", new="succeeded")
    free = StateChange(ChangeType.LOCK_CHANGED, "locks", old="DEPLOY-1")
    assert announcement([phase]) == "phase in_progress"
    assert announcement([free, end]) == "lock let go + deployment succeeded"
    assert announcement([StateChange(ChangeType.AUDIT, "audit", new="noted")]) == ""
