"""The limits that Discord's OpenAPI description does not state."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.errors import ApiError
from sandbox.rules import check_commands, check_message, valid_name


def command(**changes: Any) -> dict[str, Any]:
    return {"name": "deploy", "description": "Deploy", "type": 1, "options": [], **changes}


def option(**changes: Any) -> dict[str, Any]:
    return {"name": "version", "description": "Which", "type": 3, **changes}


@pytest.mark.parametrize("name", ["deploy", "roll-back", "a_1", "部署", "it's", "ก็", "हिन्दी"])
def test_valid_names_accepted(name: str) -> None:
    assert valid_name(name)


@pytest.mark.parametrize("name", ["", "Deploy", "two words", "x" * 33, "dep/loy", "smile😀", "dot."])
def test_invalid_names_refused(name: str) -> None:
    assert not valid_name(name)


def test_valid_command_accepted() -> None:
    options = [option(required=True), option(name="services", required=False, autocomplete=True)]
    check_commands([command(options=options, name_localizations={"zh-TW": "部署"}), command(name="other")])


@pytest.mark.parametrize(
    "commands",
    [
        {"not": "a list"},
        [command(), command()],
        [command(description="")],
        [command(description="x" * 101)],
        [command(name_localizations={"zh-TW": "Not Valid"})],
        [command(options=[option(), option()])],
        [command(options=[option(), option(name="late", required=True)])],
        [command(options=[option(choices=[{"name": "a", "value": "a"}], autocomplete=True)])],
        [command(options=[option(choices=[{"name": "a", "value": str(n)} for n in range(26)])])],
        [command(options=[option(name=f"o{n}") for n in range(26)])],
        [command(name=f"c{n}") for n in range(101)],
        [
            command(
                options=[option(name=f"o{n}", choices=[{"name": "x" * 100, "value": "y" * 100}] * 10) for n in range(5)]
            )
        ],
        [command(options=[{"name": "sub", "description": "s", "type": 1, "options": [option(name="BAD")]}])],
    ],
)
def test_invalid_commands_refused(commands: Any) -> None:
    with pytest.raises(ApiError) as refused:
        check_commands(commands)
    assert refused.value.code == 50035
    assert refused.value.errors


def test_callback_data_checked_like_message() -> None:
    button = {"type": 2, "style": 1, "custom_id": "x"}
    data = {
        "embeds": [{"title": "x", "fields": [{"name": " ", "value": "v"}]}],
        "components": [{"type": 1, "components": [button]}],
    }
    with pytest.raises(ApiError) as refused:
        check_message({"type": 4, "data": data})
    errors = refused.value.body()["errors"]["data"]
    assert errors["embeds"]["0"]["fields"]["0"]["name"]["_errors"]
    assert errors["components"]["0"]["components"]["0"]["_errors"]


def test_too_many_suggestions_refused() -> None:
    with pytest.raises(ApiError):
        check_message({"type": 8, "data": {"choices": [{"name": "a", "value": "a"}] * 26}})
