"""What was made for a whole stack a moment ago is not asked for again by each of its services."""

import pytest

from roas.stack.swarm import shared
from roas.stack.swarm.service_spec import SwarmIds
from roas.stack.swarm.shared import JustMade

IDS = SwarmIds({"shop_default": "n1"})


def test_what_was_made_for_a_model_is_known_for_that_one() -> None:
    made = JustMade()
    made.keep("m1", IDS)
    assert made.of("m1") == IDS
    assert made.of("m2") is None, "another model needs other files"


def test_what_was_made_a_while_ago_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made = JustMade()
    made.keep("m1", IDS)
    monkeypatch.setattr(shared, "JUST_SECONDS", 0.0)
    assert made.of("m1") is None
    made.keep("m2", IDS)
    monkeypatch.setattr(shared, "JUST_SECONDS", 60.0)
    assert made.of("m1") is None, "it is not kept for ever"
