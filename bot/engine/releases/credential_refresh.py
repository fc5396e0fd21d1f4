"""Give a release's model the current credentials, so that a rollback does not bring back a revoked one."""

from collections.abc import Mapping
from typing import Any

from roas.engine.client import EngineClients
from roas.engine.model.store import ModelStore
from roas.engine.releases.credentials import with_credentials_of
from roas.engine.resolution.environment_values import renewed_secrets
from roas.engine.resolution.resolver import StackResolver
from roas.errors import EngineUnavailableError, RoasError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.release import Release


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
