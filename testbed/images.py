"""Images on a machine that may have no registry: the real ones where one answers, else made from Debian's packages."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import docker
import docker.errors
import requests.exceptions

from testbed.rootfs import changes

REGISTRY_SECONDS = 5


class ImageError(RuntimeError):
    """An image can be had neither from a registry nor from packages; the message says what to do."""


def import_image(client: docker.DockerClient, tar: bytes | Path, tag: str, **settings: str | Iterable[str]) -> str:
    """Import a root file system as an image, with settings named as in a Dockerfile, and return the image's id."""
    repository, _, version = tag.rpartition(":")
    lines = changes(settings)
    if isinstance(tar, Path):
        client.api.import_image_from_file(str(tar), repository=repository, tag=version, changes=lines)
    else:
        client.api.import_image_from_data(tar, repository=repository, tag=version, changes=lines)
    image_id: str = client.images.get(tag).attrs["Id"]
    return image_id


def has_image(client: docker.DockerClient, tag: str) -> bool:
    """Return whether the engine has an image."""
    try:
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        return False
    return True


def pull_if_reachable(client: docker.DockerClient, tag: str) -> bool:
    """Pull an image where a registry answers for it within a few seconds; say whether the engine has it now."""
    usual = client.api.timeout
    client.api.timeout = REGISTRY_SECONDS
    try:
        client.images.get_registry_data(tag)
    except (docker.errors.DockerException, requests.exceptions.RequestException):
        return False
    finally:
        client.api.timeout = usual
    with suppress(docker.errors.APIError):
        client.images.pull(tag)
        return True
    return False
