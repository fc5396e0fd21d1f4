"""The command line speaks the language that the terminal asks for, where it has it."""

import pytest

from roas.cli import run_command_line
from roas.cli.output import printable
from roas.messages.message import said
from roas.ui.translation import terminal_locale, using_locale


@pytest.mark.parametrize(
    ("variables", "locale"),
    [
        ({"LANGUAGE": "zh_TW:en", "LANG": "C"}, "zh-TW"),
        ({"LANG": "zh_TW.UTF-8"}, "zh-TW"),
        ({"LC_ALL": "C.UTF-8", "LANG": "zh_TW.UTF-8"}, "C"),
        ({}, ""),
    ],
)
def test_first_variable_that_is_set_decides(variables: dict[str, str], locale: str) -> None:
    assert terminal_locale(variables) == locale


def test_help_follows_language(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LANGUAGE", "zh_TW")
    assert run_command_line(["--help"]) == 0
    assert "部署一個版本。" in capsys.readouterr().out


def test_fault_of_the_core_is_translated() -> None:
    fault = said("The stack has no service {name}.", name="web")
    assert printable(fault) == "The stack has no service web."
    with using_locale("zh-TW"):
        assert printable(fault) == "這個堆疊沒有 web 這個服務。"
