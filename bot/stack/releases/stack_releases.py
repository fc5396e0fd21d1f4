"""Pin releases of one stack, keep what they are made of, and judge and renew them by what is valid today."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from roas.concurrency import run_concurrently
from roas.errors import EngineUnavailableError, InvalidRequestError, ReleaseNotRestorableError, RoasError
from roas.messages.message import said
from roas.models.environment import OF_HOST, PolicyLevel
from roas.models.health import ALIVE
from roas.models.release import ImagePin, Release, ReleaseService, ReleaseState
from roas.models.stack import Obstacle
from roas.stack.adopting.adoption import AdoptedStack, adopt_project
from roas.stack.adopting.container_differences import find_container_differences
from roas.stack.adopting.contents import bind_adopted
from roas.stack.adopting.sameness import CALLED, differences
from roas.stack.adopting.spelling import read_back_services, respelled
from roas.stack.containers.config_hashes import ConfigHashes
from roas.stack.containers.snapshots import take_outlines
from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient
from roas.stack.images.local_versions import PLACEHOLDER, common_version, find_local_versions
from roas.stack.images.lookup import digest_of, find_image
from roas.stack.images.release_tags import (
    missing_images,
    tag_images,
    tag_journal,
    tagged_journals,
    tagged_numbers,
    untag_images,
)
from roas.stack.interface import PinnedStack, ResolvedStack, SharedFiles
from roas.stack.model.definitions import read_definitions
from roas.stack.model.scales import as_counted, written_replicas
from roas.stack.model.services import (
    ADOPTED_HASH,
    UNLIKE,
    adopted_hash,
    image_of,
    replicas_of,
    services_of,
)
from roas.stack.policy.power import named, root_first
from roas.stack.policy.refusal import refuse_unreadable
from roas.stack.releases.parts import StackParts
from roas.stack.releases.pinning import SHARED_KINDS, pin, used_kinds
from roas.stack.releases.today import hash_inputs, with_credentials_of
from roas.stack.resolution.environment_values import renewed_secrets

# In `x-deploy` of a service that was adopted: what its containers say.
OF_CONTAINERS = ("depends_on", "one_shot", ADOPTED_HASH)
# What the list of a release's files is called, in a document beside the models.
FILES = "x-roas-files"


class StackReleases:
    """Make and keep the releases of a stack on one machine."""

    def __init__(self, engine: Engine, parts: StackParts) -> None:
        self._engine = engine
        self._parts = parts
        self._models = parts.models

    async def save_model(self, model: Mapping[str, Any]) -> str:
        """Keep a model, which may hold secrets, for at least a day, and return its hash."""
        return await self._engine.local(lambda: self._models.save(model))

    async def pin(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> PinnedStack:
        """Pin every image by image ID and store the model; `kept_services` keep their definition from `kept_from`."""
        model = await self.preview(stack, image_ids, kept_from=kept_from, kept_services=kept_services)
        kept = {name: kept_from.service(name) for name in kept_services} if kept_from else {}
        new = {name: stack.definitions[name] for name in sorted(model["services"]) if not kept.get(name)}
        asked = {(definition.image, image_ids[name], definition.built): name for name, definition in new.items()}
        answers = await run_concurrently(
            self._image(reference, image_id, built=built) for reference, image_id, built in asked
        )
        images = dict(zip(asked, answers, strict=True))
        made = {
            name: ReleaseService(
                name,
                images[definition.image, image_ids[name], definition.built],
                definition.definition_hash,
                written_replicas(model["services"][name]),
            )
            for name, definition in new.items()
        }
        pinned = [kept.get(name) or made[name] for name in sorted(model["services"])]
        model_hash = await self.save_model(model)
        await self.check(model_hash)  # kept services are older than today's policy
        files_hash = ""
        if stack.files.compose and not kept_services:
            files_hash = await self.save_model({FILES: asdict(stack.files)})
        return PinnedStack(stack.version, tuple(service for service in pinned if service), model_hash, files_hash)

    async def files_of(self, release: Release) -> SharedFiles | None:
        """Return the files that a release was made of; None where that is not known."""
        if not release.files_hash:
            return None
        try:
            listed = (await self._parts.load_model(release.files_hash))[FILES]
        except ReleaseNotRestorableError:
            return None
        return SharedFiles(listed["compose"], listed["bound"], tuple(listed["overrides"]), listed["folder"])

    async def pin_with(self, current: Release, services: Collection[str], other: Release | PinnedStack) -> PinnedStack:
        """Pin a release that runs, with some services as another one has them: all else stays.

        Raises ComposePolicyError, ReleaseNotRestorableError.
        """

        def merged() -> str:
            old, now = self._models.load(other.model_hash), self._models.load(current.model_hash)
            shared = {kind: {**old.get(kind, {}), **now.get(kind, {})} for kind in SHARED_KINDS if kind in old}
            taken = {name: services_of(old)[name] for name in services}
            if isinstance(other, PinnedStack):  # what was read back shows how many there are, not who wanted so many
                running = services_of(now)
                taken = {name: as_counted(fields, running.get(name) or fields) for name, fields in taken.items()}
            return self._models.save({**now, **shared, "services": {**services_of(now), **taken}})

        merged_hash = await self._engine.local(merged)
        await self.check(merged_hash)
        pinned = {service.name: service for service in current.services}
        pinned |= {service.name: service for service in other.services if service.name in services}
        return PinnedStack(current.version, tuple(pinned.values()), merged_hash)

    async def adopt(self, version: str | None = None) -> PinnedStack | None:
        """Pin what runs now; None where nothing runs. Raises InvalidRequestError where that cannot be.

        The engine says how the containers are. The files, read for a version, say what no container shows: how a
        service is updated and watched, and where Compose copied something into a container.
        """
        if not any(container.state in ALIVE for container in await take_outlines(self._engine)):
            return None
        written = await self._parts.resolver.written(self._engine.environment, version)
        adopted = await adopt_project(self._engine, written)
        if adopted is None:
            return None
        self._parts.learn(adopted.model)
        model = await self._bound(adopted, write=True)
        model = await self._as_in_files(version, model, adopted.references)
        self._parts.learn(model)
        return await self._pin_model(adopted.version, model, adopted.references)

    async def _as_in_files(
        self, version: str | None, model: Mapping[str, Any], images: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Return an adopted model with the services of the files in it whose containers Compose made of just these.

        What was changed while it ran is as it runs. `images` are the names that their containers have for their images,
        of the version that runs.
        """
        try:
            stack = await self._parts.resolver.resolve(self._engine.environment, version, write_contents=True)
        except RoasError:  # who wants to deploy them is told
            return model
        running = services_of(model)
        services = {
            name: {**fields, "image": images[name]} if fields.get("image") else fields
            for name, fields in services_of(stack.model).items()
            if name in running
        }
        ids = {name: image_of(running[name]) for name in services}
        definitions = {name: replace(stack.definitions[name], image=images[name]) for name in services}
        made = pin({**stack.model, "services": services}, definitions, ids)
        hashes = await ConfigHashes(self._engine, self._parts.runner).of(made, as_it_is=True)
        unlike = await find_container_differences(self._engine, made)
        changed = {
            container.service
            for container in await take_outlines(self._engine)
            if container.id in unlike and unlike[container.id].changed
        }
        same = {
            name: _running_as(fields, running[name])
            for name, fields in services_of(made).items()
            if hashes[name] == adopted_hash(running[name]) and name not in changed
        }
        services = {**running, **same}
        kept = {key: value for key, value in model.items() if key not in SHARED_KINDS}
        return {**kept, **used_kinds(services, model, made), "services": services}

    async def preview(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> dict[str, Any]:
        """Return the model that `pin` would store for the same; nothing is written."""
        unknown = set(image_ids) - set(stack.definitions)
        if unknown:
            raise InvalidRequestError(said("The stack has no service {name}.", name=", ".join(sorted(unknown))))
        kept_model = None
        if kept_from:
            kept_hash = kept_from.model_hash
            kept_model = await self._engine.local(lambda: self._models.load(kept_hash))
        model = pin(stack.model, stack.definitions, image_ids, kept_model=kept_model, kept_services=kept_services)
        adopted = kept_model if kept_from and kept_from.state is ReleaseState.ADOPTED else None
        if kept_from is None:
            adopted = await self._adopted(stack)
        return model if adopted is None else await self._keep_adopted(model, adopted)

    async def _adopted(self, stack: ResolvedStack) -> Mapping[str, Any] | None:
        """Return the model of what runs before there is a release; None where nothing does."""
        found = await adopt_project(self._engine, stack.model)
        return await self._bound(found, write=False) if found else None

    async def _bound(self, adopted: AdoptedStack, *, write: bool) -> Mapping[str, Any]:
        """Return an adopted model with its files bound by content."""
        folder = self._engine.environment.folder
        return await self._engine.local(
            lambda: bind_adopted(adopted.model, adopted.copied, self._parts.contents, folder, write=write)
        )

    async def _keep_adopted(self, model: dict[str, Any], adopted: Mapping[str, Any]) -> dict[str, Any]:
        """Let adopted containers stay that already are what is wanted; where one is not, say in which fields."""
        old = services_of(adopted)
        candidates = {
            name: (fields, old[name])
            for name, fields in services_of(model).items()
            if name in old and adopted_hash(old[name]) and not adopted_hash(fields)
        }
        if not candidates:
            return model
        images, engine_info = await self._inspect_images({name: new for name, (new, _) in candidates.items()})
        for name, (new, before) in candidates.items():
            if image_of(new) != image_of(before):
                continue
            unlike = differences(new, model, before, adopted, images[name], engine_info, name=name)
            keys = [CALLED.get(key, key) for key in unlike]
            says = {UNLIKE: keys} if unlike else {ADOPTED_HASH: adopted_hash(before)}
            model["services"][name] = {**new, "x-deploy": {**new["x-deploy"], **says}}
        return model

    async def respelled(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an old model in the words of a new one where either was read back from containers."""
        read_back = read_back_services(old, new)
        if not read_back:
            return old
        return respelled(old, new, *await self._inspect_images(read_back))

    async def _inspect_images(
        self, services: Mapping[str, Mapping[str, Any]]
    ) -> tuple[dict[str, dict[str, Any]], Mapping[str, Any]]:
        """Return what the engine says of the image of each service, empty where it has none, and of itself."""

        def inspect(client: EngineClient) -> tuple[dict[str, dict[str, Any]], Mapping[str, Any]]:
            return {
                name: find_image(client, image_of(fields)) or {} for name, fields in services.items()
            }, client.info()

        return await self._engine.call(inspect)

    async def check(self, model_hash: str) -> None:
        """Ask today's policy about the model of a release. Raises ComposePolicyError, with the way out."""
        await self._parts.release_policy.check(self._engine.environment, model_hash)

    async def renew(self, release: Release) -> tuple[str, tuple[str, ...]]:
        """Store the release's model with today's credentials and return its hash, and warnings."""
        model, warnings = await self.renewed(release)
        model_hash = release.model_hash
        if model != await self._parts.load_model(model_hash):
            model_hash = await self.save_model(model)
        await self.check(model_hash)
        return model_hash, warnings

    async def renewed(self, release: Release) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return the model that `renew` would store, and warnings; where today's files are unusable, the stored one.

        What is scaled stays so.
        """
        stored, resolver = await self._scaled(release), self._parts.resolver
        try:
            today, _ = await resolver.working_copy(self._engine.environment, release.version or None)
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
        renewed["services"] |= renewed_secrets(renewed, today, resolver.contents_folder)
        return renewed, tuple(
            said("{name} is not in today's files: it stays as it was.", name=name) for name in unknown
        )

    async def missing_external(self, model: Mapping[str, Any]) -> tuple[Obstacle, ...]:
        """Return what a stored model needs that others have made, and that is not there; Compose says so itself."""
        return ()

    async def _scaled(self, release: Release) -> Mapping[str, Any]:
        """Return the stored model of a release with what is scaled today."""
        model = await self._parts.load_model(release.model_hash)
        return await self._parts.scaled(self._engine.environment, model, of_files=False)

    async def local_versions(self) -> tuple[str, ...]:
        """Return the versions that need no pull: those of which an image is here, the newest first.

        The compose file says which images count. Raises ComposeFileError, ComposePolicyError.
        """
        return await find_local_versions(self._engine, await self._of_any_version())

    async def version_of(self, services: Iterable[ReleaseService]) -> str:
        """Return the version that the images of services have; empty where that is none, several, or not known."""
        images = {service.name: service.image.reference for service in services}
        try:
            return common_version(await self._of_any_version(), images)
        except EngineUnavailableError:
            raise
        except RoasError:  # the files cannot be read today
            return ""

    async def _of_any_version(self) -> ResolvedStack:
        resolver, environment = self._parts.resolver, self._engine.environment
        return await resolver.resolve(environment, PLACEHOLDER, write_contents=False)

    async def hash_inputs(self, model: Mapping[str, Any]) -> str:
        """Return hashes, by name, of what running a model depends on besides itself: secrets, settings and policy."""
        policy, key = self._parts.policy, self._parts.key
        return await self._engine.local(
            lambda: hash_inputs(model, self._engine.environment, policy.allowed, key.read())
        )

    async def new_powers(self, stack: ResolvedStack, granted_by: Collection[str]) -> dict[str, str]:
        """Return the powers that a stack asks for and no release with one of these models has: names, and readings.

        Before there is a release, what runs has what it has. Raises NewPowersError for what cannot be shown whole.
        """
        if not stack.powers:
            return {}
        resolver, environment = self._parts.resolver, self._engine.environment
        holdings = await resolver.holdings(environment)
        granted: set[str] = set()
        if not granted_by and (adopted := await self._adopted(stack)) is not None:
            granted.update(await resolver.powers_of_release(adopted, environment, holdings))
        for model_hash in granted_by:
            with suppress(ReleaseNotRestorableError):
                model = await self._parts.load_model(model_hash)
                granted.update(await resolver.powers_of_release(model, environment, holdings))
        new = sorted(stack.powers.keys() - granted, key=root_first)
        redact = self._parts.redactor.redact
        refuse_unreadable(map(named, new), redact)
        return {named(identity): redact(stack.powers[identity]) for identity in new}

    async def powers_of(self, model: Mapping[str, Any]) -> dict[str, str]:
        """Return the powers that somebody has to give a stored model."""
        resolver, environment = self._parts.resolver, self._engine.environment
        if environment.policy != PolicyLevel.ASK:
            return {}
        return await resolver.powers_of_release(model, environment, await resolver.holdings(environment))

    async def protect(self, release: Release, journal_id: str = "") -> None:
        """Hold a release's model, and tag its images so that pruning leaves them alone; a tag names the journal."""
        await tag_images(self._engine, release)
        await self._hold_model(release)
        if journal_id:
            await tag_journal(self._engine, release, journal_id)

    async def journals(self) -> frozenset[str]:
        """Return the ids of the journals by which the engine says that the project was deployed last, if any."""
        return await tagged_journals(self._engine)

    async def held(self, services: Collection[str] | None = None) -> frozenset[int]:
        """Return the numbers of releases of which tags or a model may be held, the tags of these services if given.

        Without them, another project's may be among them.
        """
        held = await self._parts.stored(lambda: self._models.held_by(self._owner))
        return held | await tagged_numbers(self._engine, services)

    async def unprotect(self, release: Release, *, needed: frozenset[str] = frozenset()) -> None:
        """Remove the tags of a release that is no longer kept, and its model where no other release has it.

        A tag that points to another image is not this release's, and stays; so does a model that is `needed`.
        """
        await untag_images(self._engine, release)
        holder = self._holder(release)

        def remove() -> None:
            for kept in filter(None, (release.model_hash, release.files_hash)):
                self._models.remove_reference(kept, holder, needed)

        await self._parts.stored(remove)

    async def missing_images(self, release: Release) -> tuple[str, ...]:
        """Return the services of a release whose images are gone; empty where it can be restored."""
        return await missing_images(self._engine, release)

    async def last_writer(self) -> str:
        """Return the newest deployment that wrote a service that a Swarm has; empty where none did."""
        return ""

    async def _hold_model(self, release: Release) -> None:
        """Hold the model of a release, and the list of its files."""

        def hold() -> None:
            for kept in filter(None, (release.model_hash, release.files_hash)):
                self._models.add_reference(kept, self._holder(release))

        await self._engine.local(hold)

    def _holder(self, release: Release) -> str:
        """Return by what name a release holds its model."""
        return f"{self._owner}-{release.label}"

    @property
    def _owner(self) -> str:
        """Return whose models these are: hosts of one environment have one project, and numbers of their own."""
        host = self._engine.environment.host
        return f"{self._engine.project}{OF_HOST}{host}" if host else self._engine.project

    async def _pin_model(self, version: str, model: Mapping[str, Any], references: Mapping[str, str]) -> PinnedStack:
        """Store a model whose images are pinned already; `references` say how people call the images."""
        services: list[ReleaseService] = []
        for name, definition in sorted(read_definitions(model).items()):
            image_id = image_of(model["services"][name])
            pinned = await self._image(references.get(name, image_id), image_id, built=False)
            services.append(ReleaseService(name, pinned, definition.definition_hash, definition.replicas))
        return PinnedStack(version, tuple(services), self._models.save(model))

    async def _image(self, reference: str, image_id: str, *, built: bool) -> ImagePin:
        def read(client: EngineClient) -> ImagePin:
            found = find_image(client, image_id)
            return ImagePin(reference, image_id, digest_of(found, reference) if found else None, built)

        return await self._engine.call(read)


def _running_as(fields: Mapping[str, Any], adopted: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service of the files with what its containers say: how many, if they end, and what they wait for."""
    extension = adopted.get("x-deploy") or {}
    own = {key: extension[key] for key in OF_CONTAINERS if key in extension}
    said_by_files = {key: value for key, value in fields["x-deploy"].items() if key not in OF_CONTAINERS}
    number = {"scale": replicas_of(adopted)} if replicas_of(adopted) != replicas_of(fields) else {}
    return {**fields, **number, "x-deploy": {**said_by_files, **own}}
