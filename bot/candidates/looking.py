"""Look where a webhook points, and offer what is truly there."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from roas.candidates.coordinator import CandidateCoordinator
from roas.candidates.registry import ImageName, RegistryClient
from roas.errors import RegistryUnavailableError
from roas.messages.message import said
from roas.models.candidate import Candidate, Delivery, Origin, SourceMode
from roas.settings import SourceSettings

# An image may come after what announces its commit: it is built and pushed meanwhile.
IMAGE_WITHIN = timedelta(minutes=15)
REVISION_LABEL, VERSION_LABEL = "org.opencontainers.image.revision", "org.opencontainers.image.version"
SHORT_SHA = 7


class SourceLook:
    """Ask the registry for what a delivery announces, and offer it to the environments of its source."""

    def __init__(
        self, sources: Mapping[str, SourceSettings], registry: RegistryClient, candidates: CandidateCoordinator
    ) -> None:
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
        offered = [
            await self._offer(delivery.source, source, environment, mode, version, origin)
            for environment, mode in source.environments.items()
            if mode is not SourceMode.OFF
        ]
        return ", ".join(f"{one.environment}: {one.id}" for one in offered) or "No environment takes it."

    async def _offer(
        self, name: str, source: SourceSettings, environment: str, mode: SourceMode, version: str, origin: Origin
    ) -> Candidate:
        return await self._candidates.offer(
            name, environment, version, mode=mode, services=tuple(sorted(source.services)), origin=replace(origin)
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
