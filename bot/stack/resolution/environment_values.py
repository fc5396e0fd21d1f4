"""Give configs and secrets that come from a variable their value: a release has no environment of its own."""

import copy
import io
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from dotenv import dotenv_values

from roas.errors import ComposeFileError
from roas.messages.message import said
from roas.models.environment import Environment
from roas.stack.model.raw_files import as_written
from roas.stack.model.services import MOUNTED_SECRETS, services_of
from roas.stack.sources.contents import SECRET_PREFIX


def with_environment_values(
    model: Mapping[str, Any], environment: Environment, files: Mapping[Path, bytes]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the model with those values in it, and those among them that are secret.

    Compose would copy such a secret into the container, which fails on a read-only root. It is bound by content
    instead, so that another value makes another container. Raises ComposeFileError where a variable has no value.
    `files` are those that the model was made of.
    """
    configs, secrets = model.get("configs") or {}, model.get("secrets") or {}
    named = {key: value["environment"] for key, value in configs.items() if (value or {}).get("environment")}
    secret = {key: value["environment"] for key, value in secrets.items() if (value or {}).get("environment")}
    changed: dict[str, Any] = copy.deepcopy(dict(model))
    if not named and not secret:
        return changed, ()
    values = _values(environment, files)
    for key, variable in named.items():
        changed["configs"][key] = {"content": _value(values, variable, f"configs.{key}")}
    texts = {key: _value(values, variable, f"secrets.{key}") for key, variable in secret.items()}
    if texts:
        changed["secrets"].update({key: {"content": text} for key, text in texts.items()})
    return changed, tuple(texts.values())


def renewed_secrets(stored: Mapping[str, Any], today: Mapping[str, Any], contents: Path) -> dict[str, dict[str, Any]]:
    """Return the services of a stored model whose kept secrets have another content today."""
    services = services_of(today)
    renewed: dict[str, dict[str, Any]] = {}
    for name, service in services_of(stored).items():
        current = _kept_secrets(services.get(name) or {}, contents)
        volumes = [
            {**volume, "source": current[str(volume.get("target"))]}
            if str(volume.get("target")) in _kept_secrets(service, contents) and str(volume.get("target")) in current
            else volume
            for volume in service.get("volumes") or ()
        ]
        if volumes != list(service.get("volumes") or ()):
            renewed[name] = {**service, "volumes": volumes}
    return renewed


def _kept_secrets(service: Mapping[str, Any], contents: Path) -> dict[str, str]:
    """Return the sources of a service's secrets that are kept by content, by their place in the container."""
    found = ((volume, Path(str(volume.get("source")))) for volume in service.get("volumes") or ())
    return {
        str(volume.get("target")): str(source)
        for volume, source in found
        if volume.get("type") == "bind" and source.parent == contents and is_secret_mount(volume)
    }


def is_secret_mount(volume: Mapping[str, Any]) -> bool:
    """Return whether a mount of a kept content is that of a secret."""
    mounted = PurePosixPath(str(volume.get("target"))).is_relative_to(MOUNTED_SECRETS)
    return mounted or Path(str(volume.get("source"))).name.startswith(SECRET_PREFIX)


def _values(environment: Environment, files: Mapping[Path, bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in environment.env_files:
        # Without interpolation: it would read the bot's own environment.
        text = files.get(as_written(path), b"").decode(errors="replace")
        values = dotenv_values(stream=io.StringIO(text), interpolate=False)
        found |= {name: value for name, value in values.items() if value is not None}
    return found | environment.variables


def _value(values: Mapping[str, str], variable: str, place: str) -> str:
    if variable not in values:
        raise ComposeFileError(
            said("`{place}` needs {variable}, which is not set.", place=place, variable=variable),
            hint=said("Set {variable} in the stack's .env.", variable=variable),
        )
    return values[variable]
