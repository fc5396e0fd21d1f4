"""Gather what a plan is made of: the stack as it would be, its powers, its images, and the release to go back to."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from roas.checks.beside_compose import ToldAdvice, warn_of_compose, warn_of_compose_after
from roas.configuration.environments import projects_of
from roas.deploy.changes import Scope, brought_services
from roas.deploy.components import Components
from roas.deploy.data.backups import of_releases
from roas.deploy.data.restore import (
    find_backups,
    find_holders,
    find_room,
    say_earlier,
    say_other_commands,
    with_restores,
)
from roas.deploy.handover.state_folder import refuse_moved_state
from roas.deploy.kept_plans import PlannedDeployment, release_in_use
from roas.deploy.new_powers import find_new_powers, ungranted
from roas.deploy.operations.scaling import warn_of_scales
from roas.deploy.own_service import (
    OwnService,
    refuse_moved_bot,
    refuse_without_bot,
    replicas_by_service,
)
from roas.deploy.planning.backup_plan import describe_backups
from roas.deploy.planning.plan import credentials_of_today, make_plan
from roas.deploy.planning.promotion import Promotion, find_missing, find_promotion, judge_missing
from roas.deploy.planning.renamed_volumes import warn_of_empty_volumes
from roas.deploy.planning.rollback_target import find_rollback_target, is_partially_applied, is_same
from roas.deploy.planning.stack_comparison import Comparison, compare, compare_candidate
from roas.deploy.proxy_changes import (
    refuse_broken_proxies,
    refuse_unready_proxies,
    warn_of_dropped,
    warn_of_unready,
    with_gaps,
    with_gaps_on_the_way_back,
    with_proxies,
)
from roas.errors import (
    ComposeFileError,
    InvalidRequestError,
    RegistryUnavailableError,
    ReleaseNotRestorableError,
    second_copy,
    unknown_services,
)
from roas.messages.message import Message, said
from roas.models.backup import DataBackup
from roas.models.deployment import DeploymentRequest
from roas.models.environment import Environment
from roas.models.plan import Plan, ServiceAction
from roas.models.release import Release, ReleaseService, ReleaseState
from roas.models.stack import ServiceDefinition, WantedImage
from roas.stack.interface import ResolvedStack
from roas.stack.machine.projects import runs_already_as
from roas.stack.model.services import services_of


class Planner:
    """Plan what requests would change of one environment: what is resolved, compared, and refused."""

    def __init__(self, components: Components, environment: Environment) -> None:
        self._components = components
        self._environment = environment
        self._stack = components.stacks.of(environment)
        self._own = OwnService(components, environment)

    @property
    def _advice(self) -> ToldAdvice:
        return ToldAdvice(self._components.state.posts, self._environment.name)

    async def deployment(self, request: DeploymentRequest, *, keep: bool) -> PlannedDeployment:
        """Resolve what a deployment asks for and compare it with what is; with `keep`, keep its files and its model.

        Raises ComposeFileError, ComposePolicyError, ImageNotFoundError, InvalidRequestError, BotRemovalError,
        SecondCopyError, StateMovedError, ImageNotVerifiedError, NotVerifiableNowError.
        """
        promotion = None
        if request.promoted_from:
            promotion = await find_promotion(self._components, self._environment, request)
        version = request.version if promotion is None else promotion.release.version or None
        resolved = await self._resolve(version, promotion, keep=keep)
        named = _named_services(resolved.definitions, request.services)
        current = await release_in_use(self._components.state, self._environment.name)
        changed = named or frozenset(resolved.definitions)
        left = _left_as_they_are(self._environment, current, changed) if named else {}
        await self._refuse_lost_bot(resolved, changed, left, version or self._environment.name)
        resolved = replace(resolved, wanted=await self._wanted(resolved, promotion, changed))
        await self._refuse_second_copy(current)
        comparison = await compare_candidate(self._own, resolved, current, frozenset(left), named)
        if left:  # what is new may be where something of the release is that stays
            powers = await self._stack.releases.powers_of(comparison.new_model)
            resolved = replace(resolved, powers={**powers, **resolved.powers})
        inputs = await self._stack.releases.hash_inputs(resolved.model)
        named_version = resolved.version if resolved.version == version else ""
        plan = await self._describe(comparison, resolved, changed, named_version, inputs)
        if keep:
            plan = replace(plan, diff=await self._diff(comparison))
        if promotion is not None:
            plan = promotion.describe(plan, resolved, comparison.new_model)
        plan = await self._required(request, plan, resolved)
        images = {name: image.image_id for name, image in resolved.wanted.items() if image.image_id}
        await self._refuse(plan, resolved, images, kept=frozenset(resolved.definitions) - changed)
        planned = PlannedDeployment(plan, current, inputs, kept=frozenset(left))
        if not keep:
            return planned
        return planned.with_stack(resolved, await self._stack.releases.save_model(resolved.model))

    async def _describe(
        self,
        comparison: Comparison,
        resolved: ResolvedStack,
        changed: frozenset[str],
        version: str,
        inputs: str,
    ) -> Plan:
        """Return the plan of a resolved stack, with its new powers and what to warn of."""
        current, stack = comparison.current, self._stack
        obstacles = tuple(obstacle.message for obstacle in resolved.obstacles)
        plan = make_plan(
            comparison,
            version=version,
            definitions=resolved.definitions,
            wanted=resolved.wanted,
            inputs=inputs,
            to_release=current.number if current and comparison.new_model == comparison.old_model else None,
            warnings=(*resolved.warnings, *obstacles, *await self._lost_images(current), *await self._ended_bake()),
        )
        return (
            replace(
                with_gaps(plan, resolved.definitions, comparison.containers_of),
                refusals=obstacles,
                configuration={name: resolved.definitions[name].definition_hash for name in sorted(changed)},
                data=await describe_backups(self._components, self._environment, plan, resolved.definitions)
                if plan.changed
                else (),
            )
            .with_powers(await find_new_powers(self._components, stack, resolved))
            .with_warnings(
                *warn_of_dropped(plan, resolved.definitions, with_proxies(stack, comparison.old_model)),
                *(await self._advice.untold(warn_of_compose(plan, resolved)) if stack.shares_with_compose else ()),
                *warn_of_empty_volumes(comparison, resolved),
                *await self._scales(resolved.model, changed),
            )
        )

    async def _resolve(self, version: str | None, promotion: Promotion | None, *, keep: bool) -> ResolvedStack:
        """Resolve the stack's files; of a promotion, with the shared files and images of the release."""
        if promotion is None:
            return await self._stack.resolve(version, write_contents=keep)
        try:
            resolved = await self._stack.resolve(version, write_contents=keep, instead=promotion.files)
        except ComposeFileError as error:
            hint = said(
                "It is the compose file of {release} of {source}, with what lies in the folder of {environment}: put "
                "what is missing there, or correct the file of {source} and deploy that first.",
                release=promotion.release.label,
                source=promotion.source,
                environment=self._environment.name,
            )
            raise ComposeFileError(error.message, hint=hint) from error
        return promotion.adapt(resolved)

    async def _wanted(
        self, resolved: ResolvedStack, promotion: Promotion | None, changed: frozenset[str]
    ) -> Mapping[str, WantedImage]:
        """Return the image of each service. Raises ImageNotFoundError, ImageNotVerifiedError, InvalidRequestError."""
        wanted: Mapping[str, WantedImage]
        if promotion is None:
            wanted = await self._stack.images.look_up(resolved, changed)
        else:
            wanted = await promotion.images(self._stack, resolved)
        if self._environment.signatures is not None:
            await self._components.stacks.verify_images(self._environment, wanted)
        return wanted

    async def _required(self, request: DeploymentRequest, plan: Plan, resolved: ResolvedStack) -> Plan:
        """Return the plan with what is missing that its environment requires; a hotfix is only told."""
        missing = await find_missing(self._components, self._environment, request, resolved)
        if missing is None:
            return plan
        if judge_missing(request, missing).may_begin:
            return plan.with_warnings(missing)
        return replace(plan, missing=(missing,))

    async def _refuse_lost_bot(
        self, resolved: ResolvedStack, changed: frozenset[str], left: Mapping[str, int], version: str
    ) -> None:
        """Raise BotRemovalError where the bot would have no container, or not find its own."""
        bot = await self._own.known_bot()
        refuse_without_bot(bot, {**left, **{name: resolved.definitions[name].replicas for name in changed}}, version)
        if bot is not None and bot.service in changed:
            refuse_moved_bot(bot, resolved.model, self._environment)

    async def _refuse(
        self, plan: Plan, resolved: ResolvedStack, images: Mapping[str, str], *, kept: frozenset[str]
    ) -> None:
        """Refuse a plan for its bot, its proxies or its state. Raises ComposeFileError, StateMovedError."""
        await self._refuse_fixed_bot(plan, resolved.definitions)
        await refuse_unready_proxies(self._components, self._environment, plan, resolved.definitions)
        if with_proxies(self._stack, resolved.model):
            await refuse_broken_proxies(self._stack, plan, resolved.model, images)
        await refuse_moved_state(self._own, resolved.model, kept)

    async def rollback(self, request: DeploymentRequest, *, keep: bool) -> PlannedDeployment:
        """Find the release to go back to and compare it with what is; with `keep`, keep it with today's credentials.

        Raises InvalidRequestError where there is none, ComposePolicyError, BotRemovalError where it has no bot,
        SecondCopyError, StateMovedError.
        """
        stack, name = self._stack, self._environment.name
        current = await release_in_use(self._components.state, name, goes_back=True)
        before = await self._definitions_before() if request.data else {}
        backups = await find_backups(self._components, self._environment, request, of_releases(before))
        if backups and request.target_release is None:
            request = replace(request, target_release=backups[0].release)
        target = await find_rollback_target(self._components, stack, request, current)
        if current is not None:
            await self._refuse_second_copy(current)
        await stack.releases.check(target.model_hash)
        again = await self._describe_target(target, None if backups else current)
        stored = await stack.load_model(target.model_hash)
        target, renewed, warnings = await self._coming_back(request, target, current, keep=keep)
        definitions = stack.definitions(renewed)
        bot = await self._own.known_bot()
        refuse_without_bot(bot, replicas_by_service(definitions), target.label)
        refuse_moved_bot(bot, renewed, self._environment)
        named = frozenset(request.services)
        scope = Scope(named=named, moved=brought_services(current, *([] if named else [target])), goes_back=True)
        comparison = await self._compare(current, renewed, scope)
        inputs = await stack.releases.hash_inputs(renewed)
        plan = make_plan(
            comparison,
            version=target.version,
            wanted=_images_of(target.services),
            inputs=inputs,
            model=renewed,
            to_release=target.number,
            warnings=warnings + again,
        )
        plan = with_gaps_on_the_way_back(plan, definitions, comparison.containers_of)
        new_powers = await self._powers_of_mixed(request, target, renewed) if current is not None else {}
        plan = (
            replace(plan, diff=await self._diff(comparison))
            .with_powers(new_powers)
            .with_warnings(
                *await self._warn_of_way_back(plan, comparison, renewed, request.services or definitions),
                *credentials_of_today(comparison, stored),
            )
        )
        if stack.shares_with_compose:
            known = {**comparison.definitions_before, **definitions}
            advice = warn_of_compose_after(plan, target, renewed, known)
            plan = plan.with_warnings(*await self._advice.untold(advice))
        if backups:
            own = None if bot is None else bot.service
            plan = await self._with_data(plan, backups, {**definitions, **before}, own)
        await self._refuse_fixed_bot(plan, definitions)
        await refuse_moved_state(self._own, renewed)
        return PlannedDeployment(plan, current, inputs, target=target)

    async def _warn_of_way_back(
        self, plan: Plan, comparison: Comparison, model: Mapping[str, Any], services: Collection[str]
    ) -> tuple[str, ...]:
        """Say what of proxies and of numbers of replicas is not as somebody might think."""
        definitions = self._stack.definitions(model)
        return (
            *warn_of_dropped(plan, definitions, with_proxies(self._stack, comparison.old_model)),
            *await warn_of_unready(self._components, self._environment, plan, definitions),
            *await self._scales(model, services),
        )

    async def _describe_target(self, target: Release, current: Release | None) -> tuple[Message, ...]:
        """Say of a release why it is brought back where the environment is on it, and whether it failed before."""
        described: tuple[Message, ...] = ()
        if is_same(target, current):
            described = (said("What was changed by hand is brought back as {label} has it.", label=target.label),)
            if await is_partially_applied(self._components, self._stack, target, frozenset()):
                described = (
                    said(
                        "The last deployment was interrupted: services that are not of {label} are rolled back to it.",
                        label=target.label,
                    ),
                )
        if target.state is ReleaseState.FAILED:
            described += (said("{release} failed when it was deployed, and may fail again.", release=target.label),)
        return described

    async def _with_data(
        self, plan: Plan, backups: Sequence[DataBackup], definitions: Mapping[str, ServiceDefinition], own: str | None
    ) -> Plan:
        """Return the plan of a way back that restores backups, too; `own` is the bot's service."""
        stack = self._stack
        holders = await find_holders(stack, backups)
        room = await find_room(stack, backups)
        # Elsewhere the request itself is the yes. What one of many hosts needs, its environment says.
        asks = self._environment.needs_approval or bool(self._environment.part_of)
        plan = with_restores(plan, backups, definitions, room, own, holders, needs_grant=asks)
        rules = {backup.service: await stack.data.rule_of(backup) for backup in backups}
        known = await self._components.state.data_backups.list(self._environment.name)
        others = (*say_earlier(backups, known), *say_other_commands(backups, rules, definitions))
        return replace(plan, data=(*plan.data, *others))

    async def _powers_of_mixed(
        self, request: DeploymentRequest, target: Release, model: Mapping[str, Any]
    ) -> dict[str, str]:
        """Return the powers that only some services of one release have among the others of another one."""
        if not request.services:
            return {}
        powers = await self._stack.releases.powers_of(model)
        mixed = ResolvedStack(self._environment, target.version, model, self._stack.definitions(model), powers=powers)
        return await find_new_powers(self._components, self._stack, mixed)

    async def _definitions_before(self) -> dict[str, ServiceDefinition]:
        """Return the definitions of what runs, as far as they are kept."""
        with suppress(ReleaseNotRestorableError):
            if model_hash := await self._components.state.releases.applied_model(self._environment.name):
                return dict(self._stack.definitions(await self._stack.load_model(model_hash)))
        return {}

    async def _coming_back(
        self, request: DeploymentRequest, target: Release, current: Release | None, *, keep: bool
    ) -> tuple[Release, Mapping[str, Any], tuple[str, ...]]:
        """Return a release as it comes back, its model, and warnings: it has today's credentials.

        Where a service is named, it is the release that runs, with that service as the earlier one has it. Raises
        InvalidRequestError where a secret or config is gone that others have made.
        """
        releases = self._stack.releases
        model, warnings = await releases.renewed(target)
        for obstacle in await releases.missing_external(model):
            raise InvalidRequestError(obstacle.message, hint=obstacle.remedy)
        if not request.services or current is None:
            model_hash = await releases.save_model(model) if keep else target.model_hash
            return replace(target, model_hash=model_hash), model, warnings
        earlier = replace(target, model_hash=await releases.save_model(model))
        pinned = await releases.pin_with(current, request.services, earlier)
        target = replace(target, version=pinned.version, services=pinned.services, model_hash=pinned.model_hash)
        return target, await self._stack.load_model(pinned.model_hash), ()

    async def _scales(self, model: Mapping[str, Any], services: Collection[str]) -> tuple[str, ...]:
        """Say of the services of a plan that were scaled what becomes of that."""
        scales = await self._components.state.scales.of(self._environment.name)
        return tuple(warn_of_scales(services_of(model), {name: scales[name] for name in scales if name in services}))

    async def of_draft(self, request: DeploymentRequest, planned: PlannedDeployment, release: Release) -> Plan:
        """Return the plan of a draft, which a second person approves: of its release every image is known by now."""
        stack, current = self._stack, planned.current
        model = await stack.load_model(release.model_hash)
        scope = Scope(named=frozenset(request.services), moved=brought_services(current))
        comparison, before = await self._compare(current, model, scope), planned.plan
        plan = make_plan(
            comparison,
            version=before.version,
            wanted=_images_of(release.services),
            inputs=planned.inputs,
            to_release=release.number,
        )
        return replace(
            plan,
            warnings=before.warnings,
            refusals=before.refusals,
            new_powers=ungranted(request, before),
            readings=before.readings,
            configuration=before.configuration,
            data=before.data,
            diff=await self._diff(comparison),
            promoted_from=before.promoted_from,
            promoted_release=before.promoted_release,
            promotion=before.promotion,
        )

    async def _diff(self, comparison: Comparison) -> tuple[str, ...]:
        """Return the difference to the release that runs, line by line."""
        if comparison.respelled is None:
            return ()
        return await self._stack.describe_changes(comparison.respelled, comparison.new_model)

    async def _compare(self, current: Release | None, model: Mapping[str, Any], scope: Scope) -> Comparison:
        """Compare a model of which every image is known with what there is."""
        containers = await self._own.expected_containers()
        return await compare(self._own, current, model, model, scope, containers)

    async def _lost_images(self, current: Release | None) -> tuple[str, ...]:
        """Warn where what a failed deployment would go back to is gone: a prune takes what nothing uses."""
        if current is None:
            return ()
        try:
            gone = await self._stack.releases.missing_images(current)
        except RegistryUnavailableError as error:
            return (
                said(
                    "It is not known whether {label} could be restored: {reason}",
                    label=current.label,
                    reason=error.message,
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

    async def _ended_bake(self) -> tuple[Message, ...]:
        """Say that the deployment which holds the environment bakes, and that this one ends that."""
        lock = await self._components.state.locks.get(self._environment.name)
        held_by = None if lock is None else await self._components.state.deployments.get(lock.deployment_id)
        if held_by is None or held_by.bakes_until is None:
            return ()
        return (
            said(
                "{deployment_id} bakes {services}: this ends that, and keeps its release.",
                deployment_id=held_by.id,
                services=", ".join(sorted(held_by.in_bake)),
            ),
        )

    async def _refuse_fixed_bot(self, plan: Plan, definitions: Mapping[str, ServiceDefinition]) -> None:
        """Raise ComposeFileError where the bot's own service would be replaced, and no second one can run beside it."""
        moved = {service.service for service in plan.services if service.action is ServiceAction.RECREATE}
        fixed = {
            name: definition.fixed_place
            for name, definition in definitions.items()
            if name in moved and definition.fixed_place
        }
        bot = await self._own.bot() if fixed else None
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

    async def _refuse_second_copy(self, current: Release | None) -> None:
        """Raise SecondCopyError where the environment's project is not the one that its stack runs as."""
        if current is not None:
            model = await self._stack.load_model(current.model_hash)
            recorded = str(model.get("name") or self._environment.project)
            if recorded != self._environment.project:
                raise second_copy(self._environment.name, recorded, self._environment.project)
            return
        found = runs_already_as(
            self._environment,
            await self._stack.probe().projects(),
            partial(projects_of, self._components.settings),
        )
        if found is not None:
            raise second_copy(self._environment.name, found.name, self._environment.project)


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


def _named_services(definitions: Mapping[str, ServiceDefinition], services: tuple[str, ...]) -> frozenset[str]:
    unknown = sorted(set(services) - set(definitions))
    if unknown:
        raise unknown_services(unknown, definitions)
    return frozenset(services)
