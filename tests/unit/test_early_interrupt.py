"""Ctrl-C while the program is loaded leaves no traceback; once a command runs, the command handles it."""

import signal
from collections.abc import Iterator

import pytest

import roas.__main__ as program
import roas.commands
from roas.commands.command_runner import run_before_settings


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_loading_ends_by_the_signal_and_a_command_handles_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def look(*_given: object) -> int:
        seen.append(signal.getsignal(signal.SIGINT))
        return 0

    def run(*_given: object) -> int:
        look()
        with pytest.raises(SystemExit):
            run_before_settings(look)
        return 0

    monkeypatch.setattr(roas.commands, "answer_quickly", lambda _given: look() or None)
    monkeypatch.setattr(roas.commands, "run_command_line", run)
    assert program.main() == 0
    assert seen == [signal.SIG_DFL, signal.SIG_DFL, signal.default_int_handler]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_that_is_ignored_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a shell's background, or below nohup."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    monkeypatch.setattr(roas.commands, "answer_quickly", lambda _given: 0)
    assert program.main() == 0
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
