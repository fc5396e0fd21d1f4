"""Make releases of stacks with Compose and the Docker Engine, and keep them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from roas.concurrency import begun, run_concurrently
from roas.engine.adopting.adoption import adopt_project
from roas.engine.client import Answer, EngineClients
from roas.engine.compose.runner import ComposeRunner
from roas.engine.containers.pinned_services import PinnedServices
from roas.engine.containers.snapshots import take_outlines, take_snapshots
from roas.engine.images.building import build_hash, keep_sources
from roas.engine.images.lookup import find_image, look_up_image
from roas.engine.images.release_tags import missing_images, tag_images, tagged_numbers, untag_images
from roas.engine.interface import ReleaseDraft, ResolvedStack
from roas.engine.model.definitions import read_definitions
from roas.engine.model.live_files import LiveFiles
from roas.engine.model.per_model import PerModel
from roas.engine.model.secret_sources import literal_names, model_secrets
from roas.engine.model.services import ADOPTED_HASH, adopted_hash, pinned_content, replicas_of, services_of
from roas.engine.model.store import MODELS, ModelStore
from roas.engine.policy.compose_policy import CONTENTS_FOLDER, ComposePolicy
from roas.engine.releases.credential_refresh import CredentialRefresher
from roas.engine.releases.drafter import ReleaseDrafter
from roas.engine.releases.pinning import SHARED_KINDS, pin
from roas.engine.releases.plan_inputs import hash_inputs, hash_release
from roas.engine.releases.policy_check import ReleasePolicy
from roas.engine.resolution.resolver import StackResolver
from roas.engine.sources.build_sources import BuildSources
from roas.engine.sources.contents import ContentStore, discard
from roas.engine.sources.opening import resolve
from roas.engine.sources.secret_key import SecretKey
from roas.errors import EngineError, ImageNotFoundError, RegistryUnavailableError, RoasError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.health import ALIVE
from roas.models.plan import BUILD_HASH
from roas.models.release import Release
from roas.models.stack import ServiceDefinition, WantedImage
from roas.redaction import Redactor

# In `x-deploy` of a service that was adopted: what its containers say.
OF_CONTAINERS = ("depends_on", "one_shot", ADOPTED_HASH)
# What nothing refers to may still belong to a deployment that is about to refer to it.
UNUSED_SECONDS = 24 * 3600.0


class ComposeReleases:
    """Do for the phases what they ask of a store of releases; see the protocol `ReleaseStore`."""

    def __init__(
        self, *, state_dir: Path, instance_id: str, policy_allow: tuple[str, ...], redactor: Redactor, token: str
    ) -> None:
        self._clients = EngineClients(redactor.redact)
        self._runner = ComposeRunner(instance_id, redactor.redact, self._clients)
        self._redactor = redactor
        self._models = ModelStore(state_dir / MODELS, self._learn)
        self._definitions = PerModel(read_definitions)
        self._builds = state_dir / "builds"
        self._key = SecretKey(state_dir / "secret_key")
        self._contents = ContentStore(state_dir / CONTENTS_FOLDER, self._key.read)
        self._live_files = LiveFiles(self._contents.folder)
        self._policy = ComposePolicy(policy_allow, state_dir, token)
        self._resolver = StackResolver(self._clients, self._runner, self._contents, self._policy, redactor)
        self._pinned = PinnedServices(self._clients, self._runner, self._models, self._live_files)
        self._drafter = ReleaseDrafter(self._clients, self._models, self._contents)
        self._refresher = CredentialRefresher(self._clients, self._resolver, self._models)
        self._release_policy = ReleasePolicy(self._clients, self._resolver, self._models)

    async def close(self) -> None:
        """Close the connections to every engine."""
        await self._clients.close()

    def _learn(self, model: Mapping[str, Any]) -> None:
        """Let the redactor know the secrets of a model, and which words are names in it."""
        self._redactor.keep(literal_names(model))
        self._redactor.add(model_secrets(model))

    async def resolve(
        self, environment: Environment, version: str | None, *, write_contents: bool = True
    ) -> ResolvedStack:
        """Merge, interpolate and check an environment's compose files."""
        stack = await self._resolver.resolve(environment, version, write_contents=write_contents)
        inputs = await self._clients.local(
            lambda: hash_inputs(stack.model, environment, self._policy.allowed, self._key.read())
        )
        return replace(stack, inputs=inputs, is_kept=write_contents)

    async def load_model(self, model_hash: str) -> Mapping[str, Any]:
        """Return the stored, pinned model of a release."""
        return await self._clients.local(lambda: self._models.load(model_hash))

    def definitions(self, model: Mapping[str, Any]) -> Mapping[str, ServiceDefinition]:
        """Read from a model how each service is to be updated and judged."""
        return self._definitions(model)

    async def look_up_images(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        """Return the content that each service's image means now; each reference is queried once.

        What any service of the stack builds is that of all who name it.
        """
        wanted = {name: stack.definitions[name] for name in sorted(services)}
        builders = {name: _builder(stack, name) for name in wanted}
        questions: dict[tuple[str, str], list[str]] = {}
        for name, one in wanted.items():
            builder = builders[name]
            if not (builder and stack.definitions[builder].built):
                questions.setdefault((one.image, one.pull_policy), []).append(name)
        answers = await run_concurrently(
            self._look_up_image(stack, reference, policy, names) for (reference, policy), names in questions.items()
        )
        found = dict(zip(questions, answers, strict=True))
        return {
            name: found.get((one.image, one.pull_policy)) or await self._to_build(stack, builders[name] or name)
            for name, one in wanted.items()
        }

    async def draft_release(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> ReleaseDraft:
        """Pin every image by image ID and store the model."""
        # Kept services are older than today's policy. What that judges by is asked beside the draft.
        async with begun(self._resolver.holdings(stack.environment)) as asking:
            drafted = await self._drafter_for(stack.environment).draft(
                stack, image_ids, kept_from=kept_from, kept_services=kept_services
            )
            await self._release_policy.check(stack.environment, drafted.model_hash, asking)
        return drafted

    async def check_release(self, environment: Environment, model_hash: str) -> None:
        """Ask today's policy about the model of a release. Raises ComposePolicyError."""
        await self._release_policy.check(environment, model_hash)

    async def preview_release(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        """Return the model that `draft_release` would store for the same; nothing is written."""
        return await self._drafter_for(stack.environment).pinned_model(
            stack, image_ids, kept_from=kept_from, kept_services=kept_services
        )

    async def draft_with(
        self, environment: Environment, current: Release, service: str, earlier: Release
    ) -> ReleaseDraft:
        """Draft a release that runs, with one service as an earlier one has it; all else stays."""
        model_hash, _warnings = await self.refresh_credentials(environment, earlier)

        def merged() -> str:
            old, now = self._models.load(model_hash), self._models.load(current.model_hash)
            shared = {kind: {**old.get(kind, {}), **now.get(kind, {})} for kind in SHARED_KINDS if kind in old}
            services = {**services_of(now), service: services_of(old)[service]}
            return self._models.save({**now, **shared, "services": services})

        merged_hash = await self._clients.local(merged)
        await self.check_release(environment, merged_hash)
        taken = earlier.service(service)
        services = tuple(taken if taken and one.name == service else one for one in current.services)
        return ReleaseDraft(current.version, services, merged_hash)

    async def adopt(self, environment: Environment, version: str | None = None) -> ReleaseDraft | None:
        """Draft a release of what runs now; None where nothing runs."""
        if not any(one.state in ALIVE for one in await take_outlines(self._clients, environment)):
            return None
        written = await self._resolver.written(environment, version)
        adopted = await adopt_project(self._clients, environment, written)
        if adopted is None:
            return None
        self._learn(adopted.model)
        model = await self._drafter.bound(environment, adopted, write=True)
        model = await self._as_in_files(environment, version, model, adopted.references)
        self._learn(model)
        return await self._drafter.draft_model(environment, adopted.version, model, adopted.references)

    async def _as_in_files(
        self, environment: Environment, version: str | None, model: Mapping[str, Any], images: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Return an adopted model with the services of the files in it whose containers Compose made of just these.

        `images` are the names that their containers have for their images, of the version that runs.
        """
        try:
            stack = await self._resolver.resolve(environment, version, write_contents=True)
        except RoasError:  # who wants to deploy them is told
            return model
        running = services_of(model)
        services = {
            name: {**fields, "image": images[name]} if fields.get("image") else fields
            for name, fields in services_of(stack.model).items()
            if name in running
        }
        ids = {name: pinned_content(running[name]) for name in services}
        definitions = {name: replace(stack.definitions[name], image=images[name]) for name in services}
        made = pin({**stack.model, "services": services}, definitions, ids)
        containers = await take_snapshots(self._clients, environment)
        hashes = await self._pinned.hashes_of(made, environment, containers)
        same = {
            name: _running_as(fields, running[name])
            for name, fields in services_of(made).items()
            if hashes[name] == adopted_hash(running[name])
        }
        shared = {kind: {**(model.get(kind) or {}), **(made.get(kind) or {})} for kind in SHARED_KINDS}
        named = {kind: found for kind, found in shared.items() if found} if same else {}
        return {**model, **named, "services": {**running, **same}}

    async def refresh_credentials(self, environment: Environment, release: Release) -> tuple[str, tuple[str, ...]]:
        """Store the release's model with today's credentials and return its hash, and warnings."""
        model_hash, warnings = await self._refresher.refresh(environment, release)
        await self.check_release(environment, model_hash)
        return model_hash, warnings

    async def preview_refreshed(
        self, environment: Environment, release: Release
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return the model that `refresh_credentials` would store, and warnings; nothing is written."""
        return await self._refresher.renewed(environment, release)

    async def hash_release(self, environment: Environment, model: Mapping[str, Any]) -> str:
        """Return a hash of what a stored model would run as: with its secrets, today's settings and policy."""
        return await self._clients.local(
            lambda: hash_release(model, environment, self._policy.allowed, self._key.read())
        )

    async def protect(self, release: Release, environment: Environment) -> None:
        """Tag the release's images so that pruning leaves them alone, and hold its model."""
        await tag_images(self._clients, environment, release)
        await self._clients.local(lambda: self._models.add_reference(release.model_hash, holder(environment, release)))

    async def held_releases(self, environment: Environment, services: Collection[str] | None = None) -> frozenset[int]:
        """Return the numbers of releases of which tags or a model may be held, the tags of these services if given."""
        held = await self._stored(lambda: self._models.held_by(environment.project))
        return held | await tagged_numbers(self._clients, environment, services)

    async def unprotect(
        self, release: Release, environment: Environment, *, needed: frozenset[str] = frozenset()
    ) -> None:
        """Remove the tags of a release, and its model where no other release needs it."""
        await untag_images(self._clients, environment, release)
        name = holder(environment, release)
        await self._stored(lambda: self._models.remove_reference(release.model_hash, name, needed))

    async def clear_unused(self, needed: frozenset[str]) -> None:
        """Remove old models that no release holds and that are not `needed`, then old contents in no model."""

        def clear() -> None:
            self._models.clear(UNUSED_SECONDS, needed)
            self._contents.clear(self._models.mentions, UNUSED_SECONDS)
            ContentStore(self._builds).clear(lambda _: False, UNUSED_SECONDS)

        await self._stored(clear)

    async def missing_images(self, release: Release, environment: Environment) -> tuple[str, ...]:
        """Return the services of a release whose images are gone; empty where it can be restored."""
        return await missing_images(self._clients, environment, release)

    def _drafter_for(self, environment: Environment) -> ReleaseDrafter:
        """Return what pins the images of an environment's releases."""
        return self._drafter

    async def _stored(self, work: Callable[[], Answer]) -> Answer:
        """Work in the folders of models and contents. Raises EngineError where the disk refuses."""
        try:
            return await self._clients.local(work)
        except OSError as error:
            raise EngineError(
                said(
                    "STATE_DIR cannot be used: {strerror} ({filename}).",
                    strerror=error.strerror or error,
                    filename=error.filename,
                ),
                hint=said("The bot's user must own all that is in models/ and contents/ of STATE_DIR."),
            ) from error

    async def _look_up_image(
        self, stack: ResolvedStack, reference: str, policy: str, names: list[str]
    ) -> WantedImage | None:
        """Return what a reference means; None where it cannot be pulled and, as in Compose, is built instead."""
        try:
            return await look_up_image(self._clients, stack.environment, reference, policy)
        except (ImageNotFoundError, RegistryUnavailableError):
            if all(_builder(stack, name) for name in names):
                return None
            raise

    async def _to_build(self, stack: ResolvedStack, service: str) -> WantedImage:
        """Say what is built: it is bound to its model; where nothing is built, the image that is here serves."""
        reference = stack.definitions[service].image
        found = await self._clients.call(stack.environment, lambda client: find_image(client, reference))
        name = await self._keep_sources(stack, service)
        return WantedImage(reference, found["Id"] if found else None, build_hash=name, builder=service)

    async def _keep_sources(self, stack: ResolvedStack, service: str) -> str:
        """Copy what a service is built from, and return the name of the copy; of what is only shown, none is made."""

        def keep() -> str:
            sources = self._sources(stack, service)
            if not stack.is_kept:
                return build_hash(stack, service, sources.digest())
            return keep_sources(stack, service, sources, self._builds)

        return await self._clients.local(keep)

    async def discard_builds(self, names: Collection[str]) -> None:
        """Remove copies of what was built."""

        def clear() -> None:
            for name in filter(BUILD_HASH.fullmatch, names):
                discard(self._builds / name)

        await self._stored(clear)

    def _sources(self, stack: ResolvedStack, service: str) -> BuildSources:
        """Return what a service is built from, and what of it the policy allows outside of the stack's folder."""
        return BuildSources(
            build=stack.model["services"][service].get("build") or {},
            secrets=stack.model.get("secrets") or {},
            folder=resolve(stack.environment.folder),
            withheld=self._policy.withheld(stack.environment),
            key=self._key.read(),
            may_leave=self._policy.allows(f"build:{service}", stack.environment),
            may_bind=lambda path: self._policy.allows(f"bind:{path}", stack.environment),
        )


def _builder(stack: ResolvedStack, service: str) -> str | None:
    """Return the service that says how a service's image is built: itself, or the first that builds what it names."""
    fields, image = services_of(stack.model), stack.definitions[service].image
    same = sorted(name for name, one in stack.definitions.items() if one.image == image and fields[name].get("build"))
    own = fields[service].get("build")
    return next((name for name in same if not own or fields[name]["build"] == own), None)


def _running_as(fields: Mapping[str, Any], adopted: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service of the files with what its containers say: how many, if they end, and what they wait for."""
    extension = adopted.get("x-deploy") or {}
    own = {key: extension[key] for key in OF_CONTAINERS if key in extension}
    said_by_files = {key: one for key, one in fields["x-deploy"].items() if key not in OF_CONTAINERS}
    number = {"scale": replicas_of(adopted)} if replicas_of(adopted) != replicas_of(fields) else {}
    return {**fields, **number, "x-deploy": {**said_by_files, **own}}


def holder(environment: Environment, release: Release) -> str:
    """Return by what name a release holds its model."""
    return f"{environment.project}-{release.label}"
