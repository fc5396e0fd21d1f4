"""Look up which content an image reference means: here, and in its registry."""

import asyncio
from collections.abc import Mapping
from typing import Any

from roas.errors import RegistryUnavailableError
from roas.messages.message import said
from roas.models.stack import WantedImage
from roas.stack.compose.faults import image_not_found, registry_fault
from roas.stack.docker.api_errors import ApiError, ApiNotFoundError
from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient
from roas.stack.images.reference import split_reference
from roas.stack.images.registry import ImageName, RegistryClient

HEAD_SECONDS = 5.0
LATEST = "latest"
NEVER = frozenset({"never"})
IF_MISSING = frozenset({"missing", "if_not_present"})


def find_image(client: EngineClient, reference: str) -> dict[str, Any] | None:
    """Inspect a local image, or return None where it is not here."""
    try:
        found: dict[str, Any] = client.inspect_image(reference)  # type: ignore[no-untyped-call]
    except ApiNotFoundError:
        return None
    return found


def find_named(client: EngineClient, reference: str) -> dict[str, Any] | None:
    """Inspect a local image that has this name: the engine also takes the beginning of an ID for one, of any image."""
    found = find_image(client, reference)
    if found is None or not _begins_id(reference, str(found["Id"])):
        return found
    names = {repository_of(name) for key in ("RepoTags", "RepoDigests") for name in found.get(key) or ()}
    return found if repository_of(reference) in names else None


def _begins_id(reference: str, image_id: str) -> bool:
    """Return whether a reference is the beginning of an ID, and not all of it, which nobody guesses."""
    start, whole = reference.removeprefix("sha256:"), image_id.removeprefix("sha256:")
    return start != whole and whole.startswith(start)


def digest_of(image: Mapping[str, Any], reference: str) -> str | None:
    """Return the digest (`name@sha256:…`) under which a local image came from the reference's repository."""
    repository = repository_of(reference)
    digests: list[str] = image.get("RepoDigests") or []
    return next((digest for digest in digests if digest.partition("@")[0] == repository), None)


def repository_of(reference: str) -> str:
    """Return a reference's repository as the engine writes it: without tag, digest and Docker Hub's own name."""
    repository = split_reference(reference)[0]
    return repository.removeprefix("index.").removeprefix("docker.io/").removeprefix("library/")


async def look_up_image(engine: Engine, registry: RegistryClient, reference: str, pull_policy: str) -> WantedImage:
    """Return the content that a reference means now.

    Raises ImageNotFoundError, RegistryUnavailableError, EngineUnavailableError.
    """
    here = await engine.call(lambda client: find_named(client, reference))
    if here is not None and not _asks_registry(pull_policy):
        return WantedImage(reference, here["Id"], digest_of(here, reference))
    if here is None and pull_policy in NEVER:
        raise image_not_found(said("{reference} is not here, and its pull policy is `never`", reference=reference))
    by_head = await _digest_by_head(registry, engine, reference)

    def look_up(client: EngineClient) -> WantedImage:
        ask = registry_digest if here is not None else _digest_of_absent
        digest = by_head or ask(client, reference)
        # It may be here by its digest alone: a pull moves no name.
        if (known := find_image(client, digest)) is not None:
            return WantedImage(reference, known["Id"], digest)
        return WantedImage(reference, None, digest, must_pull=True)

    return await engine.call(look_up)


async def _digest_by_head(registry: RegistryClient, engine: Engine, reference: str) -> str:
    """Ask the registry by `HEAD`, which Docker Hub does not count as a pull; what the engine asks by is one.

    Empty where that tells nothing: the engine may reach what this process does not, and know other logins and mirrors.
    """
    name, tag = split_reference(reference)
    image = ImageName.read(name)
    if not engine.is_local and image.is_on_loopback:  # of another machine
        return ""
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            found = await registry.digest(image, tag or LATEST)
    except (RegistryUnavailableError, TimeoutError):
        return ""
    return f"{repository_of(reference)}@{found}" if found else ""


def _digest_of_absent(client: EngineClient, reference: str) -> str:
    """Query the digest of an image that is not local; without an answer, its name may be what is wrong."""
    try:
        return registry_digest(client, reference)
    except RegistryUnavailableError as error:
        raise RegistryUnavailableError(
            said(
                "{reference} is not on this machine. {message}",
                reference=reference,
                message=error.message,
            ),
            hint=said("Check the image's name and the version; for a private registry, log in with `roas login`."),
        ) from error


def registry_digest(client: EngineClient, reference: str) -> str:
    """Ask the registry for the digest behind a reference, with the logins of Docker's configuration."""
    try:
        answer = client.inspect_distribution(reference)  # type: ignore[no-untyped-call]
    except ApiError as error:
        raise registry_fault(error.explanation, reference) from error
    return f"{repository_of(reference)}@{answer['Descriptor']['digest']}"


def _asks_registry(pull_policy: str) -> bool:
    """Return whether a policy wants the newest image even where there is one; so do `daily` and its like."""
    return pull_policy not in NEVER | IF_MISSING | {"build"}
