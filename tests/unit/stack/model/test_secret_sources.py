"""What a stack's files keep secret is found in them, and nowhere else."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from roas.models.environment import Environment
from roas.stack.model.secret_sources import container_secrets, copied_secrets, model_secrets, read_plain, stack_secrets

SECRET = "s3cr3t-Value/77"

NOWHERE = "unix:///no/engine.sock"


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / ".env").write_text(f"DB_PASS='{SECRET}'\n")
    (folder / "more.env").write_text(f"MORE_CREDENTIALS={SECRET}\n")
    files = (folder / "compose.yml",)
    return Environment("dev", "t-secrets", folder, files, env_files=(folder / ".env",), docker_host=NOWHERE)


def test_sources_of_a_stack_all_read(environment: Environment) -> None:
    environment.compose_files[0].write_text(
        "x-a: &a {B_TOKEN: in-a-mapping}\nservices: {web: {image: x, environment: ['C_KEY=in-a-list'], labels: *a}}\n"
    )
    known = replace(environment, variables={"D_PASSWD": "in-the-settings", "URL": "redis://:in-a-url-77@r"})
    more = environment.folder / "more.env"
    found = {*stack_secrets(known), *copied_secrets({more: more.read_bytes()})}
    assert {"in-a-mapping", "in-a-list", "in-the-settings", "in-a-url-77", SECRET} <= found


def test_secret_files_of_model_and_container_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("in-a-secret-file")
    model = {"services": {"web": {"environment": {"A_PASS": "in-the-model"}}}, "secrets": {"k": {"file": str(path)}}}
    assert {"in-a-secret-file", "in-the-model"} <= set(model_secrets(model))
    inspected = {
        "Config": {"Env": ["A_PASS=in-the-container"]},
        "Mounts": [{"Destination": "/run/secrets/k", "Source": str(path), "RW": False}],
    }
    assert {"in-a-secret-file", "in-the-container"} <= set(container_secrets(inspected))


def test_pipe_device_and_link_out_not_read(tmp_path: Path, environment: Environment) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert [read_plain(tmp_path / "pipe"), read_plain(Path("/dev/zero")), read_plain(tmp_path)] == ["", "", ""]
    outside = tmp_path / "outside"
    outside.write_text("STOLEN_TOKEN=of-somebody-else")
    environment.env_files[0].unlink()
    environment.env_files[0].symlink_to(outside)
    assert "of-somebody-else" not in set(stack_secrets(environment))
