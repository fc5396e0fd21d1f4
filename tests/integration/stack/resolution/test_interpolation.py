"""What a stack's files may interpolate is what its environment gives them, and their folder; nothing of the bot's."""

import os
import pwd
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from roas.errors import ComposeFileError

OWN = ("PATH", "DOCKER_HOST", "DOCKER_CONFIG", "ROAS_INSTANCE", "STATE_DIR", "DISCORD_TOKEN")


async def test_folder_is_known_and_nothing_of_the_bot(engine, stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OWN:
        monkeypatch.setenv(name, "/of-the-bot")
    monkeypatch.setenv("PATH", "/usr/bin:/usr/sbin:/bin:/sbin")
    asked = "".join(f"      {name}: '${{{name}-none}}'\n" for name in (*OWN, "PWD", "VERSION", "GIVEN"))
    text = f"services:\n  web:\n    image: tiny:v1\n    volumes: ['${{PWD}}/data:/data']\n    environment:\n{asked}"
    environment = stack(text, env="GIVEN=yes\n")
    (environment.folder / "data").mkdir()
    web = (await engine.of(environment).resolve("v1")).model["services"]["web"]
    given = {"PWD": str(environment.folder), "VERSION": "v1", "GIVEN": "yes"}
    assert web["environment"] == dict.fromkeys(OWN, "none") | given
    assert [item["source"] for item in web["volumes"]] == [f"{environment.folder}/data"]


@pytest.mark.parametrize(
    "fields",
    [
        "services: {web: {image: 'tiny:v1', volumes: ['${DATA}/db:/db']}}",
        "services: {web: {image: 'tiny:v1', ports: ['127.0.0.1:${PORT}:80'], volumes: ['${DATA}/db:/db']}}",
        "services: {web: {image: 'tiny:v1', secrets: [s]}}\nsecrets: {s: {file: '${DATA}/s'}}",
        "services: {web: {image: 'tiny:v1', volumes: ['vol:/v']}}\nvolumes: {vol: {driver_opts: {device: '${DATA}'}}}",
    ],
    ids=["bind", "beside a port", "secret", "device"],
)
async def test_variable_without_value_in_a_path_is_refused(engine, stack, fields: str) -> None:
    """Compose would take the host's `/db`."""
    with pytest.raises(ComposeFileError, match="DATA, which is not set"):
        await engine.of(stack(fields)).resolve("v1", write_contents=False)


async def test_variable_without_value_elsewhere_is_warned_of(engine, stack) -> None:
    environment = stack("services: {web: {image: 'tiny:v1', labels: {a: '${A}'}, cpus: '${B:-0.5}'}}")
    warnings = (await engine.of(environment).resolve("v1")).warnings
    assert [warning for warning in warnings if "A is not set" in warning]


@pytest.mark.parametrize("kind", ["writable", "read-only", "env file"])
async def test_home_is_that_of_the_folders_owner(
    engine, stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """Whoever types Compose in their folder has it in their shell; who runs the bot may be somebody else."""
    monkeypatch.setenv("HOME", "/of-the-bot")
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: SimpleNamespace(pw_dir=str(tmp_path / f"home-of-{uid}")))
    home = tmp_path / f"home-of-{os.getuid()}"
    home.mkdir()
    (home / "db").write_text("A=1")
    fields = {
        "writable": "volumes: ['~/db:/db', '${HOME}/db:/other']",
        "read-only": "volumes: ['~/db:/db:ro']",
        "env file": "env_file: ['~/db']",
    }
    allowed = tuple(f"{what}:{home / 'db'}" for what in ("bind", "env_file"))
    environment = replace(stack(f"services: {{web: {{image: 'tiny:v1', {fields[kind]}}}}}"), allowed=allowed)
    web = (await engine.of(environment).resolve("v1")).model["services"]["web"]
    if kind == "writable":
        assert [item["source"] for item in web["volumes"]] == [str(home / "db")] * 2
    elif kind == "read-only":
        assert Path(web["volumes"][0]["source"]).read_text() == "A=1"
    else:
        assert web["environment"] == {"A": "1"}


async def test_home_that_nobody_knows_is_refused(engine, stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with pytest.raises(ComposeFileError, match="HOME, which is not set"):
        await engine.of(stack("services: {web: {image: 'tiny:v1', volumes: ['~/db:/db']}}")).resolve("v1")
