"""Answer for a stack what has one answer only: on one machine, with no policy, no registry and no bot to be asked."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from roas.errors import ReleaseNotRestorableError
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.models.leader_lease import ProcessMark
from roas.models.release import Release
from roas.models.swarm import QuorumLosses, SwarmFacts
from roas.stack.interface import (
    PinnedStack,
)


class PlainAnswers:
    """Be a stack that adopts, renews, holds and refuses nothing; its models are in a dictionary."""

    environment: Environment
    models: dict[str, dict[str, Any]]
    replaces_by_itself = False
    shares_with_compose = True
    needs_quorum = False

    async def containers(self) -> tuple[ContainerSnapshot, ...]:
        """Return every container."""
        raise NotImplementedError

    async def remove(self, container_id: str, *, grace_seconds: float | None = None) -> None:
        """Remove a container."""
        raise NotImplementedError

    def of(self, environment: Environment) -> Self:
        """Be the stack of the only environment."""
        return self

    @property
    def releases(self) -> Self:
        """Keep the stack's releases, too."""
        return self

    @property
    def images(self) -> Self:
        """Have the stack's images, too."""
        return self

    @property
    def proxies(self) -> Self:
        """Tell the stack's proxies, too."""
        return self

    def probe(self) -> Self:
        """Answer questions about the machine, too."""
        return self

    async def describe_changes(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
        """Show nothing: nobody approves here."""
        return ()

    async def powers_of(self, model: Mapping[str, Any]) -> dict[str, str]:
        """Return no power: no service of these stacks has one."""
        return {}

    async def respelled(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write all models in the same words."""
        return old

    async def networks_and_volumes(self, model: Mapping[str, Any]) -> Mapping[str, str]:
        """Tell none apart."""
        return {}

    async def save_model(self, model: Mapping[str, Any]) -> str:
        """Store a model as it is."""
        model_hash = hashlib.sha256(json.dumps(model, sort_keys=True, default=str).encode()).hexdigest()
        self.models[model_hash] = dict(model)
        return model_hash

    async def discard_builds(self, names: Collection[str]) -> None:
        """Keep nothing of what is built."""

    async def load_model(self, model_hash: str) -> Mapping[str, Any]:
        """Return a stored model."""
        if model_hash not in self.models:
            raise ReleaseNotRestorableError("gone")
        return self.models[model_hash]

    async def adopt(self, version: str | None = None) -> PinnedStack | None:
        """Adopt nothing: here every stack is the bot's own."""
        return None

    async def check(self, *_: object) -> None:
        """Refuse nothing: there is no policy here."""

    async def renew(self, release: Release) -> tuple[str, tuple[str, ...]]:
        """Return the model as it is: there are no credentials here."""
        return release.model_hash, ()

    async def renewed(self, release: Release) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return the model as it is."""
        return await self.load_model(release.model_hash), ()

    async def hash_inputs(self, model: Mapping[str, Any]) -> str:
        """Bind to nothing: there are no secrets, and the settings stay."""
        return ""

    async def protect(self, release: Release, journal_id: str = "") -> None:
        """Do nothing: nobody prunes here."""

    async def journals(self) -> frozenset[str]:
        """Name no journal."""
        return frozenset()

    async def held(self, services: Collection[str] | None = None) -> frozenset[int]:
        """Hold nothing."""
        return frozenset()

    async def unprotect(self, release: Release, *, needed: frozenset[str] = frozenset()) -> None:
        """Do nothing."""

    async def clear_unused(self, needed: frozenset[str]) -> None:
        """Do nothing."""

    async def missing_images(self, release: Release) -> tuple[str, ...]:
        """Miss nothing."""
        return ()

    async def missing_external(self, _model: Mapping[str, Any]) -> tuple[Any, ...]:
        """Miss nothing that others make."""
        return ()

    async def last_writer(self) -> str:
        """Return nothing: no Swarm."""
        return ""

    async def containers_by_id(self, container_ids: Iterable[str]) -> tuple[ContainerSnapshot, ...]:
        """Return some containers."""
        wanted = set(container_ids)
        return tuple(container for container in await self.containers() if container.id in wanted)

    async def written_services(self) -> frozenset[str]:
        """Return none: on one machine a service is its containers."""
        return frozenset()

    async def give_names(self, model_hash: str) -> Mapping[str, str]:
        """Let names mean what they mean: nobody else is here."""
        return {}

    async def remove_service(self, service: str, container_ids: Iterable[str]) -> None:
        """Remove all containers of a service."""
        for container_id in container_ids:
            await self.remove(container_id)

    async def differences(self, *_: object) -> Mapping[str, Any]:
        """Find none: what hands change in place is drift, and no plan is made of it."""
        return {}

    async def superseded(self, *_: object) -> Mapping[str, Any]:
        """Have no secrets of an engine's own."""
        return {}

    async def failure_output(self, container_id: str, *, lines: int = 30) -> str:
        """Have nothing to say."""
        return ""

    async def read_log(self, container_id: str, *, lines: int, since: datetime | None = None) -> str:
        """Have nothing to say."""
        return ""

    async def replacements(self, service: str, since: datetime) -> tuple[str, ...]:
        """Return what a Swarm did: there is none."""
        return ()

    async def swarm(self) -> SwarmFacts | None:
        """Return what a manager says: there is none."""
        return None

    def quorum_losses(self) -> QuorumLosses:
        """Return that there was none: there are no managers to lose."""
        return QuorumLosses()

    async def renew_logins(self) -> tuple[str, ...]:
        """Return the services that were given another login: none pulls by itself."""
        return ()

    async def local_versions(self) -> tuple[str, ...]:
        """Know no versions."""
        return ()

    async def reload(self, model: Mapping[str, Any], service: str) -> bool:
        """Have every proxy replaced."""
        return False

    async def kill_orphans(self, instance_id: str) -> int:
        """Have no Compose that could be left over."""
        return 0

    async def end_process(self, mark: ProcessMark) -> bool:
        """Have no process that could hang."""
        return True
