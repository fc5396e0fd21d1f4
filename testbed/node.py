"""A private Docker Engine in namespaces of its own, as if it had a machine to itself: of a slot's many.

In its mount namespace its socket is at `NODE_SOCKET`, whichever node it is: what runs on it binds that of its own.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from testbed.daemon import PrivateDaemon
from testbed.leftovers import processes_of
from testbed.network import RUN_FOLDER, Slot

# Of what each node has for itself: it is not seen outside of its namespace.
NODE_POOL = "172.30.0.0/16"
NODE_FOLDER = RUN_FOLDER / "node"
NODE_SOCKET = NODE_FOLDER / "docker.sock"
BEGIN = 'hostname "$0" && mount --bind "$1" "$2" && shift 2 && exec "$@"'


class NodeDaemon(PrivateDaemon):
    """Run the dockerd of one node for the time of a `with` block; who holds the slot gives it its place."""

    kind = "node"

    def __init__(self, folder: Path, slot: Slot, number: int, settings: dict[str, Any]) -> None:
        super().__init__(folder, settings=settings)
        self._slot = slot
        self.number = number

    def __enter__(self) -> Self:
        """Make the node's namespace, and start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run_folder.mkdir(mode=0o700)
        self.slot.make_node(self.number)
        self.start()
        return self

    @property
    def namespace(self) -> str:
        """Return the name of the network namespace, which is the engine's in containerd, too."""
        return f"{self.slot.name}-{self.number}"

    @property
    def run_folder(self) -> Path:
        """Return the folder of the engine's socket and pid file."""
        return self.slot.folder / str(self.number)

    @property
    def hostname(self) -> str:
        """Return what the node calls itself."""
        return f"{self.kind}{self.number}"

    @property
    def address(self) -> str:
        """Return the address at which this machine and the other nodes reach this one."""
        return self.slot.node_address(self.number)

    def start(self) -> None:
        """Start the engine and wait until it answers; a node cannot keep containers alive without it."""
        self._write_configuration(live_restore=False)
        NODE_FOLDER.mkdir(exist_ok=True)
        begin = ["sh", "-c", BEGIN, self.hostname, str(self.run_folder), str(NODE_FOLDER)]
        apart = ["unshare", "--uts", "--mount", "--", *begin]
        self._start_process(["nsenter", f"--net=/run/netns/{self.namespace}", "--", *apart])

    def processes(self) -> list[int]:
        """Return all processes of the node: the engine's own, and those of its containers."""
        return processes_of(self.run_folder, self.namespace)

    def freeze(self) -> None:
        """Stop all processes of the node, as a machine that is suspended does: it does the rest later."""
        stopped: set[int] = set()
        while left := set(self.processes()) - stopped:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            stopped |= left

    def thaw(self) -> None:
        """Let all processes of a node that was frozen continue."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def cut_off(self) -> None:
        """Let neither the other nodes nor this machine reach the node; its engine and its containers go on."""
        self.slot.connect_node(self.number, connected=False)

    def reconnect(self) -> None:
        """Connect the node again."""
        self.slot.connect_node(self.number, connected=True)

    def close(self) -> None:
        """Kill the engine and its containers; who holds the slot removes their folders."""
        self.stop(kill=True)

    def _base_settings(self) -> dict[str, Any]:
        """Return the settings of an engine that has a firewall, bridges and addresses for itself."""
        return {"default-address-pools": [{"base": NODE_POOL, "size": 24}], "shutdown-timeout": 5}
