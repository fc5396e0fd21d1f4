"""Read the name of an image, and write one."""

import re

from roas.stack.compose.jail_container import JAIL

# Under these repositories the bot keeps what it knows by its ID; no stack gets or gives such a name.
RELEASES, BUILT, READABLE = "roas-release", "roas-build", "roas"
OWN = frozenset({RELEASES, BUILT, JAIL, READABLE})
# Here a tag names the journal by which a project was deployed last. Releases' tags are numbers, in other repositories.
JOURNALS = f"{RELEASES}/journal"
# Docker's own readers of Dockerfiles. Any other one may say what a cache of another project is called.
FRONTENDS = frozenset({"docker/dockerfile", "docker/dockerfile-upstream"})
# Those of them that take no images by ID, and of which the first know no caches of a project's own.
OLD_FRONTEND = re.compile(r"0(\..*)?|1\.[0-3]([.-].*)?")
LOCAL_REGISTRIES = ("docker.io/library/", "docker.io/", "index.docker.io/library/", "index.docker.io/", "library/")
NOT_IN_A_REPOSITORY = re.compile(r"[^a-z0-9]+")


def in_repository(name: str) -> str:
    """Return a name as it may stand in that of an image."""
    return NOT_IN_A_REPOSITORY.sub("-", name.lower()).strip("-")


def release_repository(project: str, service: str) -> str:
    """Return the repository under which the releases of a project keep a service's images."""
    return f"{RELEASES}/{in_repository(f'{project}-{service}')}"


def is_own(reference: str) -> bool:
    """Return whether a name is one of those under which the bot keeps images."""
    name = reference.lower()
    name = next((name.removeprefix(start) for start in LOCAL_REGISTRIES if name.startswith(start)), name)
    return re.split("[/:@]", name, maxsplit=1)[0] in OWN


def is_frontend(reference: str) -> bool:
    """Return whether a name is one of Docker's own readers of Dockerfiles that is new enough."""
    repository, tag = split_reference(reference.partition("@")[0])
    name = repository.removeprefix("index.").removeprefix("docker.io/")
    return name in FRONTENDS and OLD_FRONTEND.fullmatch(tag or "latest") is None


def split_reference(reference: str) -> tuple[str, str | None]:
    """Return an image's repository, and its digest or else its tag, if it names one."""
    repository, has_digest, digest = reference.rpartition("@")
    if has_digest:
        return repository, digest
    repository, has_tag, tag = reference.rpartition(":")
    return (repository, tag) if has_tag and "/" not in tag else (reference, None)
