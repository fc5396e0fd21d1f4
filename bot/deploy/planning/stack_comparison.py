"""Compare what would be deployed with what there is: models, images and containers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from roas.deploy.changes import Scope, StackChanges, brought_services, find_changes
from roas.deploy.components import Components
from roas.deploy.own_service import OwnService
from roas.messages.message import said
from roas.models.deployment import UNTOUCHED_STEPS
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot
from roas.models.release import Release
from roas.models.stack import ServiceDefinition, WantedImage
from roas.stack.interface import ResolvedStack, SweptContainers
from roas.stack.service_comparison import ContainerDifference, WantedService, by_service
from roas.stack.stack import Stack


@dataclass(frozen=True, slots=True)
class Comparison:
    """Hold what was compared for a plan: the changes, the containers, the release that runs and its model.

    `respelled` is the model that runs, in the words of the new one. `certain` are the changes where every image that is
    not here yet turns out to be the one that runs, `most` where none does. `as_released` is what the model that runs
    wants of its services. `in_place` is what hands changed of a container without making it again, by its id.
    `by_service` are the containers that are left, by service. What deployments of ours changed, and no hand, `by_us`
    says in words. What `goes_back` follows `rollback_config`.
    """

    stack: Stack
    certain: StackChanges
    most: StackChanges
    containers: SweptContainers
    current: Release | None
    old_model: Mapping[str, Any] | None
    respelled: Mapping[str, Any] | None
    new_model: Mapping[str, Any]
    as_released: Mapping[str, WantedService]
    in_place: Mapping[str, ContainerDifference]
    by_service: Mapping[str, list[ContainerSnapshot]]
    by_us: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    goes_back: bool = False

    @property
    def definitions_before(self) -> dict[str, ServiceDefinition]:
        """Return the definitions of the services that run."""
        return {name: wanted.definition for name, wanted in self.as_released.items()}

    def containers_of(self, service: str) -> list[ContainerSnapshot]:
        """Return the containers of a service."""
        return self.by_service.get(service, [])

    def released_image(self, service: str) -> tuple[str, str]:
        """Return the reference and the image ID of a service in the release that runs; empty where it has none."""
        found = self.current.service(service) if self.current else None
        return (found.image.reference, found.image.image_id) if found else ("", "")

    def running_image(self, service: str) -> str | None:
        """Return what people call the image that a service runs now; without a container, the release's."""
        reference, image_id = self.released_image(service)
        there = self.containers_of(service)
        if not there or image_id == there[0].image_id:
            return reference or None
        return there[0].image_reference or there[0].image_id


# Stands for an image that is yet to be pulled or built, where that gives another one than runs.
ANOTHER_IMAGE = f"sha256:{'0' * 64}"


async def compare_candidate(
    own_service: OwnService,
    resolved: ResolvedStack,
    current: Release | None,
    kept: frozenset[str],
    named: frozenset[str],
) -> Comparison:
    """Compare what would be deployed with what there is, where images that are not here yet are the same, and not."""
    stack, containers = own_service.stack, await own_service.expected_containers()
    there = containers.left + containers.removed
    wanted = resolved.wanted
    known = {name: found for name, image in wanted.items() if (found := _known_image(name, image, current))}
    jobs = {name for name, definition in resolved.definitions.items() if definition.one_shot}
    same = {name: known.get(name) or _image_that_runs(name, current, there, name in jobs) for name in wanted}
    other = {name: known.get(name) or ANOTHER_IMAGE for name in wanted}

    async def model(image_ids: Mapping[str, str]) -> Mapping[str, Any]:
        return await stack.releases.preview(resolved, image_ids, kept_from=current, kept_services=kept)

    certain = await model(same)
    most = certain if same == other else await model(other)
    scope = Scope(named=named, moved=brought_services(current))
    return await compare(own_service, current, certain, most, scope, containers)


async def compare(
    own_service: OwnService,
    current: Release | None,
    certain: Mapping[str, Any],
    most: Mapping[str, Any],
    scope: Scope,
    containers: SweptContainers,
) -> Comparison:
    """Compare models with what there is: what is done at least, and at most if images turn out to be others."""
    stack, bot = own_service.stack, await own_service.bot()
    old_model = await stack.load_model(current.model_hash) if current else None
    scope = replace(scope, released=old_model)

    async def changes(model: Mapping[str, Any]) -> StackChanges:
        return await find_changes(stack, model, containers.left, bot=bot, scope=scope)

    return Comparison(
        stack=stack,
        certain=(least := await changes(certain)),
        most=least if most is certain else await changes(most),
        containers=containers,
        current=current,
        old_model=old_model,
        respelled=await stack.releases.respelled(old_model, most) if old_model else None,
        new_model=most,
        as_released=await stack.wanted_services(old_model, containers.left) if old_model else {},
        in_place=await _changed_in_place(stack, current, certain),
        by_service=by_service(containers.left),
        by_us=await _changed_by_us(own_service.components, own_service.environment),
        goes_back=scope.goes_back,
    )


async def _changed_by_us(components: Components, environment: Environment) -> Mapping[str, str]:
    """Say of services what a deployment that goes on, or the last one that failed, made of them."""
    deployments = components.state.deployments
    last, left = await deployments.left_by_failure(environment.name)
    found = {service: said("{deployment}, which failed, left it so", deployment=last) for service in left}
    under_way = said("the deployment that is under way has changed it")
    progress = await deployments.progress_under_way(environment.name)
    return found | {
        service_progress.service: under_way
        for service_progress in progress
        if service_progress.step not in UNTOUCHED_STEPS
    }


async def _changed_in_place(
    stack: Stack, current: Release | None, model: Mapping[str, Any]
) -> Mapping[str, ContainerDifference]:
    """Return what hands changed of containers that stay, by id; what runs before the first release is as it is."""
    if current is None:
        return {}
    by_hand = await stack.differences(model)
    return {key: difference for key, difference in by_hand.items() if difference.changed}


def _known_image(name: str, image: WantedImage, current: Release | None) -> str | None:
    """Return the image ID that a service will have, or None where a pull or a build is yet to show that."""
    if image.build_hash is not None:
        return None
    if image.image_id is not None and not image.must_pull:
        return image.image_id
    old = current.service(name) if current else None
    return old.image.image_id if old and image.digest is not None and image.digest == old.image.digest else None


def _image_that_runs(
    name: str, current: Release | None, containers: tuple[ContainerSnapshot, ...], is_job: bool
) -> str:
    """Return the image that a service has; of a job that of the release, since whoever ran another one says nothing.

    Nor does what somebody left that never ran.
    """
    there = next(
        (container.image_id for container in containers if container.service == name and not container.never_ran), None
    )
    service = current.service(name) if current else None
    released = service.image.image_id if service else None
    return ((released or there) if is_job else (there or released)) or ANOTHER_IMAGE
