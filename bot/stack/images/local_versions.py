"""Find the versions that could be deployed without a pull: those of which an image is here already."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient
from roas.stack.interface import ResolvedStack

# Replaces VERSION while the compose file is read, so that it shows which images depend on it.
PLACEHOLDER = "0.0.0-roas-placeholder"
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")


async def find_local_versions(engine: Engine, stack: ResolvedStack) -> tuple[str, ...]:
    """Return the versions of the images that are here, the newest image first; `stack` has the placeholder's."""
    patterns = image_patterns(definition.image for definition in stack.definitions.values())
    if not patterns:
        return ()

    def list_versions(client: EngineClient) -> tuple[str, ...]:
        images: list[dict[str, Any]] = client.images()
        return versions_of(images, patterns)

    return await engine.call(list_versions)


def common_version(stack: ResolvedStack, images: Mapping[str, str]) -> str:
    """Return the version that the `images` of services have; empty where that is none, or more than one.

    `stack` has the placeholder's. What a job ran last says nothing of the version that runs.
    """
    found = {
        matched["v"]
        for name, image in images.items()
        if name in stack.definitions and not stack.definitions[name].one_shot
        for pattern in image_patterns([stack.definitions[name].image])
        if (matched := pattern.fullmatch(image.partition("@")[0])) and VERSION.fullmatch(matched["v"])
    }
    return found.pop() if len(found) == 1 else ""


def image_patterns(references: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    """Convert references with the placeholder to patterns that find the version in a tag."""
    versioned = sorted({reference for reference in references if PLACEHOLDER in reference})
    return tuple(re.compile(re.escape(name).replace(re.escape(PLACEHOLDER), "(?P<v>.+)", 1)) for name in versioned)


def versions_of(images: Iterable[Mapping[str, Any]], patterns: Iterable[re.Pattern[str]]) -> tuple[str, ...]:
    """Read the versions out of the images' tags, the newest image first, each once."""
    found: dict[str, None] = {}
    for image in sorted(images, key=lambda entry: -int(entry.get("Created") or 0)):
        for tag in image.get("RepoTags") or ():
            for pattern in patterns:
                matched = pattern.fullmatch(tag)
                if matched is not None and VERSION.fullmatch(matched["v"]):
                    found.setdefault(matched["v"])
    return tuple(found)
