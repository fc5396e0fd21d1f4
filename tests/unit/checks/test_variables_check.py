"""The check of variables names everything that is missing, as Compose reads the files."""

from dataclasses import replace
from pathlib import Path

import pytest

from roas.checks.compose import variables
from roas.checks.subject import Subject
from roas.models.check import CheckResult, CheckSeverity


async def look(subject: Subject, text: str, env: str = "", **given: str) -> list[CheckResult]:
    (subject.environment.folder / "docker-compose.yml").write_text(f"services:\n  web:\n    command: {text}\n")
    env_file = subject.environment.folder / ".env"
    env_file.write_text(env)
    environment = replace(subject.environment, env_files=(env_file,))
    return await variables.run(replace(subject, environment=environment, variables=given))


async def test_missing_variables_all_named_with_messages(subject: Subject) -> None:
    result = (await look(subject, "'${TOKEN:?set a token} ${NAME?} ${PORT:?}'"))[0]
    assert not result.passed
    assert result.severity is CheckSeverity.CRITICAL
    assert result.message == "3 required variables have no value: NAME, PORT and TOKEN (set a token)."
    assert ".env" in result.remedy


@pytest.mark.parametrize(
    ("text", "env"),
    [
        ("'${A:?}'", "A=1"),
        ("'${A?}'", "A="),
        ("'${A:-${B:?}}'", "A=1"),
        ("'${A:-default}'", ""),
        ("'${A:+${B:?}}'", ""),
        ("'$${A:?}'", ""),
        ("x # ${A:?}", ""),
        ("'costs $5 or $'", ""),
        ("'$A ${B}'", "B=1"),  # Compose warns of it
    ],
)
async def test_complete_variables_pass(subject: Subject, text: str, env: str) -> None:
    assert [result.passed for result in await look(subject, text, env)] == [True]


@pytest.mark.parametrize(
    ("text", "env"), [("'${A:?}'", "A="), ("'${B:-${A:?}}'", "B="), ("'${B-${A?}}'", ""), ("'${B:+${A:?x}}'", "B=1")]
)
async def test_missing_variable_named(subject: Subject, text: str, env: str) -> None:
    message = (await look(subject, text, env))[0].message
    assert message.startswith("1 required variable has no value: A")


async def test_deployment_version_counts_not_bot_environment(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version of the deployment is a variable; those of the bot's own process are not."""
    monkeypatch.setenv("HOME_TOKEN", "leaks")
    results = await look(subject, "'${VERSION:?} ${HOME_TOKEN:?}'", VERSION="v2")
    assert [result.message for result in results] == ["1 required variable has no value: HOME_TOKEN."]


async def test_included_files_and_compose_tags_read(subject: Subject) -> None:
    folder = subject.environment.folder
    (folder / "docker-compose.yml").write_text("include: [more.yml]\nservices: {web: {ports: !reset ['${A:?}']}}\n")
    (folder / "more.yml").write_text("services: {db: {image: '${B:?}'}}\n")
    assert "A and B" in (await variables.run(subject))[0].message


async def test_stored_release_needs_no_variables(subject: Subject) -> None:
    Path(subject.environment.compose_files[0]).write_text("services: {web: {image: '${A:?}'}}")
    assert await variables.run(replace(subject, reads_working_copy=False)) == []
