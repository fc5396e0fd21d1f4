"""Find which content an image means now: its registry says so, or nothing is deployed."""

from roas.engine.client import EngineClients
from roas.engine.images.lookup import registry_digest
from roas.engine.swarm.snapshots import digest_of_image
from roas.models.environment import Environment
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
