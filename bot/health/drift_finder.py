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

# Containers are listed this often, and each of them is compared this often, where no event says that one was changed.
LISTED_SECONDS = 30.0
WHOLE_SECONDS = 300.0
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
        self._changed: set[str] = set()

    async def find(
        self, environment: Environment, asked: tuple[ContainerSnapshot, ...] | None = None
    ) -> tuple[ServiceDrift, ...] | None:
        """Return the services that differ; None where that cannot be known, or a deployment changes them now.

        One that is paused changes nothing: what it has moved is left out, and the rest is compared as ever. What is
        missing or stopped is no drift: its health says so. What was found twice holds until an event, or the engine's
        list every LISTED_SECONDS, shows that a container is another; but not for who has just `asked` about all
        containers. Raises StateError.
        """
        name = environment.name
        release = await self._releases.current(name)
        model_hash = await self._releases.applied_model(name)
        if release is None or model_hash is None or _changes(await self._holdings.holding(name)):
            return None
        compared = (release.number, model_hash)
        known = self._known.get(name)
        is_known = known is not None and known.compared == compared and name not in self._changed
        if known is None or not is_known or asked is not None or self._clock() >= known.until:
            try:
                known = await self._look(environment, release, model_hash, known if is_known else None, asked)
            except EngineUnavailableError:
                return None
            except RoasError as error:
                log.warning("drift cannot be looked for", environment=name, error=error.message)
                return None
        found = known.found
        holding = await self._holdings.holding(name)
        if _changes(holding) or (found and not await self._is_still(name, release, model_hash)):
            return None
        deployment, left = await self._holdings.left_by_failure(name) if found else ("", frozenset[str]())
        return tuple(
            replace(service, left_by=deployment) if service.service in left else service
            for service in found
            if holding is None or not holding.has_moved(service.service)
        )

    async def _look(
        self,
        environment: Environment,
        release: Release,
        model_hash: str,
        known: "_Known | None",
        asked: tuple[ContainerSnapshot, ...] | None,
    ) -> "_Known":
        """List the containers, and compare each of them where one is another than `known`, or that is too old."""
        stack, compared, now = self._stacks.of(environment), (release.number, model_hash), self._clock()
        listed = await stack.listed()
        shown = frozenset((item.id, item.name, item.state, item.image_id, item.endpoints) for item in listed)
        if asked is not None or known is None or known.shown != shown or now >= known.whole_until:
            before = self._known.get(environment.name)
            self._changed.discard(environment.name)
            found = await find_drift(stack, release, model_hash, await stack.containers() if asked is None else asked)
            # What is seen once may be the middle of a recreation. What a Swarm wants of its services is in no list.
            is_settled = before is not None and (before.compared, before.found) == (compared, found)
            whole_until = now + WHOLE_SECONDS * (is_settled and not stack.replaces_by_itself)
            known = _Known(compared, found, shown, now + LISTED_SECONDS * is_settled, whole_until)
        else:
            known = replace(known, until=now + LISTED_SECONDS)
        self._known[environment.name] = known
        return known

    async def _is_still(self, environment: str, release: Release, model_hash: str) -> bool:
        """Return whether an environment is on the release, and on the model, that was compared with."""
        now = await self._releases.current(environment)
        is_same = now is not None and now.number == release.number
        return is_same and await self._releases.applied_model(environment) == model_hash

    def compare_closely(self, environment: str) -> None:
        """Let the next look compare all containers: one was made, named or changed."""
        self._changed.add(environment)


def _changes(holding: Holding | None) -> bool:
    return holding is not None and not holding.is_partial


@dataclass(frozen=True, slots=True)
class _Known:
    """Hold what a comparison with a release and its model found of the containers shown, and until when that holds."""

    compared: tuple[int, str]
    found: tuple[ServiceDrift, ...]
    shown: frozenset[object]
    until: float
    whole_until: float
