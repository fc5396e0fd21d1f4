"""Know what the images of a stack mean now, and pull, build and name those that a release needs."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import Any

from roas.concurrency import run_concurrently, run_uninterrupted
from roas.errors import ImageNotFoundError, PhaseTimeoutError, RegistryUnavailableError
from roas.limits import BUILD_TIMEOUT_SECONDS, PULL_TIMEOUT_SECONDS
from roas.messages.message import said
from roas.models.deployment import ServiceStep
from roas.models.plan import BUILD_HASH
from roas.models.release import ImagePin
from roas.models.stack import WantedImage
from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient
from roas.stack.images.base_images import pin_bases
from roas.stack.images.building import build_hash, build_image, copy_sources, settle_sources
from roas.stack.images.lookup import find_image, look_up_image
from roas.stack.images.pull import pull_image
from roas.stack.images.readable_names import files_reference, set_references
from roas.stack.interface import ProgressReport, ResolvedStack
from roas.stack.model.services import services_of
from roas.stack.releases.parts import StackParts
from roas.stack.sources.build_sources import BuildSources
from roas.stack.sources.contents import discard
from roas.stack.sources.opening import resolve

# Record the progress of a service: service, step, text, fraction of the step.
ServiceReport = Callable[[str, ServiceStep, str, float | None], Awaitable[None]]


class StackImages:
    """Look up, pull, build and name the images of one stack on one machine."""

    def __init__(self, engine: Engine, parts: StackParts) -> None:
        self._engine = engine
        self._parts = parts

    async def look_up(self, stack: ResolvedStack, services: frozenset[str]) -> Mapping[str, WantedImage]:
        """Return the content that each service's image means now, by pull policy, asking registries where needed.

        Each reference is queried once. What any service of the stack builds is that of all who name it; of a stack that
        is kept, it is copied. Raises ImageNotFoundError, RegistryUnavailableError.
        """
        wanted = {name: stack.definitions[name] for name in sorted(services)}
        builders = {name: _builder(stack, name) for name in wanted}
        questions: dict[tuple[str, str], list[str]] = {}
        for name, definition in wanted.items():
            builder = builders[name]
            if not (builder and stack.definitions[builder].built):
                questions.setdefault((definition.image, definition.pull_policy), []).append(name)
        answers = await run_concurrently(
            self._look_up_image(stack, reference, policy, names) for (reference, policy), names in questions.items()
        )
        found = dict(zip(questions, answers, strict=True))
        return {
            name: found.get((definition.image, definition.pull_policy))
            or await self._to_build(stack, builders[name] or name)
            for name, definition in wanted.items()
        }

    async def _look_up_image(
        self, stack: ResolvedStack, reference: str, policy: str, names: list[str]
    ) -> WantedImage | None:
        """Return what a reference means; None where it cannot be pulled and, as in Compose, is built instead."""
        try:
            return await look_up_image(self._engine, self._parts.registry, reference, policy)
        except (ImageNotFoundError, RegistryUnavailableError):
            if all(_builder(stack, name) for name in names):
                return None
            raise

    async def _to_build(self, stack: ResolvedStack, service: str) -> WantedImage:
        """Say what is built: it is bound to its model; where nothing is built, the image that is here serves."""
        reference = stack.definitions[service].image
        found = await self._engine.call(lambda client: find_image(client, reference))
        name = await self._keep_sources(stack, service)
        return WantedImage(reference, found["Id"] if found else None, build_hash=name, builder=service)

    async def promoted(self, pin: ImagePin, reference: str) -> WantedImage | None:
        """Return the content that another environment runs, as an image of this one; None where it cannot be had.

        Of what this engine does not have, the registry has to have the digest.
        """
        digest = pin.digest or (pin.image_id if "@" in pin.image_id else None)
        names = [name for name in (pin.image_id, digest) if name]

        def find_local(client: EngineClient) -> str | None:
            return next((str(found["Id"]) for name in names if (found := find_image(client, name)) is not None), None)

        if (here := await self._engine.call(find_local)) is not None:
            return WantedImage(reference, here, digest)
        return None if digest is None else WantedImage(reference, None, digest, must_pull=True)

    async def pull(self, image: WantedImage, services: tuple[str, ...], report: ProgressReport) -> str:
        """Pull an image; returns its image ID. Raises ImageNotFoundError, RegistryUnavailableError."""
        return await pull_image(self._engine, image, services, report)

    async def build(
        self, stack: ResolvedStack, service: str, report: ProgressReport, *, expected: str | None = None
    ) -> str:
        """Build a service's image from the copy of its files that a plan kept as `expected`, and return its image ID.

        Without one, a copy is made now. Raises ImageChangedError where the copy is not kept any more,
        BuildFailedError with the log's end as report.
        """
        parts = self._parts
        copy = parts.builds / (expected or await self._keep_sources(stack, service))
        return await build_image(self._engine, parts.runner, parts.redactor, stack, service, report, copy)

    async def _keep_sources(self, stack: ResolvedStack, service: str) -> str:
        """Copy what a service is built from, and return the name of the copy; of what is only shown, none is made."""
        engine, folder = self._engine, self._parts.builds
        sources = await engine.local(lambda: self._sources(stack, service))
        if not stack.is_kept:
            return build_hash(stack, service, await engine.local(sources.digest))
        copied = await engine.local(lambda: copy_sources(sources, folder))
        try:
            platform = str(services_of(stack.model)[service].get("platform") or "")
            bases = await pin_bases(
                engine,
                self._parts.registry,
                service,
                copied.section,
                platform=platform,
                any_frontend=sources.may_leave,
            )
            return await engine.local(lambda: settle_sources(stack, service, copied, bases))
        finally:
            await run_uninterrupted(engine.local(lambda: discard(copied.folder)))

    async def discard_builds(self, names: Collection[str]) -> None:
        """Remove copies of what was built: the release is made."""

        def clear() -> None:
            for name in filter(BUILD_HASH.fullmatch, names):
                discard(self._parts.builds / name)

        await self._parts.stored(clear)

    def _sources(self, stack: ResolvedStack, service: str) -> BuildSources:
        """Return what a service is built from, and what of it the policy allows outside of the stack's folder."""
        policy, environment = self._parts.policy, self._engine.environment

        def is_given(power: str) -> bool:
            return power in stack.asked or policy.allows(power, environment)

        return BuildSources(
            build=stack.model["services"][service].get("build") or {},
            secrets=stack.model.get("secrets") or {},
            folder=resolve(environment.folder),
            withheld=policy.withheld(environment),
            key=self._parts.key.read(),
            may_leave=is_given(f"build:{service}"),
            may_bind=lambda path: is_given(f"bind:{path}"),
        )

    async def renew_logins(self) -> tuple[str, ...]:
        """Let the engine pull with today's logins what it starts by itself; returns the services that were told so."""
        return ()

    async def give_names(self, model_hash: str) -> Mapping[str, str]:
        """Let the names that the files of a model have for its images mean these again.

        Returns, by service, the names that a container of another project uses: those stay as they are.
        """
        services = services_of(await self._parts.load_model(model_hash))
        given = await set_references(self._engine, services, lenient=True)
        names = {name: files_reference(self._engine.project, name, fields) for name, fields in services.items()}
        return {name: taken for name, taken in names.items() if taken and name not in given and "@" not in taken}


def _builder(stack: ResolvedStack, service: str) -> str | None:
    """Return the service that says how a service's image is built: itself, or the first that builds what it names."""
    fields, image = services_of(stack.model), stack.definitions[service].image
    same = sorted(
        name
        for name, definition in stack.definitions.items()
        if definition.image == image and fields[name].get("build")
    )
    own = fields[service].get("build")
    return next((name for name in same if not own or fields[name]["build"] == own), None)


async def obtain_images(
    images: StackImages,
    resolved: ResolvedStack,
    report: ServiceReport,
    *,
    builds: bool,
) -> Mapping[str, str]:
    """Pull and build what is not here; returns image IDs by service.

    Raises the first failure, with the others stopped; PhaseTimeoutError for a limit that was passed.
    """
    wanted = resolved.wanted
    pulls = by_reference(
        {service: image for service, image in wanted.items() if image.must_pull and image.build_hash is None}
    )
    building = by_build(wanted) if builds else []
    here = {service: image.image_id for service, image in wanted.items() if image.image_id and not image.must_pull}
    pulling = [_obtain(images, image, names, report) for image, names in pulls]
    builds_under_way = [
        _within(
            BUILD_TIMEOUT_SECONDS,
            _build(images, resolved, builder, wanted[names[0]], names, report),
            said("The build of {name}", name=builder),
        )
        for builder, names in building
    ]
    results = await run_concurrently(pulling + builds_under_way)
    users = [names for _, names in (*pulls, *building)]
    return here | {name: image_id for names, image_id in zip(users, results, strict=True) for name in names}


async def pull(
    images: StackImages,
    image: WantedImage,
    services: tuple[str, ...],
    report: ServiceReport,
) -> str:
    """Pull an image for the services that use it, within its limit. Raises PhaseTimeoutError."""
    doing = said("The pull of {reference}", reference=image.reference)
    return await _within(PULL_TIMEOUT_SECONDS, _pull(images, image, services, report), doing)


def by_reference(images: Mapping[str, WantedImage]) -> list[tuple[WantedImage, tuple[str, ...]]]:
    """Group services that use the same image, so that it is pulled once."""
    groups: dict[str, list[str]] = {}
    for service, image in images.items():
        groups.setdefault(image.reference, []).append(service)
    return [(images[services[0]], tuple(services)) for services in groups.values()]


def by_build(images: Mapping[str, WantedImage]) -> list[tuple[str, tuple[str, ...]]]:
    """Return what is built, by the service that says how, each with all services that use the image."""
    groups: dict[str, list[str]] = {}
    for service, image in images.items():
        if image.build_hash is not None:
            groups.setdefault(image.builder or service, []).append(service)
    return [(builder, tuple(names)) for builder, names in groups.items()]


async def _pull(images: StackImages, image: WantedImage, services: tuple[str, ...], report: ServiceReport) -> str:
    for service in services:
        await report(service, ServiceStep.PULLING, image.reference, 0.0)

    async def progress(service: str, text: str, fraction: float | None) -> None:
        await report(service, ServiceStep.PULLING, text, fraction)

    return await images.pull(image, services, progress)


async def _obtain(images: StackImages, image: WantedImage, services: tuple[str, ...], report: ServiceReport) -> str:
    image_id = await pull(images, image, services, report)
    for service in services:
        await report(service, ServiceStep.PULLED, image.reference, 1.0)
    return image_id


async def _build(
    images: StackImages,
    resolved: ResolvedStack,
    builder: str,
    image: WantedImage,
    services: tuple[str, ...],
    report: ServiceReport,
) -> str:
    for service in services:
        await report(service, ServiceStep.BUILDING, "", None)

    async def progress(name: str, text: str, fraction: float | None) -> None:
        await report(name, ServiceStep.BUILDING, text, fraction)

    image_id = await images.build(resolved, builder, progress, expected=image.build_hash)
    for service in services:
        await report(service, ServiceStep.BUILT, "", 1.0)
    return image_id


async def _within(seconds: float, work: Coroutine[Any, Any, str], doing: str) -> str:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise PhaseTimeoutError(
            said("{doing} did not end within {seconds} s.", doing=doing, seconds=f"{seconds:g}"),
            hint=said("Check the registry, the network and the disk, then deploy again."),
        ) from error
