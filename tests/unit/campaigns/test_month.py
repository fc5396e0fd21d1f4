"""A month of work stays within bounds; `python -m campaigns.month` lives through the whole of it."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from campaigns.month.bounds import breaches, row_bounds
from campaigns.month.living import Busyness, live
from campaigns.month.on_engine import GROWTH, Held, grown
from roas.state import history
from roas.state.history import HistoryBounds

WEEK = Busyness(deployments=30, alerts=400, bots=10, bounds=HistoryBounds(days=3650, rows=1000))


async def test_month_stays_within_bounds(tmp_path: Path) -> None:
    footprints, rows = await live(tmp_path / "state", WEEK)
    assert tuple(breaches(footprints, rows, WEEK)) == ()
    assert (rows["deployments"], rows["releases"], rows["releases kept"]) == (30, 30, 10)
    assert rows["changes"] == 1000


async def test_month_without_pruning_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a leader that prunes nothing leaves more than is allowed."""
    monkeypatch.setattr(history.History, "prune", lambda *_: _nothing())
    footprints, rows = await live(tmp_path / "state", WEEK)
    assert any(one.startswith("changes") for one in breaches(footprints, rows, WEEK)), (rows, row_bounds(WEEK))


@pytest.mark.parametrize("one", [one.name for one in fields(Held)])
def test_growth_on_engine_is_seen(one: str) -> None:
    """Of each thing that is counted after the first tenth: so much more is allowed, and one more than that is named."""
    settled = Held(*[100] * len(fields(Held)))
    most = replace(settled, **{one: 100 + getattr(GROWTH, one)})
    more = replace(most, **{one: getattr(most, one) + 1})
    assert [*grown([settled] * 10 + [most])] == []
    assert [text.partition(":")[0] for text in grown([settled] * 10 + [more])] == [one]


async def _nothing() -> int:
    return 0
