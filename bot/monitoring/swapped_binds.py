"""Keep what runs from being started with a folder that was swapped for a link, and raise an alert."""

from collections.abc import Mapping

from roas.engine.interface import Engine
from roas.errors import RoasError, StateError
from roas.log import get_logger
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.environment import Environment
from roas.monitoring.alert_service import AlertService
from roas.state.manager import StateManager

log = get_logger(__name__)

KEPT = (
    "It keeps what it has, and is not started again by itself until the path leads where it may. Look at who changed "
    "the stack's folder, and put the path right."
)


class SwappedBinds:
    """Look where the binds of each environment's release lead; one alert for each environment."""

    def __init__(
        self,
        engine: Engine,
        state: StateManager,
        alert_service: AlertService,
        environments: Mapping[str, Environment],
    ) -> None:
        self._engine = engine
        self._state = state
        self._alert_service = alert_service
        self._environments = environments
        # What a bot before this one said of it is not known.
        self._held: dict[str, dict[str, str] | None] = {}

    async def look(self) -> None:
        """Look at every environment that no deployment changes now. Raises StateError."""
        for environment in self._environments.values():
            model_hash = await self._state.releases.applied_model(environment.name)
            if model_hash is None or await self._state.locks.get(environment.name) is not None:
                continue
            try:
                await self._look_at(environment, model_hash)
            except StateError:
                raise
            except RoasError as error:
                log.warning("binds cannot be looked at", environment=environment.name, error=error.message)

    async def _look_at(self, environment: Environment, model_hash: str) -> None:
        found = dict(await self._engine.misled_binds(environment, model_hash))
        before = self._held.get(environment.name)
        if found == before:
            return
        if found:
            log.error("binds lead elsewhere", environment=environment.name, services=sorted(found))
            await self._engine.hold_restarts(environment, found)
        held = await self._held_before(environment) if before is None else frozenset(before)
        if freed := held - found.keys():
            await self._engine.release_restarts(environment, model_hash, freed)
        await self._alert_service.take([_report(environment, found)])
        self._held[environment.name] = found

    async def _held_before(self, environment: Environment) -> frozenset[str]:
        """Return the services that a bot before this one held: where its alert is open, any may be among them."""
        alerts = await self._state.alerts.open(environment.name)
        if all(one.fingerprint != _fingerprint(environment) for one in alerts):
            return frozenset()
        return frozenset(one.service for one in await self._engine.containers(environment))


def _fingerprint(environment: Environment) -> str:
    return f"binds:{environment.name}"


def _report(environment: Environment, found: Mapping[str, str]) -> AlertReport:
    return AlertReport(
        fingerprint=_fingerprint(environment),
        source=AlertSource.INTEGRATION,
        severity=Severity.HIGH,
        title=f"{environment.name}: a bound path leads elsewhere",
        summary="\n".join([*(f"{name}: {why}" for name, why in sorted(found.items())), KEPT]) if found else "",
        environment=environment.name,
        firing=bool(found),
    )
