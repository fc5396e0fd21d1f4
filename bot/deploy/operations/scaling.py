"""Scale a service of the release that runs: what is refused, what is applied, and what is kept beside the release."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from roas.deploy.components import Components
from roas.deploy.context import DeploymentContext
from roas.errors import InvalidRequestError, OwnContainerError
from roas.messages.message import said
from roas.models.deployment import DeploymentRequest, Operation, Outcome, Scale
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.plan import ServiceAction, ServicePlan
from roas.models.release import Release
from roas.stack.model.scales import MOST_REPLICAS, is_scaled, why_not_scaled, with_numbers, written_replicas
from roas.stack.model.services import replicas_of, services_of
from roas.stack.model.x_deploy.proxy import refuse_impossible_proxies
from roas.stack.stack import Stack
from roas.state.deployments.locks import describe_mark


async def refuse_scaled_to_none(components: Components, environment: Environment, request: DeploymentRequest) -> None:
    """Raise InvalidRequestError where a service to start was scaled to 0: a start brings no number back."""
    scales = await components.state.scales.of(environment.name)
    for service in request.services:
        if (scale := scales.get(service)) is not None and scale.replicas == 0:
            raise InvalidRequestError(
                said("{service} {why}.", service=service, why=describe_mark(scale)),
                hint=said(
                    "Scale it: `/scale {service} {count}`, or `roas scale {environment} {service} {count}`.",
                    service=service,
                    count=max(scale.written, 1),
                    environment=environment.name,
                ),
            )


async def refuse_scale(
    components: Components,
    environment: Environment,
    request: DeploymentRequest,
    release: Release,
    bot: OwnContainer | None,
) -> None:
    """Raise InvalidRequestError, OwnContainerError, ComposeFileError where a service cannot have so many replicas."""
    replicas = request.replicas
    if replicas is None or len(request.services) != 1 or not 0 <= replicas <= MOST_REPLICAS:
        raise InvalidRequestError(
            said("Name one service, and a number from 0 to {most}, such as `/scale web 3`.", most=MOST_REPLICAS)
        )
    (service,) = request.services
    if bot is not None and bot.service == service:
        raise OwnContainerError(said("{service} is this bot itself: exactly one of it acts.", service=service))
    stack = components.stacks.of(environment)
    model = await stack.load_model(release.model_hash)
    definition = stack.definitions(model)[service]
    if why := why_not_scaled(definition, replicas, on_single_machine=not stack.replaces_by_itself):
        raise InvalidRequestError(
            said("{service} cannot be scaled to {count}: {why}.", service=service, count=replicas, why=why),
            hint=said("Change that in the compose file, and deploy it."),
        )
    refuse_impossible_proxies(stack.definitions(await scaled_model(components, environment, request, release)))


async def scaled_model(
    components: Components, environment: Environment, request: DeploymentRequest, release: Release
) -> Mapping[str, Any]:
    """Return the model that runs with the number of replicas that is asked for; what else is scaled stays so."""
    model = await components.stacks.load_model(release.model_hash)
    (service,) = request.services
    numbers = {name: replicas_of(fields) for name, fields in services_of(model).items() if is_scaled(fields)}
    numbers[service] = request.replicas or 0
    if numbers[service] == written_replicas(services_of(model)[service]):
        del numbers[service]
    return with_numbers(model, numbers)


async def model_to_apply(
    components: Components, environment: Environment, request: DeploymentRequest, release: Release
) -> str:
    """Return the hash of the model that an operation applies: the one that runs, or that with another number."""
    if request.operation is not Operation.SCALE:
        return release.model_hash
    model = await scaled_model(components, environment, request, release)
    return await components.stacks.of(environment).releases.save_model(model)


async def scales_after(context: DeploymentContext, outcome: Outcome, active: Release) -> tuple[Scale, ...] | None:
    """Return what is scaled once a deployment has ended; None where nothing is, or was."""
    deployment, request = context.deployment, context.deployment.request
    known = await context.components.state.scales.of(context.environment.name)
    has_scaled = request.operation is Operation.SCALE and outcome is Outcome.SUCCEEDED
    if not known and not has_scaled:
        return None
    services = services_of(await context.stack.load_model(deployment.applied_model or active.model_hash))
    kept = {name: scale for name, scale in known.items() if is_scaled(services.get(name) or {})}
    for service in request.services if has_scaled else ():
        fields, person = services[service], request.requested_by
        if is_scaled(fields):
            now, numbers = datetime.now(UTC), (replicas_of(fields), written_replicas(fields))
            kept[service] = Scale(context.environment.name, service, *numbers, person, request.reason, now)
    return tuple(kept.values())


def warn_of_scales(services: Mapping[str, Mapping[str, Any]], scales: Mapping[str, Scale]) -> Iterator[str]:
    """Say of what was scaled that it stays so, or that its files count again."""
    for name, scale in sorted(scales.items()):
        fields = services.get(name)
        if fields is None:
            continue
        if is_scaled(fields):
            why = describe_mark(scale)
            yield said("{service} {why}. It keeps that number, whatever its files say.", service=name, why=why)
            continue
        yield said(
            "{service} {why}. From now on it has {count} {count|replica|replicas}, as its files say.",
            service=name,
            why=describe_mark(scale),
            count=replicas_of(fields),
        )


def warn_of_up(service: str, fields: Mapping[str, Any], stack: Stack) -> tuple[str, ...]:
    """Say that somebody's `docker compose up -d` ends the scaling of a service: it goes by the files alone."""
    if not (stack.shares_with_compose and is_scaled(fields) and replicas_of(fields)):  # of none, the plan says it all
        return ()
    count = written_replicas(fields)
    text = said(
        "`docker compose up -d` goes by the stack's files: it leaves {service} {count} {count|container|containers}.",
        count=count,
        service=service,
    )
    return (text,)


def as_scaled(plan: ServicePlan, request: DeploymentRequest, services: Mapping[str, Mapping[str, Any]]) -> ServicePlan:
    """Say of the service that is scaled how many of it there are to be, and how many its files say."""
    if plan.service not in request.services:
        return plan
    replicas, written = replicas_of(services[plan.service]), written_replicas(services[plan.service])
    count = said("{count} {count|replica|replicas}; its files say {written}", count=replicas, written=written)
    if not replicas:
        count = said("nothing of it runs until it is scaled again; its files say {written}", written=written)
    action = plan.action if plan.action is ServiceAction.RECREATE else ServiceAction.ADJUST
    return replace(plan, action=action, reasons=(*plan.reasons, count))
