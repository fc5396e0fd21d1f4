"""Nothing that the release before stores or answers has another name now."""

from pathlib import Path

from tests.unit.state.stored_surface import surface


def test_stored_names_kept() -> None:
    before = set((Path(__file__).with_name("stored_surface.txt")).read_text().splitlines())
    assert len(before) > 900
    gone = before - surface()
    assert not gone, "the release before knows these names; keep each, and map it to the code's own at the edge"
