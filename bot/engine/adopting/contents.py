"""Keep with an adopted stack the configuration files of that moment: what its containers bind may change later."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roas.engine.adopting.sameness import SECRETS_FOLDER
from roas.engine.content_binding import ContentBinder
from roas.engine.contents import ContentStore, TooLargeError
from roas.engine.model import services_of
from roas.engine.sources.opening import resolve
from roas.errors import ComposeFileError
from roas.log import get_logger

log = get_logger(__name__)


def bind_adopted(model: Mapping[str, Any], store: ContentStore, folder: Path, *, write: bool) -> dict[str, Any]:
    """Return an adopted model with its read-only files and its secrets bound by content.

    What a file held when its container started is not known: it is taken to be what it holds now.
    """
    services = services_of(model)
    secrets = {name: [one for one in _volumes(fields) if _is_secret(one)] for name, fields in services.items()}
    others = {
        name: {**fields, "volumes": [one for one in _volumes(fields) if not _is_secret(one)]}
        for name, fields in services.items()
    }
    try:
        # What runs already has what it binds: what lies outside of the folder stays there.
        bound = ContentBinder(store, folder, lambda _: True, write=write).bind({**model, "services": others})
    except ComposeFileError as error:
        log.warning("files of an adopted stack cannot be kept", error=error.message)
        return dict(model)
    for name, fields in bound["services"].items():
        volumes = [*_volumes(fields), *(_kept_secret(one, store, write=write) for one in secrets[name])]
        fields.pop("volumes", None)
        if volumes:
            fields["volumes"] = volumes
    return bound


def _kept_secret(volume: dict[str, Any], store: ContentStore, *, write: bool) -> dict[str, Any]:
    """Return the bind of a secret's copy; what cannot be copied stays where it is."""
    source = Path(str(volume.get("source") or "/"))
    if source.is_relative_to(store.folder):
        return volume
    try:
        return {**volume, "source": str(store.place_secret(resolve(source), write=write))}
    except (OSError, ComposeFileError, TooLargeError):
        return volume


def _volumes(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(fields.get("volumes") or ())


def _is_secret(volume: Mapping[str, Any]) -> bool:
    return str(volume.get("target", "")).startswith(SECRETS_FOLDER)
