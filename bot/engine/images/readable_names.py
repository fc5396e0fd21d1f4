"""Name the images of releases as people and tools know them: `roas/<repository>:<tag>-<12 digits of the image ID>`.

The same content under the same name gives the same text. The image ID in the model is what counts: a tag that is
missing, or that somebody moved, is set again from it before Compose is called.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from roas.engine.api_errors import ApiNotFoundError
from roas.engine.client import EngineClients
from roas.engine.compose.faults import image_not_found
from roas.engine.docker_client import EngineClient
from roas.engine.images.lookup import find_image
from roas.engine.images.reference import split_reference
from roas.engine.model.services import pinned_image_id
from roas.messages.message import said
from roas.models.environment import Environment

PREFIX = "roas/"
DIGITS = 12
LONGEST_TAG = 128
IMAGE_ID = "sha256:"
NAMELESS = "image"
# The first part of a name is a registry's address where it looks like one.
ADDRESS = re.compile(r"localhost|.*[.:].*")


def readable_reference(reference: str, image_id: str) -> str:
    """Return the name of our own for the content of an image; a name that is one already stays."""
    suffix = image_id.removeprefix(IMAGE_ID)[:DIGITS]
    if reference.startswith(PREFIX) and reference.endswith(suffix):
        return reference
    repository, tag = split_reference("" if reference.startswith(IMAGE_ID) else reference)
    parts = str(repository or NAMELESS).split("/")
    path = "/".join(parts[1:] if len(parts) > 1 and ADDRESS.fullmatch(parts[0]) else parts)
    is_digest = "@" in reference
    named = "" if is_digest else f"{tag or 'latest'}-"
    return f"{PREFIX}{path}:{named[: LONGEST_TAG - len(suffix) - 1].rstrip('-')}{'-' if named else ''}{suffix}"


async def set_references(
    clients: EngineClients, environment: Environment, services: Mapping[str, Mapping[str, Any]]
) -> None:
    """Let the image of each service mean its pinned content. Raises ImageNotFoundError where that is gone."""
    wanted = {
        str(fields["image"]): (name, image_id)
        for name, fields in services.items()
        if (image_id := pinned_image_id(fields)) and str(fields.get("image")) != image_id
    }

    def set_missing(client: EngineClient) -> None:
        for reference, (service, image_id) in wanted.items():
            found = find_image(client, reference)
            if found is not None and found["Id"] == image_id:
                continue
            repository, tag = split_reference(reference)
            try:
                client.tag(image_id, repository, tag, force=True)
            except ApiNotFoundError as error:
                raise image_not_found(
                    said("{reference} is gone from this machine", reference=reference), service
                ) from error

    if wanted:
        await clients.call(environment, set_missing)


def unneeded_references(tags: Iterable[str], protecting: str) -> tuple[str, ...]:
    """Return an image's readable names once no release protects it any more, whoever's it was."""
    named = list(tags)
    if any(tag.startswith(protecting) for tag in named):
        return ()
    return tuple(tag for tag in named if tag.startswith(PREFIX))
