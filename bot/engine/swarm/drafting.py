"""Draft releases for a Swarm: images are pinned by the digest that their registry said, whatever a manager has."""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from roas.engine.interface import ResolvedStack
from roas.engine.model.definitions import read_definitions
from roas.engine.model.services import ROUND, pinned_image_id
from roas.engine.releases.drafter import ReleaseDrafter
from roas.engine.swarm.images import with_digest
from roas.engine.swarm.names import DIGITS
from roas.models.environment import Environment
from roas.models.release import ImagePin, Release


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
        return _with_rounds(model, model["services"].keys() - kept_services)

    async def _image(self, environment: Environment, reference: str, image_id: str, *, built: bool) -> ImagePin:
        return ImagePin(reference, image_id, image_id, built)


def _with_rounds(model: dict[str, Any], services: Collection[str]) -> dict[str, Any]:
    """Return a model in which one-shot services have what is another one for each release: they run again with it."""
    canonical = json.dumps(model["services"], sort_keys=True, default=str)
    this = hashlib.sha256(canonical.encode()).hexdigest()[:DIGITS]
    one_shots = {name for name, one in read_definitions(model).items() if one.one_shot and name in services}
    for name in one_shots:
        fields = model["services"][name]
        model["services"][name] = {**fields, "x-deploy": {**fields["x-deploy"], ROUND: this}}
    return model
