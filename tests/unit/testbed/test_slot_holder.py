"""What a slot was used for is cleared away, also by whoever comes after one that was killed while it did so."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from testbed.slot_holder import DATA_NOTE, clear_slot


def test_slot_is_found_until_all_of_it_is_cleared(tmp_path: Path) -> None:
    """The note by which it is found goes last: killed before its bridges went, it is cleared once more."""
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / DATA_NOTE).write_text(str(tmp_path / "data"))

    def killed() -> None:
        raise KeyboardInterrupt

    slot = cast("Any", SimpleNamespace(folder=folder, name="roas-t1", remove_nodes=killed, remove_bridges=killed))
    with pytest.raises(KeyboardInterrupt):
        clear_slot(slot)
    assert (folder / DATA_NOTE).exists()
