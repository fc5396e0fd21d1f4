"""Gather what a plan is made of: the stack as it would be, its powers, its images, and the release to go back to."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from roas.configuration.environments import projects_of
from roas.deploy.changes import Scope, brought_services, by_service
from roas.deploy.comparison import compare, compare_candidate
from roas.deploy.components import Components
from roas.deploy.kept_plans import PlannedDeployment, release_in_use
from roas.deploy.own_service import (
    expected_containers,
    find_own_bot,
    find_running_bot,
    refuse_moved_bot,
    refuse_without_bot,
    replicas_by_service,
)
from roas.deploy.plan import PlanSubject, make_plan
from roas.deploy.proxy_changes import (
    refuse_broken_proxies,
    refuse_unready_proxies,
    warn_of_dropped,
    warn_of_unready,
    with_proxies,
)
from roas.deploy.state_folder import refuse_moved_state
from roas.errors import (
    ComposeFileError,
    InvalidRequestError,
    NewPowersError,
    RegistryUnavailableError,
    ReleaseNotRestorableError,
    SecondCopyError,
)
from roas.messages.message import Message, joined, said
from roas.models.deployment import DeploymentKind, DeploymentRequest
from roas.models.environment import Environment
from roas.models.plan import Plan, ServiceAction
from roas.models.release import Release, ReleaseService, ReleaseState
from roas.models.stack import ServiceDefinition, WantedImage
from roas.stack.comparison import WantedService, compare_service
from roas.stack.interface import ResolvedStack
from roas.stack.machine.projects import runs_already_as
from roas.stack.model.services import BOUND, services_of, written_fields
from roas.stack.release_keeper import not_restorable
from roas.stack.stack import Stack

# What the power of a build is called after the name of its service.
BUILD = "build"
# What these have rides along, on a deployment as on the way back.
GRANTING = frozenset({ReleaseState.SUCCEEDED, ReleaseState.ADOPTED})


async def find_new_powers(components: Components, stack: Stack, resolved: ResolvedStack) -> tuple[str, ...]:
    """Return the names of the powers of a stack that no kept, successful release of its environment has."""
    if not resolved.powers:
        return ()
    kept = await components.state.releases.list(stack.environment.name, limit=components.settings.releases_kept)
    return await stack.releases.new_powers(
        resolved, [release.model_hash for release in kept if release.state in GRANTING]
    )


def has_approvers(components: Components) -> bool:
    """Return whether there is a second person to say yes."""
    return bool(components.settings.discord_approver_role_ids)


def ungranted_of_builds(request: DeploymentRequest, planned: PlannedDeployment) -> tuple[str, ...]:
    """Return the powers that a build of a plan would use and that nobody granted: its `RUN` lines act by themselves."""
    services = services_of(planned.require_stack().model if planned.stack is not None else {})
    builds = {name: service["build"] for name, service in services.items() if service.get("build")}
    secrets = {str(entry.get("source")) for build in builds.values() for entry in build.get("secrets") or ()}
    found = ((name, *name.partition(": ")[::2]) for name in ungranted(request, planned.plan))
    return tuple(
        name
        for name, subject, power in found
        if (subject in builds and power.startswith(BUILD)) or subject.rpartition(" ")[2] in secrets
    )


def ungranted(request: DeploymentRequest, plan: Plan) -> tuple[str, ...]:
    """Return the new powers of a plan that a request does not name."""
    return tuple(name for name in plan.new_powers if name not in request.granted)


def refuse_ungranted(request: DeploymentRequest, plan: Plan, *, has_approvers: bool) -> None:
    """Raise NewPowersError where a plan has new powers that the request does not name, and nobody is asked for them.

    Of what was planned in the channel a second person approves the draft, which names them.
    """
    missing = ungranted(request, plan)
    if missing and request.kind is DeploymentKind.HOTFIX:
        raise NewPowersError(
            said("A hotfix gives no new powers:\n{powers}", powers=_lines(missing)),
            hint=said("Use /deploy, which asks for them."),
        )
    if missing and (request.interaction_id is None or not has_approvers):
        options = " ".join(f"--grant {shlex.quote(name)}" for name in missing)
        raise NewPowersError(
            said("Nobody granted what this stack newly gets:\n{powers}", powers=_lines(missing)),
            hint=said("Deploy it in the channel, where the plan asks for them, or add: {options}", options=options),
        )


def _lines(names: Iterable[str]) -> str:
    return joined("\n", (said("  - {name}", name=name) for name in names))


async def find_rollback_target(
    components: Components, environment: Environment, request: DeploymentRequest, current: Release | None
) -> tuple[Release, Mapping[str, Any]]:
    """Return the release to go back to, which can be restored, and its model; it differs in what the request names.

    Raises InvalidRequestError where there is none, ReleaseNotRestorableError where it is not kept or lost its images.
    """
    releases = components.state.releases
    named = frozenset(request.services)
    half_way = current is not None and await _is_partially_applied(components, environment, current, named)
    if request.target_release is None:
        target = current if half_way else await _last_that_differs(components, environment, current, named)
        missing = said(
            "{environment} has no release before the current one, none that differs from it.",
            environment=environment.name,
        )
        if named:
            services = ", ".join(sorted(named))
            missing = said("No earlier release has {services} otherwise than the current one.", services=services)
    else:
        target = await releases.get(environment.name, request.target_release)
        missing = said(
            "{environment} has no release r{target_release}.",
            environment=environment.name,
            target_release=request.target_release,
        )
    if target is None:
        hint = said(
            "`roas releases {environment}` lists those that there are; in Discord, `/rollback` suggests them.",
            environment=environment.name,
        )
        raise InvalidRequestError(missing, hint=hint)
    model = await _model_of(components, target)
    gone = await components.stacks.of(environment).releases.missing_images(target)
    if gone := tuple(name for name in gone if name in (request.services or gone)):
        raise not_restorable(target, gone, [service.image for service in target.services if service.name in gone])
    if is_same(target, current) and not half_way:
        raise InvalidRequestError(
            said("{environment} is on {target} already.", environment=environment.name, target=target.label),
            hint=said("Name another release, or deploy that version again: what is missing is made again."),
        )
    return target, model


def is_same(target: Release, current: Release | None) -> bool:
    """Return whether a release is the one that the environment is on."""
    return current is not None and target.number == current.number


async def _is_partially_applied(
    components: Components, environment: Environment, current: Release, named: frozenset[str]
) -> bool:
    """Return whether running services may be of two releases: a deployment broke off, and none has succeeded since.

    One that was put back, all of it, has left nothing of another release.
    """
    _, left = await components.state.deployments.left_by_failure(environment.name)
    left = left & named if named else left
    if not left:
        return False
    wanted = await components.stacks.of(environment).wanted_services(await _model_of(components, current))
    there = by_service(await components.stacks.of(environment).containers())
    written = await components.stacks.of(environment).written_services()
    if left & ((there.keys() | written) - wanted.keys()):
        return True
    lasting = {
        name: wanted_service
        for name, wanted_service in wanted.items()
        if name in left and not wanted_service.definition.one_shot
    }
    return any(compare_service(wanted_service, there.get(name, ())) for name, wanted_service in lasting.items())


async def _last_that_differs(
    components: Components, environment: Environment, current: Release | None, named: frozenset[str]
) -> Release | None:
    """Return the last release before the current one that succeeded, is kept, and is not the same once more.

    Where services are named, these count alone, and have to be in it.
    """
    if current is None:
        return None
    now = await _wanted(components, environment, current)
    for release in await components.state.releases.before(environment.name, current.number):
        try:
            before = await _wanted(components, environment, release)
        except ReleaseNotRestorableError:
            return release  # which says why
        closely = ReleaseState.ADOPTED not in {release.state, current.state}  # that one says less of its services
        if named:
            both = named & before.keys() & now.keys()
            if any(_differs(before[name], now[name], closely) for name in both):
                return release
        elif before.keys() != now.keys() or any(
            _differs(wanted, now[name], closely) for name, wanted in before.items()
        ):
            return release
    return None


async def _wanted(components: Components, environment: Environment, release: Release) -> Mapping[str, WantedService]:
    """Return what a release wants of its services, with today's credentials."""
    model, _ = await components.stacks.of(environment).releases.renewed(release)
    return await components.stacks.of(environment).wanted_services(model)


def _differs(one: WantedService, other: WantedService, closely: bool) -> bool:
    """Return whether services are made, counted or, looked at `closely`, updated and judged otherwise.

    Of two configurations of a proxy, at most one is what it has read.
    """
    if not one.is_like(other) or one.definition.replicas != other.definition.replicas or one.unread != other.unread:
        return True
    return closely and replace(one.definition, image="", definition_hash="") != replace(
        other.definition, image="", definition_hash=""
    )


async def _model_of(components: Components, release: Release) -> Mapping[str, Any]:
    try:
        return await components.stacks.load_model(release.model_hash)
    except ReleaseNotRestorableError as error:
        kept = components.settings.releases_kept
        raise ReleaseNotRestorableError(
            said(
                "{release} cannot be restored: it is not kept any more (the last {kept} are).",
                release=release.label,
                kept=kept,
            ),
            hint=said(
                "`roas releases {environment}` lists those that are, and `/rollback` suggests them. Or deploy that "
                "version again.",
                environment=release.environment,
            ),
        ) from error


async def plan_deployment(
    components: Components, environment: Environment, request: DeploymentRequest, *, keep: bool
) -> PlannedDeployment:
    """Resolve what a deployment asks for and compare it with what is; with `keep`, copy all its files by content.

    Raises ComposeFileError, ComposePolicyError, ImageNotFoundError, InvalidRequestError, BotRemovalError,
    SecondCopyError, StateMovedError.
    """
    stack = components.stacks.of(environment)
    resolved = await stack.resolve(request.version, write_contents=keep)
    limited_to = _limit(resolved.definitions, request.services)
    kept = frozenset(resolved.definitions) - limited_to if limited_to else frozenset()
    current = await release_in_use(components.state, environment.name)
    changed = frozenset(resolved.definitions) - kept
    left = _left_as_they_are(environment, current, changed) if limited_to else {}
    bot = await find_running_bot(components, environment)
    replicas = left | {name: resolved.definitions[name].replicas for name in changed}
    refuse_without_bot(bot, replicas, request.version or environment.name)
    if bot is not None and bot.service in changed:
        refuse_moved_bot(bot, resolved.model, environment)
    wanted = await stack.images.look_up(resolved, changed)
    old_model = await stack.load_model(current.model_hash) if current else None
    await refuse_second_copy(components, environment, current, old_model)
    comparison = await compare_candidate(
        components, environment, resolved, wanted, current, frozenset(left), limited_to
    )
    inputs = await stack.releases.hash_inputs(resolved.model)
    subject = PlanSubject(
        environment=environment.name,
        inputs=inputs,
        version=resolved.version if resolved.version == request.version else "",
        definitions=resolved.definitions,
        wanted=wanted,
        to_release=current.number if current and comparison.new_model == comparison.old_model else None,
        warnings=(
            *resolved.warnings,
            *(obstacle.message for obstacle in resolved.obstacles),
            *await _lost_images(components, environment, current),
        ),
    )
    before = with_proxies(stack, old_model)
    plan = make_plan(comparison, subject)
    plan = replace(
        plan,
        refusals=tuple(obstacle.message for obstacle in resolved.obstacles),
        new_powers=await find_new_powers(components, stack, resolved),
    )
    plan = plan.with_warnings(*warn_of_dropped(plan, resolved.definitions, before), *_beside_compose(plan, resolved))
    await _refuse_fixed_bot(components, environment, plan, resolved.definitions)
    await refuse_unready_proxies(components, environment, plan, resolved.definitions)
    images = {name: image.image_id for name, image in wanted.items() if image.image_id}
    if with_proxies(stack, resolved.model):
        await refuse_broken_proxies(stack, plan, resolved.model, images)
    await refuse_moved_state(components, environment, resolved.model, kept)
    return PlannedDeployment(plan, current, inputs, resolved, wanted, frozenset(left))


def _left_as_they_are(environment: Environment, current: Release | None, changed: frozenset[str]) -> dict[str, int]:
    """Return the services of the current release that stay as they are, with the number of their replicas."""
    if current is None:
        raise InvalidRequestError(
            said(
                "{environment} has no release yet, so none of its services can be kept as it is.",
                environment=environment.name,
            ),
            hint=said("Deploy the whole stack once, without naming services."),
        )
    return {service.name: service.replicas for service in current.services if service.name not in changed}


def _images_of(services: Iterable[ReleaseService]) -> dict[str, WantedImage]:
    """Return the images that a release has pinned, by service."""
    return {
        service.name: WantedImage(service.image.reference, service.image.image_id, service.image.digest)
        for service in services
    }


async def plan_draft(
    components: Components,
    environment: Environment,
    request: DeploymentRequest,
    planned: PlannedDeployment,
    release: Release,
) -> Plan:
    """Return the plan of a drafted release: what is known of it by now is every image."""
    stack, current = components.stacks.of(environment), planned.current
    model = await stack.load_model(release.model_hash)
    scope = Scope(
        named=frozenset(request.services),
        moved=brought_services(current),
        released=await stack.load_model(current.model_hash) if current else None,
    )
    containers = await expected_containers(components, environment)
    subject = PlanSubject(
        environment=environment.name,
        version=planned.plan.version,
        definitions=stack.definitions(model),
        wanted=_images_of(release.services),
        to_release=release.number,
        inputs=planned.inputs,
    )
    plan = make_plan(await compare(components, environment, current, model, model, scope, containers), subject)
    before = planned.plan
    plan = replace(plan, warnings=before.warnings, refusals=before.refusals, new_powers=ungranted(request, before))
    return replace(plan, diff=await stack.describe_changes(scope.released, model)) if scope.released else plan


async def plan_rollback(
    components: Components, environment: Environment, request: DeploymentRequest, *, keep: bool
) -> PlannedDeployment:
    """Find the release to go back to and compare it with what is; with `keep`, keep it with today's credentials.

    Raises InvalidRequestError where there is none, ComposePolicyError, BotRemovalError where it has no bot,
    SecondCopyError, StateMovedError.
    """
    stack = components.stacks.of(environment)
    current = await release_in_use(components.state, environment.name)
    target, model = await find_rollback_target(components, environment, request, current)
    if current is not None:
        await refuse_second_copy(components, environment, current, await stack.load_model(current.model_hash))
    if request.services and current is not None:
        return await _plan_services_back(components, environment, request, target, current)
    await stack.releases.check(target.model_hash)
    definitions = stack.definitions(model)
    bot = await find_running_bot(components, environment)
    refuse_without_bot(bot, replicas_by_service(definitions), target.label)
    refuse_moved_bot(bot, model, environment)
    renewed, warnings = await stack.releases.renewed(target)
    scope = Scope(moved=brought_services(current, target), goes_back=True)
    containers = await expected_containers(components, environment)
    comparison = await compare(components, environment, current, renewed, renewed, scope, containers)
    inputs = await stack.releases.hash_inputs(renewed)
    if keep and renewed != model:
        target = replace(target, model_hash=await stack.releases.save_model(renewed))
    subject = PlanSubject(
        environment=environment.name,
        inputs=inputs,
        model=renewed,
        version=target.version,
        definitions=definitions,
        wanted=_images_of(target.services),
        to_release=target.number,
        goes_back=True,
        warnings=warnings + ((_partially_applied(target),) if is_same(target, current) else ()),
    )
    plan = make_plan(comparison, subject)
    before = with_proxies(stack, comparison.old_model)
    plan = plan.with_warnings(*warn_of_dropped(plan, definitions, before))
    plan = plan.with_warnings(*await warn_of_unready(components, environment, plan, definitions))
    if plan.changed and not environment.on_swarm:
        text = said("`docker compose up -d` goes by the stack's files, and brings back what this takes away.")
        plan = plan.with_warnings(text)
    await _refuse_fixed_bot(components, environment, plan, definitions)
    await refuse_moved_state(components, environment, model)
    return PlannedDeployment(plan, current, inputs, target=target)


async def _plan_services_back(
    components: Components, environment: Environment, request: DeploymentRequest, earlier: Release, current: Release
) -> PlannedDeployment:
    """Plan the release that runs with one service as an earlier one has it: all else stays."""
    stack, (service,) = components.stacks.of(environment), request.services
    draft = await stack.releases.draft_with(current, service, earlier)
    model = await stack.load_model(draft.model_hash)
    definitions = stack.definitions(model)
    inputs = await stack.releases.hash_inputs(model)
    scope = Scope(named=frozenset({service}), moved=brought_services(current), goes_back=True)
    containers = await expected_containers(components, environment)
    comparison = await compare(components, environment, current, model, model, scope, containers)
    subject = PlanSubject(
        environment=environment.name,
        inputs=inputs,
        model=model,
        version=draft.version,
        definitions=definitions,
        wanted=_images_of(draft.services),
        to_release=earlier.number,
        goes_back=True,
    )
    plan = make_plan(comparison, subject)
    plan = plan.with_warnings(*await warn_of_unready(components, environment, plan, definitions))
    await _refuse_fixed_bot(components, environment, plan, definitions)
    target = replace(earlier, model_hash=draft.model_hash)
    return PlannedDeployment(plan, current, inputs, target=target)


def _beside_compose(plan: Plan, stack: ResolvedStack) -> Iterator[str]:
    """Say where somebody's `docker compose up -d` in the stack's folder will do something else than this."""
    if stack.environment.on_swarm:
        return
    services = services_of(stack.model)
    made = (
        service.service for service in plan.services if service.action in {ServiceAction.CREATE, ServiceAction.RECREATE}
    )
    if copied := sorted(name for name in made if any(key in BOUND for key in written_fields(services.get(name, {})))):
        yield said(
            "`docker compose up -d` recreates {services}: it binds the stack's files, a release has copies of them.",
            services=", ".join(copied),
        )
    if plan.changed and stack.beside_files:
        yield said(
            "`docker compose up -d` goes by the stack's files, which name another version. Write {version} there, too, "
            "or use `roas compose {environment} -- up -d`.",
            version=stack.version,
            environment=plan.environment,
        )


def _partially_applied(target: Release) -> Message:
    return said(
        "The last deployment was interrupted: services that are not of {label} are rolled back to it.",
        label=target.label,
    )


async def _lost_images(components: Components, environment: Environment, current: Release | None) -> tuple[str, ...]:
    """Warn where what a failed deployment would go back to is gone: a prune takes what nothing uses."""
    if current is None:
        return ()
    try:
        gone = await components.stacks.of(environment).releases.missing_images(current)
    except RegistryUnavailableError as error:
        return (
            said(
                "It is not known whether {label} could be restored: {reason}", label=current.label, reason=error.message
            ),
        )
    if not gone:
        return ()
    text = said(
        "Should this fail, {label} cannot be restored: the images of {services} are gone.",
        label=current.label,
        services=", ".join(gone),
    )
    return (text,)


async def _refuse_fixed_bot(
    components: Components, environment: Environment, plan: Plan, definitions: Mapping[str, ServiceDefinition]
) -> None:
    """Raise ComposeFileError where the bot's own service would be replaced, and no second one can run beside it."""
    moved = {service.service for service in plan.services if service.action is ServiceAction.RECREATE}
    fixed = {
        name: definition.fixed_place
        for name, definition in definitions.items()
        if name in moved and definition.fixed_place
    }
    bot = await find_own_bot(components, environment) if fixed else None
    if bot is not None and bot.service in fixed:
        raise ComposeFileError(
            said(
                "{service} is this bot: its successor starts beside it, and {fixed} allows only one.",
                service=bot.service,
                fixed=fixed[bot.service],
            ),
            hint=said(
                "Remove that from {service} in the compose file: a `container_name`, a port of "
                "the host, its network or an address.",
                service=bot.service,
            ),
        )


def _limit(definitions: Mapping[str, ServiceDefinition], services: tuple[str, ...]) -> frozenset[str]:
    unknown = sorted(set(services) - set(definitions))
    if unknown:
        raise InvalidRequestError(
            said("The stack has no service {name}.", name=", ".join(unknown)),
            hint=said("It has {services}.", services=", ".join(sorted(definitions))),
        )
    return frozenset(services)


async def refuse_second_copy(
    components: Components, environment: Environment, current: Release | None, old_model: Mapping[str, Any] | None
) -> None:
    """Raise SecondCopyError where the environment's project is not the one that its stack runs as."""
    if current is not None:
        recorded = str((old_model or {}).get("name") or environment.project)
        if recorded != environment.project:
            raise SecondCopyError(
                said(
                    "{environment} is on {current} as the project {recorded}, and would be created a "
                    "second time as {project}, with empty volumes.",
                    environment=environment.name,
                    current=current.label,
                    recorded=recorded,
                    project=environment.project,
                ),
                hint=said(
                    'Set `project_name = "{recorded}"` in [environments.{environment}]. For a second '
                    "copy, give it an environment of its own.",
                    recorded=recorded,
                    environment=environment.name,
                ),
            )
        return
    found = runs_already_as(
        environment,
        await components.stacks.of(environment).probe().projects(),
        partial(projects_of, components.settings),
    )
    if found is not None:
        raise SecondCopyError(
            said(
                "The stack in {folder} runs already as the project {found}, and {environment} "
                "would create it a second time as {project}, with empty volumes.",
                folder=environment.folder,
                found=found.name,
                environment=environment.name,
                project=environment.project,
            ),
            hint=said(
                'Set `project_name = "{found}"` in [environments.{environment}], or `"{project}"` for a second copy.',
                found=found.name,
                environment=environment.name,
                project=environment.project,
            ),
        )
