"""Read the name of an image, and write one."""

import re

NOT_IN_A_REPOSITORY = re.compile(r"[^a-z0-9]+")


def in_repository(name: str) -> str:
    """Return a name as it may stand in that of an image."""
    return NOT_IN_A_REPOSITORY.sub("-", name.lower()).strip("-")


def split_reference(reference: str) -> tuple[str, str | None]:
    """Return an image's repository, and its digest or else its tag, if it names one."""
    repository, has_digest, digest = reference.rpartition("@")
    if has_digest:
        return repository, digest
    repository, has_tag, tag = reference.rpartition(":")
    return (repository, tag) if has_tag and "/" not in tag else (reference, None)
