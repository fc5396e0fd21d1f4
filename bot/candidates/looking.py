"""Look where a webhook points, and offer what is truly there."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from roas.candidates.coordinator import CandidateCoordinator
from roas.candidates.registry import ImageName, RegistryClient
from roas.candidates.statuses import Forge, ForgeError
from roas.configuration.settings import SourceSettings
from roas.errors import RegistryUnavailableError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.candidate import Candidate, Delivery, Origin, SourceMode

log = get_logger(__name__)
FORGE_AWAY = (ForgeError, OSError, TimeoutError, ValueError)
# An image may come after what announces its commit: it is built and pushed meanwhile.
IMAGE_WITHIN = timedelta(minutes=15)
REVISION_LABEL, VERSION_LABEL = "org.opencontainers.image.revision", "org.opencontainers.image.version"
SHORT_SHA = 7


class SourceLook:
    """Ask the registry for what a delivery announces, and offer it to the environments of its source."""

    def __init__(
        self,
        sources: Mapping[str, SourceSettings],
        registry: RegistryClient,
        candidates: CandidateCoordinator,
        forges: Mapping[str, Forge],
    ) -> None:
        self._forges = forges
        self._sources = sources
        self._registry = registry
        self._candidates = candidates

    async def look(self, delivery: Delivery) -> str:
        """Offer what is there, and say what was. Raises RegistryUnavailableError while it may still come."""
        source, pointed = self._sources.get(delivery.source), delivery.hint
        if source is None:
            return "The settings do not have this source any more."
        images = (pointed["image"],) if "image" in pointed else source.images
        version = pointed.get("tag") or commit_version(source, pointed)
        digests: dict[str, str] = {}
        for image in images:
            digest = await self._registry.digest(ImageName.read(image), version)
            if digest is None:
                if datetime.now(UTC) - delivery.received_at > IMAGE_WITHIN:
                    return f"There is no {image}:{version}."
                raise RegistryUnavailableError(
                    said("There is no {image}:{version} yet.", image=image, version=version),
                    hint=said("The bot asks again."),
                )
            digests[image] = digest
        origin = Origin(
            repository=source.repository or "",
            commit=pointed.get("commit", ""),
            ref=pointed.get("ref", ""),
            url=pointed.get("url", ""),
            digests=digests,
        )
        if not await self._is_known(delivery.source, origin):
            return "The forge does not know this commit."
        reason = said("The branch was force-pushed.") if "forced" in pointed else ""
        offered = [
            await self._candidates.offer(
                delivery.source,
                environment,
                version,
                mode=mode,
                services=tuple(sorted(source.services)),
                origin=origin,
                reason=reason,
            )
            for environment, mode in source.environments.items()
            if mode is not SourceMode.OFF
        ]
        for candidate in offered:
            await self._add_commits(candidate)
        return ", ".join(f"{one.environment}: {one.id}" for one in offered) or "No environment takes it."

    async def _is_known(self, name: str, origin: Origin) -> bool:
        """Return whether the forge has a commit; one that is away is not waited for: the image was looked for."""
        forge = self._forges.get(name)
        if forge is None or not origin.commit:
            return True
        try:
            return await forge.commits(origin.repository, "", origin.commit) is not None
        except FORGE_AWAY as error:
            log.warning("a commit could not be asked for", source=name, error=str(error))
            return True

    async def _add_commits(self, candidate: Candidate) -> None:
        """Show the commits since what runs, where the forge says them: the message is there already."""
        forge, origin = self._forges.get(candidate.source), candidate.origin
        if forge is None or not origin.commit or origin.commits:
            return
        try:
            before = await self._candidates.running_commit(candidate)
            found = await forge.commits(origin.repository, before, origin.commit)
        except FORGE_AWAY as error:
            log.warning("commits could not be asked for", source=candidate.source, error=str(error))
            return
        if found is not None:
            address, commits = found
            await self._candidates.show_origin(candidate, replace(origin, compare_url=address, commits=commits))


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
