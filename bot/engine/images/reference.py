"""Read the name of an image."""


def split_reference(reference: str) -> tuple[str, str | None]:
    """Return an image's repository, and its digest or else its tag, if it names one."""
    repository, has_digest, digest = reference.rpartition("@")
    if has_digest:
        return repository, digest
    repository, has_tag, tag = reference.rpartition(":")
    return (repository, tag) if has_tag and "/" not in tag else (reference, None)
