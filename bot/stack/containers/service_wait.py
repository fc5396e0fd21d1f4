"""Wait until a service is ready, and say why one has failed."""

from dataclasses import replace
from functools import partial

from roas.errors import RoasError, ServiceFailedError
from roas.messages.message import said
from roas.models.health import ContainerSnapshot, ContainerState
from roas.models.stack import ServiceDefinition
from roas.stack.containers.readiness import Readiness, ServiceReadiness, judge_readiness, removed
from roas.stack.containers.watch import ContainerWatch
from roas.stack.interface import ContainerSource

# Whoever suspends a container (`docker pause`, a machine that slept) makes its health check fail until its next run:
# Docker's default interval and some time to run. Only what is not new is waited for so long.
HEALTHY_AGAIN_SECONDS = 35.0


async def wait_until_ready(
    stack: ContainerSource,
    definition: ServiceDefinition,
    watch: ContainerWatch,
    wanted: str | None = None,
    *,
    only: str | None = None,
    old: frozenset[str] = frozenset(),
    without: frozenset[str] = frozenset(),
    limit: float | None = None,
) -> ServiceReadiness:
    """Wait until a service is ready; with `wanted`, only containers of that configuration hash count.

    With `only`, no other container than that one counts. Once all are there, one that goes has failed. The `old` ones,
    by id, and those that are suspended meanwhile, have HEALTHY_AGAIN_SECONDS to be well. It is ready `without` those
    for which nobody waits. What is not ready within the `limit` has failed. Raises ServiceFailedError with the
    container's failure output.
    """
    before = {c.id: c.restart_count for c in watch.of_service(definition.name)}
    suspended = set(old)
    were_all_there = False

    def judge(containers: tuple[ContainerSnapshot, ...], *, patient: bool = False) -> ServiceReadiness | None:
        nonlocal were_all_there
        suspended.update(c.id for c in containers if c.state is ContainerState.PAUSED)
        counted = tuple(c for c in containers if wanted in {None, c.config_hash} and only in {None, c.id})
        own = tuple(c for c in counted if c.id not in without)
        excused = frozenset(suspended if patient else ())
        fewer = replace(definition, replicas=definition.replicas - (len(counted) - len(own)))
        if were_all_there and len(own) < fewer.replicas:
            return removed()
        were_all_there = len(own) >= fewer.replicas and not stack.replaces_by_itself
        readiness = judge_readiness(fewer, own, restarts_before=before, excused=excused)
        if readiness.stopped and not patient:  # whoever restarts it would have done so by now
            return replace(readiness, state=Readiness.FAILED)
        return None if readiness.state is Readiness.WAITING else readiness

    patience = HEALTHY_AGAIN_SECONDS if limit is None else min(limit, HEALTHY_AGAIN_SECONDS)
    try:
        readiness = await watch.until(partial(judge, patient=True), patience, service=definition.name)
    except TimeoutError:
        left = None if limit is None else limit - patience
        try:
            readiness = await watch.until(judge, left, service=definition.name)
        except TimeoutError:
            if left is None:
                raise
            late = next((c.id for c in watch.of_service(definition.name) if wanted in {None, c.config_hash}), None)
            readiness = ServiceReadiness(Readiness.FAILED, said("it was not ready in time"), late)
    if readiness.state is Readiness.FAILED:
        raise await service_failure(stack, definition.name, readiness)
    return readiness


async def service_failure(stack: ContainerSource, service: str, readiness: ServiceReadiness) -> ServiceFailedError:
    """Create the error that says why a service failed, with its last log lines and health check output."""
    report = ""
    by_somebody = (readiness.container_id is None or readiness.removed) and not stack.replaces_by_itself
    if readiness.container_id is not None and not by_somebody:  # of that one, nothing can be read
        try:
            report = await stack.failure_output(readiness.container_id)
        except RoasError as error:
            report = said("(its log cannot be read: {reason})", reason=error.message)
    if by_somebody:
        hint = said("Find out who removed it, a person or a program, then deploy again.")
    elif readiness.stopped:
        hint = said("Find out who stopped it, a person or a program, then deploy again.")
    else:
        hint = said(
            "Read the last lines of {service} in the report, correct the release, and deploy again.", service=service
        )
    failure = ServiceFailedError(
        said("{service} failed: {reason}.", service=service, reason=readiness.reason),
        hint=hint,
        service=service,
        report=report,
    )
    failure.container_id = readiness.container_id
    failure.by_somebody = by_somebody or readiness.stopped
    return failure
