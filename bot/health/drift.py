"""Find where what runs is not what the release has: hands change a stack behind the bot's back."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from roas.errors import EngineUnavailableError, RoasError
from roas.log import get_logger
from roas.messages.message import joined, said
from roas.models.environment import Environment
from roas.models.health import ALIVE, ContainerSnapshot, ServiceDrift
from roas.models.release import Holding, Release
from roas.stack.comparison import ContainerDifference, ServiceDifference, WantedService, compare_service
from roas.stack.model.services import inactive_services
from roas.stack.stack import Stack
from roas.stack.stacks import Stacks

log = get_logger(__name__)

# Each container is asked about this often, where nothing else says that something changed.
WHOLE_SECONDS = 60.0
KEYS_SHOWN = 4
KEYS_KEPT = 50
SAME = ContainerDifference()


class Releases(Protocol):
    """Say what an environment runs."""

    async def current(self, environment: str) -> Release | None:
        """Return the current release, or None where there is none."""
        ...

    async def released(self) -> frozenset[str]:
        """Return the names of the environments that are on a release."""
        ...

    async def applied_model(self, environment: str) -> str | None:
        """Return the hash of the model that the environment runs."""
        ...


class Holdings(Protocol):
    """Say what a deployment holds of an environment."""

    async def holding(self, environment: str) -> Holding | None:
        """Return what is held of an environment, or None where nothing is."""
        ...

    async def left_by_failure(self, environment: str) -> tuple[str, frozenset[str]]:
        """Return the last deployment, where it failed, and the services that it left changed."""
        ...


class DriftFinder:
    """Compare the containers of an environment with the release that it is on."""

    def __init__(
        self,
        stacks: Stacks,
        releases: Releases,
        holdings: Holdings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stacks = stacks
        self._releases = releases
        self._holdings = holdings
        self._clock = clock
        self._known: dict[str, _Known] = {}
        # What was listed last, of which release, and what a comparison made of it.
        self._seen: dict[str, tuple[object, _Outline]] = {}

    async def released(self) -> frozenset[str]:
        """Return the environments that are on a release: nothing drifts in the others. Raises StateError."""
        return await self._releases.released()

    async def find(
        self, environment: Environment, asked: tuple[ContainerSnapshot, ...] | None = None
    ) -> tuple[ServiceDrift, ...] | None:
        """Return the services that differ; None where that cannot be known, or a deployment changes them now.

        One that is paused changes nothing: what it has moved is left out, and the rest is compared as ever. What is
        missing or stopped is no drift: its health says so. Each container is asked about at least once a minute,
        whenever the list of them shows another name, or another place in a network, and for who has just `asked` about
        all of them. Raises StateError.
        """
        name = environment.name
        release = await self._releases.current(name)
        model_hash = await self._releases.applied_model(name)
        if release is None or model_hash is None or _changes(await self._holdings.holding(name)):
            return None
        try:
            model = await self._stacks.load_model(model_hash)
            look = _Look(self._stacks.of(environment), release, model_hash, model)
            listed = await self._stacks.of(environment).outline()
            seen = (release.number, model_hash, listed)
            outline = self._known_outline(environment, seen) or await look.outline(listed)
            found = None if asked is not None else self._remembered(environment, outline)
            if found is None:
                there = await self._stacks.of(environment).containers() if asked is None else asked
                found = await look.compare(there, await self._stacks.of(environment).container_differences(model))
                self._remember(environment, outline, found)
            self._seen[environment.name] = (seen, outline)
        except EngineUnavailableError:
            return None
        except RoasError as error:
            log.warning("drift cannot be looked for", environment=environment.name, error=error.message)
            return None
        holding = await self._holdings.holding(name)
        if _changes(holding) or (found and not await self._is_still(name, release, model_hash)):
            return None
        deployment, left = await self._holdings.left_by_failure(name) if found else ("", frozenset[str]())
        return tuple(
            replace(service, left_by=deployment) if service.service in left else service
            for service in found
            if holding is None or not holding.has_moved(service.service)
        )

    async def _is_still(self, environment: str, release: Release, model_hash: str) -> bool:
        """Return whether an environment is on the release, and on the model, that was compared with."""
        now = await self._releases.current(environment)
        is_same = now is not None and now.number == release.number
        return is_same and await self._releases.applied_model(environment) == model_hash

    def look_closely(self, environment: str) -> None:
        """Let the next look ask about each container: one was changed in place."""
        self._known.pop(environment, None)

    def _known_outline(self, environment: Environment, seen: object) -> "_Outline | None":
        """Return what the last list meant, where this one is the same; of a Swarm, its services say more."""
        before, outline = self._seen.get(environment.name, (None, None))
        return outline if before == seen and not environment.on_swarm else None

    def _remembered(self, environment: Environment, outline: "_Outline") -> tuple[ServiceDrift, ...] | None:
        """Return what the last whole look found, where nothing that the list shows has changed since, not long ago."""
        known = self._known.get(environment.name)
        return known.found if known and known.outline == outline and self._clock() < known.until else None

    def _remember(self, environment: Environment, outline: "_Outline", found: tuple[ServiceDrift, ...]) -> None:
        """Remember what was seen twice: what is seen once may be the middle of a recreation."""
        known = self._known.get(environment.name)
        is_settled = known is not None and (known.outline, known.found) == (outline, found)
        self._known[environment.name] = _Known(outline, found, self._clock() + WHOLE_SECONDS * is_settled)


def _changes(holding: Holding | None) -> bool:
    return holding is not None and not holding.paused


@dataclass(frozen=True, slots=True)
class _Outline:
    """Hold what a list of containers shows of a release's: their names, places in networks, and which are others."""

    release: int
    model_hash: str
    shown: frozenset[object]
    differing: tuple[ServiceDrift, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """Hold what a whole look found when the list of containers was like that."""

    outline: _Outline
    found: tuple[ServiceDrift, ...]
    until: float


@dataclass(frozen=True, slots=True)
class _Look:
    """Compare with one release."""

    stack: Stack
    release: Release
    model_hash: str
    model: Mapping[str, Any]

    async def outline(self, listed: tuple[ContainerSnapshot, ...]) -> _Outline:
        """Compare what is listed, without asking about any container."""
        shown = frozenset((snapshot.id, snapshot.name, snapshot.endpoints) for snapshot in listed)
        return _Outline(self.release.number, self.model_hash, shown, await self.compare(listed, {}))

    async def compare(
        self, there: tuple[ContainerSnapshot, ...], differences: Mapping[str, ContainerDifference]
    ) -> tuple[ServiceDrift, ...]:
        """Return the services that differ; `differences` are those of containers, by id."""
        wanted = await self.stack.wanted_services(self.model, there)
        by_hand = await self.stack.without_own_changes(self.model_hash, there, differences)
        return tuple(_drifts(self.release, wanted, there, inactive_services(self.model), by_hand))


def _drifts(
    release: Release,
    wanted: Mapping[str, WantedService],
    containers: tuple[ContainerSnapshot, ...],
    inactive: frozenset[str],
    differences: Mapping[str, ContainerDifference],
) -> Iterator[ServiceDrift]:
    by_service: dict[str, list[ContainerSnapshot]] = {}
    for container in containers:
        by_service.setdefault(container.service, []).append(container)
    for name in sorted(wanted.keys() | by_service.keys()):
        there = by_service.get(name, [])
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
        if reasons := [*_reasons(release, difference, len(there), wanted[name], keys), *_changed(changed)]:
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
        yield said("it has {count} containers instead of {replicas}", count=count, replicas=wanted.definition.replicas)


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]


def _configuration(release: Release, keys: tuple[str, ...]) -> str:
    if not keys:
        return said("its configuration is not that of {release}", release=release.label)
    shown, count = ", ".join(keys[:KEYS_SHOWN]), len(keys) - KEYS_SHOWN
    if count <= 0:
        return said("its configuration is not that of {release}: {shown}", release=release.label, shown=shown)
    return said(
        "its configuration is not that of {release}: {shown} and {count} more",
        release=release.label,
        shown=shown,
        count=count,
    )


def _changed(keys: tuple[str, ...]) -> Iterator[str]:
    shown, count = ", ".join(keys[:KEYS_SHOWN]), len(keys) - KEYS_SHOWN
    if count > 0:
        yield said("it was changed while it ran: {shown} and {count} more", shown=shown, count=count)
    elif keys:
        yield said("it was changed while it ran: {shown}", shown=shown)
