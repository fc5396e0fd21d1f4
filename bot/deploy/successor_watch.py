"""Wait until the container that is to take over is ready, and say why one is not."""

import time

from roas.deploy.context import DeploymentContext
from roas.errors import EngineError, ServiceFailedError
from roas.messages.message import said
from roas.models.facts import OwnContainer
from roas.models.health import ENDED, ContainerSnapshot, ContainerState, HealthStatus
from roas.models.ownership import Heartbeat
from roas.stack.containers.watch import ContainerWatch
from roas.state.instance import boot_seconds

# An older heartbeat does not show the present state of a bot; one is written every half second.
FRESH_SECONDS = 3.0
LOOK_AGAIN_SECONDS = 0.2
WELL = frozenset({HealthStatus.HEALTHY, HealthStatus.NONE})
NOT_HEALTHY_YET = said("its health check had not passed")
UNHEALTHY_REASON = said("its health check fails")
REMOVED_REASON = said("its container was removed")
# Somebody removes it, and the engine may call it unhealthy meanwhile: nobody else does that while it is awaited.
GOING = frozenset({ContainerState.REMOVING, ContainerState.DEAD})
RESTARTED_POLICIES = frozenset({"always", "unless-stopped"})


class SuccessorStoppedError(ServiceFailedError):
    """Somebody stopped, killed or removed the successor: that says nothing of its version."""


class SuccessorWatch:
    """Watch the containers of the bot's own service that are to take over."""

    def __init__(self, context: DeploymentContext, watch: ContainerWatch, own: OwnContainer) -> None:
        self._context = context
        self._watch = watch
        self._own = own

    def others(self) -> tuple[ContainerSnapshot, ...]:
        """Return the containers of the service, but for this process's own."""
        return tuple(c for c in self._watch.of_service(self._own.service) if c.id != self._own.id)

    async def wait_until_ready(self, container_id: str, wanted: str | None, restarts_before: int) -> Heartbeat:
        """Wait until the successor's container is healthy and its heartbeat says that it is ready."""
        allowed = self._context.components.settings.handover_seconds
        deadline = time.monotonic() + allowed
        reason: str = said("it did not start")
        # A process that was suspended for a while becomes healthy again within moments of resuming.
        unhealthy = {c.id for c in self.others() if c.health is HealthStatus.UNHEALTHY}
        while time.monotonic() < deadline:
            self._context.checkpoint()
            container = next((c for c in self.others() if c.id == container_id), None)
            if container is None:  # it was created, and all containers were looked at since
                raise await self._not_ready_error(container_id, REMOVED_REASON, SuccessorStoppedError)
            if container.state is ContainerState.PAUSED:
                unhealthy.add(container_id)
            if failure := _failure(container, restarts_before, container_id in unhealthy):
                kind = SuccessorStoppedError if _was_stopped(container) else ServiceFailedError
                raise await self._not_ready_error(container_id, failure, kind)
            heartbeat = await self._context.components.state.ownership.heartbeat(container_id=container_id)
            missing = await self._find_missing(container, heartbeat, wanted)
            if missing is None and heartbeat is not None:
                return heartbeat
            reason = missing or reason
            await self._watch.changed_within(LOOK_AGAIN_SECONDS)
        raise await self._not_ready_error(
            container_id, said("after {allowed} s {reason}", allowed=f"{allowed:g}", reason=reason)
        )

    async def wait_until_own_is_well(self) -> None:
        """Wait until this process's own container is healthy. Raises ServiceFailedError."""
        allowed = self._context.components.settings.handover_seconds
        try:
            await self._watch.until(self._own_is_healthy, allowed)
        except TimeoutError as error:
            own = next((c for c in self._watch.containers if c.id == self._own.id), None)
            is_unhealthy = own is not None and own.health is HealthStatus.UNHEALTHY
            reason = UNHEALTHY_REASON if is_unhealthy else NOT_HEALTHY_YET
            raise await self._not_ready_error(
                self._own.id, said("after {allowed} s {reason}", allowed=f"{allowed:g}", reason=reason)
            ) from error

    def _own_is_healthy(self, containers: tuple[ContainerSnapshot, ...]) -> bool | None:
        """Return True once this process's own container is healthy; after it was suspended it is not for a moment."""
        own = next((c for c in containers if c.id == self._own.id), None)
        return True if own is not None and own.health in WELL else None

    def restarts(self, container_id: str) -> int:
        """Return how often a container was restarted before it was to take over: that is not held against it.

        The old one, to which a failed deployment goes back, may just have died and be about to be started again.
        """
        container = next((c for c in self.others() if c.id == container_id), None)
        if container is None:
            return 0
        comes_back = self._context.deployment.problem is not None and container.state is ContainerState.RESTARTING
        return container.restart_count + comes_back

    async def _find_missing(
        self, container: ContainerSnapshot, heartbeat: Heartbeat | None, wanted: str | None
    ) -> str | None:
        """Return why the successor is not ready yet, or None where it is."""
        if container.state is not ContainerState.RUNNING:
            return said("its container does not run")
        if container.health is HealthStatus.STARTING:
            return NOT_HEALTHY_YET
        if container.health is HealthStatus.UNHEALTHY:
            return UNHEALTHY_REASON
        if heartbeat is None or boot_seconds() - heartbeat.beat_at > FRESH_SECONDS:
            return said("it had not opened the journal")
        if heartbeat.config_hash not in {"", wanted}:  # an older bot does not say
            return said("it reports another release")
        if not heartbeat.cogs_loaded:
            return said("its cogs were not loaded")
        own = await self._context.components.state.ownership.heartbeat(container_id=self._own.id)
        if not heartbeat.gateway_ready and (own is None or own.gateway_ready):
            return said("it was not connected to Discord")
        return None

    async def _not_ready_error(
        self, container_id: str, reason: str, kind: type[ServiceFailedError] = ServiceFailedError
    ) -> ServiceFailedError:
        service = self._own.service
        try:
            report = await self._context.stack.failure_output(container_id)
        except EngineError as error:  # whoever removed the container took its log along
            report = said("(its log cannot be read: {message})", message=error.message)
        return kind(
            said("The new {service} was not ready to take over: {reason}.", service=service, reason=reason),
            hint=said(
                "The old {service} never stopped. Read the new one's last log lines, fix it, and deploy again.",
                service=service,
            ),
            service=service,
            report=report,
        )


def _was_stopped(container: ContainerSnapshot) -> bool:
    """Return whether somebody ended a container: the engine would have started again what ended by itself."""
    if container.state in GOING:
        return True
    return container.state is ContainerState.EXITED and container.restart_policy in RESTARTED_POLICIES


def _failure(container: ContainerSnapshot, restarts_before: int, was_unhealthy: bool) -> str | None:
    """Return why a container can no longer become ready, or None; an unhealthy one may still recover."""
    if container.state is ContainerState.RESTARTING and container.restart_count < restarts_before:
        return None
    if container.state in GOING:
        return REMOVED_REASON
    if container.state in ENDED | {ContainerState.RESTARTING}:
        code = "" if container.exit_code is None else said(" with code {exit_code}", exit_code=container.exit_code)
        return said("it ended{code}", code=code)
    if container.restart_count > restarts_before:
        times = container.restart_count - restarts_before
        return said("it restarted once") if times == 1 else said("it restarted {times} times", times=times)
    return UNHEALTHY_REASON if container.health is HealthStatus.UNHEALTHY and not was_unhealthy else None
