"""What is said to a person, drawn on a terminal or written to a file, is the same but for its colours."""

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from roas.api.documents import EnvironmentStatus, StatusReport
from roas.cli.drawn_plan import show_plan
from roas.cli.output import Terminal, describe
from roas.cli.status import show_status
from roas.models.deployment import Problem
from roas.models.plan import Plan, ServiceAction, ServicePlan
from tests.unit.ui.samples import a_release

STYLE = re.compile(r"\x1b\[[0-9;]*m")
LONG = ", ".join(f"environment.VARIABLE_{number}" for number in range(12))
PLAN = Plan(
    "dev",
    "v1",
    1,
    None,
    (
        ServicePlan("web", ServiceAction.RECREATE, "web:v0", "web:v1", changed_keys=("environment.A", "labels")),
        ServicePlan("a-database", ServiceAction.KEEP, "db:v0", "db:v0"),
    ),
    ("web",),
    ("The variable A is not set.",),
    "digest",
)
SAID: dict[str, Callable[[Terminal], None]] = {
    "paragraph": lambda terminal: terminal.say("one\ttwo\nthree \x1b[31mred\x07 ünï 漢 [bold]no markup[/bold] :smile:"),
    "long": lambda terminal: terminal.say(LONG),
    "nothing": lambda terminal: terminal.say(""),
    "styled": lambda terminal: terminal.say("all is well", style="bold green"),
    "after a lead": lambda terminal: terminal.say("look out", lead=("warning: ", "yellow")),
    "plan": lambda terminal: show_plan(terminal, PLAN),
    "fault": lambda terminal: describe(terminal, Problem("key", "It broke.", "Mend it.\nThen again.", "a\nb")),
}


class Screen(io.StringIO):
    """Be a terminal, or what looks like one."""

    def isatty(self) -> bool:
        return True


class ClosedPipe(io.StringIO):
    """Have nobody who reads."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def fileno(self) -> int:
        raise OSError


@pytest.fixture(autouse=True)
def wide_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "400")


def written(stream: io.StringIO, say: Callable[[Terminal], None], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines without their styles."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", stream)
    say(Terminal())
    return [line.rstrip() for line in STYLE.sub("", stream.getvalue()).splitlines()]


@pytest.mark.parametrize("said", SAID)
def test_written_as_it_is_drawn(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    drawn = written(screen, SAID[said], monkeypatch)
    plain = io.StringIO()
    assert written(plain, SAID[said], monkeypatch) == drawn
    assert "\x1b" not in plain.getvalue()
    assert said in {"paragraph", "long", "nothing"} or STYLE.search(screen.getvalue())


@pytest.mark.parametrize(
    ("line", "colour"),
    [("-user: 1", "31"), ("+user: 2", "32"), ("@@ -1 +1 @@", "36"), ("web:/greeting:", "1"), ("A changed: it", "33")],
)
def test_diff_is_coloured(line: str, colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    written(screen, lambda terminal: show_plan(terminal, replace(PLAN, diff=(line,))), monkeypatch)
    assert f"\x1b[{colour}m{line}\x1b[0m" in screen.getvalue()


def test_dumb_terminal_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen = Screen()
    written(screen, SAID["plan"], monkeypatch)
    assert not STYLE.search(screen.getvalue())


def test_nobody_reads_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = ClosedPipe()

    def say_twice(terminal: Terminal) -> None:
        terminal.say("one")
        assert terminal.out.quiet, "who follows something asks for this"
        terminal.say("two")

    assert written(pipe, say_twice, monkeypatch) == []


def test_only_the_document_goes_to_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    terminal = Terminal(as_json=True)
    terminal.say("said")
    terminal.document("{}")
    assert (out.getvalue(), err.getvalue()) == ("{}\n", "said\n")


@pytest.mark.parametrize(("version", "shown"), [("v3", "r3 (v3), made"), ("", "r3, made")])
def test_status_says_no_version_that_the_files_do_not_follow(
    version: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = StatusReport((EnvironmentStatus("dev", release=a_release(version=version)),))
    assert shown in "".join(written(io.StringIO(), lambda terminal: show_status(terminal, report), monkeypatch))
