"""Whatever a person writes for a setting, they read what it must be: no word of pydantic, no type of Python."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from roas.api.remote_documents import Offer
from roas.configuration.settings import GivenSettings
from roas.configuration.wrong_values import PATTERNS, wrong_values
from roas.http.webhook import Webhook

WRONG: tuple[Any, ...] = ("", "x y", "nix!", -1, 10**30, 1.5, True, [], ["a", 3], {}, {"a": [1]}, b"\xff", object())
FOREIGN = re.compile(
    r"[Ii]nput should|String should|Value error|valid (string|integer|number|boolean)"
    r"|pydantic|pathlib|tuple|<class|has the wrong form"
)


def texts(**values: Any) -> list[str]:
    """Return what is said about settings."""
    try:
        GivenSettings(**values)
    except ValidationError as error:
        return [text for _path, text in wrong_values(error)]
    return []


def names() -> list[str]:
    """Return every setting but the environments themselves."""
    return [name for name in GivenSettings.model_fields if name != "environments"]


@pytest.mark.parametrize("name", names())
def test_wrong_settings_named_in_plain_words(name: str) -> None:
    found = [text for value in WRONG for text in texts(**{name: value})]
    assert found
    assert [text for text in found if FOREIGN.search(text)] == []


def test_wrong_environments_named_in_plain_words() -> None:
    own = GivenSettings.model_fields["environments"].annotation
    keys = TypeAdapter(own).json_schema()["$defs"]["EnvironmentSettings"]["properties"]
    for key in keys:
        found = [text for value in WRONG for text in texts(environments={"dev": {key: value}})]
        assert found, key
        assert [text for text in found if FOREIGN.search(text)] == [], key


def test_every_pattern_has_a_meaning() -> None:
    """A new setting with a pattern needs a sentence."""
    used = set(patterns(GivenSettings.model_json_schema()))
    assert len(used) > 3
    assert used == set(PATTERNS)


def test_patterns_count_few_characters() -> None:
    r"""Of `\w` that may come 200 times pydantic makes an automaton of 11 MiB: lengths belong to `max_length`."""
    asked = [*patterns(GivenSettings.model_json_schema()), *patterns(Offer.model_json_schema())]
    assert [pattern for pattern in asked if re.search(r"(\\[wdsS][^\[\]]*\]?|\.)\{\d*,?[2-9]\d\d\}", pattern)] == []


def test_patterns_name_letters_and_digits_one_by_one() -> None:
    r"""Each `\w` and `\d` is of all scripts, and takes up to a megabyte; only paths may be in any script."""
    asked = [*patterns(GivenSettings.model_json_schema()), *patterns(Offer.model_json_schema())]
    assert {pattern for pattern in asked if re.search(r"\\[wd]", pattern)} == {r"^[\w./-]*$"}


def test_alternatives_are_one_fault() -> None:
    """A value that may be a list or a table is wrong once, at its own place."""
    with pytest.raises(ValidationError) as raised:
        GivenSettings(environments={"dev": {"version_variables": 3}})  # type: ignore[dict-item]
    assert wrong_values(raised.value) == [
        (("environments", "dev", "version_variables"), "must be a list, or must be a table of keys and values")
    ]


def test_entry_of_one_alternative_is_the_only_fault() -> None:
    """That a list with a wrong entry is no table helps nobody."""
    with pytest.raises(ValidationError) as raised:
        GivenSettings(environments={"prod": {"hosts": ["a.example.org"]}})  # type: ignore[dict-item]
    assert [path for path, _text in wrong_values(raised.value)] == [("environments", "prod", "hosts", 0)]


def test_wrong_webhook_named_in_plain_words() -> None:
    with pytest.raises(ValidationError) as raised:
        Webhook.model_validate_json('{"alerts": [{"labels": 3}, 4], "version": []}')
    found = wrong_values(raised.value)
    assert found
    assert [text for _path, text in found if FOREIGN.search(text)] == []


def patterns(schema: Any) -> Iterator[str]:
    """Yield every pattern within a schema."""
    if isinstance(schema, Mapping):
        if isinstance(found := schema.get("pattern"), str):
            yield found
        yield from schema.get("patternProperties") or ()
        for part in schema.values():
            yield from patterns(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from patterns(part)
