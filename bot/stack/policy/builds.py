"""Find in a resolved model what a build may not have: places outside the stack's folder, rights, others' names."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from roas.messages.message import said
from roas.stack.model.raw_files import as_written
from roas.stack.policy.places import Places
from roas.stack.policy.power import Power
from roas.stack.policy.values import ISOLATIONS, judge_labels, judge_limits
from roas.stack.sources.opening import resolve

BUILD_NETWORKS = frozenset({"", "none", "default"})
OTHER_CONTEXTS = ("service:", "docker-image:")


def judge_build(name: str, build: Mapping[str, Any] | None, places: Places) -> Iterator[Power]:
    """Find what is wrong with the build of a service."""
    if not build:
        return
    context = str(build.get("context", "."))
    for used in map(str, [context, *_values(build.get("additional_contexts"))]):
        if used.startswith(OTHER_CONTEXTS):
            continue
        if not used.startswith("/") or not resolve(Path(used)).is_relative_to(places.folder):
            yield Power(
                said("{name} is built from {used}, outside the stack's folder", name=name, used=used), f"build:{name}"
            )
    path = Path(context) / str(build.get("dockerfile") or "Dockerfile")
    # BuildKit and the kernel may differ in where this leads.
    if not all(resolve(item).is_relative_to(places.folder) for item in (path, as_written(path))):
        yield Power(
            said("{name} is built by {path}, outside the stack's folder", name=name, path=path), f"build:{name}"
        )
    if str(build.get("network") or "") not in BUILD_NETWORKS:
        yield Power(
            said("{name} is built in the network `{network}`", name=name, network=build["network"]), f"build:{name}"
        )
    if (isolation := str(build.get("isolation") or "")) not in ISOLATIONS:
        yield Power(
            said("{name} is built with `isolation: {isolation}`", name=name, isolation=isolation), f"build:{name}"
        )
    yield from judge_labels(name, build.get("labels"))
    yield from judge_limits(name, build.get("ulimits"))


def _values(contexts: object) -> list[object]:
    if isinstance(contexts, Mapping):
        return list(contexts.values())
    return [str(entry).partition("=")[2] for entry in contexts] if isinstance(contexts, list) else []
