"""A password that is a name in the stack's own files hides none of its names; any other is hidden everywhere."""

import tomllib
from pathlib import Path

import pytest

from roas.errors import ComposePolicyError
from roas.models.environment import Environment, PolicyLevel
from roas.redaction import Redactor
from roas.stack.model.secret_sources import literal_names, model_secrets
from roas.stack.policy.compose_policy import ComposePolicy

MODEL = {
    "name": "hog",
    "services": {
        "web": {
            "image": "ghcr.io/posthog/posthog-server:9.9.2",
            "environment": {"POSTGRES_PASSWORD": "posthog", "SALEOR_PASSWORD": "Zaq12wsxcde3", "X": "1"}
            | {"ADMIN_PASSWORD": "KEYCLOAK_HOST", "KEYCLOAK_HOST": "kc"},
            "volumes": [{"type": "bind", "source": "/srv/zabbixdata/db", "target": "/var/lib/data"}],
        }
    },
    "networks": {"default": {"name": "hog_default"}},
}


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor(["zabbixdata"])
    redactor.keep(literal_names(MODEL))
    redactor.add(model_secrets(MODEL))
    return redactor


def test_names_of_the_files_are_words_of_them() -> None:
    assert literal_names(MODEL) >= {"posthog", "posthog-server", "zabbixdata", "web", "hog", "hog_default"}
    assert not literal_names({**MODEL, "name": "Zaq12wsxcde3"}) & {"Zaq12wsxcde3"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ghcr.io/posthog/posthog-server:9.9.2", "ghcr.io/posthog/posthog-server:9.9.2"),
        ("bind:/srv/zabbixdata/db", "bind:/srv/zabbixdata/db"),
        ("KEYCLOAK_HOST is not set", "KEYCLOAK_HOST is not set"),
        ("it said Zaq12wsxcde3", "it said [redacted]"),
    ],
)
def test_names_stay_and_passwords_do_not(redactor: Redactor, text: str, shown: str) -> None:
    assert redactor.redact(text) == shown


def test_hint_that_is_pasted_is_accepted(redactor: Redactor) -> None:
    """Somebody copies what they read of a refusal into their settings."""
    folder = Path("/srv/stack")
    stack = Environment("dev", "hog", folder, (folder / "compose.yaml",), policy=PolicyLevel.DEFAULT)
    with pytest.raises(ComposePolicyError) as refused:
        ComposePolicy((), folder / "state").check(MODEL, stack)
    _, _, lines = redactor.redact(str(refused.value.hint)).partition("\n")
    pasted = tomllib.loads(lines)["environments"]["dev"]["allow"]
    assert pasted == ["bind:/srv/zabbixdata/db"]
    ComposePolicy(tuple(pasted), folder / "state").check(MODEL, stack)
