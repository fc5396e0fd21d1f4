"""Files that the settings do not allow by name are not read, by whichever way they are named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from roas.errors import ComposeFileError, ComposePolicyError
from roas.models.environment import Environment
from roas.stack.stacks import Stacks
from tests.integration.stack.open_stacks import open_stacks

RAW = {
    "env_file: /proc/self/environ": "env_file:/proc/self/environ",
    "env_file: [{path: ../outside.env, required: false}]": "env_file:../outside.env",
    "env_file: '${HOME}/x'": "env_file:/root/x",
    "env_file: link.env": "env_file:link.env",
    "extends: {file: ../other.yml, service: web}": "extends:../other.yml",
    "label_file: /etc/passwd": "label_file:/etc/passwd",
}


@pytest.fixture
def plain(environment: Environment) -> Environment:
    """An environment whose files are judged before any engine is asked."""
    (environment.folder.parent / "outside.env").write_text("A=1")
    (environment.folder / "link.env").symlink_to("../outside.env")
    return environment


@pytest.mark.parametrize(("field", "entry"), RAW.items())
async def test_file_outside_folder_not_read(
    engine: Stacks, plain: Environment, field: str, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/root")
    plain.compose_files[0].write_text(f"services: {{web: {{image: 'x', {field}}}}}")
    with pytest.raises(ComposePolicyError) as caught:
        await engine.of(plain).resolve(None)
    assert entry in caught.value.entries


@pytest.mark.parametrize(
    "include",
    [
        "https://example.test/compose.yml",
        "oci://example.test/stack",
        "git@example.test:stack.git",
        "github.com/example/stack",
        "nowhere.yml",
        "../other.yml",
        "{path: inner.yml, env_file: /proc/self/environ}",
        "{path: inner.yml, project_directory: /etc}",
    ],
)
async def test_foreign_include_refused(engine: Stacks, plain: Environment, include: str) -> None:
    (plain.folder / "inner.yml").write_text("services: {db: {image: x}}")
    plain.compose_files[0].write_text(f"include: [{include}]\nservices: {{web: {{image: x}}}}")
    with pytest.raises((ComposePolicyError, ComposeFileError)):
        await engine.of(plain).resolve(None)


async def test_included_and_extended_files_checked(engine: Stacks, plain: Environment) -> None:
    (plain.folder / "inner.yml").write_text("services: {db: {extends: {file: deep.yml, service: db}}}")
    (plain.folder / "deep.yml").write_text("services: {db: {image: x, env_file: !override [/proc/self/environ]}}")
    plain.compose_files[0].write_text("include: [inner.yml]\nservices: {web: {image: x}}")
    with pytest.raises(ComposePolicyError, match="/proc/self/environ"):
        await engine.of(plain).resolve(None)


async def test_env_file_symlink_outside_not_read(engine: Stacks, plain: Environment) -> None:
    plain.compose_files[0].write_text("services: {web: {image: x}}")
    linked = replace(plain, env_files=(plain.folder / "link.env",))
    with pytest.raises(ComposePolicyError, match="link"):
        await engine.of(linked).resolve(None)
    await engine.of(replace(plain, env_files=(plain.folder.parent / "outside.env",))).resolve(None)


async def test_env_file_beside_include_checked(engine: Stacks, plain: Environment) -> None:
    (plain.folder / "own").mkdir()
    (plain.folder / "own" / "inner.yml").write_text("services: {db: {image: x}}")
    (plain.folder / "own" / ".env").symlink_to("/proc/self/environ")
    plain.compose_files[0].write_text("include: [own/inner.yml]\nservices: {web: {image: x}}")
    with pytest.raises(ComposePolicyError, match=r"own/\.env"):
        await engine.of(plain).resolve(None)


async def test_anchor_hides_nothing(engine: Stacks, plain: Environment) -> None:
    plain.compose_files[0].write_text(
        "x-common: &common {image: x, env_file: /proc/self/environ}\nservices: {web: {<<: *common}}"
    )
    with pytest.raises(ComposePolicyError):
        await engine.of(plain).resolve(None)


async def test_files_in_folder_read(engine: Stacks, plain: Environment) -> None:
    (plain.folder / "own").mkdir()
    (plain.folder / "own" / "a.env").write_text("A=1")
    (plain.folder / "own" / "inner.yml").write_text("services: {db: {image: x, env_file: a.env}}")
    plain.compose_files[0].write_text(
        "include: [own/inner.yml]\nservices: {web: {image: x, env_file: '${WHERE-own}/a.env'}}"
    )
    services = (await engine.of(plain).resolve(None)).model["services"]
    assert services["web"]["environment"] == services["db"]["environment"] == {"A": "1"}


async def test_allowed_file_read(plain: Environment, tmp_path: Path, stack: Callable[..., Environment]) -> None:
    async with open_stacks(tmp_path / "state", "env_file:../outside.env") as engine:
        environment = stack("services: {web: {image: 'tiny:v1', env_file: ../outside.env}}")
        assert (await engine.of(environment).resolve(None)).model["services"]["web"]["environment"] == {"A": "1"}
