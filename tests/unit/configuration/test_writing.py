"""An environment is added to roas.toml, and nothing else in it is touched."""

import tomllib
from pathlib import Path

import pytest

from roas.configuration.writing import with_environment
from roas.errors import SettingsError

VALUES = {"folder": "/srv/app", "version_variables": ("TAG",), "variables": {"COMPOSE_PROFILES": 'a,"b"'}}
WRITTEN = {**VALUES, "version_variables": ["TAG"]}
PLACE = Path("roas.toml")
COMMENTED = """# ours
[stack]
# all of them
environment_names = [
  "dev",  # the first ] of them
]
folder = "/srv/shop"

[policy]
level = "strict"

[environments.dev]
observation_seconds = 2
"""


def add(text: str, **more: object) -> str:
    options = {"names": ("dev", "app"), "allow": ("app/bind:/srv/x y",)} | more
    return with_environment(text, "app", VALUES, path=PLACE, **options)


@pytest.mark.parametrize(
    "text",
    [
        "",
        COMMENTED,
        '[stack]\nfolder = "/x"',
        'stack = {folder = "/x"}\n',
        "[policy]\nallow = []\n[http]\nport = 1\n",
        "[environments.dev]\n[http]\nport = 1\n",
    ],
)
def test_environment_added_and_nothing_else(text):
    changed = add(text)
    before, after = tomllib.loads(text), tomllib.loads(changed)
    assert after["environments"].pop("app") == WRITTEN
    assert after["stack"].pop("environment_names") == ["dev", "app"]
    assert after["policy"].pop("allow") == ["app/bind:/srv/x y"]
    before.setdefault("stack", {}).pop("environment_names", None)
    before.setdefault("policy", {}).pop("allow", None)
    before.setdefault("environments", {})
    assert after == before
    assert all(line in changed for line in text.splitlines() if line.startswith("#"))
    assert add(changed) == changed


def test_missing_key_added_to_known_environment():
    known = add("").replace('version_variables = ["TAG"]\n', "observation_seconds = 5\n")
    table = tomllib.loads(add(known))["environments"]["app"]
    assert table == {**WRITTEN, "observation_seconds": 5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[environments.app]\nfolder = "/other"\n', "says something else of the environment app: folder"),
        ("policy = 3\n", "policy is no table"),
        ("[stack\n", "is no TOML"),
    ],
)
def test_other_words_left_alone(text, said):
    with pytest.raises(SettingsError, match=said):
        add(text)
