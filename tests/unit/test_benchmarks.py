"""The table of benchmarks: what counts as worse than recorded, and what is written."""

import json
import os
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest

import tools.benchmarks.__main__
from tools.benchmarks import table
from tools.benchmarks.living import is_at_rest
from tools.benchmarks.picture import Bars, draw
from tools.benchmarks.processes import spent, thread_times
from tools.benchmarks.table import Result, Row


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
    assert not Result([Row("deploy", 4.3, 5.0), Row("memory", 109.0, unit="MiB"), Row("alone", 9.0)]).worse()
    worse = Result([Row("deploy", 9.0, 10.0), Row("memory", 111.0, unit="MiB"), Row("new", 9.0, 1.0)]).worse()
    assert list(worse.values()) == ["deploy: 0.90, recorded 0.80", "memory: 111.00, recorded 100.00"]


def test_without_peer_seconds_are_compared_with_the_limit(recorded: Path) -> None:
    Result([Row("start", 0.9, limit=0.6), Row("idle", 0.3, limit=0.1, unit="% of a core")]).write()
    assert not Result([Row("start", 1.8, limit=1.2), Row("idle", 3.0, limit=0.1, unit="% of a core")]).worse()
    assert not Result([Row("start", 1.8, limit=0.9)]).worse(), "of two so short times, a third is the machine's"
    assert Result([Row("start", 2.7, limit=0.9)]).worse() == {"start": "start: 3.00, recorded 1.50"}


def test_what_was_recorded_has_to_be_measured(recorded: Path) -> None:
    """A row that has another name, or is left out, would never fail again."""
    Result([Row("deploy", 8.0, 10.0), Row("ready", 85.0, unit="MiB")]).write()
    renamed = Result([Row("deploy", 8.0, 10.0), Row("memory: ready", 85.0, unit="MiB")])
    assert renamed.worse() == {"ready": "ready: recorded 85.00, not measured"}
    without_peer = Result([Row("deploy", 8.0), Row("ready", 85.0, unit="MiB")])
    assert without_peer.worse() == {"deploy": "deploy: recorded 0.80, not measured"}


@pytest.mark.parametrize(
    "text", ["", '{"deploy": 0.8,', "[]", "{}", '{"deploy": "0.8"}', '{"deploy": NaN}', '{"deploy": 0}', None]
)
def test_nothing_is_measured_against_a_broken_record(
    recorded: Path, text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (recorded / "recorded.json").write_text(text)
    monkeypatch.setattr(tools.benchmarks.__main__, "_measured", None)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--check"])
    with pytest.raises(RuntimeError, match="--write"):
        tools.benchmarks.__main__.main()


@pytest.mark.parametrize(
    ("second", "code"),
    [
        ((0.8, 0.8), 0),
        ((0.8, 0.9), 0),  # what was well the first time has a bad moment now
        ((0.9, 0.8), 1),
    ],
)
def test_check_fails_for_what_is_worse_twice(
    recorded: Path,
    second: tuple[float, float],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*ratios: float) -> Result:
        return Result([Row(name, ratio, 1.0) for name, ratio in zip(("click", "command"), ratios, strict=True)])

    run(0.8, 0.8).write()
    runs = [run(0.9, 0.8), run(*second)]
    monkeypatch.setattr(tools.benchmarks.__main__, "_measured", lambda *_: runs.pop(0))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--check"])
    assert tools.benchmarks.__main__.main() == code
    assert runs == []
    assert capsys.readouterr().err == ("Worse than recorded:\n- click: 0.90, recorded 0.80\n" if code else "")


def test_table_and_picture_are_written(recorded: Path) -> None:
    rows = [Row("deploy <all>", 8.0, 10.0, 7.0), Row("idle", 0.3, unit="% of a core", limit=0.002)]
    Result([*rows, Row("start", 0.9, limit=0.6), Row("ready", 85.4, unit="MiB", limit=73.6)]).write()
    page = (recorded / "performance.md").read_text()
    assert (page.splitlines()[0], page.splitlines()[-1]) == ("# Title", "The rest.")
    assert "old" not in page
    assert "| deploy <all> | 8.00 s | 10.00 s | 0.80 | 7.00 s |" in page
    assert "| idle | 0.30 % of a core | – | – | 0.00 % of a core |" in page
    assert "| start | 0.90 s | – | – | 0.60 s |" in page
    assert "| ready | 85 MiB | – | – | 74 MiB |" in page
    compared = json.loads((recorded / "recorded.json").read_text())
    assert compared == {"deploy <all>": 0.8, "start": 1.5, "ready": 85.4}, "what rests is compared with nothing"
    picture = ElementTree.fromstring((recorded / "performance.svg").read_text())  # noqa: S314 - our own
    texts = [message.text for message in picture.iter() if message.tag.endswith("text")]
    assert {"deploy <all>", "8.00 s", "10.00 s", "7.00 s"} <= set(texts)


def test_time_of_threads_between_two_looks() -> None:
    second = 1_000_000_000
    before = {1: 5 * second, 2: 7 * second}
    assert spent(before, {1: 5 * second, 2: 8 * second}) == 1.0
    assert spent(before, {1: 6 * second, 3: second}) == 2.0, "one has ended, another began"


def test_own_threads_are_timed_in_nanoseconds() -> None:
    before = thread_times(os.getpid())
    busy = time.thread_time() + 0.02
    while time.thread_time() < busy:
        pass
    assert 0.015 <= spent(before, thread_times(os.getpid())) < 5


def journal_with(path: Path, event: str, *finished: bool) -> Path:
    """Write what a journal has of its last deployment."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            "CREATE TABLE deployments (id TEXT); CREATE TABLE posts (subject TEXT, document TEXT);"
            "CREATE TABLE changes (subject TEXT, document TEXT); INSERT INTO deployments VALUES ('D-1'), ('D-2');"
            """INSERT INTO changes VALUES
            ('D-1', '{"metadata": {"event": "deployment.orchestration.completed"}}')"""
        )
        connection.execute("INSERT INTO changes VALUES ('D-2', ?)", (json.dumps({"metadata": {"event": event}}),))
        rows = [("D-2", json.dumps({"finished": item})) for item in finished]
        connection.executemany("INSERT INTO posts VALUES (?, ?)", [("D-1", '{"finished": false}'), *rows])
    return path


@pytest.mark.parametrize(
    ("event", "finished", "rests"),
    [
        ("deployment.orchestration.completed", (True, True), True),
        ("deployment.orchestration.completed", (True, False), False),
        ("deployment.orchestration.completed", (), False),
        ("environment.validation.completed", (True, True), False),
    ],
)
def test_bot_rests_once_its_last_deployment_is_told(
    tmp_path: Path, event: str, finished: tuple[bool, ...], rests: bool
) -> None:
    assert is_at_rest(journal_with(tmp_path / "journal", event, *finished)) is rests


def test_longest_bar_is_the_longest_figure() -> None:
    picture = ElementTree.fromstring(draw([Bars("deploy", 4.0, 8.0, None)]))  # noqa: S314 - our own
    widths = [float(item.get("width", 0)) for item in picture.iter() if item.tag.endswith("rect")][-2:]
    assert widths[1] == pytest.approx(2 * widths[0])
