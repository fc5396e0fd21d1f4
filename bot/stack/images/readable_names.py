"""Name the images of releases as people and tools know them: `roas/<repository>:<tag>-<12 digits of the image ID>`.

The same content under the same name gives the same text. The image ID in the model is what counts: a tag that is
missing, or that somebody moved, is set again from it before Compose is called.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from roas.messages.message import said
from roas.stack.compose.faults import image_not_found
from roas.stack.docker.api_errors import ApiNotFoundError
from roas.stack.docker.engine import Engine
from roas.stack.docker.labels import PROJECT, project_of
from roas.stack.docker.sdk import EngineClient
from roas.stack.images.lookup import digest_of, find_image, repository_of
from roas.stack.images.reference import (
    FRONTENDS,
    JOURNALS,
    READABLE,
    RELEASES,
    is_own,
    release_repository,
    split_reference,
)
from roas.stack.model.services import image_reference, pinned_image_id, written_fields

PREFIX = f"{READABLE}/"
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
    repository, tag = split_reference("" if reference.startswith(IMAGE_ID) else reference.partition("@")[0])
    parts = str(repository or NAMELESS).split("/")
    path = "/".join(parts[1:] if len(parts) > 1 and ADDRESS.fullmatch(parts[0]) else parts)
    named = "" if "@" in reference and not tag else f"{tag or 'latest'}-"
    return f"{PREFIX}{path}:{named[: LONGEST_TAG - len(suffix) - 1].rstrip('-')}{'-' if named else ''}{suffix}"


async def set_references(
    engine: Engine,
    services: Mapping[str, Mapping[str, Any]],
    only: Collection[str] | None = None,
    *,
    lenient: bool = False,
) -> dict[str, str]:
    """Let the names of services' images mean their pinned content: ours, and those that the files give them.

    Returns the latter by service. One that is not this project's to set is left out, and means what it meant: a name
    on this machine is everybody's. Raises ImageNotFoundError where the content is gone; with `lenient`, what is gone
    has no name. Of the services of a model, the names of `only` some are set.
    """
    pinned = {name: (fields, image_id) for name, fields in services.items() if (image_id := pinned_image_id(fields))}
    # Of two services, one may be on an older image that the same files called so.
    means: dict[str, str] = {}
    for service, (fields, image_id) in sorted(pinned.items()):
        means.setdefault(files_reference(engine.project, service, fields), image_id)

    repositories = frozenset(release_repository(engine.project, service) for service in services)

    def set_missing(client: EngineClient) -> dict[str, str]:
        setter = _Setter(client, engine.project, repositories)
        given: dict[str, str] = {}
        for service, (fields, image_id) in pinned.items():
            if (only is not None and service not in only) or (lenient and not setter.is_there(image_id)):
                continue
            if (reference := str(fields["image"])) != image_id:
                setter.set(service, reference, image_id, is_ours=True)
            name = files_reference(engine.project, service, fields)
            if name and means[name] == image_id and setter.set(service, name, image_id):
                given[service] = name
        return given

    return await engine.call(set_missing) if pinned else {}


def files_reference(project: str, service: str, fields: Mapping[str, Any]) -> str:
    """Return what a pinned service's files call its image; empty where that is not known."""
    written = written_fields(fields)
    return image_reference(project, service, written) if "image" in written else ""


class _Setter:
    """Set names of images in one go: services often share an image, whose names are then asked for once."""

    def __init__(self, client: EngineClient, project: str, repositories: frozenset[str]) -> None:
        self._client, self._project, self._repositories = client, project, repositories
        self._there: dict[str, bool] = {}
        self._set: dict[tuple[str, str], bool] = {}

    def is_there(self, image_id: str) -> bool:
        """Return whether the engine has an image."""
        if image_id not in self._there:
            self._there[image_id] = find_image(self._client, image_id) is not None
        return self._there[image_id]

    def set(self, service: str, name: str, image_id: str, *, is_ours: bool = False) -> bool:
        """Let a name mean an image; returns whether it does. Raises ImageNotFoundError where the content is gone."""
        key = name, image_id
        if key not in self._set:
            found = find_image(self._client, name)
            means = found is not None and found["Id"] == image_id
            may = means or is_ours or _may_set(self._client, name, found, image_id, self._project, self._repositories)
            if may and not means:
                _tag_image(self._client, service, name, image_id)
            self._set[key] = may
        return self._set[key]


def _tag_image(client: EngineClient, service: str, reference: str, image_id: str) -> None:
    repository, tag = split_reference(reference)
    try:
        client.tag(image_id, repository, tag or "latest", force=True)
    except ApiNotFoundError as error:
        raise image_not_found(said("{reference} is gone from this machine", reference=reference), service) from error


def _may_set(
    client: EngineClient,
    name: str,
    found: Mapping[str, Any] | None,
    image_id: str,
    project: str,
    repositories: frozenset[str],
) -> bool:
    """Return whether a name that means another image, which was `found`, or none, may be made to mean an image.

    It may where nobody has it, or where a build or a release of this project (of which the latter are tagged in
    `repositories`) set it last, and no container of others goes by it. A repository of which there are images of a
    registry has those of this one alone: a build that took a name in there would be another service's next version.
    The one place that decides it.
    """
    is_kept = is_own(name) or repository_of(name) in FRONTENDS
    if "@" in name or name.startswith(IMAGE_ID) or is_kept:  # which nobody can make mean something else
        return False
    if _is_of_registry(client, name, project) and digest_of(find_image(client, image_id) or {}, name) is None:
        return False
    if found is None:
        return True
    built_here = ((found.get("Config") or {}).get("Labels") or {}).get(PROJECT) == project
    if not built_here and not any(tag.rpartition(":")[0] in repositories for tag in found.get("RepoTags") or ()):
        return False
    # An engine lists a container with the name of its image for as long as that means it.
    listed = client.containers(all=True, filters={"ancestor": found["Id"]})
    others = (item for item in listed if project_of(item.get("Labels")) != project)
    return not any(_same_name(str(other.get("Image") or ""), name) for other in others)


def _is_of_registry(client: EngineClient, name: str, project: str) -> bool:
    """Return whether images of a name's repository came from a registry, or from somebody else than this project."""
    there = client.images(repository_of(name))
    others = (image for image in there if (image.get("Labels") or {}).get(PROJECT) != project)
    return any(digest_of(image, name) for image in others)


def _same_name(left: str, right: str) -> bool:
    return repository_of(left) == repository_of(right) and _tag(left) == _tag(right)


def _tag(reference: str) -> str:
    return split_reference(reference)[1] or "latest"


def unneeded_references(tags: Iterable[str]) -> tuple[str, ...]:
    """Return an image's names of ours once no release protects it any more, whoever's it was."""
    named = list(tags)
    marks = tuple(tag for tag in named if tag.startswith(f"{JOURNALS}:"))
    if any(tag.startswith(f"{RELEASES}/") and tag not in marks for tag in named):
        return ()
    return (*marks, *(tag for tag in named if tag.startswith(PREFIX)))
