"""Draft releases for a Swarm: images are pinned by the digest that their registry said, whatever a manager has."""

import asyncio
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from roas.errors import EngineError, EngineUnavailableError, ImageNotFoundError, RegistryUnavailableError
from roas.models.environment import Environment
from roas.models.release import ImagePin, Release, ReleaseState
from roas.models.stack import WantedImage
from roas.stack.client import EngineClients, engine_address
from roas.stack.docker_client import EngineClient
from roas.stack.images.lookup import registry_digest
from roas.stack.interface import ResolvedStack
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
from roas.stack.releases.drafter import ReleaseDrafter
from roas.stack.swarm.adopting import is_ours
from roas.stack.swarm.calls import SwarmCalls, without_quorum
from roas.stack.swarm.names import DIGITS
from roas.stack.swarm.normal_form import differing_keys
from roas.stack.swarm.service_spec import service_spec
from roas.stack.swarm.snapshots import digest_of_image, service_name

Json = dict[str, Any]
# What a service says of the containers or the release before it: the same files have another after they were deployed.
OF_BEFORE = frozenset({ADOPTED_HASH, UNLIKE, WRITTEN, WRITTEN_BEFORE})


async def look_up_digest(clients: EngineClients, environment: Environment, reference: str) -> WantedImage:
    """Return the digest of a reference, which the nodes pull by themselves.

    What a manager has of it counts for nothing: other nodes have not. Raises RegistryUnavailableError,
    ImageNotFoundError.
    """
    if "@" in reference:
        digest = digest_of_image(reference)
    else:
        digest = await clients.call(environment, lambda client: registry_digest(client, reference))
    return WantedImage(reference, digest, digest)


def with_digest(reference: str, digest: str) -> str:
    """Return an image with its tag and its digest, as `docker service ls` shows it."""
    name, _, content = digest.partition("@")
    written = reference.partition("@")[0]
    tag = written.rpartition(":")[2] if ":" in written.rpartition("/")[2] else ""
    return f"{name}:{tag}@{content}" if tag else digest


async def missing_from_registry(
    clients: EngineClients, environment: Environment, images: Mapping[str, ImagePin]
) -> tuple[str, ...]:
    """Return the services whose pinned image its registry says it has no more; each image is asked for once.

    Raises RegistryUnavailableError where one does not answer: what a node has may be gone with the node.
    """
    wanted = sorted({one.image_id for one in images.values()})

    async def is_gone(image: str) -> bool:
        try:
            await clients.call(environment, lambda client: registry_digest(client, image))
        except ImageNotFoundError:
            return True
        except (EngineUnavailableError, RegistryUnavailableError):
            raise
        except EngineError as error:  # such as a login that is not valid any more
            raise RegistryUnavailableError(error.message, hint=error.hint) from error
        return False

    gone = {one for one, found in zip(wanted, await asyncio.gather(*map(is_gone, wanted)), strict=True) if found}
    return tuple(name for name, one in images.items() if one.image_id in gone)


class SwarmDrafter(ReleaseDrafter):
    """Pin stacks and store the models."""

    async def pinned_model(
        self,
        stack: ResolvedStack,
        image_ids: Mapping[str, str],
        *,
        kept_from: Release | None,
        kept_services: frozenset[str],
    ) -> dict[str, Any]:
        """Return the stack's model with every image pinned by digest; nothing is written."""
        model = await super().pinned_model(stack, image_ids, kept_from=kept_from, kept_services=kept_services)
        for name in model["services"].keys() & image_ids.keys() - kept_services:
            fields = model["services"][name]
            image = with_digest(stack.definitions[name].image, pinned_image_id(fields))
            model["services"][name] = {**fields, "image": image}
        # What is there now is no part of it: the same model, planned again, runs nothing again.
        round_id = _round_of(model)
        if kept_from is None or kept_from.state is ReleaseState.ADOPTED:
            model = await self._with_differences(stack.environment, model, model["services"].keys() - kept_services)
        return _with_round(model, model["services"].keys() - kept_services, round_id)

    async def _with_differences(
        self, environment: Environment, model: dict[str, Any], services: Collection[str]
    ) -> dict[str, Any]:
        """Return a model that says of each service that somebody else made in which parts its spec is another."""

        def ask(client: EngineClient) -> tuple[list[Json], dict[str, str]]:
            with without_quorum(engine_address(environment)):
                calls = SwarmCalls(client)
                found = [one for one in calls.services(environment.project) if not is_ours([one])]
                return found, calls.network_names(found) if found else {}

        others, networks = await self._clients.call(environment, ask)
        definitions = read_definitions(model) if others else {}
        for there in others:
            name = service_name(there["Spec"])
            if name not in services:
                continue
            spec = service_spec(environment.project, model, definitions[name])
            if unlike := differing_keys(spec, there["Spec"], networks):
                fields = model["services"][name]
                model["services"][name] = {**fields, "x-deploy": {**fields["x-deploy"], UNLIKE: list(unlike)}}
        return model

    async def _adopted(self, stack: ResolvedStack) -> Mapping[str, Any] | None:
        """Return None: tasks are no containers of a project, which may be another stack of that name."""
        return None

    async def _image(self, environment: Environment, reference: str, image_id: str, *, built: bool) -> ImagePin:
        return ImagePin(reference, image_id, image_id, built)


def _round_of(model: Mapping[str, Any]) -> str:
    """Return what is another one for each release, whatever ran before it."""
    services = {
        name: {
            **fields,
            "x-deploy": {key: one for key, one in (fields.get("x-deploy") or {}).items() if key not in OF_BEFORE},
        }
        for name, fields in services_of(model).items()
    }
    canonical = json.dumps(services, sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:DIGITS]


def _with_round(model: dict[str, Any], services: Collection[str], round_id: str) -> dict[str, Any]:
    """Return a model in which one-shot services have the round: they run again with another one."""
    one_shots = {name for name, one in read_definitions(model).items() if one.one_shot and name in services}
    for name in one_shots:
        fields = model["services"][name]
        model["services"][name] = {**fields, "x-deploy": {**fields["x-deploy"], ROUND: round_id}}
    return model
