"""Keep out versions that were to blame for a failure or were left by a rollback, and let them in again."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from roas.log import get_logger
from roas.messages.message import said
from roas.models.actor import RECOVERY, ActorKind
from roas.models.candidate import Candidate, Hold, Origin
from roas.models.deployment import Deployment, DeploymentKind, Outcome
from roas.models.release import Release
from roas.state.manager import StateManager

log = get_logger(__name__)

# A deployment is checked again for holds: the bot may have died between its end and that.
RECENT_DEPLOYMENTS = 20
RECENT = timedelta(days=7)
# Faults that say that the version was to blame, and not the engine, the disk, the registry or a person.
BLAMED = frozenset({"service_failed", "phase_timeout", "build_failed", "rollout_paused", "taken_back"})


class VersionHolds:
    """Set and lift holds by how deployments began and ended."""

    def __init__(self, state: StateManager) -> None:
        self._state = state

    async def of(self, candidate: Candidate) -> Hold | None:
        """Return what keeps a candidate out, or None."""
        holds = await self._state.holds.of(candidate.environment)
        return next((hold for hold in holds if hold.holds(candidate)), None)

    async def note_recent(self, environments: Iterable[str]) -> None:
        """Note what ended while no bot led, in the order in which it did."""
        for environment in environments:
            recent = await self._state.deployments.list(environment, limit=RECENT_DEPLOYMENTS, with_saves=False)
            for deployment in reversed(recent):
                if deployment.ended_at is not None and datetime.now(UTC) - deployment.ended_at < RECENT:
                    await self.note(deployment)

    async def note_last(self, environment: str) -> None:
        """Note how the last deployment of an environment ended."""
        for deployment in await self._state.deployments.list(environment, limit=1, with_saves=False):
            if deployment.finished:
                await self.note(deployment)

    async def note(self, deployment: Deployment) -> None:
        """Keep out what was to blame, and let in again what a person deploys or what has succeeded."""
        request, holds = deployment.request, self._state.holds
        if request.operation is not None or request.part_of:  # it brings no version, or no other than all hosts get
            return
        began = deployment.created_at
        if request.kind is not DeploymentKind.ROLLBACK:
            if request.requested_by.kind is not ActorKind.SOURCE and request.version:
                await holds.lift(deployment.environment, request.version, request.requested_by, before=began)
            if deployment.outcome is Outcome.SUCCEEDED:
                await holds.lift(deployment.environment, "", request.requested_by, before=began)
        if deployment.outcome is None:
            return
        if deployment.outcome is Outcome.ROLLED_BACK and request.kind is not DeploymentKind.ROLLBACK:
            if deployment.problem is not None and deployment.problem.key in BLAMED:
                release = await self._release(deployment, deployment.to_release)
                await self._put_hold(deployment, request.version or "", deployment.problem.message, release)
        elif deployment.outcome is Outcome.SUCCEEDED and request.kind is DeploymentKind.ROLLBACK:
            if deployment.from_release == deployment.to_release:  # what a hand changed was undone: no version was left
                return
            await self._note_rollback(deployment)

    async def _note_rollback(self, deployment: Deployment) -> None:
        """Keep out the version that was left; after a person's rollback nothing is deployed by itself, too."""
        actor = deployment.request.requested_by
        left = await self._release(deployment, deployment.from_release)
        by = said("{person} rolled it back.", person=actor.name)
        if left is not None and left.version:
            await self._put_hold(deployment, left.version, by, left)
        if actor.id != RECOVERY:
            await self._put_hold(deployment, "", by)

    async def _release(self, deployment: Deployment, number: int | None) -> Release | None:
        return None if number is None else await self._state.releases.get(deployment.environment, number)

    async def _put_hold(
        self, deployment: Deployment, version: str, reason: str, release: Release | None = None
    ) -> None:
        services = release.services if release is not None else ()
        named = deployment.request.services
        candidate = await self._state.candidates.of_deployment(deployment.id)
        origin = candidate.origin if candidate is not None else Origin()
        hold = Hold(
            environment=deployment.environment,
            version=version,
            since=deployment.ended_at or datetime.now(UTC),
            deployment_id=deployment.id,
            reason=reason,
            commit=origin.commit,
            digests=origin.digests,
            configuration={
                service.name: service.definition_hash for service in services if not named or service.name in named
            },
        )
        if await self._state.holds.put(hold):
            log.info("hold set", environment=hold.environment, version=version, deployment_id=deployment.id)
