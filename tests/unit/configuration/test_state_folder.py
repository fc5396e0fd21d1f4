"""The state folder is found in a moment where it is simply said, and it is the one that the settings name."""

from pathlib import Path

import pytest

from roas.configuration.state_folder import find_state_folder
from roas.settings import load_settings

SAID_IN_FILE = '[state]\nfolder = "kept"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    (tmp_path / "other.toml").write_text(SAID_IN_FILE)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.mark.parametrize("variables", ["", "HTTP_PORT=8002\n"], ids=["nothing", "variables"])
@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"STATE_DIR": "there"},
        {"STATE_DIR": ""},
        {"STATE_DIR": "/var/lib/there"},
        {"STATE_DIR": "~/there"},
        {"state_dir": "there"},
        {"STATE_DIR": "there", "ROAS_STATE_DIR": "elsewhere"},
        {"STATE_DIR": "there", "ROAS_STATE_DIR": ""},
        {"STATE_DIR": "there", "ROAS_CONFIG": "../other.toml"},
    ],
    ids=str,
)
def test_found_as_settings_name_it(environ, variables, monkeypatch):
    if variables:
        Path(".env").write_text(variables)
    for name in ("STATE_DIR", "ROAS_STATE_DIR", "ROAS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settled = load_settings(needs_discord=False, environ=environ).state_dir
    assert find_state_folder(environ) == settled.expanduser().resolve()


@pytest.mark.parametrize("said", ["STATE_DIR=there", "roas_state_dir: there", "export ROAS_CONFIG=../other.toml"])
def test_left_to_settings_where_variables_of_a_file_say_it(said):
    Path(".env").write_text(f"{said}\n")
    assert find_state_folder({"STATE_DIR": "here"}) is None


@pytest.mark.parametrize("environ", [{"ROAS_CONFIG": "../other.toml"}, {"ROAS_ROAS_CONFIG": "../other.toml"}])
def test_left_to_settings_where_a_file_is_named(environ):
    assert find_state_folder(environ) is None
    assert find_state_folder(environ | {"STATE_DIR": "there"}) == Path("there").resolve()


def test_left_to_settings_where_a_file_of_the_state_folder_says_it():
    Path("state").mkdir()
    Path("state/roas.toml").write_text(SAID_IN_FILE)
    assert find_state_folder({}) is None


def test_left_to_settings_where_a_file_lies_here():
    Path("roas.toml").write_text(SAID_IN_FILE)
    assert find_state_folder({"STATE_DIR": "there"}) is None
