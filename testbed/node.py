"""A private Docker Engine in a network namespace of its own, as if it had a machine to itself: of a slot's many."""

from pathlib import Path
from typing import Any, Self

from testbed.daemon import PrivateDaemon
from testbed.network import Slot

# Of what each node has for itself: it is not seen outside of its namespace.
NODE_POOL = "172.30.0.0/16"


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
        name_itself = ["unshare", "--uts", "--", "sh", "-c", 'hostname "$0" && exec "$@"', self.hostname]
        self._start_process(["nsenter", f"--net=/run/netns/{self.namespace}", "--", *name_itself])

    def close(self) -> None:
        """Kill the engine and its containers; who holds the slot removes their folders."""
        self.resume()
        self.stop(kill=True)

    def _base_settings(self) -> dict[str, Any]:
        """Return the settings of an engine that has a firewall, bridges and addresses for itself."""
        return {"default-address-pools": [{"base": NODE_POOL, "size": 24}], "shutdown-timeout": 5}
