"""The one door of libraries that an extra brings: loaded when asked for, and missed with what installs them."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from roas.candidates.credentials import Credentials, CredentialsError
from roas.configuration.tables import OidcSettings, SourceSettings
from roas.errors import SettingsError
from roas.extras import CI, EXTRAS, load

ROOT = Path(__file__).resolve().parents[2]
NOT_OF_THE_BOT = {"dev", "sandbox"}


async def fetch_nothing(_address: str) -> object:
    raise OSError("nobody is asked here")


def test_the_whole_bot_loads_nothing_that_no_setting_asks_for():
    """It would take 20 MiB."""
    modules = ["PIL", "redis", *(extra.module for extra in EXTRAS)]
    program = f"import sys, roas.service; print([name for name in {modules} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_extra_of_the_package_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {extra.name for extra in EXTRAS} == project["optional-dependencies"].keys() - NOT_OF_THE_BOT


@pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: extra.name)
def test_missing_extra_is_told_with_what_installs_it(extra, monkeypatch):
    monkeypatch.setitem(sys.modules, extra.module, None)
    with pytest.raises(SettingsError) as caught:
        load(extra, SettingsError)
    assert "installed" in caught.value.message
    assert f"pip install 'roas-bot[{extra.name}]'" in caught.value.hint


def test_part_of_an_extra_is_loaded():
    assert load(CI, SettingsError, "algorithms") is load(CI, SettingsError).algorithms


async def test_signed_token_is_refused_where_nothing_checks_one(monkeypatch):
    """A bot whose sources have no `oidc` needs no library for that, whatever it is sent."""
    monkeypatch.setitem(sys.modules, CI.module, None)
    known = Credentials({"shop": SourceSettings()}, fetch_nothing)
    signed = OidcSettings(issuer="https://forge", audience="bot", claims={"repository": "acme/shop"})
    with pytest.raises(CredentialsError, match="No source takes signed tokens"):
        await known.caller("a.b.c")
    with pytest.raises(SettingsError, match="PyJWT is not installed"):
        Credentials({"shop": SourceSettings(oidc=signed)}, fetch_nothing)
