"""Know which parts of a model are credentials."""

from collections.abc import Iterator, Mapping
from typing import Any

from bot.engine.model import services_of
from bot.redaction import is_credential


def credential_values(model: Mapping[str, Any]) -> Iterator[str]:
    """Return the values of a model's credentials; for redaction only."""
    for service in services_of(model).values():
        for variable, value in (service.get("environment") or {}).items():
            if value is not None and is_credential(str(variable)):
                yield str(value)
