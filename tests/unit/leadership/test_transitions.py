"""What a bot is among those that share a journal changes by one table."""

import itertools
from pathlib import Path

import pytest

from roas.errors import InternalFaultError
from roas.leadership.elector import TRANSITIONS, ElectorState, Occasion, after

ROOT = Path(__file__).resolve().parents[3]
IMPOSSIBLE = sorted({*itertools.product(ElectorState, Occasion)} - {*TRANSITIONS})


def test_documented_table_is_that_of_the_code() -> None:
    rows = [f"| {state} | {occasion} | {target} |" for (state, occasion), target in TRANSITIONS.items()]
    table = "\n".join(["| From | When | To |", "|---|---|---|", *rows])
    assert table in (ROOT / "docs/explanation/staying-alive.md").read_text()


@pytest.mark.parametrize(("state", "occasion"), IMPOSSIBLE)
def test_impossible_transition_refused(state: ElectorState, occasion: Occasion) -> None:
    with pytest.raises(InternalFaultError, match=f"A {state} process"):
        after(state, occasion)


def test_stopped_is_for_good() -> None:
    assert [state for state, _occasion in TRANSITIONS if state is ElectorState.STOPPED] == []


def test_losing_the_journal_stops_whatever_it_was() -> None:
    lost = {state: target for (state, occasion), target in TRANSITIONS.items() if occasion is Occasion.LOST}
    assert lost == dict.fromkeys((ElectorState.STANDBY, ElectorState.LEADER), ElectorState.STOPPED)
