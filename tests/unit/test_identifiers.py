"""Ids sort by time, and are ULIDs as everybody else reads them."""

import pytest

from roas.models import identifiers
from roas.models.identifiers import new_id


def test_ids_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for nanoseconds in (1_469_918_176_385_999_999, 1_469_918_176_386_000_000, 2**48 * 1_000_000 - 1):
        monkeypatch.setattr(identifiers.time, "time_ns", lambda now=nanoseconds: now)
        made.append(new_id("DEPLOY"))
    assert made == sorted(made)
    # The time of the example in ULID's specification.
    assert made[0].startswith("DEPLOY-01ARYZ6S41")
    assert made[-1].startswith("DEPLOY-7ZZZZZZZZZ")


def test_ids_of_one_moment_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identifiers.time, "time_ns", lambda: 0)
    made = {new_id("X") for _ in range(1000)}
    assert len(made) == 1000
    assert {len(one) for one in made} == {len("X-") + 26}
