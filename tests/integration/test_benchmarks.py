"""A context is measured beside `cp`."""

import pytest

from benchmarks import context


def test_context_is_measured_beside_cp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "FILES", 20)
    monkeypatch.setattr(context, "BYTES", 1 << 20)
    result = context.measure(2)
    assert 0 < result.size <= 1 << 20
    assert all(len(times) == 2 and min(times) > 0 for times in (result.hashed, result.copied, result.peer))
    assert result.as_table().count("\n") == 4
    assert "| `cp -r` |" in result.as_table()
    assert result.as_table().endswith("| 1.00 |")
