"""Keep the images of releases from pruning, by tags of our own, and name by one the journal that has them.

It outlives the state folder: a bot whose journal is another one has another disk there.
"""

import re
from collections.abc import Collection
from contextlib import suppress

from roas.messages.message import said
from roas.models.release import Release, ReleaseService
from roas.stack.compose.faults import image_not_found
from roas.stack.docker.api_errors import ApiError, ApiNotFoundError
from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient
from roas.stack.images.lookup import find_image
from roas.stack.images.readable_names import unneeded_references
from roas.stack.images.reference import JOURNALS, NOT_IN_A_REPOSITORY, RELEASES, release_repository

# The engine takes tags of 128 characters.
LONGEST_PROJECT = 80


def release_tag(project: str, service: str, number: int) -> tuple[str, str]:
    """Return repository and tag under which a release keeps a service's image."""
    return release_repository(project, service), f"r{number}"


async def tag_images(engine: Engine, release: Release) -> None:
    """Tag each image of a release once, by the first service that has it; a tag that is there stays untouched.

    Raises ImageNotFoundError where one is gone already.
    """
    first = {service.image.image_id: service for service in reversed(release.services)}

    def tag(client: EngineClient, service: ReleaseService) -> None:
        repository, name = release_tag(engine.project, service.name, release.number)
        found = find_image(client, f"{repository}:{name}")
        if found is not None and found["Id"] == service.image.image_id:
            return
        try:
            client.tag(service.image.image_id, repository, name)
        except ApiNotFoundError as error:
            raise image_not_found(
                said("{reference} is gone from this machine", reference=service.image.reference), service.name
            ) from error

    await engine.each(tag, first.values())


async def tag_journal(engine: Engine, release: Release, journal_id: str) -> None:
    """Name the journal by a tag of an image of the release, and no other journal of this project.

    The tag goes from release to release, so that it keeps no image that no release has.
    """
    start = _of_project(engine.project)

    def mark(client: EngineClient, image_id: str) -> None:
        for named in _journals(client, engine.project) - {journal_id}:
            with suppress(ApiNotFoundError):
                _untag(client, f"{JOURNALS}:{start}{named}")
        tag = f"{start}{journal_id}"
        found = find_image(client, f"{JOURNALS}:{tag}")
        if found is None or found["Id"] != image_id:
            client.tag(image_id, JOURNALS, tag, force=True)

    await engine.each(mark, [service.image.image_id for service in release.services[:1]])


async def tagged_journals(engine: Engine) -> frozenset[str]:
    """Return the ids of the journals that tags of the project name."""
    return await engine.call(lambda client: _journals(client, engine.project))


def _of_project(project: str) -> str:
    return f"{project[:LONGEST_PROJECT]}."


def _journals(client: EngineClient, project: str) -> frozenset[str]:
    start = f"{JOURNALS}:{_of_project(project)}"
    images = client.images(filters={"reference": JOURNALS})
    tags = (tag for image in images for tag in image.get("RepoTags") or ())
    return frozenset(tag.removeprefix(start) for tag in tags if tag.startswith(start))


async def tagged_numbers(engine: Engine, services: Collection[str] | None = None) -> frozenset[int]:
    """Return the numbers of releases whose tags have the project's name, and that of one of the `services` if given.

    Names run together (`shop` has a `dev-web`, `shop-dev` a `web`): without services, some may be another project's.
    """
    prefix = NOT_IN_A_REPOSITORY.sub("-", f"{engine.project}-".lower()).lstrip("-")
    names = f"{RELEASES}/{re.escape(prefix)}.+"
    if services is not None:
        own = (release_tag(engine.project, service, 0)[0] for service in services)
        names = "|".join(map(re.escape, own)) or "(?!)"
    pattern = re.compile(rf"(?:{names}):r(\d+)")

    def read_tags(client: EngineClient) -> frozenset[int]:
        images = client.images(filters={"reference": f"{RELEASES}/*"})
        tags = (pattern.fullmatch(tag) for image in images for tag in image.get("RepoTags") or ())
        return frozenset(int(match[1]) for match in tags if match)

    return await engine.call(read_tags)


async def untag_images(engine: Engine, release: Release) -> None:
    """Remove a release's tags; an image that nothing else names or uses is deleted with its last tag.

    A tag that points to another image now belongs to another project, to a bot with another journal, or to whoever
    moved it by hand: it stays. The image that it pointed to goes, but for one that a container uses: that keeps a name.
    """

    def untag(client: EngineClient) -> None:
        for service in release.services:
            tag = ":".join(release_tag(engine.project, service.name, release.number))
            found = find_image(client, tag)
            if found is None:
                continue
            is_ours = found["Id"] == service.image.image_id
            if is_ours:
                with suppress(ApiNotFoundError):
                    _untag(client, tag)
            left = find_image(client, service.image.image_id) or {}
            for reference in unneeded_references(left.get("RepoTags") or ()):
                with suppress(ApiNotFoundError):
                    _untag(client, reference, used=is_ours)

    await engine.call(untag)


async def missing_images(engine: Engine, release: Release) -> tuple[str, ...]:
    """Return the services whose image is gone."""

    def find_missing(client: EngineClient) -> tuple[str, ...]:
        wanted = {service.image.image_id for service in release.services}
        gone = {image_id for image_id in wanted if find_image(client, image_id) is None}
        return tuple(service.name for service in release.services if service.image.image_id in gone)

    return await engine.call(find_missing)


def _untag(client: EngineClient, tag: str, *, used: bool = True) -> None:
    """Remove a tag, also the last one of an image that is `used` by a container."""
    try:
        client.remove_image(tag)
    except ApiError as error:
        if error.status != 409:
            raise
        if used:
            client.remove_image(tag, force=True)  # only the tag goes
