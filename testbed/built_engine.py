"""Engines that have the bot's image from their start: it is built once in a run, whoever else asks for it.

To build it takes eight seconds of a core, and to load it from an archive still three: layers are hashed and unpacked.
An engine never writes into a layer's files, so that several may have them by hard links.

They filter system calls as Docker does, but for programs of the machine's own architecture: a filter for all three
costs each start and each probe 10 to 15 ms of a core more.
"""

import fcntl
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testbed.bot_image import bot_image
from testbed.daemon import PrivateDaemon
from testbed.engine import Engine
from testbed.leftovers import unmount_below

TAG = "roas-testbed/bot:built"
# What an engine has of images; and what it knows of their making, in databases that are written in place, for a builder
# of its id.
LINKED, COPIED = ("image", "overlay2"), ("buildkit", "engine-id")
FILTER = "seccomp.json"


class BuiltEngine(PrivateDaemon):
    """Run an engine that begins with the images of another one, which was stopped; both are on one file system."""

    def __init__(self, folder: Path, built: Path | None, *, settings: dict[str, Any] | None = None) -> None:
        filtered = {"seccomp-profile": str(built.with_name(FILTER))} if built else {}
        super().__init__(folder, settings={**filtered, **(settings or {})})
        self._built = built

    def _begin(self) -> None:
        if self._built is not None:
            self._data_folder.mkdir(mode=0o710)
            for names, how in ((LINKED, "-al"), (COPIED, "-a")):
                there = [str(self._built / name) for name in names if (self._built / name).exists()]
                subprocess.run(["cp", how, *there, str(self._data_folder)], check=True)
        super()._begin()


def built_data(folder: Path, settings: Mapping[str, Any]) -> Path | None:
    """Return the data of a stopped engine that has built the bot's image; the first of all processes makes it.

    None where the engine keeps its images in another way, such as in containerd.
    """
    folder.mkdir(exist_ok=True)
    data = folder / "data"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not data.exists():
            with PrivateDaemon(folder / "engine", settings=dict(settings)) as daemon:
                if not _keeps_layers_as_folders(daemon):
                    return None
                bot_image(Engine(daemon.docker_host, daemon), TAG)
                (folder / FILTER).write_text(json.dumps(_own_filter(daemon)))
                daemon.stop()
                unmount_below(daemon.folder)  # what an engine mounts on its data may outlive it, and cannot be renamed
                (daemon.folder / "data").rename(data)
    return data


def _keeps_layers_as_folders(daemon: PrivateDaemon) -> bool:
    client = daemon.client()
    try:
        return bool(client.info()["Driver"] == LINKED[-1])
    finally:
        client.close()


def _own_filter(daemon: PrivateDaemon) -> dict[str, Any]:
    """Return the filter that this engine gives a container, for programs of the machine's own architecture alone."""
    client = daemon.client()
    try:
        container = client.containers.run(TAG, ["60"], entrypoint="sleep", network_mode="none", detach=True)
        (given,) = daemon.run_folder.glob(
            f"exec/containerd/daemon/io.containerd.runtime.v2.task/*/{container.id}/config.json"
        )
        found: dict[str, Any] = json.loads(given.read_text())["linux"]["seccomp"]
        container.remove(force=True)
    finally:
        client.close()
    return found | {"architectures": found["architectures"][:1]}
