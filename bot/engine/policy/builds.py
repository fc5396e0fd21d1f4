"""Find in a resolved model what a build may not have: places outside the stack's folder, rights, others' names."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from roas.engine.model.raw_files import as_written
from roas.engine.policy.places import Places
from roas.engine.policy.values import ISOLATIONS, judge_labels, judge_limits
from roas.engine.policy.violation import Violation
from roas.engine.sources.opening import resolve
from roas.messages.message import said

BUILD_NETWORKS = frozenset({"", "none", "default"})
OTHER_CONTEXTS = ("service:", "docker-image:")


def judge_build(name: str, build: Mapping[str, Any] | None, places: Places) -> Iterator[Violation]:
    """Find what is wrong with the build of a service."""
    if not build:
        return
    context = str(build.get("context", "."))
    for used in map(str, [context, *_values(build.get("additional_contexts"))]):
        if used.startswith(OTHER_CONTEXTS):
            continue
        if not used.startswith("/") or not resolve(Path(used)).is_relative_to(places.folder):
            yield Violation(
                said("{name} is built from {used}, outside the stack's folder", name=name, used=used), f"build:{name}"
            )
        if used.startswith("/"):
            yield from places.judge_state(name, used, said("is built from"))
            yield from places.judge_replaceable(name, used, said("is built from"))
    yield from _dockerfile(name, context, str(build.get("dockerfile") or "Dockerfile"), places)
    if str(build.get("network") or "") not in BUILD_NETWORKS:
        yield Violation(
            said("{name} is built in the network `{network}`", name=name, network=build["network"]), f"build:{name}"
        )
    if (isolation := str(build.get("isolation") or "")) not in ISOLATIONS:
        yield Violation(
            said("{name} is built with `isolation: {isolation}`", name=name, isolation=isolation), f"build:{name}"
        )
    yield from _caches(name, build)
    yield from judge_labels(name, build.get("labels"))
    yield from judge_limits(name, build.get("ulimits"))


def _caches(name: str, build: Mapping[str, Any]) -> Iterator[Violation]:
    """Find caches that are read from, or written to, anywhere but images: files of the bot, or the bot's accounts."""
    for cache in map(str, build.get("cache_from") or ()):
        kind = _cache_type(cache)
        if kind != "registry":
            yield Violation(
                said("{name} takes its build cache from `{kind}`", name=name, kind=kind), f"build_cache:{name}"
            )
    for cache in map(str, build.get("cache_to") or ()):
        kind = _cache_type(cache)
        if kind != "inline":
            yield Violation(
                said("{name} writes its build cache to `{kind}`", name=name, kind=kind), f"build_cache:{name}"
            )


def _cache_type(cache: str) -> str:
    """Read `type=local,src=…`; without a type it is the name of an image."""
    fields = dict(field.strip().partition("=")[::2] for field in cache.lower().split(","))
    if len(fields) == 1 and "=" not in cache:
        return "registry"
    kind = fields.get("type")
    return said("an unknown place") if kind is None else kind.strip('"')


def _dockerfile(name: str, context: str, written: str, places: Places) -> Iterator[Violation]:
    """Judge a Dockerfile where its text leads and where its links lead: BuildKit and the kernel may differ."""
    for path in dict.fromkeys((Path(context) / written, as_written(Path(context) / written))):
        if not resolve(path).is_relative_to(places.folder):
            yield Violation(
                said("{name} is built by {path}, outside the stack's folder", name=name, path=path), f"build:{name}"
            )
        if context.startswith("/"):
            yield from places.judge_state(name, str(path), said("is built from"))
            if not resolve(path).is_relative_to(resolve(Path(context))):
                yield from places.judge_replaceable(name, str(path), said("is built from"))


def _values(contexts: object) -> list[object]:
    if isinstance(contexts, Mapping):
        return list(contexts.values())
    return [str(entry).partition("=")[2] for entry in contexts] if isinstance(contexts, list) else []
