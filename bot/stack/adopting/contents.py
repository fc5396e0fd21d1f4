"""Keep with an adopted stack the configuration files of that moment: what its containers bind may change later."""

import io
import tarfile
from collections.abc import Collection, Mapping
from contextlib import closing, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from roas.errors import ComposeFileError
from roas.log import get_logger
from roas.stack.docker.api_errors import ApiError
from roas.stack.docker.sdk import EngineClient
from roas.stack.model.services import MOUNTED_SECRETS, services_of
from roas.stack.resolution.content_binding import ContentBinder, bound_secret
from roas.stack.sources.contents import ContentStore
from roas.stack.sources.opening import resolve
from roas.stack.sources.trees import TooLargeError

# The same bound as that of a secret's file; what is larger is no configuration.
MOST_BYTES = 4 << 20
# A tar file of one entry has a header before it, and is filled up behind it.
MOST_OF_TAR = MOST_BYTES + (64 << 10)
log = get_logger(__name__)
EXTENSION = "x-deploy"


def read_copied(client: EngineClient, inspected: dict[str, Any], targets: Collection[str]) -> dict[str, str]:
    """Return the texts of the files at some places in a container; what is mounted, or is no text, is left out."""
    mounted = {PurePosixPath(mount["Destination"]) for mount in inspected.get("Mounts") or ()}
    found: dict[str, str] = {}
    for target in targets:
        if mounted.isdisjoint({PurePosixPath(target), *PurePosixPath(target).parents}):
            text = _read(client, inspected["Id"], target)
            found |= {} if text is None else {target: text}
    return found


def _read(client: EngineClient, container_id: str, target: str) -> str | None:
    """Return the text of one file; None where it is not there, or is something else."""
    with suppress(ApiError, tarfile.TarError, UnicodeDecodeError, OSError):
        stream, stat = client.get_archive(container_id, target)
        with closing(stream):
            if int(stat["size"]) > MOST_BYTES:
                return None
            tar = bytearray()
            for chunk in stream:
                tar += chunk
                if len(tar) > MOST_OF_TAR:
                    return None
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            member = archive.next()
            file = archive.extractfile(member) if member is not None and member.isfile() else None
            return None if file is None else file.read().decode()
    return None


def bind_adopted(
    model: Mapping[str, Any],
    copied: Mapping[str, Mapping[str, str]],
    store: ContentStore,
    folder: Path,
    *,
    write: bool,
) -> dict[str, Any]:
    """Return an adopted model with its read-only files and its secrets bound by content, and what was copied.

    What a file held when its container started is not known: it is taken to be what it holds now.
    """
    services = services_of(model)
    live = {name: _live(fields, folder) for name, fields in services.items()}
    aside = {
        name: [volume for volume in _volumes(fields) if _is_aside(volume, live[name])]
        for name, fields in services.items()
    }
    others = {
        name: {
            **{key: value for key, value in fields.items() if key != EXTENSION},
            "volumes": [volume for volume in _volumes(fields) if volume not in aside[name]],
        }
        for name, fields in services.items()
    }
    bound: dict[str, Any] = {**model, "services": others}
    try:
        # What runs already has what it binds: what lies outside of the folder stays there.
        bound = ContentBinder(store, folder, lambda _: True, write=write).bind(bound)
    except ComposeFileError as error:
        log.warning("files of an adopted stack cannot be kept", error=error.message)
    for name, fields in bound["services"].items():
        volumes = [*_volumes(fields), *(_kept(entry, store, live[name], write=write) for entry in aside[name])]
        volumes += [
            bound_secret(store.place_text(text, write=write), target) for target, text in copied.get(name, {}).items()
        ]
        fields.pop("volumes", None)
        fields |= {"volumes": volumes} if volumes else {}
        fields |= {EXTENSION: services[name][EXTENSION]} if EXTENSION in services[name] else {}
    return bound


def _live(fields: Mapping[str, Any], folder: Path) -> frozenset[Path]:
    """Return what a service binds from where it lies, since the host renews it."""
    return frozenset(resolve(folder / str(path)) for path in (fields.get(EXTENSION) or {}).get("live_binds") or ())


def _is_aside(volume: Mapping[str, Any], live: frozenset[Path]) -> bool:
    """Return whether a volume is not bound as other files are: a secret, or what the host renews."""
    source = Path(str(volume.get("source") or "/"))
    return _is_secret(volume) or (volume.get("type") == "bind" and resolve(source) in live)


def _kept(volume: dict[str, Any], store: ContentStore, live: frozenset[Path], *, write: bool) -> dict[str, Any]:
    """Return the bind of a secret's copy; what the host renews, and what cannot be copied, stays where it is."""
    source = Path(str(volume.get("source") or "/"))
    if source.is_relative_to(store.folder) or resolve(source) in live:
        return volume
    try:
        return {**volume, "source": str(store.place_secret(resolve(source), write=write))}
    except (OSError, ComposeFileError, TooLargeError):
        return volume


def _volumes(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(fields.get("volumes") or ())


def _is_secret(volume: Mapping[str, Any]) -> bool:
    return str(volume.get("target", "")).startswith(MOUNTED_SECRETS)
