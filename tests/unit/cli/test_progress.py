"""How far a deployment has come, on a terminal and without one."""

import io
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console

from roas.cli.follow import ProgressLines, ProgressScreen
from roas.cli.output import Terminal, printable
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    PhaseResult,
    PhaseStatus,
    ServiceProgress,
    ServiceStep,
)
from roas.models.phases import PhaseName

PULLING = Deployment(
    "DEPLOY-1",
    DeploymentRequest("dev", DeploymentKind.DEPLOY, Actor(ActorKind.SYSTEM, "0", "root"), version="v1"),
    "standard",
    "COR-1",
    datetime.now(UTC),
    phases=(
        PhaseResult(PhaseName.VALIDATION, PhaseStatus.SUCCESS, 1, duration_seconds=0.4, summary="all good"),
        PhaseResult(PhaseName.PREPARATION, PhaseStatus.IN_PROGRESS, 2, started_at=datetime.now(UTC)),
        PhaseResult(PhaseName.EXECUTION),
    ),
    services=(ServiceProgress("web", ServiceStep.PULLING, "layer 1 of 2", 0.5),),
)


def a_terminal(*, is_terminal: bool) -> tuple[Terminal, io.StringIO]:
    written = io.StringIO()
    with redirect_stdout(written):
        terminal = Terminal()
    terminal.out = Console(file=written, force_terminal=is_terminal, width=100, markup=False, highlight=False)
    return terminal, written


def test_screen_shows_phases_and_pull_bars() -> None:
    terminal, written = a_terminal(is_terminal=True)
    with ProgressScreen(terminal) as screen:
        screen.update(PULLING)
    drawn = written.getvalue()
    assert "all good" in drawn
    assert "preparation (attempt 2)" in drawn
    assert "layer 1 of 2" in drawn
    assert "━" in drawn
    assert "\x1b[?25h" in drawn  # the cursor is back


def test_plain_lines_not_repeated() -> None:
    terminal, written = a_terminal(is_terminal=False)
    with ProgressLines(terminal) as lines:
        lines.update(PULLING)
        lines.update(replace(PULLING, services=(replace(PULLING.services[0], fraction=0.9),)))
    said = [line.split(maxsplit=1)[1] for line in written.getvalue().splitlines()]
    assert said == [
        "validation     success after 0.4 s: all good",
        "preparation    in progress (attempt 2)",
        "web: pulling (layer 1 of 2)",
    ]


def test_plain_lines_say_what_a_phase_waits_for() -> None:
    """Once, and that it goes on."""
    terminal, written = a_terminal(is_terminal=False)
    waiting = replace(PULLING.phases[1], attempts=1, summary="waits for managers")
    with ProgressLines(terminal) as lines:
        for phase in (waiting, waiting, replace(waiting, summary="")):
            lines.update(replace(PULLING, phases=(phase,), services=()))
    said = [line.split(maxsplit=1)[1] for line in written.getvalue().splitlines()]
    assert said == ["preparation    in progress: waits for managers", "preparation    in progress"]


def test_untrusted_text_cannot_control_terminal() -> None:
    assert printable("a\x1b[2Jb\r\n\tc\x9b") == "a[2Jb\n\tc"
