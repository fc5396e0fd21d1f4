"""A table on a narrow terminal, such as a phone's, can be read."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from roas.cli.drawn_plan import show_plan
from roas.cli.output import Terminal, add_row, make_table
from roas.models.plan import Plan, ServiceAction, ServicePlan
from roas.stack.images.readable_names import readable_reference

CELLS = ("alertmanager", "unhealthy", "registry.example/alertmanager:v0.28.1", "", "0", "fails its health check")


def drawn(width: int) -> str:
    table = make_table("service", "verdict", "image", "cpu", "restarts", "reason")
    add_row(table, CELLS)
    written = io.StringIO()
    Console(file=written, width=width, color_system=None).print(table)
    return written.getvalue()


@pytest.mark.parametrize("width", [40, 60, 71])
def test_narrow_table_becomes_lines_with_whole_words(width: int) -> None:
    text = drawn(width)
    assert [line for line in text.splitlines() if len(line) > width] == []
    assert " ".join(text.split()) == (
        "alertmanager verdict: unhealthy image: registry.example/alertmanager:v0.28.1 restarts: 0 "
        "reason: fails its health check"
    )


@pytest.mark.parametrize("width", [72, 100, 200])
def test_wide_table_has_one_line_of_headers(width: int) -> None:
    lines = drawn(width).splitlines()
    assert lines[0].split() == ["service", "verdict", "image", "cpu", "restarts", "reason"]


SAME = {"old_image": "shop/web:v1", "new_image": "shop/web:v1"}
CONTENT = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("recreated", "shown"),
    [
        ({"old_image": "shop/web:v1", "new_image": "shop/web:v2"}, "shop/web:v1  shop/web:v2"),
        ({"old_image": readable_reference("shop/web:v1", CONTENT), "new_image": "shop/web:v2"}, "shop/web:v1  shop/"),
        ({**SAME, "changed_keys": ("ports",)}, "shop/web:v1  shop/web:v1  ports"),
        ({**SAME, "expected_image": CONTENT}, "shop/web:v1  shop/web:v1 → sha256:0123456789ab"),
        (
            {**SAME, "expected_image": CONTENT[7:], "if_image_differs": True},
            "shop/web:v1  shop/web:v1 → is built, then compared",
        ),
    ],
)
def test_new_image_of_a_recreated_service_is_shown_by_its_name(
    capsys: pytest.CaptureFixture[str], recreated: dict[str, Any], shown: str
) -> None:
    service = ServicePlan("web", ServiceAction.RECREATE, **recreated)
    show_plan(Terminal(), Plan("dev", "v2", 1, None, (service,), ("web",), (), ""))
    out = capsys.readouterr().out
    (row,) = [line for line in out.splitlines() if line.startswith("web")]
    assert shown in re.sub(r" {2,}", "  ", row)
    assert "Order: web" in out
    assert ("recreate?" in row) is ("A question mark: only if the image" in out) is service.if_image_differs


@pytest.mark.parametrize(("diff", "told"), [((), "Nothing changes."), (("web:", "+attach: 1"), "No service changes.")])
def test_plan_that_touches_nothing_says_what_it_knows(
    capsys: pytest.CaptureFixture[str], diff: tuple[str, ...], told: str
) -> None:
    show_plan(Terminal(), Plan("dev", "v2", 1, None, (ServicePlan("web", ServiceAction.KEEP),), (), (), "", diff=diff))
    assert told in capsys.readouterr().out
