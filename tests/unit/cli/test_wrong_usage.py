"""Wrong usage is answered with the right one, before anything is asked."""

import pytest

from roas.cli import run_command_line
from roas.cli.control import DEPLOYMENT_ID
from roas.models.deployment import DeploymentKind, Operation
from roas.models.stored import new_id


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("deploy dev", "VERSION"),
        ("deploy dev --version", "No such option"),
        ("hotfix dev v1", "--reason"),
        ("scale dev web many", "must be a whole number"),
        ("history --outcome great", "'--outcome': 'great' is not one of 'succeeded', 'rolled_back'"),
        ("history --limit 0", "'--limit': must be at least 1"),
        ("events --limit many", "'--limit': must be a whole number"),
        ("fly", "No such command"),
    ],
)
def test_wrong_usage_shows_right_one(capsys: pytest.CaptureFixture[str], arguments: str, text: str) -> None:
    assert run_command_line(arguments.split()) == 2
    said = capsys.readouterr()
    assert text in said.err
    assert said.out == ""


@pytest.mark.parametrize("kind", [*DeploymentKind, *Operation])
def test_deployment_of_each_kind_is_known_by_its_id(kind: str) -> None:
    assert DEPLOYMENT_ID.fullmatch(new_id(kind))
