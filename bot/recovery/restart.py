"""Start the processes of a service again, where its engine has not done so already."""

from collections.abc import Awaitable, Callable

from roas.alerts.service_alerts import ServiceAlerts
from roas.concurrency import run_concurrently, run_uninterrupted
from roas.errors import ServiceFailedError
from roas.health.probes import NetworkProber
from roas.limits import TOLERATED_RESTARTS
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.stack import ServiceDefinition
from roas.recovery.refusals import RecoveryChecks
from roas.stack.containers.readiness import wait_until_ready
from roas.stack.containers.watch import ContainerWatch
from roas.stack.stack import Stack
from roas.stack.updating.behind_proxy import BehindProxy, Front

# A service without a health check counts as ready once it runs; one that exits at once does not.
SETTLE_SECONDS = 1.5
# Between two tries of a probe that no event wakes earlier.
PROBE_INTERVAL_SECONDS = 0.5


async def restart_service(
    stack: Stack,
    definition: ServiceDefinition,
    watch: ContainerWatch,
    checks: RecoveryChecks,
    behind: BehindProxy,
) -> None:
    """Restart what has ended, is unhealthy or does not answer, and wait until the service is ready.

    A container that is stopped for that does not count as stopped by hand. A proxy in front of the service sends it
    nothing meanwhile, where there are others. Raises ServiceFailedError.
    """
    containers = watch.of_service(definition.name)
    if not containers:
        raise ServiceFailedError(
            said("{definition} has no container to start.", definition=definition.name), service=definition.name
        )
    front = Front(stack, definition)
    unresponsive = not await checks.prober.all_answer(stack.environment, definition)

    async def drain(container: ContainerSnapshot) -> None:
        await front.drain((container,), even_last=False)

    with behind.working(stack, definition):
        await run_concurrently(
            _start_again(stack, container, checks.alerts, drain, unresponsive=unresponsive) for container in containers
        )
        await watch.refresh()
        await wait_until_ready(stack, definition, watch)
        await front.settle()
    await settle(definition, watch)
    await until_answered(stack.environment, definition, watch, checks.prober)


async def until_answered(
    environment: Environment, definition: ServiceDefinition, watch: ContainerWatch, prober: NetworkProber
) -> None:
    """Wait until every probe of a service answers; the caller limits the time."""
    while not await prober.all_answer(environment, definition):
        await watch.changed_within(PROBE_INTERVAL_SECONDS)


async def settle(definition: ServiceDefinition, watch: ContainerWatch) -> None:
    """See a service without a health check run for a moment. Raises ServiceFailedError."""
    if definition.has_health_check or definition.one_shot:
        return

    def ended(containers: tuple[ContainerSnapshot, ...]) -> bool | None:
        own = [container for container in containers if container.service == definition.name]
        return True if not own or any(container.state is not ContainerState.RUNNING for container in own) else None

    try:
        await watch.until(ended, SETTLE_SECONDS)
    except TimeoutError:
        return
    raise ServiceFailedError(
        said("{definition} ended again at once.", definition=definition.name), service=definition.name
    )


async def _stop_and_start(stack: Stack, container_id: str) -> None:
    await stack.stop(container_id)
    await stack.start(container_id)


def _runs_well(container: ContainerSnapshot) -> bool:
    return container.health is not HealthStatus.UNHEALTHY and container.restart_count <= TOLERATED_RESTARTS


async def _start_again(
    stack: Stack,
    container: ContainerSnapshot,
    alerts: ServiceAlerts,
    drain: Callable[[ContainerSnapshot], Awaitable[None]],
    *,
    unresponsive: bool,
) -> None:
    match container.state:
        case ContainerState.EXITED | ContainerState.CREATED:
            await run_uninterrupted(stack.start(container.id))
        case ContainerState.RUNNING if _runs_well(container) and not unresponsive:
            return  # its engine was quicker
        case _:
            await drain(container)
            alerts.expect_end(container.id)
            await run_uninterrupted(_stop_and_start(stack, container.id))
