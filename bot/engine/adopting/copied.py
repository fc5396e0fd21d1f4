"""Read back what Compose copied into a container: configs and secrets that come from no file are no mounts."""

import io
import tarfile
from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import PurePosixPath
from typing import Any

from roas.engine.api_errors import ApiError
from roas.engine.docker_client import EngineClient

# The same bound as that of a secret's file; what is larger is no configuration.
MOST_BYTES = 4 << 20
# A tar file of one entry has a header before it, and is filled up behind it.
MOST_OF_TAR = MOST_BYTES + (64 << 10)


def read_copied(client: EngineClient, inspected: dict[str, Any], targets: Collection[str]) -> dict[str, str]:
    """Return the texts of the files at some places in a container; what is mounted, or is no text, is left out."""
    mounted = {PurePosixPath(one["Destination"]) for one in inspected.get("Mounts") or ()}
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
