"""Compute the configuration hash that each service's containers should have under a model."""

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from roas.models.health import ContainerSnapshot
from roas.stack.compose import commands
from roas.stack.compose.commands import ComposeProject
from roas.stack.compose.runner import ComposeRunner
from roas.stack.containers.snapshots import take_snapshots
from roas.stack.docker.engine import Engine
from roas.stack.model.per_model import PerModel
from roas.stack.model.services import (
    NOTHING,
    OF_SERVICE,
    SHARED_NAMESPACES,
    VOLUMES_FROM,
    WRITTEN,
    WRITTEN_BEFORE,
    adopted_hash,
    as_written,
    binds_copies,
    lenders_of,
    pinned_image_id,
    replicas_of,
    services_of,
    shared_with,
    with_known_needs,
    written_fields,
    written_model,
)
from roas.stack.model.text import write_model
from roas.stack.service_comparison import rank
from roas.temporary import temporary_folder, writing_temporary

REMEMBERED = 32
# Fits no container's id.
NOT_THERE = "-"


class ConfigHashes:
    """Ask Compose for the hashes of a model, once for each model."""

    def __init__(self, engine: Engine, runner: ComposeRunner) -> None:
        self._engine = engine
        self._runner = runner
        self._known: dict[tuple[str, ...], dict[str, str]] = {}
        self._digest = PerModel(_digest)
        self._sharing = PerModel(_sharing)
        self._written = PerModel(written_model)
        # Compose asks the engine for its version, for seconds where it hangs.
        self._asking = asyncio.Lock()

    async def of(
        self,
        model: Mapping[str, Any],
        containers: tuple[ContainerSnapshot, ...] | None = None,
        *,
        as_it_is: bool = False,
    ) -> dict[str, str]:
        """Return the hash by service, where `containers` (by default, what there is) are.

        Compose hashes `network_mode: service:x` as the container of x that there is, and `volumes_from`, too. So a
        service that shares with another gets a hash that no container has, until the other one is as the model wants
        it; or that which it gets beside the other one `as_it_is`. Who joins a container by its name has the hash of
        that (see `joined`).
        """
        made, services = self._made(model), services_of(model)
        hashes, sharing = await self._ask(made), self._sharing(made)
        if containers is None:
            containers = await take_snapshots(self._engine)
        kept = _untouched(services, sharing, containers)
        others = hashes.keys() - kept.keys() - sharing.keys()
        kept |= await self._accepted(model, others, hashes, containers)
        sharing = {name: shared for name, shared in sharing.items() if name not in kept}
        if not sharing:
            return {**hashes, **kept}
        return await self._with_shared(model, {**hashes, **kept}, sharing, containers, as_it_is=as_it_is)

    def joined(
        self,
        model: Mapping[str, Any],
        hashes: Mapping[str, str],
        containers: tuple[ContainerSnapshot, ...],
        *,
        as_it_is: bool,
    ) -> dict[str, str]:
        """Return the container that each service shares with by its name; where that is not as wanted, no such one.

        The hash does not tell of it: it is the same, whichever container has the name.
        """
        services, made = services_of(model), self._sharing(self._made(model))
        found: dict[str, str] = {}
        for name, others in self._sharing(model).items():
            for other in others - made.get(name, frozenset()):
                first = _first(containers, other, services[other], hashes, as_it_is=as_it_is) if hashes[other] else None
                found[name] = first or NOT_THERE
        return found

    async def _with_shared(
        self,
        model: Mapping[str, Any],
        hashes: Mapping[str, str],
        sharing: Mapping[str, frozenset[str]],
        containers: tuple[ContainerSnapshot, ...],
        *,
        as_it_is: bool,
    ) -> dict[str, str]:
        found, services = dict(hashes), services_of(model)

        def first_of(name: str) -> str | None:
            return _first(containers, name, services[name], found, as_it_is=as_it_is)

        firsts = {name: first_of(name) for name in hashes if name not in sharing}
        settled = {name: first for name, first in firsts.items() if first}
        waiting = dict(sharing)
        # What shares with a service that shares itself comes in a later round.
        while ready := [name for name, others in waiting.items() if others <= settled.keys()]:
            for name in ready:
                del waiting[name]
            found |= await self._hash_shared(model, ready, settled, containers)
            settled |= {name: first for name in ready if (first := first_of(name))}
        return found

    async def _hash_shared(
        self,
        model: Mapping[str, Any],
        names: list[str],
        ids: Mapping[str, str],
        containers: tuple[ContainerSnapshot, ...],
    ) -> dict[str, str]:
        services = services_of(model)
        joined = {**model, "services": {**services, **{name: _resolved(services[name], ids) for name in names}}}
        hashes = await self._ask(self._made(joined))
        return {name: hashes[name] for name in names} | await self._accepted(joined, names, hashes, containers)

    async def _accepted(
        self,
        model: Mapping[str, Any],
        names: Iterable[str],
        hashes: Mapping[str, str],
        containers: tuple[ContainerSnapshot, ...],
    ) -> dict[str, str]:
        """Return the hashes of services, of these, that somebody's Compose gave to containers that are as wanted."""
        services = services_of(model)
        variants = {name: _variants(services[name]) for name in _otherwise(names, hashes, containers)}
        if not variants:
            return {}
        found = await self._hash_variants(model, variants)
        kept: dict[str, str] = {}
        for name, ways in variants.items():
            for number in range(len(ways)):
                kept = _had([name], {name: found[f"{name}.{number}"]}, services, containers) | kept
        return kept

    async def _hash_variants(
        self, model: Mapping[str, Any], variants: Mapping[str, list[Mapping[str, Any]]]
    ) -> Mapping[str, str]:
        """Return the hash of each way, under the name of its service and its number."""
        every = {f"{name}.{number}": entry for name, ways in variants.items() for number, entry in enumerate(ways)}
        asked = {**services_of(self._made(model)), **every}
        files = {secret["source"] for fields in asked.values() for secret in fields.get("secrets") or ()}
        configs = {config["source"] for fields in asked.values() for config in fields.get("configs") or ()}
        return await self._ask(
            {
                **model,
                "services": with_known_needs(asked),
                # Which file it is does not count in the hash of a service.
                "secrets": {name: {"file": NOTHING} for name in files},
                "configs": {name: {"file": NOTHING} for name in configs},
            },
        )

    def _made(self, model: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the model of which the hashes of containers are that we make (see `completing_socket`)."""
        return self._written(model) if self._engine.has_socket else model

    async def _ask(self, model: Mapping[str, Any]) -> Mapping[str, str]:
        # Another Compose hashes otherwise, and makes the containers from then on.
        key = (
            self._engine.project,
            self._digest(model),
            *await self._engine.local(self._runner.installed),
        )
        async with self._asking:
            if key not in self._known:
                with temporary_folder("hashes") as folder:
                    path = folder / "model.yml"
                    with writing_temporary():
                        path.write_text(write_model(model), encoding="utf-8")
                    arguments = commands.config_hashes(ComposeProject.of_model(self._engine.environment, path))
                    output = await self._runner.run_without_engine(arguments, self._engine.environment)
                lines = (line.split() for line in output.stdout.splitlines())
                self._known[key] = {parts[0]: parts[1] for parts in lines if len(parts) == 2}
                while len(self._known) > REMEMBERED:
                    self._known.pop(next(iter(self._known)))
            return self._known[key]


def _digest(model: Mapping[str, Any]) -> str:
    """Return a hash of all of a model; as YAML it would take ten times as long to write."""
    return hashlib.sha256(json.dumps(model, sort_keys=True, default=repr).encode()).hexdigest()


def _sharing(model: Mapping[str, Any]) -> Mapping[str, frozenset[str]]:
    """Return the services whose hashes depend on containers: those that share, with the others that they share with."""
    services = services_of(model)
    found = {name: shared_with(fields) | (lenders_of(fields) & services.keys()) for name, fields in services.items()}
    return {name: shared for name, shared in found.items() if shared}


def _variants(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the other ways in which containers of a service that are as it is wanted may have been hashed."""
    written, extension = as_written(fields), dict(fields.get("x-deploy") or {})
    found: list[Mapping[str, Any]] = [
        as_written({**fields, "x-deploy": {**extension, WRITTEN: {**written_fields(fields), "image": name}}})
        for name in extension.get(WRITTEN_BEFORE) or ()
    ]
    if binds_copies(fields):
        found.append(as_written(fields, with_binds=True))
    # By the name of ours, as `roas compose` makes it where the other one is another project's.
    return [written, *found, {**written, "image": fields["image"]}]


def _untouched(
    services: Mapping[str, Mapping[str, Any]],
    sharing: Mapping[str, frozenset[str]],
    containers: tuple[ContainerSnapshot, ...],
) -> dict[str, str]:
    """Return the hashes of the services whose adopted containers are all there, with what they share.

    What was recreated of an adopted model has the adopted hash again: who shared with the one before shares with none.
    """
    adopted = {name: adopted_as for name, fields in services.items() if (adopted_as := adopted_hash(fields))}
    spaces = {
        name: others - (lenders_of(services[name]) - shared_with(services[name])) for name, others in sharing.items()
    }
    joined = tuple(
        container
        for container in containers
        if _is_joined(container, spaces.get(container.service, frozenset()), containers)
    )
    found = _had(adopted, adopted, services, joined)
    while lost := [name for name in found if not sharing.get(name, frozenset()) <= found.keys()]:
        for name in lost:
            del found[name]
    return found


def _otherwise(
    names: Iterable[str], hashes: Mapping[str, str], containers: tuple[ContainerSnapshot, ...]
) -> frozenset[str]:
    """Return the services with containers of other hashes: only those may be hashed otherwise."""
    found = {(container.service, container.config_hash) for container in containers}
    wanted = frozenset(names)
    return frozenset(service for service, had in found if service in wanted and had != hashes[service])


def _is_joined(
    container: ContainerSnapshot, sharing: frozenset[str], containers: tuple[ContainerSnapshot, ...]
) -> bool:
    """Return whether a container shares with one that is there of each service, as far as it tells."""
    if not container.shares_with:
        return True
    return sharing <= {snapshot.service for snapshot in containers if snapshot.id in container.shares_with}


def _had(
    names: Iterable[str],
    hashes: Mapping[str, str],
    services: Mapping[str, Mapping[str, Any]],
    containers: tuple[ContainerSnapshot, ...],
) -> dict[str, str]:
    """Return the hashes, of these, that a service's containers have, where as many have it as the service wants."""
    return {
        name: hashes[name]
        for name in names
        if _count(name, services[name], hashes[name], containers) >= max(1, replicas_of(services[name]))
    }


def _count(name: str, fields: Mapping[str, Any], config_hash: str, containers: tuple[ContainerSnapshot, ...]) -> int:
    """Count the containers of a service: after a tag was moved, Compose gives another image the same hash."""
    image_id = pinned_image_id(fields)
    own = (container for container in containers if container.service == name and container.config_hash == config_hash)
    return sum(image_id in {"", container.image_id} for container in own)


def _resolved(fields: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    """Write a service as Compose has it at the moment when it hashes it."""
    resolved = dict(fields)
    for key in SHARED_NAMESPACES:
        mode = str(fields.get(key) or "")
        if mode.startswith(OF_SERVICE):
            resolved[key] = f"container:{ids[mode.removeprefix(OF_SERVICE)]}"
    if entries := written_fields(fields).get(VOLUMES_FROM):
        lent = [ids.get(name := str(entry).partition(":")[0], name) for entry in entries]
        resolved["x-deploy"] = {**fields["x-deploy"], WRITTEN: {**written_fields(fields), VOLUMES_FROM: lent}}
    return resolved


def _first(
    containers: tuple[ContainerSnapshot, ...],
    service: str,
    fields: Mapping[str, Any],
    hashes: Mapping[str, str],
    *,
    as_it_is: bool,
) -> str | None:
    """Return the container that Compose would share with, where it is as the model wants it, or `as_it_is`.

    That is the first by name of those that stay: what is too many is removed before anything joins it.
    """
    image_id = pinned_image_id(fields)

    def fits(container: ContainerSnapshot) -> bool:
        return container.config_hash == hashes[service] and image_id in {"", container.image_id}

    own = rank(fits, (container for container in containers if container.service == service))
    first = min(own[: max(1, replicas_of(fields))], key=lambda container: container.name, default=None)
    return first.id if first is not None and (as_it_is or first.config_hash == hashes[service]) else None
