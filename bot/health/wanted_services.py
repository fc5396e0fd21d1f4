"""Say what each service of an environment should be: by its release, and by the next one where a pause left it."""

from collections.abc import Mapping
from dataclasses import replace

from roas.errors import RoasError
from roas.log import get_logger
from roas.models.deployment import Scale, Stop
from roas.models.environment import EngineKind, Environment
from roas.models.release import Holding, Release
from roas.models.stack import ServiceDefinition
from roas.stack.stacks import Stacks
from roas.state.deployments.locks import ServiceMarks, describe_mark
from roas.state.deployments.reader import DeploymentReader
from roas.state.deployments.releases import Releases

log = get_logger(__name__)

Definitions = Mapping[str, ServiceDefinition]


class WantedServices:
    """Read the services of releases; remembers those of each environment that were read last."""

    def __init__(
        self,
        stacks: Stacks,
        releases: Releases,
        holdings: DeploymentReader,
        stops: ServiceMarks[Stop] | None = None,
        scales: ServiceMarks[Scale] | None = None,
    ) -> None:
        self._stacks = stacks
        self._releases = releases
        self._holdings = holdings
        self._stops = stops
        self._scales = scales
        self._by_model: dict[str, dict[str, Definitions]] = {}
        self._last: dict[str, Definitions] = {}

    async def read(self, environment: str) -> Definitions:
        """Return the services of the current release; those last known where it cannot be read.

        A deployment that waits for a person has brought services to the next release, and is in the middle of others.
        """
        known = self._by_model.get(environment, {})
        kept: dict[str, Definitions] = {}
        try:
            release = await self._releases.applied(environment)
            found = {} if release is None else await self._services(release, known, kept)
            holding = await self._holdings.holding(environment)
            if holding is not None and holding.is_partial and holding.to_release is not None:
                arriving = await self._releases.get(environment, holding.to_release)
                if arriving is not None:
                    found = _in_pause(found, await self._services(arriving, known, kept), holding)
            found = await self._marked(environment, found)
        except RoasError as error:
            log.warning("release cannot be read", environment=environment, error=error.message)
            return self._last.get(environment, {})
        self._by_model[environment], self._last[environment] = kept, found
        return found

    async def _marked(self, environment: str, definitions: Definitions) -> Definitions:
        """Say of services what people stopped and scaled."""
        stops = {} if self._stops is None else await self._stops.of(environment)
        scales = {} if self._scales is None else await self._scales.of(environment)
        found = dict(definitions)
        for name in stops.keys() & found.keys():
            found[name] = replace(found[name], stopped=describe_mark(stops[name]))
        for name in scales.keys() & found.keys():
            found[name] = replace(found[name], scaled=describe_mark(scales[name]))
        return found

    async def _services(
        self, release: Release, known: Mapping[str, Definitions], kept: dict[str, Definitions]
    ) -> Definitions:
        found = known.get(release.model_hash)
        if found is None:
            found = self._stacks.definitions(await self._stacks.load_model(release.model_hash))
        kept[release.model_hash] = found
        return found


def _in_pause(current: Definitions, arriving: Definitions, holding: Holding) -> Definitions:
    found = dict(current)
    for name in holding.services:
        if name not in arriving:
            continue
        if holding.has_arrived(name):
            found[name] = arriving[name]
        elif holding.holds(name):
            found[name] = _half_way(current.get(name), arriving[name])
    return found


def _half_way(before: ServiceDefinition | None, after: ServiceDefinition) -> ServiceDefinition:
    """Return what a service is in the middle of its rollout: as many replicas as both releases want are to be there."""
    return after if before is None else replace(after, replicas=min(before.replicas, after.replicas))


class LostReleases:
    """Compare the kept releases of an environment with the images that its engine has."""

    def __init__(self, stacks: Stacks, releases: Releases) -> None:
        self._stacks = stacks
        self._releases = releases

    async def find(self, environment: Environment) -> tuple[str, ...]:
        """Return the labels of those of which an image is gone: whoever wants to go back should know before.

        Those of a Swarm are in a registry, which counts how often it is asked: only who goes back asks it.
        """
        if environment.engine is EngineKind.SWARM:
            return ()
        kept = await self._releases.list(environment.name)
        try:
            gone = [bool(await self._stacks.of(environment).releases.missing_images(item)) for item in kept]
        except RoasError as error:
            log.warning("images of releases are not known", environment=environment.name, error=error.message)
            return ()
        return tuple(release.label for release, is_gone in zip(kept, gone, strict=True) if is_gone)
