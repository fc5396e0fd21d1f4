"""The schema of `roas.toml` takes what the bot takes, and names what it does not."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from roas.configuration.overview import schema_of
from roas.configuration.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


@cache
def schema() -> dict[str, Any]:
    return schema_of(Settings)


def wrong(text: str) -> list[str]:
    errors = jsonschema.Draft202012Validator(schema()).iter_errors(tomllib.loads(text))
    return [".".join(map(str, error.absolute_path)) for error in errors]


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema())


def test_every_documented_example_is_valid():
    documented = (ROOT / "docs" / "configuration.md").read_text()
    examples = [(ROOT / "roas.example.toml").read_text(), *re.findall(r"```toml\n(.*?)```", documented, re.DOTALL)]
    assert len(examples) > 2
    assert [wrong(text) for text in examples] == [[] for _text in examples]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[http]\nport = "eighty"\n', "http.port"),
        ("[http]\nport = 70000\n", "http.port"),
        ("[discord]\nchanel = 1\n", "discord"),
        ('[discord]\ntoken = "x"\n', "discord"),
        ('[log]\nlevel = "LOUD"\n', "log.level"),
        ("[environments.dev]\nneeds_approval = 1\n", "environments.dev.needs_approval"),
        ("[environments.dev]\nfoldr = 1\n", "environments.dev"),
        ('[discord]\ndeployer_role_ids = ["a"]\n', "discord.deployer_role_ids.0"),
    ],
)
def test_a_wrong_file_is_refused_at_its_place(text, place):
    assert wrong(text) == [place]


def test_everything_has_a_description():
    def undescribed(schema: dict[str, Any], path: str) -> list[str]:
        own = [] if schema.get("description") else [path]
        inner = schema.get("properties", {})
        return own + [item for name in inner for item in undescribed(inner[name], f"{path}.{name}")]

    assert undescribed(schema(), "") == []
    environment = schema()["properties"]["environments"]["additionalProperties"]
    assert undescribed(environment, "environments") == []
