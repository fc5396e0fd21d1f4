"""Note where Compose copies something into a container: what comes from no file is no mount of it.

A release binds a file there instead. A stack that Compose started has the copy, which is as good.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from roas.stack.model.services import COPIED, services_of, with_targets
from roas.stack.resolution.environment_values import MOUNTED_SECRETS

ROOT = PurePosixPath("/")


def with_copied_targets(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model as Compose resolves it, in which each service names the places that are copied to."""
    services = {
        name: with_targets(service, COPIED, _targets(service, model)) for name, service in services_of(model).items()
    }
    return {**model, "services": services}


def _targets(service: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[str]:
    for kind, folder in (("configs", ROOT), ("secrets", MOUNTED_SECRETS)):
        known = model.get(kind) or {}
        for entry in service.get(kind) or ():
            definition = known.get(entry["source"]) or {}
            if "content" in definition or "environment" in definition:
                yield str(folder / str(entry.get("target") or entry["source"]))
