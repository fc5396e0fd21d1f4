"""Look at registries every few minutes for what no webhook told: slow and sure, and without a single pull at rest.

The newest version of a source is the newest tag that all of its images have, that its `track` takes, and that is old
enough. A list of tags that is shorter than the last one is no news: nothing older is offered than what was before.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from roas.candidates.coordinator import CandidateCoordinator
from roas.candidates.registry import ImageName, RegistryClient
from roas.configuration.settings import SourceSettings
from roas.errors import RoasError
from roas.log import get_logger
from roas.models.candidate import Origin, SourceMode
from roas.state.manager import StateManager

log = get_logger(__name__)

# How many versions are asked for their age, from the newest on: each costs requests.
MOST_AGES = 5
NUMBERS = re.compile(r"\d+")
Order = tuple[int, ...]


class RegistrySweep:
    """Offer what registries have, for the sources that say what they track."""

    def __init__(
        self,
        sources: Mapping[str, SourceSettings],
        registry: RegistryClient,
        candidates: CandidateCoordinator,
        state: StateManager,
    ) -> None:
        self._sources = {name: source for name, source in sources.items() if source.track and source.images}
        self._registry = registry
        self._candidates = candidates
        self._state = state
        self._seen: dict[str, Mapping[str, str]] = {}
        self._made: dict[tuple[str, str], datetime] = {}

    async def run(self) -> None:
        """Look once at all of them; one that is away delays no other."""
        for name, source in self._sources.items():
            try:
                await self._look(name, source)
            except RoasError as error:
                log.warning("a source could not be swept", source=name, error=error.message)

    async def _look(self, name: str, source: SourceSettings) -> None:
        images = [ImageName.read(image) for image in source.images]
        version = await self._newest(source, images)
        if version is None:
            return
        digests = {}
        for text, image in zip(source.images, images, strict=True):
            digest = await self._registry.digest(image, version)
            if digest is None:
                return
            digests[text] = digest
        if self._seen.get(name) == digests:
            return
        for environment, mode in source.environments.items():
            if mode is not SourceMode.OFF and await self._is_newer(name, source, environment, version):
                await self._candidates.offer(
                    name,
                    environment,
                    version,
                    mode=mode,
                    services=tuple(sorted(source.services)),
                    origin=Origin(repository=source.repository or "", digests=digests),
                )
        self._seen[name] = digests

    async def _newest(self, source: SourceSettings, images: Iterable[ImageName]) -> str | None:
        """Return the newest version that every image has and that is old enough."""
        track = source.track
        if track is None or track.digest_of is not None:
            return track.digest_of if track is not None else None
        common: set[str] | None = None
        for image in images:
            tags = set(await self._registry.tags(image))
            common = tags if common is None else common & tags
        ordered = [tag for _order, tag in sorted(candidates_of(source, common or ()), reverse=True)]
        if track.min_age is None:
            return ordered[0] if ordered else None
        for tag in ordered[:MOST_AGES]:
            made = await self._made_at(source.images[0], tag)
            if made is not None and datetime.now(UTC) - made >= track.min_age:
                return tag
        return None

    async def _made_at(self, image: str, tag: str) -> datetime | None:
        """Return when a version was made; it is asked for once, since that costs a pull."""
        if (image, tag) not in self._made:
            made = await self._registry.created(ImageName.read(image), tag)
            if made is None:
                return None
            self._made[image, tag] = made
        return self._made[image, tag]

    async def _is_newer(self, name: str, source: SourceSettings, environment: str, version: str) -> bool:
        """Return whether a version is none that is older than what runs, or than what was offered last."""
        if source.track is None or source.track.digest_of is not None:
            return True
        release = await self._state.releases.current(environment)
        offered = await self._state.candidates.of_environment(environment)
        last = next((one.version for one in offered if one.source == name), "")
        known = [text for text in (release.version if release is not None else "", last) if text]
        order = partial(order_of, source)
        return all((order(text) or ()) <= (order(version) or ()) for text in known)


def candidates_of(source: SourceSettings, tags: Iterable[str]) -> Iterator[tuple[Order, str]]:
    """Yield the tags that a source takes, each with its place in their order."""
    for tag in tags:
        order = order_of(source, tag)
        if order is not None:
            yield order, tag


def order_of(source: SourceSettings, tag: str) -> Order | None:
    """Return the place of a tag among the others: by its version, or by the numbers in it; None where it is none."""
    track = source.track
    if track is None:
        return None
    if track.pattern is not None:
        found = re.fullmatch(track.pattern, tag)
        return tuple(int(number) for number in NUMBERS.findall("".join(found.groups("") or (tag,)))) if found else None
    try:
        version = Version(tag)
    except InvalidVersion:
        return None
    taken = SpecifierSet(track.versions or "").contains(version, prereleases=track.prereleases)
    return _sortable(version) if taken and (track.prereleases or not version.is_prerelease) else None


def _sortable(version: Version) -> Order:
    """Return a version's numbers, a prerelease before its release."""
    release = (*version.release, 0, 0, 0, 0)[:4]
    pre = {"a": 0, "b": 1, "rc": 2}.get(version.pre[0], 0) if version.pre else 3
    return (version.epoch, *release, pre, version.pre[1] if version.pre else 0, version.post or 0)
