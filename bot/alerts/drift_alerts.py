"""Raise alerts where what runs is not what the release has: by drift, or by a path that leads elsewhere."""

import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from roas.alerts.alert_service import AlertService
from roas.concurrency import in_thread, run_concurrently
from roas.errors import RoasError, StateError
from roas.health.drift import DriftFinder
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.alert import DRIFT, AlertReport, AlertSource, Severity
from roas.models.environment import Environment
from roas.models.events import DeploymentEnded
from roas.models.health import ServiceDrift
from roas.models.release import Holding
from roas.stack.model.services import bind_sources
from roas.stack.stacks import Stacks
from roas.state.locks import LockHeldError
from roas.state.manager import StateManager

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AppliedModels:
    """Hold the model of the current release, and the one that a deployment has brought some services to."""

    current: str
    arriving: str | None = None
    holding: Holding | None = None

    def of(self, service: str) -> str:
        """Return the model that a service runs by."""
        has_arrived = self.holding is not None and self.holding.has_arrived(service)
        return self.arriving if has_arrived and self.arriving is not None else self.current

    def is_held(self, service: str) -> bool:
        """Return whether a deployment is in the middle of a service."""
        return self.holding is not None and self.holding.holds(service)

    @property
    def all(self) -> tuple[str, ...]:
        """Return each of the models."""
        return tuple(dict.fromkeys((self.current, *filter(None, (self.arriving,)))))

    def by_model(self, services: Iterable[str]) -> dict[str, frozenset[str]]:
        """Return services by the model that each runs by."""
        found = {model: {service for service in services if self.of(service) == model} for model in self.all}
        return {model: frozenset(names) for model, names in found.items() if names}


async def find_applied_models(state: StateManager, environment: str) -> AppliedModels | None:
    """Return the models of an environment, or None where it has no release, or a deployment changes it right now."""
    current = await state.releases.applied_model(environment)
    holding = await state.deployments.holding(environment)
    if current is None or (holding is not None and not holding.paused):
        return None
    if holding is None or holding.to_release is None:
        return AppliedModels(current, holding=holding)
    moving = await state.deployments.get(holding.deployment_id)
    release = await state.releases.get(environment, holding.to_release)
    applied = moving.applied_model if moving is not None else None
    return AppliedModels(current, applied or (release.model_hash if release is not None else None), holding)


# Starts to bring an environment back to the release that it is on. Raises RoasError.
Restore = Callable[[Environment], Awaitable[None]]
# Compose replaces a container in steps: what is seen twice is no step.
LOOKS = 2


class DriftAlerts:
    """Raise one alert for each environment in which something drifted, and resolve it when all fits again.

    Where the environment says so, the release is restored, once for each change by hand.
    """

    def __init__(
        self,
        finder: DriftFinder,
        alert_service: AlertService,
        environments: Mapping[str, Environment],
        restore: Restore | None = None,
    ) -> None:
        self._restore_release = restore
        self._restored: dict[str, tuple[str, ...]] = {}
        self._finder = finder
        self._alert_service = alert_service
        self._environments = environments
        self._seen: dict[str, tuple[tuple[str, ...], int]] = {}
        self._firing: dict[str, tuple[str, ...]] = {}

    async def check(self) -> None:
        """Look at every environment that is on a release. Raises StateError."""
        released = sorted(await self._finder.released() & self._environments.keys())
        await run_concurrently(self._check(self._environments[name]) for name in released)

    async def _check(self, environment: Environment) -> None:
        found = await self._finder.find(environment)
        if found is None:
            return
        sentences = tuple(_sentences(found))
        await self._decide(environment, sentences)
        if not found:
            self._restored.pop(environment.name, None)
        elif environment.restores_drift and not any(drift.left_by for drift in found):
            await self._restore(environment, sentences)

    async def _restore(self, environment: Environment, found: tuple[str, ...]) -> None:
        """Restore the release where an alert says that somebody changed it; what holds the environment goes first."""
        is_told = self._firing.get(environment.name) == found
        if self._restore_release is None or not is_told or self._restored.get(environment.name) == found:
            return
        try:
            await self._restore_release(environment)
        except LockHeldError:
            return
        except RoasError as error:
            log.error("release could not be restored", environment=environment.name, error=error.message)
            if error.transient:
                return
        self._restored[environment.name] = found

    async def _decide(self, environment: Environment, found: tuple[str, ...]) -> None:
        before, times = self._seen.get(environment.name, ((), 0))
        times = times + 1 if found == before else 1
        self._seen[environment.name] = (found, times)
        # What a bot before this one said of it is not known: the first round says it again.
        if times < LOOKS or self._firing.get(environment.name) == found:
            return
        await self._alert_service.take([_drift_report(environment, found)])
        self._firing[environment.name] = found


def _sentences(found: Iterable[ServiceDrift]) -> Iterator[str]:
    """Say each reason in a sentence of its own."""
    for drift in found:
        for reason in drift.reasons:
            if drift.left_by:
                yield said(
                    "{service} is as {deployment} left it: {reason}",
                    service=drift.service,
                    deployment=drift.left_by,
                    reason=reason,
                )
            else:
                yield said("{service} was changed by hand: {reason}", service=drift.service, reason=reason)


def alert_title(environment: str) -> str:
    """Return the title of the alert about an environment."""
    return said("{environment}: what runs is not what the release has", environment=environment)


def _drift_report(environment: Environment, found: tuple[str, ...]) -> AlertReport:
    name = environment.name
    hint = said("The plan of `/deploy {name}` says what it brings back, and how to bring back the rest.", name=name)
    return AlertReport(
        fingerprint=f"{DRIFT}{environment.name}",
        source=AlertSource.INTEGRATION,
        severity=Severity.WARNING,
        title=alert_title(environment.name),
        summary=joined("\n", (*found, hint)) if found else "",
        environment=environment.name,
        firing=bool(found),
    )


KEPT = said(
    "It keeps what it has, and is not started again by itself until the path leads "
    "where it may. Look at who changed the stack's folder, and put the path right."
)


# How often all of it is looked at where no path moves: another process may have deployed, or the settings changed.
WHOLE_SECONDS = 10.0


def _leads(sources: Iterable[str]) -> dict[str, str]:
    """Return where each path leads that has a link in it."""
    return {source: real for source in sources if (real := os.path.realpath(source)) != source}


class SwappedBinds:
    """Look where the binds of each environment's release lead; one alert for each environment."""

    def __init__(
        self,
        stacks: Stacks,
        state: StateManager,
        alert_service: AlertService,
        environments: Mapping[str, Environment],
    ) -> None:
        self._stacks = stacks
        self._state = state
        self._alert_service = alert_service
        self._environments = environments
        # What a bot before this one said of it is not known.
        self._held: dict[str, dict[str, str] | None] = {}
        # What all of them bind, where that led at the last whole look, and until when that look counts.
        self._sources: frozenset[str] = frozenset()
        self._led: Mapping[str, str] = {}
        self._until = 0.0

    async def check(self) -> None:
        """Look where the paths lead; where one leads elsewhere, and now and then, look at all of it. Raises StateError.

        An environment that a deployment changes now is left alone; where that waits for a person, only what it is in
        the middle of.
        """
        leads = await in_thread(_leads, self._sources) if self._sources else {}
        if leads == self._led and time.monotonic() < self._until:
            return
        self._until = time.monotonic() + WHOLE_SECONDS
        names = sorted(await self._state.releases.released() & self._environments.keys())
        sources = frozenset[str]().union(
            *await run_concurrently(self._check_binds(self._environments[name]) for name in names)
        )
        if sources == self._sources:
            self._led = leads  # of the time before the look: what changed since is seen by the next one
        self._sources = sources

    async def _check_binds(self, environment: Environment) -> set[str]:
        """Look at one environment, whose engine may hang, and return the paths that it binds. Raises StateError."""
        sources: set[str] = set()
        models = await find_applied_models(self._state, environment.name)
        if models is None:
            return sources
        try:
            for model_hash in models.all:
                sources |= bind_sources(await self._stacks.load_model(model_hash))
            await self._check(environment, models)
        except StateError:
            raise
        except RoasError as error:
            self._until = 0.0
            log.warning("binds cannot be looked at", environment=environment.name, error=error.message)
        return sources

    async def compare_closely(self, _ended: DeploymentEnded) -> None:
        """Let the next look be one at all of it: a deployment may have brought other binds."""
        self._until = 0.0

    async def _check(self, environment: Environment, models: AppliedModels) -> None:
        before, stack = self._held.get(environment.name), self._stacks.of(environment)
        found = {name: why for name, why in (before or {}).items() if models.is_held(name)}
        for model_hash in models.all:
            misled = await stack.binds.find(await stack.load_model(model_hash))
            mine = {name: why for name, why in misled.items() if models.of(name) == model_hash}
            found |= {name: why for name, why in mine.items() if not models.is_held(name)}
        if found == before:
            return
        if await find_applied_models(self._state, environment.name) != models:
            self._until = 0.0  # what was known of a moment ago holds no more: nothing is done by it
            return
        if found:
            log.error("binds lead elsewhere", environment=environment.name, services=sorted(found))
            await stack.binds.hold(found)
        held = await self._held_before(environment) if before is None else frozenset(before)
        freed = {name for name in held - found.keys() if not models.is_held(name)}
        for model_hash, names in models.by_model(freed).items():
            await stack.binds.release(await stack.load_model(model_hash), names)
        await self._alert_service.take([_report(environment, found)])
        self._held[environment.name] = found

    async def _held_before(self, environment: Environment) -> frozenset[str]:
        """Return the services that a bot before this one held: where its alert is open, any may be among them."""
        alerts = await self._state.alerts.open(environment.name)
        if all(alert.fingerprint != _fingerprint(environment) for alert in alerts):
            return frozenset()
        return frozenset(container.service for container in await self._stacks.of(environment).containers())


def _fingerprint(environment: Environment) -> str:
    return f"binds:{environment.name}"


def _report(environment: Environment, found: Mapping[str, str]) -> AlertReport:
    reasons = [said("{name}: {why}", name=name, why=why) for name, why in sorted(found.items())]
    return AlertReport(
        fingerprint=_fingerprint(environment),
        source=AlertSource.INTEGRATION,
        severity=Severity.HIGH,
        title=said("{environment}: a bound path leads elsewhere", environment=environment.name),
        summary=joined("\n", (*reasons, KEPT)) if found else "",
        environment=environment.name,
        firing=bool(found),
    )
