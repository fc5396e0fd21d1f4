"""Hold what all stacks work with: the clients of engines, the folders of models and contents, policy and resolver."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from roas.models.environment import Environment
from roas.redaction import Redactor
from roas.shortages import unusable_state
from roas.stack.backups.files import BACKUPS, BackupFiles
from roas.stack.compose.runner import ComposeRunner
from roas.stack.docker.engine import Answer, EngineClients
from roas.stack.docker.sdk import configuration_file
from roas.stack.images.provenance import ImageVerifier
from roas.stack.images.registry import RegistryClient
from roas.stack.interface import KnownSwarms, write_freely
from roas.stack.model.definitions import read_definitions
from roas.stack.model.live_files import LiveFiles
from roas.stack.model.per_model import PerModel
from roas.stack.model.scales import ReadScales, kept_numbers, nothing_scaled, with_numbers
from roas.stack.model.secret_sources import literal_names, model_secrets
from roas.stack.model.store import MODELS, ModelStore
from roas.stack.policy.compose_policy import CONTENTS_FOLDER, ComposePolicy
from roas.stack.releases.today import ReleasePolicy
from roas.stack.resolution.resolver import StackResolver
from roas.stack.sources.contents import ContentStore
from roas.stack.sources.secret_key import SecretKey
from roas.web_client import WebClient


class StackParts:
    """Be made once, and be shared by all stacks."""

    def __init__(
        self,
        *,
        state_dir: Path,
        instance_id: str,
        policy_allow: tuple[str, ...],
        redactor: Redactor,
        token: str = "",
        scales: ReadScales = nothing_scaled,
        known_swarms: KnownSwarms | None = None,
        require_lead: Callable[[], None] = write_freely,
    ) -> None:
        state_dir = state_dir.resolve()
        self.redactor = redactor
        self.clients = EngineClients(redactor.redact)
        self.web = WebClient()
        self.registry = RegistryClient(self.web, configuration_file, redactor.add)
        self.verifier = ImageVerifier(state_dir, configuration_file, redactor.redact)
        self.runner = ComposeRunner(instance_id, redactor.redact, self.clients)
        self.models = ModelStore(state_dir / MODELS, self.learn)
        self.definitions = PerModel(read_definitions)
        self.builds = state_dir / "builds"
        self.key = SecretKey(state_dir / "secret_key")
        self.contents = ContentStore(state_dir / CONTENTS_FOLDER, self.key.read)
        self.live_files = LiveFiles(self.contents.folder)
        self.backups = BackupFiles(state_dir / BACKUPS)
        self.policy = ComposePolicy(policy_allow, state_dir, token)
        self.resolver = StackResolver(self.clients, self.runner, self.contents, self.policy, redactor)
        self.release_policy = ReleasePolicy(self.clients, self.resolver, self.models)
        self.known_swarms = known_swarms
        self.require_lead = require_lead
        self._scales = scales

    def learn(self, model: Mapping[str, Any]) -> None:
        """Let the redactor know the secrets of a model, and which words are names in it."""
        self.redactor.keep(literal_names(model))
        self.redactor.add(model_secrets(model))

    async def load_model(self, model_hash: str) -> Mapping[str, Any]:
        """Return the stored, pinned model of a release. Raises ReleaseNotRestorableError where it is gone."""
        return await self.clients.local(lambda: self.models.load(model_hash))

    async def scaled(self, environment: Environment, model: Mapping[str, Any], *, of_files: bool) -> Mapping[str, Any]:
        """Return a model in which what is scaled stays so, and all else has as many replicas as its files say.

        In a model `of_files`, a number that these did not say when a service was scaled is the one that counts.
        """
        scales = await self._scales(environment.name)
        numbers = {}
        if scales:
            numbers = kept_numbers(
                model, self.definitions(model), scales, on_single_machine=not environment.on_swarm, of_files=of_files
            )
        return with_numbers(model, numbers)

    async def stored(self, work: Callable[[], Answer]) -> Answer:
        """Work in the folders of models and contents. Raises EngineError where the disk refuses."""
        try:
            return await self.clients.local(work)
        except OSError as error:
            raise unusable_state(error) from error
