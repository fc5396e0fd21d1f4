"""Draft releases from stacks, and keep what they are made of."""

from collections.abc import Mapping
from typing import Any

from roas.concurrency import run_concurrently
from roas.errors import InvalidRequestError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.release import ImagePin, Release, ReleaseService, ReleaseState
from roas.stack.adopting.adoption import AdoptedStack, adopt_project
from roas.stack.adopting.contents import bind_adopted
from roas.stack.adopting.sameness import differing_keys
from roas.stack.client import EngineClients
from roas.stack.docker_client import EngineClient
from roas.stack.images.lookup import digest_of, find_image
from roas.stack.interface import ReleaseDraft, ResolvedStack
from roas.stack.model.definitions import read_definitions
from roas.stack.model.services import ADOPTED_HASH, UNLIKE, adopted_hash, pinned_content, services_of
from roas.stack.model.store import ModelStore
from roas.stack.releases.pinning import pin
from roas.stack.sources.contents import ContentStore


class ReleaseDrafter:
    """Pin stacks and store the models."""

    def __init__(self, clients: EngineClients, models: ModelStore, contents: ContentStore) -> None:
        self._clients = clients
        self._contents = contents
        self._models = models

    async def draft(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None,
        kept_services: frozenset[str],
    ) -> ReleaseDraft:
        """Pin every image and store the model; kept services are taken over from the release as they are."""
        model = await self.pinned_model(stack, image_ids, kept_from=kept_from, kept_services=kept_services)
        kept = {name: kept_from.service(name) for name in kept_services} if kept_from else {}
        new = {name: stack.definitions[name] for name in sorted(model["services"]) if not kept.get(name)}
        asked = {(one.image, image_ids[name], one.built): name for name, one in new.items()}
        answers = await run_concurrently(
            self._image(stack.environment, reference, image_id, built=built) for reference, image_id, built in asked
        )
        images = dict(zip(asked, answers, strict=True))
        made = {
            name: ReleaseService(name, images[one.image, image_ids[name], one.built], one.definition_hash, one.replicas)
            for name, one in new.items()
        }
        pinned = [kept.get(name) or made[name] for name in sorted(model["services"])]
        model_hash = await self._clients.local(lambda: self._models.save(model))
        return ReleaseDraft(stack.version, tuple(service for service in pinned if service), model_hash)

    async def pinned_model(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None,
        kept_services: frozenset[str],
    ) -> dict[str, Any]:
        """Return the stack's model with every image pinned; nothing is written."""
        unknown = set(image_ids) - set(stack.definitions)
        if unknown:
            raise InvalidRequestError(
                said("No such service: {unknown}.", unknown=", ".join(sorted(unknown))),
                hint=said("Name the stack's services."),
            )
        kept_model = None
        if kept_from:
            kept_hash = kept_from.model_hash
            kept_model = await self._clients.local(lambda: self._models.load(kept_hash))
        model = pin(stack.model, stack.definitions, image_ids, kept_model=kept_model, kept_services=kept_services)
        adopted = kept_model if kept_from and kept_from.state is ReleaseState.ADOPTED else None
        if kept_from is None:
            adopted = await self.adopted(stack)
        return model if adopted is None else await self._keep_adopted(stack.environment, model, adopted)

    async def adopted(self, stack: ResolvedStack) -> Mapping[str, Any] | None:
        """Return the model of what runs before there is a release; None where nothing does."""
        found = await adopt_project(self._clients, stack.environment, stack.model)
        return await self.bound(stack.environment, found, write=False) if found else None

    async def bound(self, environment: Environment, adopted: AdoptedStack, *, write: bool) -> Mapping[str, Any]:
        """Return an adopted model with its files bound by content."""
        folder = environment.folder
        return await self._clients.local(
            lambda: bind_adopted(adopted.model, adopted.copied, self._contents, folder, write=write)
        )

    async def _keep_adopted(
        self, environment: Environment, model: dict[str, Any], adopted: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Let adopted containers stay that already are what is wanted; where one is not, say in which fields."""
        old = services_of(adopted)
        candidates = {
            name: (fields, old[name])
            for name, fields in services_of(model).items()
            if name in old and adopted_hash(old[name]) and not adopted_hash(fields)
        }

        def look(client: EngineClient) -> tuple[dict[str, dict[str, Any]], Mapping[str, Any]]:
            found = {name: find_image(client, pinned_content(new)) or {} for name, (new, _) in candidates.items()}
            return found, client.info() if candidates else {}

        images, says_of_itself = await self._clients.call(environment, look)
        for name, (new, before) in candidates.items():
            if pinned_content(new) != pinned_content(before):
                continue
            unlike = differing_keys(new, model, before, adopted, images[name], says_of_itself, name=name)
            says = {UNLIKE: list(unlike)} if unlike else {ADOPTED_HASH: adopted_hash(before)}
            model["services"][name] = {**new, "x-deploy": {**new["x-deploy"], **says}}
        return model

    async def draft_model(
        self, environment: Environment, version: str, model: Mapping[str, Any], references: Mapping[str, str]
    ) -> ReleaseDraft:
        """Store a model whose images are pinned already; `references` say how people call the images."""
        services: list[ReleaseService] = []
        for name, definition in sorted(read_definitions(model).items()):
            image_id = pinned_content(model["services"][name])
            pinned = await self._image(environment, references.get(name, image_id), image_id, built=False)
            services.append(ReleaseService(name, pinned, definition.definition_hash, definition.replicas))
        return ReleaseDraft(version, tuple(services), self._models.save(model))

    async def _image(self, environment: Environment, reference: str, image_id: str, *, built: bool) -> ImagePin:
        def look(client: EngineClient) -> ImagePin:
            found = find_image(client, image_id)
            return ImagePin(reference, image_id, digest_of(found, reference) if found else None, built)

        return await self._clients.call(environment, look)
