"""Build a service's image from the model that was resolved and a copy of its files, through Compose."""

import csv
import hashlib
import json
import os
import re
import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from roas.concurrency import run_uninterrupted
from roas.errors import (
    BuildFailedError,
    EngineError,
    EngineUnavailableError,
    ImageChangedError,
    RegistryUnavailableError,
)
from roas.messages.message import said
from roas.redaction import Redactor
from roas.stack.compose import commands
from roas.stack.compose.commands import ComposeProject
from roas.stack.compose.runner import ComposeRunner
from roas.stack.docker.api_errors import ApiError, ApiNotFoundError
from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient
from roas.stack.images.base_images import source_policy, tag_bases, untag_bases, with_bases
from roas.stack.images.lookup import find_image
from roas.stack.images.reference import BUILT, in_repository, is_own
from roas.stack.interface import ProgressReport, ResolvedStack
from roas.stack.model.services import as_mapping, services_of
from roas.stack.model.text import write_model
from roas.stack.sources.build_sources import BuildSources
from roas.stack.sources.contents import discard

# The deployment has a deadline of its own; this one only ends a build that no deployment waits for any more.
BUILD_SECONDS = 3600.0
REPORTED_LINES = 60
LONGEST_LINE, LONGEST_SECRET = 16_384, 4096
PRIVATE = 0o700
# In a copy of what is built: how it is built, with the paths of the copy.
SECTION = "section.json"
SOURCE_POLICY = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"
CACHE_NAMESPACE = "BUILDKIT_CACHE_MOUNT_NS"
CACHE_NAME = re.compile(r"[\w./:@-]+")
# BuildKit names the step at the beginning; what a program prints may be of any length.
STEP_WITHIN = 200
STEP = re.compile(r"\[(?:[^\]]* )?(\d+)/(\d+)\]")
DENIED = "denied by policy"
DENIED_IMAGE = re.compile(r'"docker-image://(?:docker\.io/(?:library/)?)?([^"@]+)[^"]*" (?:denied|not allowed)')
A_STEP_FAILED = "did not complete successfully"
# By default BuildKit says in an image of containerd's store when it was built, by which the same files make another
# image each time, and another container. What a model says itself of `provenance` and `sbom` is done.
NO_TIMES = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
# All of an image that reaches a container; what else its ID covers there says how it was made, or for which platforms.
CONTENT = ("Created", "Author", "Comment", "Architecture", "Variant", "Os", "OsVersion", "Config", "RootFS")
BESIDE_CONTENT = ("platforms", "provenance", "sbom")


def build_hash(stack: ResolvedStack, service: str, sources: str) -> str:
    """Hash what a service's image is built from: what the model says of it, and the hash of its files."""
    section = services_of(stack.model)[service].get("build")
    covered = [section, stack.version, stack.definitions[service].definition_hash, sources]
    return hashlib.sha256(json.dumps(covered, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CopiedSources:
    """Hold a fresh copy of what an image is built from: where it is, its hash, and how it is built of it."""

    folder: Path
    digest: str
    section: Mapping[str, Any] = field(repr=False)
    secrets: Mapping[str, Any] = field(repr=False)


def copy_sources(sources: BuildSources, folder: Path) -> CopiedSources:
    """Copy all that an image is built from below `folder`, once. Raises ComposeFileError."""
    temporary = folder / f".new-{secrets.token_hex(8)}"
    temporary.mkdir(parents=True, mode=PRIVATE)
    try:
        return CopiedSources(temporary, *sources.copy(temporary))
    except BaseException:
        discard(temporary)
        raise


def settle_sources(stack: ResolvedStack, service: str, copied: CopiedSources, bases: Mapping[str, str]) -> str:
    """Keep a copy under the hash of what it holds, of what the model says and of the images that it begins with."""
    name = build_hash(stack, service, copied.digest)
    if bases:
        name = hashlib.sha256(json.dumps([name, bases], sort_keys=True).encode()).hexdigest()
    kept = copied.folder.with_name(name)
    text = json.dumps([copied.section, copied.secrets, bases], default=str)
    text = text.replace(json.dumps(str(copied.folder))[1:-1], str(kept))
    (copied.folder / SECTION).write_text(text, encoding="utf-8")
    if kept.is_dir():
        os.utime(kept)  # what was used lately is kept
    else:
        with suppress(FileExistsError):  # another plan was first; its content is the same
            copied.folder.rename(kept)
    return name


async def build_image(
    engine: Engine,
    runner: ComposeRunner,
    redactor: Redactor,
    stack: ResolvedStack,
    service: str,
    report: ProgressReport,
    copy: Path,
) -> str:
    """Build a service's image from the `copy` of its sources, and return its image ID.

    Raises ImageChangedError where the copy is not kept any more; BuildFailedError with the log's end as report;
    RegistryUnavailableError where the base image cannot be had.
    """
    reference = stack.definitions[service].image
    # What the files call it is everybody's, and means what runs until a release with another image is brought up.
    name = f"{BUILT}/{in_repository(f'{stack.environment.project}-{service}')}"
    before = await engine.call(lambda client: find_image(client, reference))
    async with _written_for_build(engine, stack, service, name, copy) as written:
        await _run_build(runner, redactor, stack, service, report, *written)
    section = services_of(stack.model)[service].get("build") or {}
    kept = before if not any(section.get(key) for key in BESIDE_CONTENT) else None
    image_id = await engine.call(lambda client: _built(client, name, kept))
    if image_id is None:
        raise BuildFailedError(
            said("{service} was built, but there is no image {reference}.", service=service, reference=name),
            service=service,
        )
    return image_id


async def _run_build(
    runner: ComposeRunner,
    redactor: Redactor,
    stack: ResolvedStack,
    service: str,
    report: ProgressReport,
    model: Path,
    sources: Path,
) -> None:
    """Have Compose build by a model and a source policy; what is printed is reported line by line."""
    log: deque[str] = deque(maxlen=REPORTED_LINES)

    async def on_line(line: str) -> None:
        if line.strip():
            log.append(_shown(line, redactor))
            await report(service, log[-1], _fraction(line))

    try:
        await runner.run(
            commands.build(ComposeProject.of_model(stack.environment, model), service),
            stack.environment,
            variables={**NO_TIMES, SOURCE_POLICY: str(sources)},
            timeout_seconds=BUILD_SECONDS,
            service=service,
            on_line=on_line,
        )
    except EngineError as error:
        raise _fault(error, service, redactor.redact("\n".join(log))) from error


@asynccontextmanager
async def _written_for_build(
    engine: Engine, stack: ResolvedStack, service: str, image: str, copy: Path
) -> AsyncIterator[tuple[Path, Path]]:
    """Write the model that builds an image, and its source policy; within the block its base images have names."""
    path = copy / f"build-{secrets.token_hex(8)}.yml"
    sources = path.with_suffix(".json")
    section, given, pinned = await engine.local(lambda: _read_section(copy, service))
    named = await engine.call(lambda client: tag_bases(client, pinned))
    try:
        apart = kept_apart(section, stack.environment.project)
        section = await engine.local(lambda: with_bases(apart, named))
        model = _only(stack.model, service, image, section, given)
        await run_uninterrupted(engine.local(lambda: path.write_text(write_model(model), encoding="utf-8")))
        await run_uninterrupted(engine.local(lambda: sources.write_text(source_policy(section), encoding="utf-8")))
        yield path, sources
    finally:
        for made in (path, sources):
            await run_uninterrupted(engine.local(partial(made.unlink, missing_ok=True)))
        with suppress(EngineError):  # an engine that is away has nothing that counts
            await run_uninterrupted(engine.call(lambda client: untag_bases(client, named)))


def _built(client: EngineClient, reference: str, before: Mapping[str, Any] | None) -> str | None:
    """Return the image that a build made, or None; where it is the one before but for attestations, that one stays."""
    found = find_image(client, reference)
    if found is None:
        return None
    if before is None or found["Id"] == before["Id"] or any(found.get(key) != before.get(key) for key in CONTENT):
        return str(found["Id"])
    try:
        client.tag(before["Id"], reference, "latest", force=True)
    except ApiNotFoundError:  # a prune took it during the build
        return str(found["Id"])
    if not (find_image(client, found["Id"]) or {}).get("RepoTags"):  # `build.tags` may name it, too
        with suppress(ApiError):
            client.remove_image(found["Id"])
    return str(before["Id"])


def _read_section(copy: Path, service: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Return how a copy is built, its secrets, and the images that it begins with."""
    try:
        section, given, *bases = json.loads((copy / SECTION).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ImageChangedError(
            said("The copy of what {service} is built from is not kept any more.", service=service),
            hint=said("Type it again, such as /deploy, for a new plan."),
            service=service,
        ) from error
    return section, given, bases[0] if bases else {}


def kept_apart(section: Mapping[str, Any], project: str) -> dict[str, Any]:
    """Return a `build` section that reaches nothing but its own image: no other tag, no cache but of images.

    Mounted caches (`RUN --mount=type=cache`) are the project's own, whatever the section says of them.
    """
    kept = {key: value for key, value in section.items() if key not in {"tags", "cache_from", "cache_to"}}
    kept["args"] = {**as_mapping(section.get("args")), CACHE_NAMESPACE: project}
    sources = [fields for entry in section.get("cache_from") or () if (fields := cache_fields(str(entry)))]
    if names := [fields["ref"] for fields in sources if fields["type"] == "registry" and "ref" in fields]:
        kept["cache_from"] = [f"type=registry,ref={name}" for name in names if CACHE_NAME.fullmatch(name)]
    targets = [fields["type"] for entry in section.get("cache_to") or () if (fields := cache_fields(str(entry)))]
    if "inline" in targets:
        kept["cache_to"] = ["type=inline"]
    return kept


def cache_fields(entry: str) -> dict[str, str]:
    """Read `type=local,src=…` as Buildx does, quotes included; without a type it is the name of an image."""
    fields = next(csv.reader([entry]), [])
    if len(fields) == 1 and "=" not in fields[0]:
        return {"type": "registry", "ref": fields[0]}
    named = {key.strip().lower(): value.strip() for key, _, value in (field.partition("=") for field in fields)}
    return {"type": "", **named}


def _only(
    model: Mapping[str, Any], service: str, image: str, section: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Leave of a model what building one service needs, from the copy."""
    fields = services_of(model)[service]
    kept = {key: fields[key] for key in ("platform",) if key in fields}
    return {"name": model["name"], "services": {service: {**kept, "image": image, "build": section}}, "secrets": given}


def _fault(error: EngineError, service: str, log: str) -> EngineError:
    if isinstance(error, EngineUnavailableError | RegistryUnavailableError) and A_STEP_FAILED not in log:
        return error
    if found := DENIED_IMAGE.search(log):
        image = found[1]
        text = said(
            "The build of {service} takes the image {image}, which its Dockerfile does not name.",
            service=service,
            image=image,
        )
        if is_own(image):
            text = said("{service} is built from {name}, which is the bot's own.", service=service, name=image)
        return BuildFailedError(
            text,
            hint="" if is_own(image) else said("Name it in a line of its own: `FROM {image}`.", image=image),
            service=service,
            report=log,
        )
    if DENIED in log:
        return BuildFailedError(
            said(
                "The build of {service} fetches from an address itself, which BuildKit does as the host.",
                service=service,
            ),
            hint=said("Let a `RUN` line fetch it, or write `network: host` for the build, which is a power."),
            service=service,
            report=log,
        )
    last = next((line for line in reversed(log.splitlines()) if line.strip()), error.message)
    return BuildFailedError(
        said("The image of {service} could not be built: {last}", service=service, last=last),
        hint=said("Read the end of the build's log in the report, and correct the Dockerfile."),
        service=service,
        report=log,
    )


def _shown(line: str, redactor: Redactor) -> str:
    """Return a line of the log without secrets; of a long one the beginning, and no part of a secret at its end."""
    if len(line) <= LONGEST_LINE:
        return redactor.clean(line)
    return redactor.clean(line[:LONGEST_LINE])[:-LONGEST_SECRET]


def _fraction(line: str) -> float | None:
    step = STEP.search(line[:STEP_WITHIN])
    return min(1.0, int(step[1]) / int(step[2])) if step and int(step[2]) else None
