"""Confine Compose in a container, where the kernel has no Landlock: without network, rights and files but the copy.

The image has Compose and the libraries that it is linked with, nothing else; it is made of those of this machine, so
that the result is the same. The copy comes in as it is, at the same path, by the engine's API: a folder of the bot's
own container could not be bound.
"""

import hashlib
import io
import json
import re
import secrets
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.types import LogConfig, Ulimit

from roas.stack.compose.jail import CPU_SECONDS, MEMORY_BYTES
from roas.stack.docker.api_errors import ApiNotFoundError
from roas.stack.docker.helper_containers import remove_helper, remove_left_helpers
from roas.stack.docker.sdk import EngineClient

JAIL, LABEL = "roas-jail", "roas.jail"
# Nobody's: it owns the copy in there, and nothing else anywhere.
USER = 65534
MOST_PROCESSES = 128
LIBRARY = re.compile(r"(?:=> |^\s*)(?P<path>/\S+) \(0x", re.MULTILINE)
# What a killed bot left is older.
LEFT_SECONDS = 120.0
ENDED_BY_A_SIGNAL = 128
START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class JailedOutput:
    """Hold what a confined command printed; `code` is negative where it was ended by force."""

    stdout: bytes
    stderr: bytes
    code: int


class ContainerJail:
    """Run one command in a container of its own; `stop` may be called by another thread."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._id = ""
        self._stopped = threading.Event()

    def run(
        self, command: Sequence[str], scratch: Path, variables: Mapping[str, str], folder: Path, most_bytes: int
    ) -> JailedOutput | None:
        """Run it to its end; None where it prints more than `most_bytes`. Raises EngineError, ApiError."""
        remove_left_helpers(self._client, LABEL, JAIL, LEFT_SECONDS)
        image = _image(self._client, Path(command[0]))
        created = self._client.create_container(
            image,
            command=list(command[1:]),
            entrypoint=[command[0]],
            environment=dict(variables),
            user=f"{USER}:{USER}",
            working_dir=str(folder),
            name=f"{JAIL}-{secrets.token_hex(6)}",
            labels={LABEL: "1"},
            volumes=[str(scratch)],
            host_config=self._confinement(),
        )
        self._id = created["Id"]
        try:
            self._client.put_archive(self._id, str(scratch), _archive(scratch))
            printed = self._client.attach(self._id, stdout=True, stderr=True, stream=True, demux=True)
            if self._stopped.is_set():
                return JailedOutput(b"", b"", -1)
            self._client.start(self._id, timeout=START_SECONDS)
            found = _read(printed, most_bytes)
            if found is None:
                return None
            code = int(self._client.wait(self._id)["StatusCode"])
            return JailedOutput(*found, -1 if code > ENDED_BY_A_SIGNAL else code)
        finally:
            remove_helper(self._client, self._id)

    def stop(self) -> None:
        """End what runs; `run` then returns."""
        self._stopped.set()
        if self._id:
            remove_helper(self._client, self._id)

    def _confinement(self) -> Any:
        limits = {"cpu": CPU_SECONDS, "data": MEMORY_BYTES, "fsize": 0, "core": 0}
        return self._client.create_host_config(
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            pids_limit=MOST_PROCESSES,
            mem_limit=MEMORY_BYTES,
            memswap_limit=MEMORY_BYTES,
            ipc_mode="private",
            # Nothing of a stack is left in a file of the engine's.
            log_config=LogConfig(type=LogConfig.types.NONE),
            ulimits=[Ulimit(name=name, soft=most, hard=most) for name, most in limits.items()],
        )


def _image(client: EngineClient, binary: Path) -> str:
    """Return the ID of the image of this machine's Compose; it is made where it is not there.

    Its name says nothing: an image is taken by what its one layer holds.
    """
    contents = {path: path.read_bytes() for path in (binary, *_libraries(binary))}
    layer = _tar((path.relative_to("/"), content, 0o755) for path, content in sorted(contents.items()))
    wanted = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    tag = wanted.partition(":")[2][:12]
    with suppress(ApiNotFoundError):
        found = client.inspect_image(f"{JAIL}:{tag}")  # type: ignore[no-untyped-call]
        if found["RootFS"].get("Layers") == [wanted] and not any((found.get("Config") or {}).values()):
            return str(found["Id"])
    imported = client.import_image_from_data(layer, repository=JAIL, tag=tag)
    return str(json.loads(imported.strip().splitlines()[-1])["status"])


def _libraries(binary: Path) -> tuple[Path, ...]:
    """Return the libraries that a program is linked with, and its loader; none for a static one."""
    done = subprocess.run(("ldd", str(binary)), capture_output=True, text=True, check=False)
    return tuple(Path(match["path"]) for match in LIBRARY.finditer(done.stdout)) if done.returncode == 0 else ()


def _archive(scratch: Path) -> bytes:
    found = sorted(scratch.rglob("*"))
    return _tar((path.relative_to(scratch), path.read_bytes() if path.is_file() else None, 0o500) for path in found)


def _tar(entries: Any) -> bytes:
    """Write files, and folders where there is no content, for the user of the container."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for path, content, mode in entries:
            entry = tarfile.TarInfo(str(path))
            entry.mode, entry.uid, entry.gid = mode, USER, USER
            if content is None:
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def _read(printed: Iterator[tuple[bytes | None, bytes | None]], most_bytes: int) -> tuple[bytes, bytes] | None:
    out, err = bytearray(), bytearray()
    for some_out, some_err in printed:
        out += some_out or b""
        err += some_err or b""
        if max(len(out), len(err)) > most_bytes:
            return None
    return bytes(out), bytes(err)
