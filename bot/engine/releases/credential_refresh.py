"""Give a release's model the current credentials, so that a rollback does not bring back a revoked one."""

import copy
from collections.abc import Mapping
from typing import Any

from roas.engine.client import EngineClients
from roas.engine.model.services import ADOPTED_HASH, services_of
from roas.engine.model.store import ModelStore
from roas.engine.resolution.environment_values import renewed_secrets
from roas.engine.resolution.resolver import StackResolver
from roas.errors import EngineUnavailableError, RoasError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.release import Release
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


class CredentialRefresher:
    """Read today's credentials from the working copy and put them into stored models."""

    def __init__(self, clients: EngineClients, resolver: StackResolver, models: ModelStore) -> None:
        self._clients = clients
        self._resolver = resolver
        self._models = models

    async def refresh(self, environment: Environment, release: Release) -> tuple[str, tuple[str, ...]]:
        """Return the hash of the model to apply, and warnings; where today's files are unusable, the stored one."""
        renewed, warnings = await self.renewed(environment, release)
        if renewed == await self._clients.local(lambda: self._models.load(release.model_hash)):
            return release.model_hash, warnings
        return await self._clients.local(lambda: self._models.save(renewed)), warnings

    async def renewed(self, environment: Environment, release: Release) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return the model to apply, and warnings; nothing is written."""
        stored = await self._clients.local(lambda: self._models.load(release.model_hash))
        try:
            today, _ = await self._resolver.working_copy(environment, release.version or None)
        except EngineUnavailableError:
            raise
        except RoasError as error:
            text = said(
                "{release} keeps the credentials it was made with, since today's files cannot be read: {reason}",
                release=release.label,
                reason=error.message,
            )
            return stored, (text,)
        renewed, unknown = with_credentials_of(stored, today)
        renewed["services"] |= renewed_secrets(renewed, today, self._resolver.contents_folder)
        return renewed, tuple(
            said("{name} is not in today's files: it stays as it was.", name=name) for name in unknown
        )
