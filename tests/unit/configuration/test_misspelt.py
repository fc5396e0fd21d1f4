"""A variable that is nearly called as a setting is, and read by nobody, is named; what is meant for others is not."""

import re
from pathlib import Path

import pytest

from roas.configuration.loading import read_settings
from roas.configuration.overview import misspelt
from roas.configuration.settings import Settings
from roas.configuration.sources import SettingPlace

ROOT = Path(__file__).resolve().parents[3]
VARIABLE = re.compile(r"^#?([A-Z][A-Z0-9_]+)=", re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DISCORD_DEPLOYER_ROLE_ID", "DISCORD_DEPLOYER_ROLE_IDS"),
        ("DISCORD_ALERT_ROLE_IDS", "DISCORD_ALERT_ROLE_ID"),
        ("ENVIRONMENT_NAME", "ENVIRONMENT_NAMES"),
        ("ENVIRONMENT__SHOP__FOLDER", "ENVIRONMENTS"),
        ("ROAS_STATEDIR", "STATE_DIR"),
    ],
)
def test_misspelt_setting_named_with_what_is_meant(name: str, meant: str) -> None:
    (found,) = misspelt(Settings, [SettingPlace(name, ".env")])
    assert str(found) == f".env: {name}: is no setting; did you mean {meant}?"


def test_what_is_explained_to_people_is_not_misspelt() -> None:
    """Of all that `.env.example` has, some is for Compose alone."""
    names = VARIABLE.findall((ROOT / ".env.example").read_text())
    assert len(names) > 40
    secrets = (
        "DISCORD_TOKEN_FILE",
        "WEBHOOK_TOKEN_FILE",
        "REDIS_URL_FILE",
        "ROAS_LOG_LEVEL",
        "ROAS_CONFIG",
        "ROAS_ENV_FILE",
        "PATH",
    )
    assert not list(misspelt(Settings, map(SettingPlace, (*names, *secrets))))


def test_file_and_environment_are_both_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROAS_ENV_FILE", ".env")
    (tmp_path / ".env").write_text("LOG_LEVEL=INFO\n\nSTACK_DIRS=/srv/shop\n")
    monkeypatch.setenv("HTTP_PORTS", "8000")
    found = {str(item) for item in misspelt(Settings, read_settings(needs_discord=False).variables())}
    assert ".env: STACK_DIRS: is no setting; did you mean STACK_DIR?" in found
    assert "HTTP_PORTS: is no setting; did you mean HTTP_PORT?" in found
