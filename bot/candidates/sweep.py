"""Ask registries every few minutes for what no webhook told: slow and sure, and without a single pull at rest.

Services of one environment that track the same way are asked for together: their newest version is the newest tag that
all of their images have, that `x-deploy.track` takes, and that is old enough. A list of tags that is shorter than the
last one is no news: nothing older is offered than what was before.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from roas.candidates.coordinator import CandidateCoordinator
from roas.configuration.tables import SourceSettings
from roas.errors import RoasError
from roas.log import get_logger
from roas.models.candidate import REGISTRIES, ImageAges, Origin, SourceMode
from roas.models.release import Release
from roas.models.stack import ServiceDefinition, Track
from roas.stack.images.reference import split_reference
from roas.stack.images.registry import ImageName, RegistryClient
from roas.stack.model.x_deploy.track import order_of
from roas.state.manager import StateManager

log = get_logger(__name__)

# How many images a sweep asks for their age, each of which costs a pull; the next one goes on where it ended.
MOST_AGES = 50

# Returns how the services of a release are defined. Raises RoasError.
Definitions = Callable[[Release], Awaitable[Mapping[str, ServiceDefinition]]]


@dataclass(frozen=True, slots=True)
class TrackedServices:
    """Hold the services of an environment that track one way: their images, and the tags that they run by."""

    environment: str
    track: Track
    services: tuple[str, ...]
    images: tuple[str, ...]
    tags: tuple[str, ...]


class RegistrySweep:
    """Offer what registries have for the services that say what they track, in the name of a source of registries."""

    def __init__(
        self,
        sources: Mapping[str, SourceSettings],
        registry: RegistryClient,
        candidates: CandidateCoordinator,
        state: StateManager,
        definitions: Definitions,
    ) -> None:
        self._sources = {name: source for name, source in sources.items() if source.kind in REGISTRIES}
        self._registry = registry
        self._candidates = candidates
        self._state = state
        self._definitions = definitions
        self._seen: dict[tuple[str, TrackedServices], Mapping[str, str]] = {}
        self._ages_left = MOST_AGES

    async def run(self) -> None:
        """Ask once for all of them; one that is away delays no other."""
        self._ages_left = MOST_AGES
        for name, source in self._sources.items():
            for environment, mode in source.environments.items():
                if mode is SourceMode.OFF:
                    continue
                for tracked in await self._tracked(environment):
                    try:
                        await self._ask(name, mode, tracked)
                    except RoasError as error:
                        log.warning("a registry could not be swept", environment=environment, error=error.message)

    async def _tracked(self, environment: str) -> list[TrackedServices]:
        """Return what the current release tracks; what has never been deployed tracks nothing yet."""
        release = await self._state.releases.current(environment)
        if release is None:
            return []
        try:
            definitions = await self._definitions(release)
        except RoasError as error:
            log.warning("a release could not be read", environment=environment, error=error.message)
            return []
        groups: dict[Track, list[str]] = {}
        for name, definition in sorted(definitions.items()):
            if definition.track is not None and release.service(name) is not None:
                groups.setdefault(definition.track, []).append(name)
        return [_tracked_services(release, environment, track, names) for track, names in groups.items()]

    async def _ask(self, source: str, mode: SourceMode, tracked: TrackedServices) -> None:
        version = await self._newest(tracked)
        if version is None or await self._is_older(source, tracked, version):
            return
        digests = {}
        for image in tracked.images:
            digest = await self._registry.digest(ImageName.read(image), version)
            if digest is None:
                return
            digests[image] = digest
        if self._seen.get((source, tracked)) == digests:
            return
        if tracked.track.digest_of:
            for image, digest in digests.items():
                if await self._first_old_enough(tracked.track, image, [digest]) is None:
                    return
        await self._candidates.offer(
            source,
            tracked.environment,
            version,
            mode=mode,
            services=tracked.services,
            origin=Origin(digests=digests),
        )
        self._seen[source, tracked] = digests

    async def _newest(self, tracked: TrackedServices) -> str | None:
        """Return the newest version that every image has and that is old enough."""
        track = tracked.track
        if track.digest_of:
            return track.digest_of
        common: set[str] | None = None
        for image in tracked.images:
            tags = set(await self._registry.tags(ImageName.read(image)))
            common = tags if common is None else common & tags
        placed = [(order, tag) for tag in common or () if (order := order_of(track, tag)) is not None]
        ordered = [tag for _order, tag in sorted(placed, reverse=True)]
        return await self._first_old_enough(track, tracked.images[0], ordered) if ordered else None

    async def _first_old_enough(self, track: Track, image: str, names: Sequence[str]) -> str | None:
        """Return the first of some tags or digests whose image is old enough, None where none is known to be.

        An image's age is asked for once, ever.
        """
        if not track.min_age_seconds:
            return names[0]
        known = await self._state.candidates.ages(image)
        made_at = dict(known.made_at)
        try:
            for name in names:
                if name not in made_at:
                    if not self._ages_left:
                        log.info("the next sweep asks for more ages of an image", image=image, asked=MOST_AGES)
                        return None
                    self._ages_left -= 1
                    made_at[name] = await self._registry.created(ImageName.read(image), name)
                made = made_at[name]
                if made is not None and (datetime.now(UTC) - made).total_seconds() >= track.min_age_seconds:
                    return name
            return None
        finally:
            if made_at != known.made_at:
                await self._state.candidates.keep_ages(image, ImageAges(made_at))

    async def _is_older(self, source: str, tracked: TrackedServices, version: str) -> bool:
        """Return whether a version is older than what runs, or than what was offered last."""
        track = tracked.track
        if track.digest_of:
            return False
        offered = await self._state.candidates.of_environment(tracked.environment)
        last = [item.version for item in offered if (item.source, item.services) == (source, tracked.services)][:1]
        known = [order_of(track, tag) or () for tag in (*tracked.tags, *last)]
        return any(order > (order_of(track, version) or ()) for order in known)


def _tracked_services(release: Release, environment: str, track: Track, names: Iterable[str]) -> TrackedServices:
    services = [service for service in release.services if service.name in set(names)]
    images = [split_reference(service.image.reference) for service in services]
    return TrackedServices(
        environment,
        track,
        tuple(sorted(service.name for service in services)),
        tuple(sorted({repository for repository, _tag in images})),
        tuple(sorted({tag for _repository, tag in images if tag})),
    )
