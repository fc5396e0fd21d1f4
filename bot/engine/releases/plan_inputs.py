"""Name by one hash what a plan depends on besides its model and its images: secrets, settings and policy."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from roas.engine.sources.opening import held, open_regular, read_bounded, resolve
from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.models.environment import Environment

MOST_BYTES = 4 << 20
# The model has the variables in it; the rest only says how the settings were found.
NOT_COVERED = frozenset({"variables", "ignored_files", "project_is_given"})


def hash_inputs(model: Mapping[str, Any], environment: Environment, allowed: tuple[str, ...], key: bytes) -> str:
    """Hash them; secrets with a key, so that nobody can guess them from the hash. Raises ComposeFileError."""
    settings = {one.name: getattr(environment, one.name) for one in fields(environment) if one.name not in NOT_COVERED}
    covered = {
        "secrets": dict(_secrets(model, resolve(environment.folder), key)),
        "settings": settings,
        "policy": sorted(allowed),
    }
    return hashlib.sha256(json.dumps(covered, sort_keys=True, default=_plain).encode()).hexdigest()


def hash_release(model: Mapping[str, Any], environment: Environment, allowed: tuple[str, ...], key: bytes) -> str:
    """Hash what a release of the past would run as today: its model with today's secrets, settings and policy.

    Raises ComposeFileError.
    """
    text = json.dumps(model, sort_keys=True, default=str)
    inputs = hash_inputs(model, environment, allowed, key)
    return hmac.digest(key, f"{inputs} {text}".encode(errors="surrogateescape"), "sha256").hex()


def _plain(value: object) -> object:
    """Write a set in an order that is the same in each process."""
    return sorted(map(str, value)) if isinstance(value, frozenset) else str(value)


def _secrets(model: Mapping[str, Any], folder: Path, key: bytes) -> list[tuple[str, str]]:
    found = ((str(name), (definition or {}).get("file")) for name, definition in (model.get("secrets") or {}).items())
    return [(name, _keyed_hash(Path(str(source)), folder, key)) for name, source in found if source]


def _keyed_hash(path: Path, folder: Path, key: bytes) -> str:
    """Hash what a secret's file holds; one that the bot may not read counts as where it lies."""
    try:
        with held(resolve(path), folder) as descriptor:
            opened = open_regular(descriptor, path)
    except PermissionError:
        return f"unreadable: {path}"
    except FileNotFoundError:  # refused already where a service has it
        return f"missing: {path}"
    except OSError as error:
        raise ComposeFileError(
            said("{path} cannot be read: {strerror}.", path=path, strerror=error.strerror),
            hint=said("Check its rights, and that nobody replaces it meanwhile."),
        ) from error
    with open(opened, "rb", buffering=0) as file:  # noqa: PTH123 - it is a descriptor
        content = read_bounded(file.fileno(), MOST_BYTES)
    if content is None:
        raise ComposeFileError(said("{path} is too large.", path=path), hint=said("Name a smaller file."))
    return hmac.digest(key, content, "sha256").hex()
