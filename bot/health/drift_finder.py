"""Find where what runs is not what the release has: hands change a stack behind the bot's back."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from roas.errors import EngineUnavailableError, RoasError
from roas.log import get_logger
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ServiceDrift
from roas.models.release import Holding, Release
from roas.stack.drift import find_drift
from roas.stack.stacks import Stacks
from roas.state.deployments.reader import DeploymentReader
from roas.state.deployments.releases import Releases

log = get_logger(__name__)

# All containers are compared this often, where no event says that something changed.
WHOLE_SECONDS = 30.0
# Events after which containers may be other than they were.
CHANGING = frozenset({"create", "rename", "update"})


class DriftFinder:
    """Compare the containers of an environment with the release that it is on."""

    def __init__(
        self,
        stacks: Stacks,
        releases: Releases,
        holdings: DeploymentReader,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stacks = stacks
        self._releases = releases
        self._holdings = holdings
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def find(
        self, environment: Environment, asked: tuple[ContainerSnapshot, ...] | None = None
    ) -> tuple[ServiceDrift, ...] | None:
        """Return the services that differ; None where that cannot be known, or a deployment changes them now.

        One that is paused changes nothing: what it has moved is left out, and the rest is compared as ever. What is
        missing or stopped is no drift: its health says so. What was found twice holds for WHOLE_SECONDS, but for who
        looks closely, or has just `asked` about all containers. Raises StateError.
        """
        name = environment.name
        release = await self._releases.current(name)
        model_hash = await self._releases.applied_model(name)
        if release is None or model_hash is None or _changes(await self._holdings.holding(name)):
            return None
        compared = (release.number, model_hash)
        known = self._known.get(name)
        if asked is None and known is not None and known.compared == compared and self._clock() < known.until:
            found = known.found
        else:
            try:
                found = await self._compare(environment, release, model_hash, asked)
            except EngineUnavailableError:
                return None
            except RoasError as error:
                log.warning("drift cannot be looked for", environment=name, error=error.message)
                return None
            # What is seen once may be the middle of a recreation.
            is_settled = known is not None and (known.compared, known.found) == (compared, found)
            self._known[name] = _Known(compared, found, self._clock() + WHOLE_SECONDS * is_settled)
        holding = await self._holdings.holding(name)
        if _changes(holding) or (found and not await self._is_still(name, release, model_hash)):
            return None
        deployment, left = await self._holdings.left_by_failure(name) if found else ("", frozenset[str]())
        return tuple(
            replace(service, left_by=deployment) if service.service in left else service
            for service in found
            if holding is None or not holding.has_moved(service.service)
        )

    async def _compare(
        self,
        environment: Environment,
        release: Release,
        model_hash: str,
        asked: tuple[ContainerSnapshot, ...] | None,
    ) -> tuple[ServiceDrift, ...]:
        """Compare every container with a release."""
        stack = self._stacks.of(environment)
        there = await stack.containers() if asked is None else asked
        return await find_drift(stack, release, model_hash, there)

    async def _is_still(self, environment: str, release: Release, model_hash: str) -> bool:
        """Return whether an environment is on the release, and on the model, that was compared with."""
        now = await self._releases.current(environment)
        is_same = now is not None and now.number == release.number
        return is_same and await self._releases.applied_model(environment) == model_hash

    def compare_closely(self, environment: str) -> None:
        """Let the next look compare all containers: one was made, named or changed."""
        if (known := self._known.get(environment)) is not None:
            self._known[environment] = replace(known, until=0.0)


def _changes(holding: Holding | None) -> bool:
    return holding is not None and not holding.is_partial


@dataclass(frozen=True, slots=True)
class _Known:
    """Hold what a comparison with a release and its model found, and until when that holds."""

    compared: tuple[int, str]
    found: tuple[ServiceDrift, ...]
    until: float
