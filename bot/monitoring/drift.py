"""Find where what runs is not what the release has: hands change a stack behind the bot's back."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from roas.engine.comparison import ServiceDifference, WantedService, compare_service
from roas.engine.interface import Engine
from roas.engine.model import inactive_services
from roas.errors import EngineUnavailableError, RoasError
from roas.log import get_logger
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.deployment import Lock
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ServiceDrift
from roas.models.release import Release
from roas.monitoring.alert_service import AlertService

log = get_logger(__name__)

# Compose replaces a container in steps: what is seen twice is no step.
LOOKS = 2


class Releases(Protocol):
    """Say what an environment runs."""

    async def current(self, environment: str) -> Release | None:
        """Return the current release, or None where there is none."""
        ...

    async def applied_model(self, environment: str) -> str | None:
        """Return the hash of the model that the environment runs."""
        ...


class Locks(Protocol):
    """Say which deployment holds an environment."""

    async def get(self, environment: str) -> Lock | None:
        """Return the lock of an environment, or None."""
        ...


class DriftFinder:
    """Compare the containers of an environment with the release that it is on."""

    def __init__(self, engine: Engine, releases: Releases, locks: Locks) -> None:
        self._engine = engine
        self._releases = releases
        self._locks = locks

    async def find(self, environment: Environment) -> tuple[ServiceDrift, ...] | None:
        """Return the services that differ; None where that cannot be known, or a deployment changes them now.

        What is missing or stopped is no drift: its health says so. Raises StateError.
        """
        release = await self._releases.current(environment.name)
        model_hash = await self._releases.applied_model(environment.name)
        if release is None or model_hash is None or await self._locks.get(environment.name) is not None:
            return None
        try:
            model = await self._engine.load_model(model_hash)
            found = await self._compare(environment, release, model, await self._engine.outline(environment))
            if found:  # what is wrong, and how, is said by a whole look
                found = await self._compare(environment, release, model, await self._engine.containers(environment))
        except EngineUnavailableError:
            return None
        except RoasError as error:
            log.warning("drift cannot be looked for", environment=environment.name, error=error.message)
            return None
        if await self._locks.get(environment.name) is not None:
            return None
        return found

    async def _compare(
        self,
        environment: Environment,
        release: Release,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...],
    ) -> tuple[ServiceDrift, ...]:
        wanted = await self._engine.wanted_services(environment, model, containers)
        return tuple(_drifts(release, wanted, containers, inactive_services(model)))


class DriftAlerts:
    """Raise one alert for each environment in which something drifted, and resolve it when all fits again."""

    def __init__(
        self, finder: DriftFinder, alert_service: AlertService, environments: Mapping[str, Environment]
    ) -> None:
        self._finder = finder
        self._alert_service = alert_service
        self._environments = environments
        self._seen: dict[str, tuple[str, int]] = {}
        self._firing: dict[str, str | None] = {}

    async def look(self) -> None:
        """Look at every environment. Raises StateError."""
        for environment in self._environments.values():
            found = await self._finder.find(environment)
            if found is not None:
                await self._decide(environment, "\n".join(f"{one.service}: {one.reason}" for one in found))

    async def _decide(self, environment: Environment, summary: str) -> None:
        before, times = self._seen.get(environment.name, ("", 0))
        times = times + 1 if summary == before else 1
        self._seen[environment.name] = (summary, times)
        # What a bot before this one said of it is not known: the first round says it again.
        if times < LOOKS or self._firing.get(environment.name) == summary:
            return
        await self._alert_service.take([_report(environment, summary)])
        self._firing[environment.name] = summary


def alert_title(environment: str) -> str:
    """Return the title of the alert about an environment."""
    return f"{environment}: what runs is not what the release has"


def _report(environment: Environment, summary: str) -> AlertReport:
    return AlertReport(
        fingerprint=f"drift:{environment.name}",
        source=AlertSource.INTEGRATION,
        severity=Severity.WARNING,
        title=alert_title(environment.name),
        summary=summary,
        environment=environment.name,
        firing=bool(summary),
    )


def _drifts(
    release: Release,
    wanted: Mapping[str, WantedService],
    containers: tuple[ContainerSnapshot, ...],
    inactive: frozenset[str],
) -> Iterator[ServiceDrift]:
    by_service: dict[str, list[ContainerSnapshot]] = {}
    for container in containers:
        by_service.setdefault(container.service, []).append(container)
    for name in sorted(wanted.keys() | by_service.keys()):
        there = by_service.get(name, [])
        if name not in wanted:
            if name not in inactive:
                yield ServiceDrift(name, f"{release.label} does not have it")
            continue
        difference = compare_service(wanted[name], there)
        if reasons := [*_reasons(release, difference, len(there), wanted[name])]:
            yield ServiceDrift(name, "; ".join(reasons))


def _reasons(release: Release, difference: ServiceDifference, count: int, wanted: WantedService) -> Iterator[str]:
    pinned = release.service(difference.service)
    unlike = difference.unlike
    if pinned is not None:
        others = dict.fromkeys(one.image_reference for one in unlike if one.image_id != pinned.image.image_id)
        yield from (f"it runs the image {image} instead of {pinned.image.reference}" for image in others)
    if any(pinned is None or one.image_id == pinned.image.image_id for one in unlike):
        yield f"its configuration is not that of {release.label}"
    if difference.surplus:
        yield f"it has {count} containers instead of {wanted.definition.replicas}"
