"""Inspect where a webhook points, and repositories of stacks every few minutes, and offer what is truly there."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from roas.candidates.coordinator import CandidateCoordinator
from roas.candidates.statuses import FORGE_AWAY, Forge
from roas.candidates.webhooks import FORCED
from roas.configuration.tables import SourceSettings
from roas.errors import RegistryUnavailableError, RoasError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.candidate import FORGES, Candidate, Delivery, Origin, SourceKind, SourceMode
from roas.models.environment import Environment, Repository
from roas.stack.images.registry import ImageName, RegistryClient
from roas.stack.resolution.repository import Repositories

log = get_logger(__name__)
# An image may come after what announces its commit: it is built and pushed meanwhile.
IMAGE_WITHIN = timedelta(minutes=15)
SHORT_SHA = 7
WEB = "https://"


# A forge answers alike where there is no such commit, and where the token may not see it.
UNKNOWN_COMMIT = (
    "The forge does not know this commit, or its token may not read the repository: "
    "give the token the permission to read it (GitHub's *Contents: read*)."
)


class ImageMissingError(RegistryUnavailableError):
    """A registry that answers does not have an image: it may still be pushed, for a while."""


class SourceInspector:
    """Ask registries, forges and repositories what there is, and offer it to the environments of a source."""

    def __init__(
        self,
        sources: Mapping[str, SourceSettings],
        registry: RegistryClient,
        candidates: CandidateCoordinator,
        forges: Mapping[str, Forge],
        environments: Mapping[str, Environment],
        repositories: Repositories,
    ) -> None:
        self._forges = forges
        self._sources = sources
        self._registry = registry
        self._candidates = candidates
        self._environments = environments
        self._repositories = repositories
        self._seen: dict[tuple[str, str], str] = {}
        self._inspecting = asyncio.Lock()

    async def inspect(self, delivery: Delivery) -> str:
        """Offer what is there, and say what was. Raises RegistryUnavailableError while it may still come."""
        source = self._sources.get(delivery.source)
        if source is None:
            return "The settings do not have this source any more."
        names = [name for name, mode in source.environments.items() if mode is not SourceMode.OFF]
        followed = {name: found for name in names if (found := self._repository(name)) is not None}
        try:
            offered = [await self._inspect_ref(delivery.source, name, found) for name, found in followed.items()]
            notes = [f"{candidate.environment}: {candidate.id}" for candidate in offered if candidate is not None]
            notes += ["The repository has nothing new."] if followed and not notes else []
            if others := [name for name in names if name not in followed]:
                notes.append(await self._inspect_images(delivery, source, others))
        except ImageMissingError as error:
            if datetime.now(UTC) - delivery.received_at < IMAGE_WITHIN:
                raise
            return error.message
        return ", ".join(notes) or "No environment takes it."

    async def sweep(self) -> None:
        """Inspect the repositories of all environments that a source of a forge offers to."""
        for source_name, source in self._sources.items():
            for name, mode in source.environments.items():
                repository = self._repository(name)
                if repository is None or mode is SourceMode.OFF or source.kind not in FORGES | {SourceKind.GIT}:
                    continue
                try:
                    await self._inspect_ref(source_name, name, repository)
                except RoasError as error:
                    log.warning("a repository could not be swept", environment=name, error=error.message)

    def _repository(self, name: str) -> Repository | None:
        environment = self._environments.get(name)
        return environment.repository if environment is not None else None

    async def _inspect_ref(self, source_name: str, name: str, repository: Repository) -> Candidate | None:
        """Offer the commit that a ref names, as its server says; None where it has been offered. Raises RoasError."""
        source = self._sources[source_name]
        async with self._inspecting:  # one after the other: several would fetch into one mirror
            mirror = self._repositories.mirror(repository)
            if self._seen.get((source_name, name)) == await mirror.head():
                return None
            commit = await mirror.fetch()
            version = commit_version(source, {"commit": commit, "ref": repository.ref})
            digests = await self._digests(source.images, version)
            if digests is None:
                raise _not_yet(source.images, version)
            before = await self._candidates.running_commit(source_name, name)
            origin = Origin(
                repository=source.repository or "",
                commit=commit,
                ref=repository.ref,
                digests=digests,
                commits=await mirror.commits(before, commit),
                compare_url=_compare_url(source.kind, repository.url, before, commit),
                stack_commit=commit,
            )
            forced = await mirror.is_forced(before, commit)
            candidate = await self._candidates.offer(
                source_name,
                name,
                version,
                mode=source.environments[name],
                services=tuple(sorted(source.services)),
                origin=origin,
                reason=said("The branch was force-pushed.") if forced else "",
            )
            self._seen[source_name, name] = commit
            return candidate

    async def _digests(self, images: Sequence[str], version: str) -> dict[str, str] | None:
        """Return what is behind a version of images; None until all of them are there."""
        digests: dict[str, str] = {}
        for image in images:
            digest = await self._registry.digest(ImageName.read(image), version)
            if digest is None:
                return None
            digests[image] = digest
        return digests

    async def _inspect_images(self, delivery: Delivery, source: SourceSettings, names: Sequence[str]) -> str:
        """Offer the version that a delivery points to where every image of it is. Raises RegistryUnavailableError."""
        pointed = delivery.hint
        images = (pointed["image"],) if "image" in pointed else source.images
        version = pointed.get("tag") or commit_version(source, pointed)
        digests = await self._digests(images, version)
        if digests is None:
            raise _not_yet(images, version)
        origin = Origin(
            repository=source.repository or "",
            commit=pointed.get("commit", ""),
            ref=pointed.get("ref", ""),
            url=pointed.get("url", ""),
            digests=digests,
        )
        if not await self._is_known(delivery.source, origin):
            return UNKNOWN_COMMIT
        offered = [
            await self._candidates.offer(
                delivery.source,
                name,
                version,
                mode=source.environments[name],
                services=tuple(sorted(source.services)),
                origin=origin,
                reason=said("The branch was force-pushed.") if pointed.get(FORCED) == "True" else "",
            )
            for name in names
        ]
        for candidate in offered:
            await self._add_commits(candidate)
        return ", ".join(f"{candidate.environment}: {candidate.id}" for candidate in offered)

    async def _is_known(self, name: str, origin: Origin) -> bool:
        """Return whether the forge has a commit; one that is away is not waited for: the image is there."""
        forge = self._forges.get(name)
        if forge is None or not origin.commit:
            return True
        try:
            return await forge.commits("", origin.commit) is not None
        except FORGE_AWAY as error:
            log.warning("a commit could not be asked for", source=name, error=str(error))
            return True

    async def _add_commits(self, candidate: Candidate) -> None:
        """Show the commits since what runs, where the forge says them: the message is there already."""
        forge, origin = self._forges.get(candidate.source), candidate.origin
        if forge is None or not origin.commit or origin.commits:
            return
        try:
            before = await self._candidates.running_commit(candidate.source, candidate.environment)
            found = await forge.commits(before, origin.commit)
        except FORGE_AWAY as error:
            log.warning("commits could not be asked for", source=candidate.source, error=str(error))
            return
        if found is not None:
            address, commits = found
            await self._candidates.show_origin(candidate, replace(origin, compare_url=address, commits=commits))


def _not_yet(images: Sequence[str], version: str) -> ImageMissingError:
    return ImageMissingError(
        said("There is no {image}:{version} yet.", image=", ".join(images), version=version),
    )


def commit_version(source: SourceSettings, pointed: Mapping[str, str]) -> str:
    """Return what the version of a commit is, by the source's template."""
    sha, ref = pointed.get("commit", ""), pointed.get("ref", "")
    values = {
        "sha": sha,
        "short_sha": sha[:SHORT_SHA],
        "ref": ref.rpartition("/")[2],
        "tag": pointed.get("tag", ""),
    }
    version = source.version
    for name, value in values.items():
        version = version.replace(f"{{{name}}}", value)
    return version


def _compare_url(kind: SourceKind, url: str, before: str, commit: str) -> str:
    """Return where a forge shows what is between two commits; empty where the address does not tell."""
    if kind not in FORGES or not url.startswith(WEB) or not before or "@" in url:
        return ""
    road = "-/compare" if kind is SourceKind.GITLAB else "compare"
    return f"{url.removesuffix('/').removesuffix('.git')}/{road}/{before}...{commit}"
