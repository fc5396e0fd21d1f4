"""A plan is what then happens, over a few random stacks and random hands."""

from pathlib import Path

import pytest

from tools.campaigns.plans.__main__ import play_on_engine


@pytest.mark.timeout(300)
async def test_plan_is_what_an_engine_does(tmp_path: Path) -> None:
    results = await play_on_engine(1, 2, tmp_path)
    assert {result.seed: (result.story, result.lies) for result in results if result.lies} == {}
    assert sum(result.changed for result in results) > 0, "else nothing was put to the test"
