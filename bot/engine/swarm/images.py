"""Find which content an image means now: its registry says so, or nothing is deployed."""

import asyncio
from collections.abc import Mapping

from roas.engine.client import EngineClients
from roas.engine.images.lookup import registry_digest
from roas.engine.swarm.snapshots import digest_of_image
from roas.errors import EngineError, EngineUnavailableError, ImageNotFoundError, RegistryUnavailableError
from roas.models.environment import Environment
from roas.models.release import ImagePin
from roas.models.stack import WantedImage


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
