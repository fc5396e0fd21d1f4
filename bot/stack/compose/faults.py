"""Read the error messages of the Compose CLI and of registries, and identify the fault."""

import re
from collections.abc import Callable
from pathlib import PurePath

from roas.errors import (
    ComposeFileError,
    ContainerConflictError,
    EngineError,
    EngineUnavailableError,
    ImageNotFoundError,
    RegistryUnavailableError,
    RoasError,
)
from roas.messages.message import said
from roas.stack.docker.api_errors import AWAY_HINT, find_passing_fault

# These are compiled when something has failed: they are the largest that a process which starts would compile.
ENGINE_UNAVAILABLE = (
    r"cannot connect to the docker daemon|is the docker daemon running|error during connect|daemon is not running"
    r"|dial unix|permission denied while trying to connect to the docker"
)
IMAGE_MISSING = (
    r"manifest unknown|manifest for .* not found|pull access denied|repository does not exist|no such image"
    r"|name unknown|not found: manifest|image .* not found|repository .* not found|requested access to the resource"
    # containerd's image store says it in words of its own
    r"|failed to resolve reference .*: not found|no match for platform"
)
REGISTRY_UNAVAILABLE = (
    r"tls handshake timeout|i/o timeout|connection refused|connection reset|no such host|x509:|tls:"
    r"|server misbehaving|context deadline exceeded|client\.timeout exceeded|too ?many ?requests|service unavailable"
    r"|bad gateway|gateway time-?out|internal server error|unexpected status.*\b5\d\d\b|http status: 5"
    r"|\beof\b|network is unreachable|no route to host|server gave http response to https"
)
CONTAINER_CONFLICT = (
    r"the container name .* is already in use|removal of container .* is already in progress|no such container"
    r"|container is marked for removal|cannot remove container .* is running|network \S+ not found"
)
MISSING_VARIABLE = re.compile(r"required variable (?P<name>\S+) is missing a value:? ?(?P<text>.*)")
INTERPOLATING = re.compile(r"error while interpolating (?P<place>\S+): ")
READING = re.compile(r"failed to read (?P<file>\S+): ")
FILE_INVALID = (
    r"^yaml:|^validating |interpolat|additional property|must be a|undefined (service|volume|network|config|secret)"
    r"|depends on undefined|no such file or directory|env file .* not found|couldn't find env file|dependency cycle"
    r"|invalid (compose|project|interpolation|spec|type)|has neither an image nor a build context|top-level object"
    r"|unsupported|cannot unmarshal|mapping key .* already defined|extends|include|empty compose file"
)
UNREADABLE_VARIABLES = re.compile(r"failed to read (?P<file>/\S+): (?P<reason>[^\n]+)\Z")
UNSET_VARIABLE = re.compile(r'The \\?"(?P<name>[^"\\]+)\\?" variable is not set')
HOMELESS = "the environment lacks HOME"
LEVEL = re.compile(r'^time="[^"]*" level=(?:error|fatal) msg="(?P<text>.*)"$')
NOISE = re.compile(r"^time=|^ (Container|Network|Volume|Image) ")
# A program in Go that got no thread, or no memory, ends so.
CRASH = re.compile(r"^(runtime|runtime/cgo|fatal error): ")


def _says(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE | re.MULTILINE) is not None


def unset_variables(stderr: str) -> tuple[str, ...]:
    """Return the variables that interpolation needs and that are not set, each once; `~` needs one, too."""
    home = ["HOME"] if HOMELESS in stderr else []
    return tuple(dict.fromkeys([*(match["name"] for match in UNSET_VARIABLE.finditer(stderr)), *home]))


def compose_fault(
    stderr: str, *, files: str, service: str | None = None, redact: Callable[[str], str] = str
) -> RoasError:
    """Identify the error behind a failed Compose command; `files` lists the compose files for the message.

    It is identified by what is written; what people read is without secrets before it is cut.
    """
    written, text = summarize_stderr(stderr), summarize_stderr(redact(stderr))
    if missing := MISSING_VARIABLE.search(written):
        return _missing_variable(written, missing, files).hide(redact)
    if passing := find_passing_fault(text, service):
        return passing
    if _says(ENGINE_UNAVAILABLE, written):
        return EngineUnavailableError(said("The engine cannot be reached: {text}", text=text), hint=AWAY_HINT)
    if _says(CONTAINER_CONFLICT, written):
        return ContainerConflictError(
            said("Somebody else changes the same containers: {text}", text=text),
            service=service,
        )
    if _says(IMAGE_MISSING, written):
        return image_not_found(text, service)
    if _says(FILE_INVALID, written):
        return _not_usable(text, files)
    if _says(REGISTRY_UNAVAILABLE, written):
        return registry_unavailable(text)
    return EngineError(said("Compose failed: {text}", text=text), service=service)


def resolution_fault(stderr: str, *, files: str, redact: Callable[[str], str] = str) -> ComposeFileError:
    """Name the fault behind files that do not resolve: in the jail there is neither an engine nor a registry."""
    written = summarize_stderr(stderr)
    if missing := MISSING_VARIABLE.search(written):
        return _missing_variable(written, missing, files).hide(redact)
    return _not_usable(summarize_stderr(redact(stderr)), files)


def registry_fault(text: str, reference: str) -> RoasError:
    """Name the fault behind a failed look-up or pull of an image."""
    if passing := find_passing_fault(text):
        return passing
    message = said("{reference}: {text}", reference=reference, text=text)
    if _says(IMAGE_MISSING, text):
        return image_not_found(message)
    if _says(REGISTRY_UNAVAILABLE, text):
        return registry_unavailable(message)
    return EngineError(
        said("The image cannot be pulled: {message}", message=message),
        hint=said("Check the image's name and the version; for a private registry, log in with `roas login`."),
    )


def image_not_found(text: str, service: str | None = None) -> ImageNotFoundError:
    """Create the error for an image that cannot be found."""
    return ImageNotFoundError(
        said("There is no such image: {text}", text=text),
        hint=said("Check the image's name and the version; for a private registry, log in with `roas login`."),
        service=service,
    )


def registry_unavailable(text: str) -> RegistryUnavailableError:
    """Create the error for a registry that does not answer as it should."""
    return RegistryUnavailableError(
        said("The registry does not answer as it should: {text}", text=text),
    )


def too_much(what: str) -> ComposeFileError:
    """Create the error for files that take too much to resolve."""
    return ComposeFileError(
        said("Resolving the compose file takes {what}.", what=what),
        hint=said("Look for aliases of aliases, and for very large files."),
    )


def summarize_stderr(stderr: str) -> str:
    """Leave out progress and warnings; what is left says what went wrong."""
    kept: list[str] = []
    for line in stderr.splitlines():
        if CRASH.match(line):  # what follows is a trace
            return line
        if found := LEVEL.match(line):
            kept.append(found["text"].replace('\\"', '"'))
        elif line.strip() and not NOISE.match(line):
            kept.append(line.strip())
    return "\n".join(kept[-10:]) or stderr.strip()[-500:] or said("it gave no reason")


def _not_usable(text: str, files: str) -> ComposeFileError:
    unread = UNREADABLE_VARIABLES.match(text)
    message = (
        said("{file} is not usable: {reason}.", file=files, reason=text)
        if unread is None
        else said("{file} is not usable: {reason}.", file=unread["file"], reason=unread["reason"])
    )
    return ComposeFileError(message, hint=said("Correct the file; `docker compose config` shows the same."))


def _missing_variable(text: str, missing: re.Match[str], files: str) -> ComposeFileError:
    place, env_file = INTERPOLATING.search(text), READING.search(text)
    where = said(" for {place}", place=place["place"]) if place else ""
    if env_file:
        files = PurePath(env_file["file"]).name
    elif not place:  # Compose does not say which
        files = said("an env file that {files} names", files=files)
    reason = f" ({missing['text'].strip()})" if missing["text"].strip() else ""
    return ComposeFileError(
        said(
            "The variable {missing} is missing{where} in {files}{reason}.",
            missing=missing["name"],
            where=where,
            files=files,
            reason=reason,
        ),
        hint=said(
            "Set {missing} in the environment's env file, or in its variables in the settings.", missing=missing["name"]
        ),
    )
