"""Get the images that a release needs: pull and build them at the same time, each within its limit."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from roas.concurrency import run_concurrently
from roas.errors import PhaseTimeoutError
from roas.messages.message import said
from roas.models.coordination import BUILD_TIMEOUT_SECONDS, PULL_TIMEOUT_SECONDS
from roas.models.deployment import ServiceStep
from roas.models.stack import WantedImage
from roas.stack.interface import ResolvedStack
from roas.stack.stack import Stack

# Record the progress of a service: service, step, text, fraction of the step.
ServiceReport = Callable[[str, ServiceStep, str, float | None], Awaitable[None]]


async def obtain_images(
    stack: Stack, resolved: ResolvedStack, wanted: Mapping[str, WantedImage], report: ServiceReport, *, builds: bool
) -> Mapping[str, str]:
    """Pull and build what is not here; returns image IDs by service.

    Raises the first failure, with the others stopped; PhaseTimeoutError for a limit that was passed.
    """
    pulls = by_reference(
        {service: image for service, image in wanted.items() if image.must_pull and image.build_hash is None}
    )
    building = by_build(wanted) if builds else []
    here = {service: image.image_id for service, image in wanted.items() if image.image_id and not image.must_pull}
    pulling = [_obtain(stack, image, names, report) for image, names in pulls]
    builds_under_way = [
        _within(
            BUILD_TIMEOUT_SECONDS,
            _build(stack, resolved, builder, wanted[names[0]], names, report),
            said("The build of {name}", name=builder),
        )
        for builder, names in building
    ]
    results = await run_concurrently(pulling + builds_under_way)
    users = [names for _, names in (*pulls, *building)]
    return here | {name: image_id for names, image_id in zip(users, results, strict=True) for name in names}


async def pull(
    stack: Stack,
    image: WantedImage,
    services: tuple[str, ...],
    report: ServiceReport,
) -> str:
    """Pull an image for the services that use it, within its limit. Raises PhaseTimeoutError."""
    doing = said("The pull of {reference}", reference=image.reference)
    return await _within(PULL_TIMEOUT_SECONDS, _pull(stack, image, services, report), doing)


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


async def _pull(stack: Stack, image: WantedImage, services: tuple[str, ...], report: ServiceReport) -> str:
    for service in services:
        await report(service, ServiceStep.PULLING, image.reference, 0.0)

    async def progress(service: str, text: str, fraction: float | None) -> None:
        await report(service, ServiceStep.PULLING, text, fraction)

    return await stack.pull(image, services, progress)


async def _obtain(stack: Stack, image: WantedImage, services: tuple[str, ...], report: ServiceReport) -> str:
    image_id = await pull(stack, image, services, report)
    for service in services:
        await report(service, ServiceStep.PULLED, image.reference, 1.0)
    return image_id


async def _build(
    stack: Stack,
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

    image_id = await stack.build(resolved, builder, progress, expected=image.build_hash)
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
