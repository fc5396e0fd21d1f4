"""Read the secrets of a stack where they are written, before anything can quote them: files of variables and secrets.

What is no plain file is not opened, and what cannot be read is passed over: those who need it say so.
"""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from roas.configuration.compose_yaml import Document, read_compose, values_of
from roas.errors import RoasError
from roas.models.environment import Environment
from roas.redaction import is_credential, passwords_within
from roas.stack.model.services import MOUNTED_SECRETS, as_mapping, services_of
from roas.stack.sources import opening
from roas.stack.sources.contents import SECRET_PREFIX
from roas.stack.sources.opening import resolve

LARGEST_BYTES = 256 << 10
# A line of an env file that is wrong somewhere is quoted all the same. Each name is tried once: a file may be one word.
VARIABLE = re.compile(r"(?<!\w)(?P<name>[A-Za-z_][\w.-]{0,255}+)[ \t]*[=:][ \t]*(?P<value>[^\r\n]*)")
DEFAULT_VALUE = re.compile(r"\$\{(?P<name>\w+):?[-+](?P<value>[^${}]*)\}")
APART = re.compile(r"[/:@.,\s]+")
# What somebody made up by chance is no word.
PLAIN_WORD = re.compile(r"[A-Za-z](?:[a-z]{1,20}|[A-Z]{1,20})(?:[-_][A-Za-z]{1,20}){0,3}\d{0,2}")


def stack_secrets(environment: Environment) -> Iterator[str]:
    """Yield what the env files, the variables and the compose files of a stack hold."""
    yield from of_variables(environment.variables)
    for path in dict.fromkeys((*environment.env_files, *environment.compose_files)):
        if not _leads_out(path, environment.folder) and (text := read_plain(path)):
            yield from _of_file(path, text)


def copied_secrets(contents: Mapping[Path, bytes]) -> Iterator[str]:
    """Yield what the files that were copied hold."""
    for path, content in contents.items():
        yield from _of_file(path, content.decode(errors="replace"))


def _of_file(path: Path, text: str) -> Iterator[str]:
    if path.suffix not in {".yml", ".yaml"}:
        yield from of_text(text)
    else:
        yield from _of_lines(text)
        with suppress(RoasError):
            for document in read_compose(path, text.encode(errors="surrogateescape")):
                yield from _of_entries(document)


def of_variables(variables: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values of credentials, and the passwords within other values."""
    for name, value in variables.items():
        if value is not None and is_credential(str(name)):
            yield str(value)
        elif isinstance(value, str):
            yield from passwords_within(value)


def of_text(text: str) -> Iterator[str]:
    """Yield what a file of variables holds, be it well-formed or not."""
    with suppress(ValueError):
        yield from of_variables(dotenv_values(stream=io.StringIO(text), interpolate=False))
    yield from _of_lines(text)


def _of_lines(text: str) -> Iterator[str]:
    for match in (*VARIABLE.finditer(text), *DEFAULT_VALUE.finditer(text)):
        value = match["value"].strip()
        bare = value.partition(" #")[0].strip().strip("\"'")
        yield from of_variables({match["name"]: bare})
        yield from of_variables({match["name"]: value})


def model_secrets(model: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a resolved model holds: credentials among variables and build arguments, and the files of secrets."""
    for service in services_of(model).values():
        yield from of_variables(as_mapping(service.get("environment")))
        yield from of_variables(as_mapping((service.get("build") or {}).get("args")))
        yield from of_variables(as_mapping(service.get("labels")))
        for volume in service.get("volumes") or ():
            place = Path(str(volume.get("source") or ""))
            mounted = str(volume.get("target", "")).startswith(MOUNTED_SECRETS) and volume.get("read_only")
            if mounted or place.name.startswith(SECRET_PREFIX):
                yield read_plain(place)
    for definition in (model.get("secrets") or {}).values():
        if source := (definition or {}).get("file"):
            yield read_plain(Path(str(source)))
        if content := (definition or {}).get("content"):
            yield str(content)


def literal_names(model: Mapping[str, Any]) -> set[str]:
    """Return the words that a resolved model has in names of images, paths, services and the like.

    Whoever takes one of them for a password has one that anybody guesses; and without them no message is understood.
    """
    services = services_of(model)
    texts: list[object] = [model.get("name"), *services]
    for service in services.values():
        texts += [service.get("image"), service.get("container_name"), *as_mapping(service.get("environment"))]
        texts += [volume.get(key) for volume in service.get("volumes") or () for key in ("source", "target")]
    for kind in ("networks", "volumes", "configs", "secrets"):
        for name, definition in (model.get(kind) or {}).items():
            texts += [name, (definition or {}).get("name"), (definition or {}).get("file")]
    return {word for text in texts if text for word in APART.split(str(text)) if PLAIN_WORD.fullmatch(word)}


def container_secrets(inspected: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a container was given: credentials among its variables, and the files of its secrets."""
    pairs = (entry.partition("=") for entry in inspected["Config"].get("Env") or ())
    yield from of_variables({name: value for name, _, value in pairs})
    for mount in inspected.get("Mounts") or ():
        if str(mount.get("Destination", "")).startswith(MOUNTED_SECRETS) and not mount.get("RW"):
            yield read_plain(Path(str(mount.get("Source", ""))))


def read_plain(path: Path) -> str:
    """Return the text at the beginning of a plain file, or nothing."""
    return opening.read_plain(path, LARGEST_BYTES).decode(errors="replace")


def _leads_out(path: Path, folder: Path) -> bool:
    """Return whether a file of the stack is a link to elsewhere, which is not the stack's to read."""
    return path.is_relative_to(folder) and not resolve(path).is_relative_to(resolve(folder))


def _of_entries(document: Document) -> Iterator[str]:
    """Yield the credentials of a document and of all mappings and lists in it."""
    for value in values_of(document):
        if isinstance(value, dict):
            yield from of_variables({name: entry for name, entry in value.items() if isinstance(entry, str)})
        elif isinstance(value, list):
            yield from of_variables(as_mapping([entry for entry in value if isinstance(entry, str)]))
