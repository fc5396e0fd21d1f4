"""A month of work stays within bounds; `python -m campaigns.month` lives through the whole of it."""

from pathlib import Path

import pytest

from campaigns.month.bounds import breaches, row_bounds
from campaigns.month.living import Busyness, live
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


async def _nothing() -> int:
    return 0
