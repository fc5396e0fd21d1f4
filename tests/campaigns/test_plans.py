"""A plan is what then happens, over random stacks and random hands; and the judge sees where it is not."""

from pathlib import Path

import pytest

from campaigns.plans.__main__ import play_cases, play_on_engine
from campaigns.plans.cases import Case
from campaigns.plans.machine_hands import replace_something
from roas.errors import ImageChangedError
from roas.state.manager import StateManager

CASES = 25


@pytest.mark.parametrize("first", range(1, 201, CASES))
async def test_plan_is_what_happens(tmp_path: Path, first: int) -> None:
    results = await play_cases(first, CASES, tmp_path)
    assert {one.seed: (one.story, one.lies) for one in results if one.lies} == {}
    assert sum(one.changed for one in results) > CASES, "else nothing was put to the test"


@pytest.mark.engine
@pytest.mark.timeout(300)
async def test_plan_is_what_an_engine_does(tmp_path: Path) -> None:
    results = await play_on_engine(1, 2, tmp_path)
    assert {one.seed: (one.story, one.lies) for one in results if one.lies} == {}
    assert sum(one.changed for one in results) > 0, "else nothing was put to the test"


async def test_late_hand_is_found(tmp_path: Path) -> None:
    """What a hand does after the plan was made is no part of it: the judge has to see that."""
    async with StateManager(tmp_path / "state") as state:
        cases = [Case(seed, state, tmp_path) for seed in range(1, 11)]
        found = [await case.play(between=lambda case: replace_something(case.hands), bound=False) for case in cases]
    assert sum(bool(one.lies) for one in found) >= 3


async def test_late_hand_voids_the_plan(tmp_path: Path) -> None:
    """What a hand replaced after the plan would be replaced again without anybody's yes: that is refused."""
    refused = 0
    async with StateManager(tmp_path / "state") as state:
        for seed in range(1, 11):
            try:
                result = await Case(seed, state, tmp_path).play(between=lambda case: replace_something(case.hands))
            except ImageChangedError:
                refused += 1
            else:
                refused += any("image_changed" in lie for lie in result.lies)  # preparation saw it
    assert refused >= 3
