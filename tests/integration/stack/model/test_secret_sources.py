"""What a stack keeps secret is known before Compose can quote it."""

from pathlib import Path

import pytest

from roas.errors import RoasError
from roas.models.environment import Environment
from roas.redaction import Redactor
from roas.stack.stacks import Stacks
from tests.integration.stack.open_stacks import open_stacks
from tests.unit.stack.model.test_secret_sources import SECRET, environment

__all__ = ["environment"]

QUOTING = {
    "port": "services: {web: {image: x, ports: ['${DB_PASS}:80']}}",
    "number": "services: {web: {image: x, deploy: {replicas: '${DB_PASS}'}}}",
    "duration": "services: {web: {image: x, healthcheck: {test: [CMD, x], interval: '${DB_PASS}'}}}",
    "size": "services: {web: {image: x, mem_limit: '${DB_PASS}'}}",
    "service": "services: {web: {image: x, depends_on: ['${DB_PASS}']}}",
    "network": "services: {web: {image: x, networks: ['${DB_PASS}']}}",
    "env file": "services: {web: {image: x, env_file: '${DB_PASS}'}}",
    "extended file": "services: {web: {image: x, extends: {file: '${DB_PASS}', service: a}}}",
    "included file": "include: ['${DB_PASS}']\nservices: {web: {image: x}}",
    "missing variable": "services: {web: {image: '${MISSING:?not ${DB_PASS}}'}}",
    "default value": f"services: {{web: {{image: x, mem_limit: '${{OTHER_PASS:-{SECRET}}}'}}}}",
    "written there": f"services: {{web: {{image: x, environment: {{A_KEY: '{SECRET}'}}, mem_limit: '{SECRET}'}}}}",
    "list": f"services: {{web: {{image: x, environment: ['A_DSN={SECRET}'], mem_limit: '{SECRET}'}}}}",
    "label": f"services: {{web: {{image: x, labels: {{a_secret: '{SECRET}'}}, mem_limit: '{SECRET}'}}}}",
    "file of variables": f"services: {{web: {{image: x, env_file: more.env, mem_limit: '${{MORE:-{SECRET}" + "}'}}",
}


@pytest.mark.parametrize("kind", QUOTING)
async def test_compose_error_quotes_no_secret(engine: Stacks, environment: Environment, kind: str) -> None:
    environment.compose_files[0].write_text(QUOTING[kind])
    with pytest.raises(RoasError) as caught:
        await engine.of(environment).resolve("v1", write_contents=False)
    said = (str(caught.value), caught.value.message, caught.value.hint, caught.value.report)
    assert SECRET not in "\n".join(said)
    assert len(caught.value.message) > 20


async def test_broken_env_file_quotes_no_secret(engine: Stacks, environment: Environment) -> None:
    environment.env_files[0].write_text(f'A=1\nDB-PASS ${{={SECRET}\nDB_PASSWORD="{SECRET}\n')
    environment.compose_files[0].write_text("services: {web: {image: x}}")
    with pytest.raises(RoasError) as caught:
        await engine.of(environment).resolve("v1", write_contents=False)
    assert SECRET not in caught.value.message


async def test_what_only_the_model_says_is_hidden(tmp_path: Path, environment: Environment) -> None:
    """A credential that is put together of several variables is written in no file; nor is a secret's content."""
    redactor = Redactor()
    async with open_stacks(tmp_path / "state", redactor=redactor) as made:
        (environment.folder / "key").write_text("in-a-secret-file-77")
        environment.env_files[0].write_text("FIRST=correct-horse\nSECOND=staple-91\n")
        environment.compose_files[0].write_text(
            "services: {web: {image: x, environment: {DB_PASSWORD: '${FIRST}-battery-${SECOND}'}}}\n"
            "secrets: {k: {file: ./key}}\n"
        )
        await made.of(environment).resolve(None, write_contents=False)
    assert redactor.redact("got correct-horse-battery-staple-91") == "got [redacted]"
    assert redactor.redact("the correct-horse") == "the correct-horse"


@pytest.mark.parametrize(("password", "is_said"), [("posthog", True), ("Zaq12wsxcde3", False)])
async def test_password_that_is_a_name_of_the_files_is_said_to_be_guessable(
    engine: Stacks, environment: Environment, password: str, *, is_said: bool
) -> None:
    """Its name is shown all the same: people approve an image, and no `[redacted]`."""
    image = "ghcr.io/posthog/posthog-server:9.9.2"
    environment.compose_files[0].write_text(
        f"services: {{db: {{image: {image}, environment: {{POSTGRES_PASSWORD: {password}}}}}}}"
    )
    resolved = await engine.of(environment).resolve("v1", write_contents=False)
    guessable = "A password of this stack is a name in its own files: anybody guesses it."
    assert (guessable in resolved.warnings) is is_said
    assert resolved.definitions["db"].image == image
