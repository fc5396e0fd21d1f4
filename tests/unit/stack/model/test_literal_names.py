"""A password that is a name in the stack's own files hides none of its names; any other is hidden everywhere."""

import pytest

from roas.redaction import Redactor
from roas.stack.model.secret_sources import literal_names, model_secrets

MODEL = {
    "name": "hog",
    "services": {
        "web": {
            "image": "ghcr.io/posthog/posthog-server:9.9.2",
            "environment": {"POSTGRES_PASSWORD": "posthog", "SALEOR_PASSWORD": "Zaq12wsxcde3", "X": "1"},
            "volumes": [{"type": "bind", "source": "/srv/zabbixdata/db", "target": "/var/lib/data"}],
        }
    },
    "networks": {"default": {"name": "hog_default"}},
}


def test_names_of_the_files_are_words_of_them() -> None:
    assert literal_names(MODEL) >= {"posthog", "posthog-server", "zabbixdata", "web", "hog", "hog_default"}
    assert not literal_names({**MODEL, "name": "Zaq12wsxcde3"}) & {"Zaq12wsxcde3"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ghcr.io/posthog/posthog-server:9.9.2", "ghcr.io/posthog/posthog-server:9.9.2"),
        ("bind:/srv/zabbixdata/db", "bind:/srv/zabbixdata/db"),
        ("it said Zaq12wsxcde3", "it said [redacted]"),
    ],
)
def test_names_stay_and_passwords_do_not(text: str, shown: str) -> None:
    redactor = Redactor(["zabbixdata"])
    redactor.keep(literal_names(MODEL))
    redactor.add(model_secrets(MODEL))
    assert redactor.redact(text) == shown
