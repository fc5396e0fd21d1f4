"""Restart, stop, start and scale services of the release that runs, or keep what hands changed of them."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from roas.deploy.changes import Scope, StackChanges, find_changes, runs
from roas.deploy.components import Components
from roas.deploy.context import DeploymentContext
from roas.deploy.dependencies import DependencyCoordinator
from roas.deploy.draft import load_release, make_release, planned_deployment, refuse_unplanned
from roas.deploy.kept_plans import PlannedDeployment, release_in_use
from roas.deploy.new_powers import find_new_powers, has_approvers, refuse_ungranted
from roas.deploy.operations.scaling import as_scaled, refuse_scale, refuse_scaled_to_none, scaled_model, warn_of_up
from roas.deploy.own_service import OwnService
from roas.errors import InvalidRequestError, OwnContainerError, unknown_services
from roas.messages.message import said
from roas.models.deployment import DeploymentRequest, Draft, Operation, ServiceProgress, Stop
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ServiceDrift
from roas.models.plan import Plan, ServiceAction, ServicePlan
from roas.models.release import Release
from roas.models.stack import DependencyKind, ServiceDefinition
from roas.stack.drift import find_drift
from roas.stack.interface import PinnedStack, ResolvedStack
from roas.stack.model.services import services_of
from roas.stack.service_comparison import ServiceDifference, by_service, compare_service
from roas.stack.stack import Stack
from roas.state.deployments.locks import describe_mark


async def release_to_operate(components: Components, environment: Environment, request: DeploymentRequest) -> Release:
    """Return the release that runs, with what was applied of it. Raises InvalidRequestError, OwnContainerError.

    The bot itself cannot be stopped by itself: nobody would be left to start it. A Swarm has no stopped services.
    """
    release = await release_in_use(components.state, environment.name)
    if release is None:
        raise InvalidRequestError(said("{environment} is on no release yet.", environment=environment.name))
    if request.operation is Operation.KEEP:
        return release
    known = [service.name for service in release.services]
    if unknown := sorted(set(request.services) - set(known)):
        raise unknown_services(unknown, known)
    if not request.services:
        raise InvalidRequestError(said("No service was named."))
    if request.operation is Operation.START:
        await refuse_scaled_to_none(components, environment, request)
    if request.operation is Operation.STOP and components.stacks.of(environment).replaces_by_itself:
        raise InvalidRequestError(
            said("A service of a Swarm cannot be stopped by itself."),
            hint=said("Scale it to 0."),
        )
    bot = await OwnService(components, environment).known_bot()
    if request.operation is Operation.STOP and bot is not None and bot.service in request.services:
        raise OwnContainerError(
            said("{service} is this bot itself: nobody would be left to start it.", service=bot.service),
        )
    if request.operation is Operation.SCALE:
        await refuse_scale(components, environment, request, release, bot)
    return release


async def plan_operation(
    components: Components, environment: Environment, request: DeploymentRequest
) -> PlannedDeployment:
    """Say what an operation does to which services, without changing anything. Raises RoasError."""
    release, operation = await release_to_operate(components, environment, request), request.operation
    if operation is Operation.KEEP:
        return await _plan_keeping(components, environment, release)
    stack = components.stacks.of(environment)
    is_scale = operation is Operation.SCALE
    model = await stack.load_model(release.model_hash)
    if is_scale:
        model = await scaled_model(components, environment, request, release)
    definitions = stack.definitions(model)
    affected, differing = set(request.services), dict[str, ServiceDifference]()
    if operation is not Operation.STOP:
        restarted = frozenset(affected) if operation is Operation.RESTART else frozenset[str]()
        scope = Scope(named=frozenset(affected), restarted=restarted, released=model)
        bot = await OwnService(components, environment).known_bot()
        containers = await stack.containers()
        changes = await find_changes(stack, model, containers, bot=bot, scope=scope)
        await _refuse_without_needed(components, environment, changes, by_service(containers))
        differing = dict(changes.differing)
        affected = {*differing, *changes.restarts, *restarted, *(request.services if is_scale else ())}
    order = DependencyCoordinator(definitions).order(affected)
    inputs = await stack.releases.hash_inputs({})
    takes_away = operation is Operation.STOP or request.replicas == 0
    services = tuple(
        _service_plan(release, definitions[name], _action(operation, differing.get(name))) for name in order
    )
    warnings = list(_left_without(definitions, affected)) if takes_away else []
    if is_scale:
        services = tuple(as_scaled(service, request, services_of(model)) for service in services)
        warnings += [text for name in request.services for text in warn_of_up(name, services_of(model)[name], stack)]
    acts = [f"{service.service} {service.action} {request.replicas}" for service in services]
    bound = [environment.name, str(release.number), release.model_hash, inputs, *acts, request.reason]
    plan = Plan(
        environment=environment.name,
        version=release.version,
        from_release=release.number,
        to_release=release.number,
        services=services,
        order=order if operation is not Operation.STOP else order[::-1],
        warnings=tuple(warnings),
        digest=hashlib.sha256("\n".join(bound).encode()).hexdigest(),
    )
    return PlannedDeployment(plan, release, inputs)


async def _plan_keeping(components: Components, environment: Environment, release: Release) -> PlannedDeployment:
    """Plan a release of what runs where that is not as the release has it: all else stays as it is in that."""
    stack = components.stacks.of(environment)
    there = await stack.containers()
    drifts = await find_drift(stack, release, release.model_hash, there)
    pinned = await _pin_kept(stack, release, drifts, there)
    model = await stack.load_model(pinned.model_hash)
    inputs = await stack.releases.hash_inputs(model)
    resolved = ResolvedStack(
        environment,
        pinned.version,
        model,
        stack.definitions(model),
        powers=await stack.releases.powers_of(model),
    )
    kept = {drift.service for drift in drifts}
    differences = (
        said("{service} is kept: {reason}", service=drift.service, reason=reason)
        for drift in drifts
        for reason in drift.reasons
    )
    bound = ("keep", environment.name, str(release.number), release.model_hash, pinned.model_hash, inputs)
    plan = Plan(
        environment=environment.name,
        version=pinned.version,
        from_release=release.number,
        to_release=None,
        services=tuple(
            ServicePlan(service.name, ServiceAction.KEEP, new_image=service.image.reference)
            for service in pinned.services
            if service.name in kept
        ),
        order=(),
        warnings=(*differences, *await _what_becomes_of(stack, release, kept, there)),
        digest=hashlib.sha256("\n".join(bound).encode()).hexdigest(),
    ).with_powers(await find_new_powers(components, stack, resolved))
    target = replace(release, version=pinned.version, services=pinned.services, model_hash=pinned.model_hash)
    return PlannedDeployment(plan, release, inputs, target=target)


async def _pin_kept(
    stack: Stack, release: Release, drifts: Collection[ServiceDrift], there: tuple[ContainerSnapshot, ...]
) -> PinnedStack:
    """Pin a release with what drifted as it runs, under the version that the images have by then."""
    adopted = await stack.releases.adopt(release.version or None) if drifts else None
    if adopted is None:
        raise InvalidRequestError(
            said("{environment} runs as {release} has it.", environment=release.environment, release=release.label)
        )
    names = {drift.service for drift in drifts}
    pinned = await stack.releases.pin_with(release, names, adopted)
    pinned = replace(pinned, version=await stack.releases.version_of(pinned.services) or release.version)
    target = replace(release, services=pinned.services, model_hash=pinned.model_hash)
    unlike = {drift.service for drift in await find_drift(stack, target, pinned.model_hash, there)}
    if left := sorted(names & unlike):
        raise InvalidRequestError(
            said("{services} cannot be kept: the containers differ from each other.", services=", ".join(left)),
            hint=said("Change all of them in the same way, or restore the release."),
        )
    return pinned


async def _what_becomes_of(
    stack: Stack, release: Release, kept: Collection[str], there: Collection[ContainerSnapshot]
) -> tuple[str, ...]:
    """Say of what is kept what a deployment makes of it: hands made a container again, or changed it while it ran."""
    wanted, containers = await stack.wanted_services(await stack.load_model(release.model_hash)), by_service(there)
    made = sorted(
        name for name in kept if name not in wanted or compare_service(wanted[name], containers.get(name, ())).unlike
    )
    found = []
    if made:
        text = said(
            "Where the stack's files say otherwise, the next deployment recreates {services}: write it there, too.",
            services=", ".join(made),
        )
        found.append(text)
    if changed := sorted(set(kept) - set(made)):
        text = said(
            "{services} stays so, whatever is deployed, until its container is recreated as the stack's files say: "
            "write it there, too.",
            services=", ".join(changed),
        )
        found.append(text)
    return tuple(found)


async def _refuse_without_needed(
    components: Components, environment: Environment, changes: StackChanges, there: Mapping[str, Collection[Any]]
) -> None:
    """Raise InvalidRequestError where what is restarted would wait for a service that does not run."""
    stops = await components.state.stops.of(environment.name)
    for service in sorted(changes.restarts):
        for edge in changes.definitions[service].dependencies:
            if edge.kind is DependencyKind.SOFT or edge.on not in changes.skipped or runs(there.get(edge.on, ())):
                continue
            stop = stops.get(edge.on)
            raise InvalidRequestError(
                said(
                    "{service} needs {needed}, which {why}.",
                    service=service,
                    needed=edge.on,
                    why=said("does not run") if stop is None else describe_mark(stop),
                ),
                hint=said(
                    "Start it first: `/start {needed}`, or `roas start {environment} {needed}`.",
                    needed=edge.on,
                    environment=environment.name,
                ),
            )


def _action(operation: Operation | None, difference: ServiceDifference | None) -> ServiceAction:
    """Return what becomes of a service: one that is not as its release says comes back as that says."""
    if operation is Operation.STOP:
        return ServiceAction.STOP
    if difference is None:
        return ServiceAction.RESTART
    return ServiceAction.RECREATE if difference.unlike else ServiceAction.START


def _service_plan(release: Release, definition: ServiceDefinition, action: ServiceAction) -> ServicePlan:
    pinned = release.service(definition.name)
    image = None if pinned is None else pinned.image.reference
    runs = definition.one_shot and action is not ServiceAction.STOP
    reasons = (said("it is a job, and runs"),) if runs else ()
    return ServicePlan(definition.name, action, old_image=image, new_image=image, reasons=reasons)


def _left_without(definitions: Mapping[str, ServiceDefinition], stopped: Collection[str]) -> Iterator[str]:
    """Warn of what goes on without something that it needs."""
    for name, definition in sorted(definitions.items()):
        hard = {edge.on for edge in definition.dependencies if edge.kind is not DependencyKind.SOFT}
        if (needed := sorted(hard & set(stopped))) and name not in stopped:
            yield said("{service} needs {services}, and goes on without.", service=name, services=", ".join(needed))


async def draft_operation(context: DeploymentContext) -> None:
    """Write what an operation is beside, where it waits for its approval; what is kept becomes a release."""
    deployment = context.deployment
    if deployment.request.operation is Operation.KEEP:
        if deployment.to_release == deployment.from_release:  # else an earlier attempt made it
            await _make_release(context)
        return
    if deployment.request.operation is None or not deployment.asks:
        return
    stack, applied = context.stack, context.deployment.applied_model
    model = await stack.load_model(applied)
    before = await context.components.state.releases.applied_model(context.environment.name)
    beside = await stack.probe().networks_and_volumes(model)
    inputs = await stack.releases.hash_inputs(model)
    await context.update(draft=Draft(applied, before or applied, inputs=inputs, beside=beside))


async def _make_release(context: DeploymentContext) -> None:
    """Make the planned release of what runs. Raises ImageChangedError where the plan is void."""
    planned = await planned_deployment(context)
    if planned is None or planned.target is None:
        raise InvalidRequestError(said("There is nothing to keep."))
    refuse_ungranted(context.deployment.request, planned.plan, has_approvers=has_approvers(context.components))
    kept = planned.target
    await make_release(context, planned, PinnedStack(kept.version, kept.services, kept.model_hash))


async def keep_what_runs(context: DeploymentContext) -> str:
    """Require that what runs is what was confirmed, and return its release. Raises DraftVoidError."""
    release = await load_release(context)
    model = await context.stack.load_model(context.model_hash or release.model_hash)
    async with context.watching() as watch:
        changes = await find_changes(
            context.stack, model, watch.containers, bot=await context.bot(), scope=await context.scope()
        )
    refuse_unplanned(context, changes, stays=changes.gone)
    return said("{release} is what runs", release=release.label)


async def stop_services(context: DeploymentContext) -> str:
    """Stop services, dependents first; who did that and why is written before. Returns how many were stopped."""
    await load_release(context)
    request, model_hash = context.deployment.request, context.model_hash or ""
    definitions = await context.definitions(model_hash)
    known = context.deployment.by_service
    await context.plan_services(known.get(name, ServiceProgress(name, changed=True)) for name in request.services)
    async with context.watching() as watch:
        for service in reversed(DependencyCoordinator(definitions).order(request.services)):
            context.checkpoint()
            stop = Stop(context.environment.name, service, request.requested_by, request.reason, datetime.now(UTC))
            await context.components.state.stops.put(stop, context.fence)
            definition = definitions[service]
            context.allow_drain(definition)
            await context.components.manager.stop_service(context.stack, definition, watch, context.report)
    return said("{count} of {services} stopped", count=len(request.services), services=len(request.services))
