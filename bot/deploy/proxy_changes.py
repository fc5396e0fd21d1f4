"""See what a release changes of the proxies in front of its services, and what cannot be done in one deployment."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from roas.deploy.components import Components
from roas.deploy.dependencies import DependencyCoordinator
from roas.errors import ComposeFileError, ProxyError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.models.plan import Plan, ServiceAction
from roas.models.stack import ServiceDefinition
from roas.stack.model.services import services_of
from roas.stack.model.x_deploy.proxy import fewer_answer, lossy_updates, nothing_answers, servers_needed
from roas.stack.stack import Stack
from roas.stack.updating.rollout_rules import is_gradual, policy_of

Definitions = Mapping[str, ServiceDefinition]
# Return the containers of a service.
ContainersOf = Callable[[str], Iterable[ContainerSnapshot]]

# What is done to a service that has containers with users: of a new one, the proxy learns in time.
REPLACING = frozenset({ServiceAction.RECREATE, ServiceAction.ADJUST})
# What is done to a proxy that is another one afterwards.
CHANGING = frozenset({ServiceAction.RECREATE, ServiceAction.RELOAD})


def with_proxies(stack: Stack, model: Mapping[str, Any] | None) -> Definitions:
    """Return the definitions of a release's services that have a proxy in front; none is read where none has."""
    if not any("proxy" in (fields.get("x-deploy") or {}) for fields in services_of(model or {}).values()):
        return {}
    return {
        name: definition for name, definition in stack.definitions(model or {}).items() if definition.proxy is not None
    }


def with_dropped_proxies(definitions: Definitions, *others: Definitions) -> dict[str, ServiceDefinition]:
    """Let services that have no proxy any more tell the one once more that they have in another release.

    Its requests would be lost where their containers are replaced, though it may well be there still.
    """
    found: dict[str, ServiceDefinition] = {}
    for name, definition in definitions.items():
        before = [proxy for other in others if name in other and (proxy := other[name].proxy) is not None]
        if definition.proxy is None and before:
            definition = replace(definition, proxy=replace(before[0], is_dropped=True))
        found[name] = definition
    return found


def warn_of_dropped(plan: Plan, definitions: Definitions, before: Definitions) -> Iterator[str]:
    """Yield what to say of services that are replaced, and that lose the proxy in front of them with that."""
    replaced = {service.service for service in plan.services if service.action is ServiceAction.RECREATE}
    for name in sorted(replaced & before.keys()):
        proxy, definition = before[name].proxy, definitions.get(name)
        if proxy is None or definition is None or definition.proxy is not None:
            continue
        yield said(
            "{name} has no `x-deploy.proxy` any more: {proxy} is told once more, so that open requests end, and then "
            "never again.",
            name=name,
            proxy=proxy.service,
        )
        if not definition.start_first:
            yield said(
                "{name} is replaced stop-first without it: meanwhile fewer of its containers answer, or none.",
                name=name,
            )


def with_gaps(plan: Plan, definitions: Definitions, containers_of: ContainersOf) -> Plan:
    """Return a plan that says where nothing answers for a while, which the files alone do not say.

    Unnamed volumes have all containers of a service replaced at once, whatever its parallelism is.
    """
    for service in plan.services:
        definition = definitions.get(service.service)
        if service.action is not ServiceAction.RECREATE or definition is None or definition.proxy is None:
            continue
        is_as_written = policy_of(definition, tuple(containers_of(definition.name))) == definition.update
        if not is_as_written and is_gradual(definition.update, definition.replicas):
            others = tuple(text for text in plan.warnings if text != fewer_answer(definition.name))
            plan = replace(plan, warnings=others).with_warnings(nothing_answers(definition.name))
    return plan


def with_gaps_on_the_way_back(plan: Plan, definitions: Definitions, containers_of: ContainersOf) -> Plan:
    """Return the plan of a rollback, which `rollback_config` has replace some stop-first, with what to say of that."""
    replaced = {service.service for service in plan.services if service.action is ServiceAction.RECREATE}
    back = {name: definition.for_rollback() for name, definition in definitions.items() if name in replaced}
    return with_gaps(plan.with_warnings(*lossy_updates(back)), back, containers_of)


async def refuse_unready_proxies(
    components: Components, environment: Environment, plan: Plan, definitions: Definitions
) -> None:
    """Raise ComposeFileError where new containers would have to be made known to a proxy that cannot be told of them.

    The change of the proxy may put that right, but which of the two comes first is not certain.
    """
    actions = {service.service: service.action for service in plan.services}
    for name, definition in sorted(definitions.items()):
        if definition.proxy is None or actions.get(name) is not ServiceAction.RECREATE:
            continue
        if actions.get(definition.proxy.service) not in CHANGING:
            with suppress(ProxyError):  # one that does not answer may do so by then
                proxied = components.stacks.of(environment).proxies.in_front_of(name, definition.proxy)
                for problem in await proxied.examine(servers_needed(definition)):
                    raise ComposeFileError(problem, service=name)
    for name, proxy, problem in await _find_unready(components, environment, plan, definitions):
        raise ComposeFileError(
            said(
                "{name} and {proxy} are replaced together, and the {proxy} that runs cannot be told of {name}: "
                "{problem}",
                name=name,
                proxy=proxy,
                problem=problem,
            ),
            hint=said(
                "Deploy the change of {proxy} and of `x-deploy.proxy` by itself, with the version of {name} that runs. "
                "Then deploy the new version.",
                name=name,
                proxy=proxy,
            ),
        )


async def warn_of_unready(
    components: Components, environment: Environment, plan: Plan, definitions: Definitions
) -> tuple[str, ...]:
    """Return what to say of a way back that takes another configuration of a proxy back, too."""
    return tuple(
        said(
            "{name} and {proxy} go back together, and the {proxy} that runs cannot be told of {name}: requests may be "
            "lost.",
            name=name,
            proxy=proxy,
        )
        for name, proxy, _ in await _find_unready(components, environment, plan, definitions)
    )


async def _find_unready(
    components: Components, environment: Environment, plan: Plan, definitions: Definitions
) -> list[tuple[str, str, str]]:
    """Find services that are replaced together with a proxy, as it runs, that cannot be told: service, proxy and why.

    One that depends on its proxy is started after that, and tells the new one.
    """
    actions = {service.service: service.action for service in plan.services}
    found: list[tuple[str, str, str]] = []
    coordinator = DependencyCoordinator(definitions)
    for name, definition in sorted(definitions.items()):
        proxy = definition.proxy
        if proxy is None or actions.get(name) not in REPLACING:
            continue
        if actions.get(proxy.service) not in CHANGING or name in coordinator.dependents([proxy.service]):
            continue
        try:
            await components.stacks.of(environment).proxies.in_front_of(name, proxy).examine(0)
        except ProxyError as error:
            found.append((name, proxy.service, error.message))
    return found


async def refuse_broken_proxies(
    stack: Stack,
    plan: Plan,
    model: Mapping[str, Any],
    images: Mapping[str, str],
) -> None:
    """Raise ComposeFileError where a proxy that changes would not take its new configuration, as far as it is here."""
    for service in plan.services:
        if service.action in CHANGING and (image := images.get(service.service)):
            await stack.proxies.check(model, service.service, image)
