"""Say in a plan which services would start with an empty volume in the place of one that has their data."""

from collections.abc import Iterator, Mapping
from typing import Any

from roas.deploy.planning.stack_comparison import Comparison
from roas.messages.message import Message, said
from roas.stack.interface import ResolvedStack
from roas.stack.model.services import real_name, services_of

# By where a service has it: the volume as the engine calls it.
Mounted = Mapping[str, str]


def warn_of_empty_volumes(comparison: Comparison, stack: ResolvedStack) -> Iterator[Message]:
    """Say of each service that keeps a volume no more which new one takes its place."""
    project = stack.environment.project
    before = services_of(comparison.old_model or {})
    for name, service in sorted(services_of(comparison.new_model).items()):
        old = _mounted(before.get(name) or {}, comparison.old_model or {}, project)
        new = _mounted(service, comparison.new_model, project)
        dropped = {target: volume for target, volume in old.items() if volume not in new.values()}
        for target, volume in new.items():
            if volume in old.values() or volume not in stack.new_volumes or not dropped:
                continue
            replaced = dropped.get(target) or ", ".join(sorted(set(dropped.values())))
            yield _empty(name, volume, target, replaced, on_nodes=comparison.stack.replaces_by_itself)


def _mounted(service: Mapping[str, Any], model: Mapping[str, Any], project: str) -> Mounted:
    volumes = model.get("volumes") or {}
    return {
        str(mount.get("target")): real_name(source, volumes.get(source), project)
        for mount in service.get("volumes") or ()
        if mount.get("type") == "volume" and (source := str(mount.get("source") or ""))
    }


def _empty(service: str, volume: str, target: str, replaced: str, *, on_nodes: bool) -> Message:
    if on_nodes:
        return said(
            "{service} starts with {volume} at {target}, empty on a node without it; its data stays in {replaced}.",
            service=service,
            volume=volume,
            target=target,
            replaced=replaced,
        )
    return said(
        "{service} starts with an empty {volume} at {target}; its data stays in {replaced}.",
        service=service,
        volume=volume,
        target=target,
        replaced=replaced,
    )
