"""Update the credentials of an old model."""

import copy
from collections.abc import Mapping
from typing import Any

from roas.engine.model.services import ADOPTED_HASH, services_of
from roas.redaction import is_credential


def with_credentials_of(model: Mapping[str, Any], today: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a model with today's credentials, and the credentials (`service: variable`) that today does not know."""
    renewed: dict[str, Any] = copy.deepcopy(dict(model))
    services_today = services_of(today)
    unknown: list[str] = []
    for name, service in services_of(renewed).items():
        today_has = _variables(services_today.get(name) or {})
        own = service.get("environment") or {}
        before = dict(own)
        for variable in filter(is_credential, map(str, list(own))):
            if variable in today_has:
                own[variable] = today_has[variable]
            else:
                unknown.append(f"{name}: {variable}")
        if own != before:  # containers from before it was adopted have the old ones
            (service.get("x-deploy") or {}).pop(ADOPTED_HASH, None)
    return renewed, tuple(unknown)


def _variables(service: Mapping[str, Any]) -> Mapping[str, Any]:
    return {str(variable): value for variable, value in (service.get("environment") or {}).items()}
