"""The table of benchmarks: what counts as worse than recorded, and what is written."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import table
from benchmarks.picture import Bars, draw
from benchmarks.table import Result, Row


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep records, page and picture in a folder of the test's own."""
    page = tmp_path / "performance.md"
    page.write_text(f"# Title\n\n{table.BEGIN}\nold\n{table.END}\n\nThe rest.\n")
    monkeypatch.setattr(table, "RECORDED", tmp_path / "recorded.json")
    monkeypatch.setattr(table, "PAGE", page)
    monkeypatch.setattr(table, "PICTURE", tmp_path / "performance.svg")
    return tmp_path


def test_ratio_worse_by_over_a_tenth_is_named(recorded: Path) -> None:
    Result([Row("deploy", 8.0, 10.0, 7.0), Row("memory", 100.0, unit="MiB"), Row("alone", 1.0)]).write()
    assert Result([Row("deploy", 4.3, 5.0), Row("memory", 109.0, unit="MiB"), Row("alone", 9.0)]).worse() == []
    worse = Result([Row("deploy", 9.0, 10.0), Row("memory", 111.0, unit="MiB"), Row("new", 9.0, 1.0)]).worse()
    assert worse == ["deploy: 0.90, recorded 0.80", "memory: 111.00, recorded 100.00"]


def test_table_and_picture_are_written(recorded: Path) -> None:
    Result([Row("deploy <all>", 8.0, 10.0, 7.0), Row("idle", 0.3, unit="% of a core")]).write()
    page = (recorded / "performance.md").read_text()
    assert (page.splitlines()[0], page.splitlines()[-1]) == ("# Title", "The rest.")
    assert "old" not in page
    assert "| deploy <all> | 8.00 s | 10.00 s | 0.80 | 7.00 s |" in page
    assert "| idle | 0.30 % of a core | – | – | – |" in page
    assert json.loads((recorded / "recorded.json").read_text()) == {"deploy <all>": 0.8}
    picture = ElementTree.fromstring((recorded / "performance.svg").read_text())  # noqa: S314 - our own
    texts = [one.text for one in picture.iter() if one.tag.endswith("text")]
    assert {"deploy <all>", "8.00 s", "10.00 s", "7.00 s"} <= set(texts)


def test_longest_bar_is_the_longest_figure() -> None:
    picture = ElementTree.fromstring(draw([Bars("deploy", 4.0, 8.0, None)]))  # noqa: S314 - our own
    widths = [float(one.get("width", 0)) for one in picture.iter() if one.tag.endswith("rect")][-2:]
    assert widths[1] == pytest.approx(2 * widths[0])
