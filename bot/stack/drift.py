"""Say how the containers of a stack differ from the release that it is on: which keys, and never a value."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from roas.messages.message import joined, said
from roas.models.health import ALIVE, ContainerSnapshot, ServiceDrift
from roas.models.release import Release
from roas.stack.model.services import inactive_services
from roas.stack.service_comparison import (
    ContainerDifference,
    ServiceDifference,
    WantedService,
    by_service,
    compare_service,
)
from roas.stack.stack import Stack

KEYS_SHOWN = 4
KEYS_KEPT = 50
SAME = ContainerDifference()


async def find_drift(
    stack: Stack, release: Release, model_hash: str, there: tuple[ContainerSnapshot, ...]
) -> tuple[ServiceDrift, ...]:
    """Return the services whose containers differ from a release, of which `model_hash` was applied."""
    model = await stack.load_model(model_hash)
    wanted = await stack.wanted_services(model, there)
    by_hand, newer = await stack.differences(model), await stack.superseded(model)
    return tuple(_drifts(release, wanted, there, inactive_services(model), by_hand, newer))


def _drifts(
    release: Release,
    wanted: Mapping[str, WantedService],
    containers: tuple[ContainerSnapshot, ...],
    inactive: frozenset[str],
    differences: Mapping[str, ContainerDifference],
    newer: Mapping[str, tuple[tuple[str, str], ...]],
) -> Iterator[ServiceDrift]:
    found = by_service(containers)
    for name in sorted(wanted.keys() | found.keys()):
        there = found.get(name, [])
        if name not in wanted:
            if name not in inactive:
                yield _drift(name, [said("{release} does not have it", release=release.label)])
            continue
        if wanted[name].definition.one_shot and not any(_alive(there)):
            continue  # a release that was brought back ran none of its jobs
        difference = compare_service(wanted[name], there)
        unlike = {container.id for container in difference.unlike}
        keys = _united(differences.get(container.id, SAME).keys for container in difference.unlike)
        changed = _united(
            differences.get(container.id, SAME).changed for container in _alive(there) if container.id not in unlike
        )
        reasons = [*_reasons(release, difference, len(there), wanted[name], keys), *_changed(changed)]
        if reasons := [*reasons, *_superseded(newer.get(name, ()))]:
            yield _drift(name, reasons, _united([keys, changed]))


def _drift(service: str, reasons: Sequence[str], keys: tuple[str, ...] = ()) -> ServiceDrift:
    return ServiceDrift(service, joined("; ", reasons), keys, tuple(reasons))


def _alive(containers: Iterable[ContainerSnapshot]) -> Iterator[ContainerSnapshot]:
    """Leave out what is stopped: that is a matter of health."""
    yield from (container for container in containers if container.state in ALIVE)


def _united(keys: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for some in keys for key in some))[:KEYS_KEPT]


def _reasons(
    release: Release, difference: ServiceDifference, count: int, wanted: WantedService, keys: tuple[str, ...]
) -> Iterator[str]:
    pinned = release.service(difference.service)
    unlike = difference.unlike
    if pinned is not None:
        wanted_image = pinned.image
        others = {
            container.image_reference: container.image_id
            for container in unlike
            if container.image_id != wanted_image.image_id
        }
        for name, image_id in others.items():
            # The name may mean something else by now: then only the IDs tell one from the other.
            same = name == wanted_image.reference
            yield said(
                "it runs the image {image} instead of {reference}",
                image=f"{name} ({_short(image_id)})" if same else name,
                reference=_short(wanted_image.image_id) if same else wanted_image.reference,
            )
    if (
        keys
        or difference.unwritten
        or any(pinned is None or container.image_id == pinned.image.image_id for container in unlike)
    ):
        yield _configuration(release, keys)
    if difference.surplus:
        yield said(
            "it has {count} {count|container|containers} instead of {replicas}",
            count=count,
            replicas=wanted.definition.replicas,
        )


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]


def _configuration(release: Release, keys: tuple[str, ...]) -> str:
    if not keys:
        return said("its configuration is not that of {release}", release=release.label)
    return said("its configuration is not that of {release}: {shown}", release=release.label, shown=_shown(keys))


def _changed(keys: tuple[str, ...]) -> Iterator[str]:
    if keys:
        yield said("it was changed while it ran: {shown}", shown=_shown(keys))


def _superseded(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for called, newest in pairs:
        yield said("it has the secret {called}, and {newest} is newer: deploy it again", called=called, newest=newest)


def _shown(keys: tuple[str, ...]) -> str:
    """Name the first keys, and count the others."""
    rest = [f"+{len(keys) - KEYS_SHOWN}"] if len(keys) > KEYS_SHOWN else []
    return ", ".join([*keys[:KEYS_SHOWN], *rest])
