"""Watch whether the new release stays healthy."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace

from roas.concurrency import begun, run_concurrently
from roas.deploy.applier import ServiceRolloutLog, no_news
from roas.deploy.bake import bake
from roas.deploy.changes import find_changes
from roas.deploy.context import DeploymentContext, is_critical, observation_seconds
from roas.deploy.draft import load_release
from roas.deploy.handover.stale_instances import remove_predecessors
from roas.errors import ProxyError, ServiceFailedError
from roas.messages.message import joined, said
from roas.models.deployment import OPEN_STEPS, DeploymentKind, ServiceStep
from roas.models.facts import OwnContainer
from roas.models.health import ContainerSnapshot, HealthStatus
from roas.models.phases import PhaseName
from roas.models.stack import ServiceDefinition
from roas.stack.containers.readiness import (
    FIND_OUT_WHO,
    Readiness,
    ServiceReadiness,
    find_disturbance,
    is_starting,
    judge_readiness,
    service_failure,
    wait_until_ready,
)
from roas.stack.containers.watch import ContainerWatch
from roas.stack.service_comparison import compare_service

CHANGED = said("somebody else changed the service meanwhile")


class Verification:
    """Observe every changed service for its window, and check the others once."""

    name = PhaseName.VERIFICATION

    async def run(self, context: DeploymentContext) -> str:
        """Return how the release is. Raises ServiceFailedError for the first service that does not stay well."""
        release = await load_release(context)
        definitions = await context.definitions_there(context.model_hash or release.model_hash)
        changed = {p.service for p in context.deployment.services if p.changed and p.step is not ServiceStep.REMOVED}
        changed &= definitions.keys()  # of a job that does not run again, only what was left of it was removed
        own = await context.components.own_container(context.environment)
        windows = {service: observation_seconds(definitions[service], context.environment) for service in changed}
        context.allow(max(windows.values(), default=0.0))  # the limit is about what hangs, not about the watch
        context.observed = {name: definitions[name] for name in changed}
        async with context.watching() as watch:
            watched = [definitions[service] for service in sorted(changed)]
            await context.run_unless_cancelled(
                run_concurrently(_get_ready_and_observe(context, watch, definition, own) for definition in watched)
            )
            _warn_of_ended_watch(context, windows)
            if context.stack.replaces_by_itself:
                await watch.refresh()  # no event tells of its tasks: what runs in the end counts
                now = time.monotonic()
                await run_concurrently(_observe(context, watch, definition, own, now) for definition in watched)
                await _require_as_written(context, definitions, changed, context.model_hash or release.model_hash)
            stopped = await context.components.state.stops.of(context.environment.name)
            for service in sorted(set(definitions) - changed - stopped.keys()):
                await _check_untouched(context, watch, definitions[service])
            rollouts = (progress.rollout for progress in context.deployment.services if progress.rollout is not None)
            tolerated = frozenset[str]().union(*(rollout.tolerated for rollout in rollouts))
            judged = {
                name: [
                    container for container in of_release(watch.containers, name, own) if container.id not in tolerated
                ]
                for name in changed
            }
            await context.run_unless_cancelled(_require_served(context, watch, definitions, changed))
            await _close_steps(context, definitions, judged)
            proxies = context.components.manager.behind_proxy
            await proxies.settle_idle(context.stack, definitions.values(), waits=True)
            summary = summary_of(definitions, judged)
            if context.deployment.request.kind is DeploymentKind.DEPLOY:

                async def observe(definition: ServiceDefinition, until: float) -> None:
                    await _observe(context, watch, definition, own, until)

                summary = joined("; ", (summary, *await bake(context, watch, definitions, observe)))
            if not context.stack.replaces_by_itself:
                await require_undisturbed(context, context.model_hash or release.model_hash, watch, with_bot=True)
            await remove_predecessors(context, watch)
            return summary


async def _require_served(
    context: DeploymentContext,
    watch: ContainerWatch,
    definitions: Mapping[str, ServiceDefinition],
    changed: Collection[str],
) -> None:
    """Wait until the proxies that changed send requests to what is behind them. Raises ProxyError, ServiceFailedError.

    That such a container runs says little: it may still read its file, or have been started again just now. A rollback
    that somebody asked for does not fail for a proxy that runs (decision 15): a warning says so.
    """
    manager = context.components.manager
    for _, definition in sorted(definitions.items()):
        proxy = definition.proxy.service if definition.proxy is not None else ""
        if proxy not in changed or not definitions[proxy].replicas:
            continue
        try:
            await manager.require_served(context.stack, definition, watch, context.report)
        except ProxyError as error:
            if context.deployment.request.kind is not DeploymentKind.ROLLBACK:
                raise
            context.warn(error.message)


async def _close_steps(
    context: DeploymentContext,
    definitions: dict[str, ServiceDefinition],
    judged: Mapping[str, Collection[ContainerSnapshot]],
) -> None:
    """Report the services whose last step an interruption left open: those that were observed are well."""
    for progress in context.deployment.services:
        if progress.service in judged and progress.step in OPEN_STEPS:
            definition = definitions[progress.service]
            is_seen = definition.has_health_check and bool(judged[progress.service])
            verified = ServiceStep.HEALTHY if is_seen else ServiceStep.UNVERIFIED
            await context.report(progress.service, ServiceStep.COMPLETED if definition.one_shot else verified)


async def _get_ready_and_observe(
    context: DeploymentContext, watch: ContainerWatch, definition: ServiceDefinition, own: OwnContainer | None
) -> None:
    """Observe from when the service was ready on; from now on where this process has not seen that.

    A deployment that was resumed, or that an engine went away from and came back to, may find containers that were
    started again with a machine, or by somebody: they get ready first. One that ended by itself has failed.
    """
    log = ServiceRolloutLog(context, definition, no_news)
    _, at_first = without(log.tolerated, definition, of_release(watch.containers, definition.name, own))
    started_again = any(map(is_starting, at_first)) and not _has_restarted(context, definition.name, at_first)
    if context.deployment.attempts > 1 or context.deployment.pauses or context.was_away or started_again:
        only = own.id if own is not None and own.service == definition.name else None
        again = wait_until_ready(context.stack, definition, watch, only=only, without=log.tolerated)
        if log.record is None:
            await again
        else:  # what has failed, or is not ready in time, is found below: the policy decides what that leads to
            left = context.seconds_left
            observed = observation_seconds(definition, context.environment)
            with suppress(ServiceFailedError, TimeoutError):
                async with asyncio.timeout(None if left is None else max(0.0, left - observed)):
                    await again
        await context.watch_again(definition.name)
    elif definition.name not in context.ready:
        await context.watch_again(definition.name)
    ends_at = context.ready[definition.name].at + observation_seconds(definition, context.environment)
    await _observe(context, watch, definition, own, ends_at)


async def _observe(
    context: DeploymentContext,
    watch: ContainerWatch,
    definition: ServiceDefinition,
    own: OwnContainer | None,
    ends_at: float,
) -> None:
    """Watch for trouble until the window ends. Raises ServiceFailedError at the first that its policy does not accept.

    What it did since it was ready counts, however long the other services took.
    """
    log, ready = ServiceRolloutLog(context, definition, no_news), context.ready[definition.name]

    first = {container.id: container for container in of_release(ready.containers, definition.name, own)}
    restarts = {container.id: container.restart_count for container in ready.containers}

    def trouble(containers: tuple[ContainerSnapshot, ...]) -> ServiceReadiness | None:
        judged = of_release(containers, definition.name, own)
        found = find_trouble(*without(log.tolerated, definition, judged), restarts)
        if found is None or context.stack.replaces_by_itself:
            return found
        return find_disturbance(first, judged) or found

    while (found := await _trouble_until(ends_at, context.superseded, watch, trouble, definition.name)) is not None:
        await _require_nobody_elses_doing(context, definition.name)
        if _moves_from_lost_node(definition, of_release(watch.containers, definition.name, own)):
            await wait_until_ready(context.stack, definition, watch, without=log.tolerated)
            await context.watch_again(definition.name)
            context.allow(again := observation_seconds(definition, context.environment))
            await _observe(context, watch, definition, own, context.ready[definition.name].at + again)
            return
        error = await service_failure(context.stack, definition.name, found)
        refused = error if error.by_somebody else await log.late_failure(found.container_id, error)
        if refused is error:
            await context.report(definition.name, ServiceStep.FAILED, found.reason)
        if refused is not None:
            raise refused


def _moves_from_lost_node(definition: ServiceDefinition, containers: tuple[ContainerSnapshot, ...]) -> bool:
    """Return whether Swarm starts tasks elsewhere since a node is down: that says nothing of the release."""
    is_waiting = judge_readiness(definition, containers, tolerated_restarts=2**31).state is Readiness.WAITING
    return is_waiting and any(container.left_on for container in containers)


async def _trouble_until(
    ends_at: float,
    superseded: asyncio.Event,
    watch: ContainerWatch,
    trouble: Callable[[tuple[ContainerSnapshot, ...]], ServiceReadiness | None],
    service: str,
) -> ServiceReadiness | None:
    """Return the first trouble of a service until the watch ends by itself or by somebody; None where it is well."""
    looking = watch.until(trouble, max(0.0, ends_at - time.monotonic()), service=service)
    async with begun(looking) as found, begun(superseded.wait()) as newer:
        await asyncio.wait({found, newer}, return_when=asyncio.FIRST_COMPLETED)
        with suppress(TimeoutError):
            return found.result() if found.done() else trouble(watch.of_service(service))
    return None


def _warn_of_ended_watch(context: DeploymentContext, windows: Mapping[str, float]) -> None:
    """Say what was not watched to its end, since somebody asked for something newer."""
    now = time.monotonic()
    left = {name: context.ready[name].at + seconds - now for name, seconds in windows.items()}
    cut = sorted(name for name, seconds in left.items() if seconds > 0)
    if not cut or context.superseded_by is None:
        return
    context.warn(
        said(
            "{person} asked for something newer: the watch of {services} ended {seconds} s early.",
            person=context.superseded_by.name,
            services=", ".join(cut),
            seconds=f"{max(left.values()):.0f}",
        )
    )


def without(
    tolerated: frozenset[str], definition: ServiceDefinition, containers: tuple[ContainerSnapshot, ...]
) -> tuple[ServiceDefinition, tuple[ContainerSnapshot, ...]]:
    """Leave out the replicas that failed, and that the rollout went on without."""
    judged = tuple(container for container in containers if container.id not in tolerated)
    return replace(definition, replicas=definition.replicas - (len(containers) - len(judged))), judged


def of_release(
    containers: tuple[ContainerSnapshot, ...], service: str, own: OwnContainer | None
) -> tuple[ContainerSnapshot, ...]:
    """Return the containers by which a service is judged; of this very bot's, not the predecessor that watches it."""
    if own is not None and own.service == service:
        return tuple(container for container in containers if container.id == own.id)
    return tuple(container for container in containers if container.service == service)


def find_trouble(
    definition: ServiceDefinition, containers: tuple[ContainerSnapshot, ...], restarts_before: Mapping[str, int]
) -> ServiceReadiness | None:
    """Return why a service that was ready is not well any more, or None."""
    for container in containers:
        if container.restart_count > restarts_before.get(container.id, 0):
            return ServiceReadiness(Readiness.FAILED, said("it restarted while it was observed"), container.id)
    readiness = judge_readiness(definition, containers, tolerated_restarts=2**31)
    if readiness.state in {Readiness.FAILED, Readiness.WAITING}:
        return replace(readiness, state=Readiness.FAILED)
    return None


def _has_restarted(context: DeploymentContext, service: str, containers: Collection[ContainerSnapshot]) -> bool:
    """Return whether a restart policy has started a container again since this process saw it ready."""
    ready = context.ready.get(service)
    known = {} if ready is None else {container.id: container.restart_count for container in ready.containers}
    return any(container.restart_count > known.get(container.id, container.restart_count) for container in containers)


async def require_undisturbed(
    context: DeploymentContext, model_hash: str, watch: ContainerWatch, *, with_bot: bool = False
) -> None:
    """Read once more what runs. Raises ServiceFailedError where it is not the release: somebody else changed it.

    The bot itself may stay as it is on the way back.
    """
    stack, deployment = context.stack, context.deployment
    if stack.replaces_by_itself:
        definitions = await context.definitions_there(model_hash)
        written = {progress.service for progress in deployment.services if progress.changed}
        await _require_as_written(context, definitions, written & definitions.keys(), model_hash)
        return
    await watch.refresh()
    scope = await context.scope()
    model = await stack.load_model(model_hash)
    changes = await find_changes(stack, model, watch.containers, bot=await context.bot(), scope=scope)
    tolerated = {
        progress.service
        for progress in deployment.services
        if progress.rollout is not None and progress.rollout.tolerated
    }
    # What has ended well may be idle: nothing would start it again by itself.
    ended = {
        name
        for name, found in changes.differing.items()
        if found.is_only_idle
        and judge_readiness(changes.definitions[name], watch.of_service(name)).state is Readiness.COMPLETED
    }
    changed = (changes.differing.keys() | changes.gone) - tolerated - ended
    if with_bot and changes.own is not None and changes.own.unlike:
        changed |= {changes.own.service}
    ready = _expected_ready(context)
    if changes.own is not None:
        ready -= {changes.own.service}
    # It was ready before: what waits for its first check again was started again since.
    changed |= {
        container.service for container in watch.containers if container.service in ready and is_starting(container)
    }
    for service in sorted(changed):
        error = await _changed_by_another(context, service)
        error.by_somebody = True
        raise error


async def wait_for_first_checks(context: DeploymentContext, model_hash: str, watch: ContainerWatch) -> None:
    """Wait until what this deployment changed has been checked where it waits for that. Raises ServiceFailedError.

    An engine that was restarted beside containers that went on running checks each of them anew.
    """
    await watch.refresh()
    bot, definitions = await context.bot(), await context.definitions_there(model_hash)
    waiting = _expected_ready(context) & definitions.keys() - ({bot.service} if bot is not None else set())
    await run_concurrently(
        wait_until_ready(context.stack, definitions[name], watch, were_there=True)
        for name in sorted(waiting)
        if any(map(is_starting, watch.of_service(name)))
    )


def _expected_ready(context: DeploymentContext) -> set[str]:
    """Return the services that a deployment changed, and of which no replica was given up."""
    return {
        progress.service
        for progress in context.deployment.services
        if progress.changed and not (progress.rollout is not None and progress.rollout.tolerated)
    }


async def _require_nobody_elses_doing(context: DeploymentContext, service: str) -> None:
    """Raise ServiceFailedError where a service of a Swarm is not well since somebody removed or changed it."""
    stack = context.stack
    if not stack.replaces_by_itself:
        return
    if service not in await stack.written_services():
        raise await _changed_by_another(context, service, said("somebody removed the service meanwhile"))
    model = await stack.load_model(context.model_hash or (await load_release(context)).model_hash)
    wanted = await stack.wanted_services(model)
    there = await stack.containers()
    if compare_service(wanted[service], [container for container in there if container.service == service]).unlike:
        raise await _changed_by_another(context, service)


async def _changed_by_another(context: DeploymentContext, service: str, reason: str = CHANGED) -> ServiceFailedError:
    await context.report(service, ServiceStep.FAILED, reason)
    return ServiceFailedError(
        said("{service} failed: {reason}.", service=service, reason=reason),
        hint=FIND_OUT_WHO,
        service=service,
    )


def warn_of_left_tasks(context: DeploymentContext, service: str, own: Collection[ContainerSnapshot]) -> None:
    """Say on which lost nodes of a Swarm tasks of a service may still run, and as what."""
    if nodes := {node for container in own for node in container.left_on}:
        context.warn(
            said(
                "{nodes} is down: {service} may still run there, and answer, as {images}, until the node is back.",
                nodes=", ".join(sorted(nodes)),
                service=service,
                images=", ".join(sorted({image for container in own for image in container.left_as})),
            )
        )


async def _require_as_written(
    context: DeploymentContext, definitions: Mapping[str, ServiceDefinition], changed: Collection[str], model_hash: str
) -> None:
    """Raise ServiceFailedError where a service of a Swarm is another now: healthy tasks say nothing of whose they are.

    While others were written or observed, somebody may have updated it, or rolled it back by `docker service rollback`.
    Of one that this deployment did not change, only a critical one fails it; of the others a warning says so.
    """
    stack, environment = context.stack, context.environment
    wanted = await stack.wanted_services(await stack.load_model(model_hash))
    there = await stack.containers()
    for name, definition in sorted(definitions.items()):
        own = [container for container in there if container.service == name]
        if times := max((container.surplus_runs for container in own), default=0):
            context.warn(
                said(
                    "{service} has ended well, and Swarm ran it {times} more {times|time|times}.",
                    service=name,
                    times=times,
                )
            )
        if name in changed:
            warn_of_left_tasks(context, name, own)
        found = compare_service(wanted[name], own)
        is_done = definition.one_shot and name not in changed
        if is_done or not (found.unlike or found.missing or found.unwritten):
            continue
        if name not in changed and not is_critical(definition, environment):
            context.warn(said("{service} changed outside this deployment.", service=name))
            continue
        raise await _changed_by_another(context, name)


async def _check_untouched(context: DeploymentContext, watch: ContainerWatch, definition: ServiceDefinition) -> None:
    """An untouched service fails the deployment only if it is critical."""
    readiness = judge_readiness(definition, watch.of_service(definition.name), tolerated_restarts=2**31)
    if readiness.state is not Readiness.FAILED:
        return
    if is_critical(definition, context.environment):
        raise ServiceFailedError(
            said(
                "{definition}, which is critical, is unhealthy: {reason}.",
                definition=definition.name,
                reason=readiness.reason,
            ),
            hint=said(
                "This deployment did not change {definition}; look at its logs. To let its health fail no deployment, "
                "take it out of `critical_services` (CRITICAL_SERVICES), and `critical` out of its x-deploy.",
                definition=definition.name,
            ),
            service=definition.name,
        )
    context.warn(
        said(
            "{definition}, which was not changed, is unhealthy: {reason}.",
            definition=definition.name,
            reason=readiness.reason,
        )
    )


def summary_of(
    definitions: Mapping[str, ServiceDefinition], judged: Mapping[str, Collection[ContainerSnapshot]]
) -> str:
    """Say how many of the changed services are healthy, by the replicas that did not fail.

    Where all of them failed and the rollout went on, the service is not healthy.
    """
    checked = {name for name in judged if definitions[name].has_health_check}
    healthy = {
        name
        for name, containers in judged.items()
        if definitions[name].one_shot
        or not definitions[name].replicas
        or (containers and all(c.health is HealthStatus.HEALTHY for c in containers))
    }
    if not judged:
        return said("no service changed")
    text = said(
        "{healthy} of {changed} changed {changed|service is|services are} healthy",
        healthy=len(healthy),
        changed=len(judged),
    )
    unverified = ", ".join(sorted(set(judged) - healthy - checked))
    if not unverified:
        return text
    return said("{text}; unverified (no health check): {unverified}", text=text, unverified=unverified)
