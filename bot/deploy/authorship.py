"""Tell what a dead process of ours left from what somebody else is making: both were created and not started.

Compose creates containers, perhaps under a passing name, and starts them later: whoever removes one meanwhile takes the
service down.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from roas.errors import ReleaseNotRestorableError
from roas.messages.message import said
from roas.models.deployment import UNTOUCHED_STEPS, Deployment
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.models.recovery import RecoveryAction
from roas.stack.containers.repair import has_wrong_name
from roas.stack.stacks import Stacks
from roas.state.manager import StateManager

# A passing name lasts as long as the old container takes to stop: one that is older was left by a Compose that died.
STABLE = timedelta(minutes=5)
# What these deployments meant to make is known as theirs; what an earlier one left was met by each of them.
DEPLOYMENTS_READ = 5


class Authorship:
    """Judge containers that never ran, or that have a passing name.

    | container | it is |
    |---|---|
    | of a release's model, of a service and hash that was meant to be made, and made after that | left over |
    | under a passing name, and older than `STABLE` by the engine's clock | left over |
    | any other | theirs; while it is young, so is what else of its service looks left over |

    Who asks holds the deployment lock, and has ended what a dead owner of it had started (`Resumption`): so nobody of
    ours is making anything at that moment.
    """

    def __init__(self, stacks: Stacks, state: StateManager) -> None:
        self._stacks = stacks
        self._state = state

    async def of_others(
        self, environment: Environment, containers: Iterable[ContainerSnapshot]
    ) -> tuple[ContainerSnapshot, ...]:
        """Return the containers that look left over and are not to be touched. Raises RoasError."""
        unstarted = [one for one in containers if one.never_ran or has_wrong_name(one)]
        if not unstarted or environment.on_swarm:
            return ()
        now = await self._stacks.of(environment).now()
        intended = await self._intended(environment, unstarted)
        left = [one for one in unstarted if one.id in intended or (has_wrong_name(one) and _is_stable(one, now))]
        busy = {one.service for one in unstarted if one not in left and not _is_stable(one, now)}
        return tuple(one for one in unstarted if one not in left or one.service in busy)

    async def _intended(self, environment: Environment, containers: Iterable[ContainerSnapshot]) -> frozenset[str]:
        """Return, by id, what we meant to make."""
        deployments = await self._state.deployments.list(environment.name, limit=DEPLOYMENTS_READ)
        return frozenset([one.id for one in containers if await self._is_intended(environment, one, deployments)])

    async def _is_intended(
        self, environment: Environment, container: ContainerSnapshot, deployments: Iterable[Deployment]
    ) -> bool:
        if not container.of_release:  # Compose gives the same hash to what is made from the stack's own files
            return False
        for deployment in deployments:
            meant = any(
                one.service == container.service and (one.changed or one.step not in UNTOUCHED_STEPS)
                for one in deployment.services
            )
            if (
                meant
                and _is_between(container, deployment.created_at, deployment.ended_at)
                and await self._has_hash(environment, container, await self._models(environment, deployment))
            ):
                return True
        recreations = await self._state.recoveries.of(environment.name, container.service, RecoveryAction.RECREATE)
        if not any(_is_between(container, one.begun_at, None) for one in recreations):
            return False
        applied = await self._state.releases.applied_model(environment.name)
        return await self._has_hash(environment, container, {applied} if applied else set())

    async def _models(self, environment: Environment, deployment: Deployment) -> set[str]:
        numbers = {deployment.from_release, deployment.to_release} - {None}
        found = [await self._state.releases.get(environment.name, number) for number in numbers if number is not None]
        return {one.model_hash for one in found if one is not None} | ({deployment.applied_model} - {""})

    async def _has_hash(self, environment: Environment, container: ContainerSnapshot, models: set[str]) -> bool:
        for model_hash in models:
            with suppress(ReleaseNotRestorableError):
                hashes = await self._stacks.of(environment).current_hashes(model_hash)
                if hashes.get(container.service) == container.config_hash:
                    return True
        return False


def left_alone(container: ContainerSnapshot) -> str:
    """Return what people read of a container that somebody else is making."""
    return said("{name} was created by somebody else and not started yet: it is left as it is", name=container.name)


def _is_stable(container: ContainerSnapshot, now: datetime) -> bool:
    return container.created_at is not None and now - container.created_at > STABLE


def _is_between(container: ContainerSnapshot, begun: datetime, ended: datetime | None) -> bool:
    """Return whether a container was created within a time; the engine lists whole seconds."""
    made = container.created_at
    return made is not None and begun.replace(microsecond=0) <= made and (ended is None or made <= ended)
