"""The campaign hits every step with everybody who is there, says so, and draws the same rounds from the same seed."""

from collections import Counter
from dataclasses import replace

import pytest

from roas.models.deployment import ServiceStep
from tools.campaigns import kept_rounds
from tools.campaigns.crash.coverage import Coverage
from tools.campaigns.crash.learning import _own
from tools.campaigns.crash.playing import Played, Verdict
from tools.campaigns.crash.points import Point, Report, Role, Victim, is_intent
from tools.campaigns.crash.record import Record
from tools.campaigns.crash.rounds import (
    DOWNGRADES,
    Kind,
    Script,
    all_rounds,
    hang_rounds,
    random_rounds,
    relevant_first,
    step_rounds,
)
from tools.campaigns.kept_rounds import KeptRounds

ALONE = Report(Point(Role.PREDECESSOR, "execution: create_service store", "before"), "store", 0.0)
ALONE = replace(ALONE, present=frozenset({Role.PREDECESSOR}))
BOTH = replace(ALONE, point=replace(ALONE.point, step="execution: start discord-bot"), present=frozenset(Role))
PASSING = replace(BOTH, point=replace(ALONE.point, step="execution: leadership transferred"))


def rounds():
    return list(step_rounds(Script.REPLACE, [ALONE, BOTH]))


def test_each_step_hit_with_each_victim():
    assert [(item.point, item.victim) for item in rounds()] == [
        (ALONE.point, Victim.PREDECESSOR),
        (BOTH.point, Victim.PREDECESSOR),
        (BOTH.point, Victim.SUCCESSOR),
        (BOTH.point, Victim.BOTH),
    ]


def test_never_hit_rounds_listed_per_kind():
    wanted = [*rounds(), *random_rounds(2, 7), *hang_rounds([PASSING])]
    coverage = Coverage(wanted)
    for item in wanted[:3]:
        coverage.count(Played(item, Verdict.GOOD, 1.0, ()))
    coverage.count(Played(wanted[4], Verdict.BROKEN, 1.0, (), ("one bot: 2",)))
    coverage.count(Played(wanted[3], Verdict.MISSED, 1.0, ()))
    coverage.count(Played(wanted[5], Verdict.UNPLAYED, 1.0, ()))
    assert coverage.missing == (wanted[3], *wanted[5:])


def test_only_acting_steps_are_intents():
    steps = (ServiceStep.PENDING, ServiceStep.CREATING, ServiceStep.HEALTHY, ServiceStep.REMOVING, ServiceStep.FAILED)
    assert [step for step in steps if is_intent(step.value)] == [ServiceStep.CREATING, ServiceStep.REMOVING]


def test_same_seed_draws_same_rounds():
    assert list(random_rounds(20, 7)) == list(random_rounds(20, 7))
    assert list(random_rounds(20, 7)) != list(random_rounds(20, 8))
    assert all(0 <= random_round.moment < 1 for random_round in random_rounds(50, 7))


def test_played_rounds_not_repeated(tmp_path):
    good, bad, missed, other = rounds()
    Record(tmp_path, 1).add(1, Played(good, Verdict.GOOD, 1.5, ("succeeded",)))
    Record(tmp_path, 1).add(2, Played(bad, Verdict.BROKEN, 60.0, (), ("one bot: 2",)))
    Record(tmp_path, 1).add(3, Played(missed, Verdict.MISSED, 1.0, ()))
    assert Record(tmp_path, 1).played([good, bad, missed, other]) == [
        Played(good, Verdict.GOOD, 1.5, ("succeeded",)),
        Played(bad, Verdict.BROKEN, 60.0, (), ("one bot: 2",)),
    ]


@pytest.mark.parametrize(
    ("changed", "is_played"), [("deploy/run.py", False), ("errors.py", False), ("ui/drawing.py", True), ("", True)]
)
def test_rounds_of_other_code_are_played_again(tmp_path, monkeypatch, changed, is_played):
    """A sitting goes on where the last one stopped, unless a room has changed that acts on a stack."""
    monkeypatch.setattr(kept_rounds, "BOT", tmp_path)
    for name in ("deploy/run.py", "errors.py", "ui/drawing.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("before")
    KeptRounds(tmp_path / "results").add("1: up -d", {"verdict": "good"})
    if changed:
        (tmp_path / changed).write_text("after")
    assert list(KeptRounds(tmp_path / "results").last()) == ["1: up -d"] * is_played


def test_downgrade_hit_where_both_bots_are():
    alone = replace(ALONE, point=replace(ALONE.point, step="execution: start store"))
    traces = _own({Script.REPLACE: (ALONE, BOTH), Script.REVERT: (ALONE, alone), Script.DOWNGRADE: (ALONE, BOTH)})
    assert traces == {Script.REPLACE: (ALONE, BOTH), Script.REVERT: (alone,), Script.DOWNGRADE: (BOTH,)}
    drawn = [item for item in all_rounds(traces, 5, 1) if item.script is Script.DOWNGRADE]
    assert Counter(item.kind for item in drawn) == {Kind.STEPS: 3, Kind.RANDOM: DOWNGRADES}


def test_planted_defect_rounds_come_first():
    everything = [*rounds(), *hang_rounds([PASSING]), *random_rounds(2, 7)]
    ordered = relevant_first(everything, "no-watchdog")
    assert [item.kind for item in ordered[:2]] == [Kind.HANGS, Kind.HANGS]
    assert sorted(map(str, ordered)) == sorted(map(str, everything))
    assert relevant_first(everything, "") == everything
