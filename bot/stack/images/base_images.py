"""Know which images a build begins with or is read by, and pin them: a name that is moved later changes nothing.

What BuildKit calls a named context takes the place of a name wherever a Dockerfile has it. A name of which nobody here
can tell what it is, since it is made of what only a build knows, is refused: it could be one of the bot's own.
"""

import json
import platform
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from roas.errors import ComposeFileError, ComposePolicyError, EngineError, ImageChangedError, ImageNotFoundError
from roas.messages.message import said
from roas.stack.docker.api_errors import ApiError, ApiNotFoundError
from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient
from roas.stack.images.lookup import find_image, look_up_image, repository_of
from roas.stack.images.reference import BUILT, OWN, is_frontend, is_own, split_reference
from roas.stack.images.registry import ImageName, RegistryClient

IMAGE_CONTEXT = "docker-image://"
# How what is here, or is an image, is named as a context.
NEAR = ("/", "service:", IMAGE_CONTEXT)
BASES = f"{BUILT}/base"
# What describes an image, where `build.sbom` asks for it.
SCANNER = "docker/buildkit-syft-scanner"
NAME = re.compile(r"[\w./:@-]+", re.ASCII)
EMPTY = "scratch"
IMAGE_ID = "sha256:"
# The build argument that names the frontend, which wins over the line in a Dockerfile.
SYNTAX = "BUILDKIT_SYNTAX"
ESCAPE = re.compile(r"^#\s*escape\s*=\s*(\S)", re.IGNORECASE | re.MULTILINE)
HEREDOC = re.compile(r"(?:^|\s)\d*<<-?([\"']?)(\w+)\1(?=\s|$)")
FROM = re.compile(r"FROM\s+((?:--\S+\s+)*)(\S+)(?:\s+AS\s+(\S+))?\s*", re.IGNORECASE)
ARG = re.compile(r"ARG\s+(.+)", re.IGNORECASE | re.DOTALL)
COPIES = re.compile(r"(?:ONBUILD\s+)?(?:COPY|ADD)\s.*?--from=(\S+)", re.IGNORECASE | re.DOTALL)
MOUNTS = re.compile(r"--mount=(\S+)", re.IGNORECASE)
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^}$]*))?\})")
ASSIGNED = re.compile(r"(\w+)(?:=(\"[^\"]*\"|'[^']*'|\S*))?")
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class BaseImages:
    """Hold the names that a Dockerfile has, and whether one is wanted for a platform of its own."""

    names: tuple[str, ...]
    is_for_a_platform: bool = False


def read_bases(text: str, args: Mapping[str, str]) -> BaseImages:
    """Return the images that a Dockerfile names, with its build arguments. Raises ComposeFileError."""
    known = _platform_args()
    stages: set[str] = set()
    names: dict[str, None] = {}
    has_begun = is_for_a_platform = False
    for line in _instructions(text):
        if not has_begun and (found := ARG.fullmatch(line)):
            for name, value in ASSIGNED.findall(found[1]):
                known[name] = args.get(name, _filled(value.strip("\"'"), known))
        elif found := FROM.match(line):
            has_begun, is_for_a_platform = True, is_for_a_platform or "--platform" in found[1].lower()
            if (name := _filled(found[2], known)).lower() not in stages:
                names[name] = None
            stages.add((found[3] or "").lower())
        else:
            for name in _taken_from(line):
                if name.lower() not in stages and not name.isdigit():
                    names[name] = None
    return BaseImages(tuple(name for name in names if name.lower() != EMPTY), is_for_a_platform)


def read_frontend(text: str, args: Mapping[str, str]) -> str:
    """Return the image that reads a Dockerfile, and what it is told, as BuildKit finds them; empty for its own."""
    if named := args.get(SYNTAX):
        return named.strip()
    text = text.removeprefix("\ufeff")
    lines = text.split("\n")[text.startswith("#!") :]
    for comment in ("#", "//"):
        directive = re.compile(rf"{comment}\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+)")
        for match in takewhile(bool, map(directive.match, lines)):
            if match and match[1].lower() == "syntax":
                return match[2].strip()
    with suppress(ValueError):
        written = json.loads("\n".join(lines))
        return str(written.get("syntax", "")).strip() if isinstance(written, dict) else ""
    return ""


def _instructions(text: str) -> Iterator[str]:
    """Yield each instruction in one line, without what a heredoc holds."""
    escape = found[1] if (found := ESCAPE.search(text.partition("\nFROM")[0])) else "\\"
    lines = iter(text.removeprefix("\ufeff").split("\n"))
    for first in lines:
        line = first.strip()
        if not line or line.startswith("#"):
            continue
        while line.endswith(escape):
            line = line[:-1] + " " + next((item for item in map(str.strip, lines) if not item.startswith("#")), "")
        for _, end in HEREDOC.findall(line) if line[:4].upper() in {"RUN ", "COPY", "ADD "} else ():
            next((item for item in lines if item.strip() == end), None)
        yield line


def _taken_from(line: str) -> Iterator[str]:
    if found := COPIES.match(line):
        yield found[1]
    if line[:4].upper() == "RUN ":
        for mount in MOUNTS.findall(line):
            yield from (value for key, _, value in (part.partition("=") for part in mount.split(",")) if key == "from")


def _platform_args() -> dict[str, str]:
    machine = MACHINES.get(platform.machine(), platform.machine())
    parts = {"PLATFORM": f"linux/{machine}", "OS": "linux", "ARCH": machine}
    return {f"{whose}{key}": value for whose in ("TARGET", "BUILD") for key, value in parts.items()}


def _filled(text: str, known: Mapping[str, str]) -> str:
    """Return a text with its variables. Raises ComposeFileError for one that is written in another way."""

    def value(found: re.Match[str]) -> str:
        is_set = known.get(found[1] or found[2] or "")
        other = found[4] or ""
        if (found[3] or "").endswith("+"):
            return other if is_set else ""
        return is_set or other

    filled = VARIABLE.sub(value, text)
    if "$" in filled:
        raise ComposeFileError(
            said("The image {name} of a Dockerfile is not known before it is built.", name=text),
            hint=said("Write its variable as `$NAME`, or with a default as `${NAME:-VALUE}`."),
        )
    return filled


async def pin_bases(
    engine: Engine,
    registry: RegistryClient,
    service: str,
    section: Mapping[str, Any],
    *,
    platform: str,
    any_frontend: bool = False,
) -> dict[str, str]:
    """Return the content of each image that a copied build begins with: an image ID, or a digest in its registry.

    What cannot be had is left to the build, which says so. Raises ComposePolicyError for an image of the bot's own, and
    for a frontend that is not Docker's unless `any_frontend` may read the Dockerfile.
    """
    contexts = _contexts(section)
    text, args = await engine.local(lambda: _dockerfile(section)), _args(section)
    bases, frontend = read_bases(text, args), read_frontend(text, args).partition(" ")[0]
    if frontend and not is_frontend(frontend) and not is_own(frontend) and not any_frontend:
        raise ComposePolicyError(
            said(
                "{service} is built by {name}, which is no frontend of Docker's that is known.",
                service=service,
                name=frontend,
            ),
            hint=said("Remove its `# syntax=` line, or let `allow` name `build:{service}`.", service=service),
            entries=(f"build:{service}",),
        )
    wanted = [name for name in bases.names if context_key(name) not in contexts and name not in contexts]
    wanted += [value.removeprefix(IMAGE_CONTEXT) for value in contexts.values() if value.startswith(IMAGE_CONTEXT)]
    is_elsewhere = bool(platform or section.get("platforms") or bases.is_for_a_platform)
    pinned: dict[str, str] = {}
    for name in filter(None, dict.fromkeys((*wanted, frontend))):
        if is_own(name):
            raise ComposePolicyError(
                said("{service} is built from {name}, which is the bot's own.", service=service, name=name)
            )
        if "@" in name:
            continue
        try:
            found = await look_up_image(engine, registry, name, "always" if section.get("pull") else "missing")
        except (ImageNotFoundError, EngineError):
            continue
        if content := found.digest if is_elsewhere and name in wanted else found.image_id or found.digest:
            pinned[name] = content
    return pinned


def _dockerfile(section: Mapping[str, Any]) -> str:
    if section.get("dockerfile_inline"):
        return str(section["dockerfile_inline"])
    try:
        place = Path(str(section.get("context") or "/"), str(section.get("dockerfile") or "Dockerfile"))
        return place.read_text(encoding="utf-8", errors="replace")
    except OSError:  # the build says so
        return ""


def _args(section: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in (section.get("args") or {}).items() if value is not None}


def context_key(name: str) -> str:
    """Return the name by which BuildKit looks for a context in an image's place."""
    repository, tag = split_reference(name)
    return repository_of(repository) + (f":{tag}" if tag not in {None, "latest"} else "")


def tag_bases(client: EngineClient, pinned: Mapping[str, str]) -> dict[str, str]:
    """Name the pinned images that are here for one build alone; returns each by its name in a context.

    Raises ImageChangedError where one is gone.
    """
    named: dict[str, str] = {}
    for name, content in pinned.items():
        named[name] = content
        if content.startswith(IMAGE_ID):
            tag = secrets.token_hex(8)
            try:
                client.tag(content, BASES, tag, force=True)
            except ApiNotFoundError as error:
                raise ImageChangedError(
                    said("{reference} is gone from this machine", reference=name),
                    hint=said("Type it again, such as /deploy, for a new plan."),
                ) from error
            named[name] = f"{BASES}:{tag}"
    return named


def source_policy(section: Mapping[str, Any]) -> str:
    """Return what BuildKit is told of what a build may fetch: the images that are named, and none of the bot's own.

    It holds whatever a Dockerfile or its frontend says, and however that is written: what is misread here is not had.
    BuildKit fetches from addresses as the host, whose own services it reaches: only a build that has the host's network
    or that is built from an address, which is a power, may have it do so. What a Dockerfile that is elsewhere takes, or
    a frontend that is not Docker's, which are powers as well, nobody here knows.
    """
    contexts = [str(used) for used in (section.get("context") or "/", *_contexts(section).values())]
    reaches_host = section.get("network") == "host" or not all(used.startswith(NEAR) for used in contexts)
    denied = [] if reaches_host else [f"{kind}://*" for kind in ("http", "https", "git")]
    text, args = _dockerfile(section), _args(section)
    frontend = read_frontend(text, args).partition(" ")[0]
    is_here = bool(section.get("dockerfile_inline")) or contexts[0].startswith("/")
    is_known = is_here and (not frontend or is_frontend(frontend) or frontend.startswith(f"{BASES}:"))
    images = [used.removeprefix(IMAGE_CONTEXT) for used in contexts if used.startswith(IMAGE_CONTEXT)]
    named = [*read_bases(text, args).names, *images, *filter(None, [frontend])]
    rules = [("DENY", source) for source in (*denied, *([f"{IMAGE_CONTEXT}*"] if is_known else []))]
    rules += [("ALLOW", source) for name in named for source in _sources_of(name)]
    if section.get("sbom"):
        rules.append(("ALLOW", f"{IMAGE_CONTEXT}docker.io/{SCANNER}:*"))
    for name in sorted(OWN):
        places = (f"{name}/*", f"library/{name}:*", f"library/{name}@*")
        rules += [("DENY", f"{IMAGE_CONTEXT}docker.io/{place}") for place in places]
    rules.append(("ALLOW", f"{IMAGE_CONTEXT}docker.io/{BASES}:*"))
    return json.dumps({"rules": [{"action": action, "selector": {"identifier": source}} for action, source in rules]})


def _sources_of(name: str) -> Iterator[str]:
    """Yield what BuildKit calls an image that is named, before and after it knows the digest."""
    if NAME.fullmatch(name) is None:  # a star would be any
        return
    if "@" in name:
        yield f"{IMAGE_CONTEXT}*@{name.partition('@')[2]}"
        return
    repository, tag = split_reference(name)
    source = f"{IMAGE_CONTEXT}{ImageName.read(repository)}:{tag or 'latest'}"
    yield from (source, f"{source}@*")


def _contexts(section: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in (section.get("additional_contexts") or {}).items()}


def untag_bases(client: EngineClient, named: Mapping[str, str]) -> None:
    """Remove the names that one build had.

    Where somebody gave an image's own name away meanwhile, ours stays: an image is deleted with its last name.
    """
    for name in named.values():
        if name.startswith(BASES) and len((find_image(client, name) or {}).get("RepoTags") or ()) > 1:
            try:
                client.remove_image(name)
            except ApiError:  # another build took it along
                continue


def with_bases(section: Mapping[str, Any], named: Mapping[str, str]) -> dict[str, Any]:
    """Return a `build` section that begins with these images, whatever their names mean by now."""
    contexts = {
        key: f"{IMAGE_CONTEXT}{named.get(value.removeprefix(IMAGE_CONTEXT), value.removeprefix(IMAGE_CONTEXT))}"
        if value.startswith(IMAGE_CONTEXT)
        else value
        for key, value in _contexts(section).items()
    }
    contexts = {context_key(name): f"{IMAGE_CONTEXT}{content}" for name, content in named.items()} | contexts
    kept = {key: value for key, value in section.items() if not (named and key == "pull")}
    frontend, space, told = read_frontend(_dockerfile(section), _args(section)).partition(" ")
    if frontend in named:
        kept["args"] = {**(section.get("args") or {}), SYNTAX: f"{named[frontend]}{space}{told}"}
    return {**kept, "additional_contexts": contexts} if contexts else kept
