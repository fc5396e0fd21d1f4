"""A table on a narrow terminal, such as a phone's, can be read."""

import io

import pytest
from rich.console import Console

from roas.cli.output import add_row, make_table

CELLS = ("alertmanager", "unhealthy", "registry.example/alertmanager:v0.28.1", "", "0", "fails its health check")


def drawn(width: int) -> str:
    table = make_table("service", "verdict", "image", "cpu", "restarts", "reason", title="prod")
    add_row(table, CELLS)
    written = io.StringIO()
    Console(file=written, width=width, color_system=None).print(table)
    return written.getvalue()


@pytest.mark.parametrize("width", [40, 60, 71])
def test_narrow_table_becomes_lines_with_whole_words(width: int) -> None:
    text = drawn(width)
    assert [line for line in text.splitlines() if len(line) > width] == []
    assert " ".join(text.split()) == (
        "prod alertmanager verdict: unhealthy image: registry.example/alertmanager:v0.28.1 restarts: 0 "
        "reason: fails its health check"
    )


@pytest.mark.parametrize("width", [72, 100, 200])
def test_wide_table_has_one_line_of_headers(width: int) -> None:
    lines = drawn(width).splitlines()
    assert lines[1].split() == ["service", "verdict", "image", "cpu", "restarts", "reason"]
