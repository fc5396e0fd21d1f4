"""Pin releases of a Swarm: images by the digest that their registry said, whatever a manager has."""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from roas.concurrency import run_concurrently
from roas.errors import EngineError, EngineUnavailableError, ImageNotFoundError, RegistryUnavailableError
from roas.models.release import ImagePin, Release, ReleaseState
from roas.models.stack import Obstacle, WantedImage
from roas.models.stored import moment_of
from roas.stack.docker.engine import Engine
from roas.stack.images.lookup import registry_digest
from roas.stack.interface import PinnedStack, ResolvedStack
from roas.stack.model.definitions import read_definitions
from roas.stack.model.services import (
    ADOPTED_HASH,
    ROUND,
    UNLIKE,
    WRITTEN,
    WRITTEN_BEFORE,
    pinned_image_id,
    services_of,
)
from roas.stack.releases.parts import StackParts
from roas.stack.releases.stack_releases import StackReleases
from roas.stack.swarm.normal_form import DIGITS, differing_keys
from roas.stack.swarm.swarm_adoption import adopt_stack, is_ours
from roas.stack.swarm.tasks.tasks import digest_of_image, service_name
from roas.stack.swarm.writing.external_objects import SECRETS, find_missing, with_newest
from roas.stack.swarm.writing.service_spec import service_spec
from roas.stack.swarm.writing.service_writes import remove_unneeded
from roas.stack.swarm.writing.update_verdict import deployment_of, nonce_of
from roas.stack.swarm.writing.writer import SwarmWriter

Json = dict[str, Any]
# What a service says of the containers or the release before it: the same files have another after they were deployed.
OF_BEFORE = frozenset({ADOPTED_HASH, UNLIKE, WRITTEN, WRITTEN_BEFORE})


async def look_up_digest(engine: Engine, reference: str) -> WantedImage:
    """Return the digest of a reference, which the nodes pull by themselves.

    What a manager has of it counts for nothing: other nodes have not. Raises RegistryUnavailableError,
    ImageNotFoundError.
    """
    if "@" in reference:
        digest = digest_of_image(reference)
    else:
        digest = await engine.call(lambda client: registry_digest(client, reference))
    return WantedImage(reference, digest, digest)


def with_digest(reference: str, digest: str) -> str:
    """Return an image with its tag and its digest, as `docker service ls` shows it."""
    name, _, content = digest.partition("@")
    written = reference.partition("@")[0]
    tag = written.rpartition(":")[2] if ":" in written.rpartition("/")[2] else ""
    return f"{name}:{tag}@{content}" if tag else digest


class SwarmReleases(StackReleases):
    """Make and keep the releases of a stack on a Swarm."""

    def __init__(self, engine: Engine, parts: StackParts, writer: SwarmWriter) -> None:
        super().__init__(engine, parts)
        self._writer = writer

    async def preview(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None = None,
        kept_services: frozenset[str] = frozenset(),
    ) -> dict[str, Any]:
        """Return the model that `pin` would store, with every image pinned by digest; nothing is written."""
        model = await super().preview(stack, image_ids, kept_from=kept_from, kept_services=kept_services)
        for name in model["services"].keys() & image_ids.keys() - kept_services:
            fields = model["services"][name]
            image = with_digest(stack.definitions[name].image, pinned_image_id(fields))
            model["services"][name] = {**fields, "image": image}
        # What is there now is no part of it: the same model, planned again, runs nothing again.
        round_id = _round_of(model)
        if kept_from is None or kept_from.state is ReleaseState.ADOPTED:
            model = await self._with_differences(model, model["services"].keys() - kept_services)
        return _with_round(model, model["services"].keys() - kept_services, round_id)

    async def _with_differences(self, model: dict[str, Any], services: Collection[str]) -> dict[str, Any]:
        """Return a model that says of each service that somebody else made in which parts its spec is another."""
        reading = await self._writer.read_stack()
        others = [service for service in reading.services if not is_ours([service])]
        definitions = read_definitions(model) if others else {}
        for there in others:
            name = service_name(there["Spec"])
            if name not in services:
                continue
            spec = service_spec(self._engine.project, model, definitions[name])
            if unlike := differing_keys(spec, there["Spec"], reading.networks):
                fields = model["services"][name]
                model["services"][name] = {**fields, "x-deploy": {**fields["x-deploy"], UNLIKE: list(unlike)}}
        return model

    async def adopt(self, version: str | None = None) -> PinnedStack | None:
        """Pin what runs now; None where nothing runs. Raises InvalidRequestError.

        What the files say is asked for where there is a stack.
        """
        environment, reading = self._engine.environment, await self._writer.read_stack()
        if not reading.services:
            return None
        found = adopt_stack(environment, reading, await self._parts.resolver.written(environment, version))
        if found is None:
            return None
        self._parts.learn(found.model)
        return await self._pin_model(found.version, found.model, found.references)

    async def respelled(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an old model as it is: a Swarm's services are compared as specs."""
        return old

    async def renewed(self, release: Release) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return the release's model, with the configs and secrets that it has; what is scaled stays so.

        A Swarm keeps them for as long as a release needs them, and what a failed deployment goes back from may be a
        secret that is wrong. Of external secrets it is today's: somebody else gives them, and may have revoked one.
        """
        model = await self._scaled(release)
        newest = await self._writer.newest(model)
        secrets = {key: called for key, called in newest.items() if key[0] == SECRETS}
        missing = find_missing(model, newest, self._engine.environment)
        return with_newest(model, secrets), tuple(obstacle.message for obstacle in missing)

    async def missing_external(self, model: Mapping[str, Any]) -> tuple[Obstacle, ...]:
        """Return the external secrets and configs of a model that the Swarm does not have."""
        return tuple(find_missing(model, await self._writer.newest(model), self._engine.environment))

    async def protect(self, release: Release, journal_id: str = "") -> None:
        """Keep a release's model; its images are the registry's to keep."""
        await self._hold_model(release)

    async def journals(self) -> frozenset[str]:
        """Return none: no tag of a manager follows the stack."""
        return frozenset()

    async def unprotect(self, release: Release, *, needed: frozenset[str] = frozenset()) -> None:
        """Remove what a release held that is no longer kept, and the configs and secrets that no stored model names."""
        await super().unprotect(release, needed=needed)
        is_needed, project = self._models.mentions, self._engine.project
        await self._writer.ask(lambda calls: remove_unneeded(calls, project, is_needed))

    async def missing_images(self, release: Release) -> tuple[str, ...]:
        """Return the services of a release whose pinned image its registry says it has no more.

        Each image is asked for once. Raises RegistryUnavailableError where a registry does not answer: what a node has
        may be gone with the node.
        """
        images = {service.name: service.image.image_id for service in release.services}
        wanted = sorted({*images.values()})
        answers = await run_concurrently(self._is_gone(image) for image in wanted)
        gone = {image for image, is_gone in zip(wanted, answers, strict=True) if is_gone}
        return tuple(name for name, image in images.items() if image in gone)

    async def _is_gone(self, image: str) -> bool:
        try:
            await self._engine.call(lambda client: registry_digest(client, image))
        except ImageNotFoundError:
            return True
        except (EngineUnavailableError, RegistryUnavailableError):
            raise
        except EngineError as error:  # such as a login that is not valid any more
            raise RegistryUnavailableError(error.message, hint=error.hint) from error
        return False

    async def last_writer(self) -> str:
        """Return the newest deployment that wrote a service of the stack; empty where none did."""
        services = await self._writer.ask(lambda calls: calls.services(self._engine.project))
        writers = (deployment_of(nonce_of(service["Spec"])) for service in services)
        return max(filter(None, writers), key=moment_of, default="")

    async def _adopted(self, stack: ResolvedStack) -> Mapping[str, Any] | None:
        """Return None: tasks are no containers of a project, which may be another stack of that name."""
        return None

    async def _image(self, reference: str, image_id: str, *, built: bool) -> ImagePin:
        return ImagePin(reference, image_id, image_id, built)


def _round_of(model: Mapping[str, Any]) -> str:
    """Return what is another one for each release, whatever ran before it."""
    services = {
        name: {
            **fields,
            "x-deploy": {key: value for key, value in (fields.get("x-deploy") or {}).items() if key not in OF_BEFORE},
        }
        for name, fields in services_of(model).items()
    }
    canonical = json.dumps(services, sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:DIGITS]


def _with_round(model: dict[str, Any], services: Collection[str], round_id: str) -> dict[str, Any]:
    """Return a model in which one-shot services have the round: they run again with another one."""
    one_shots = {
        name for name, definition in read_definitions(model).items() if definition.one_shot and name in services
    }
    for name in one_shots:
        fields = model["services"][name]
        model["services"][name] = {**fields, "x-deploy": {**fields["x-deploy"], ROUND: round_id}}
    return model
