"""A private Docker Swarm on this machine: each node is a dockerd in a network namespace of its own.

The nodes' namespaces are joined by the bridge of one slot, at which this machine has an address, too. What a service
publishes in `mode: host` is reached at the address of its node. What the kernel lacks, a Swarm lacks: without IP_VS
there are no virtual IPs and no ingress, so services need `endpoint_mode: dnsrr`, and ports `mode: host`.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions

from testbed.daemon import UNFILTERED, PrivateDaemon
from testbed.node import NodeDaemon
from testbed.slot_holder import DaemonError, SlotHolder
from testbed.tls_files import TLS_PORT, make_tls_files, tls_flags
from testbed.waiting import wait_until

# Of overlay networks, which are not seen outside of the namespaces.
OVERLAY_POOL = "10.20.0.0/16"
# A Swarm that was without a quorum elects a leader first, which hears of each node then; a look may take it 20 s.
READY_SECONDS = 180.0
HEARTBEAT_SECONDS = 5.0  # Swarm's own; a node is down after three that are missing
Json = dict[str, Any]


class SwarmNode(NodeDaemon):
    """Run the dockerd of one node; `Swarm` makes it, and gives it its place, and files to be reached by TLS perhaps."""

    tls_files: Path | None = None

    @property
    def tls_host(self) -> str:
        """Return the engine's address by TLS."""
        return f"tcp://{self.address}:{TLS_PORT}"

    def _flags(self) -> list[str]:
        flags = super()._flags()
        return flags if self.tls_files is None else [*flags, *tls_flags(self.tls_files, self.address)]


class Swarm(SlotHolder):
    """Run a Swarm of one's own for the time of a `with` block; node 1 is a manager and makes it.

    The others join as managers, as long as some are wanted, then as workers. A name in `settings` is one of dockerd's.
    With `tls`, each is reached by that, too, with the files in `tls_files`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        managers: int = 1,
        workers: int = 0,
        settings: Json | None = None,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        tls: bool = False,
    ) -> None:
        super().__init__(folder)
        self.nodes: list[SwarmNode] = []
        self.tls_files = folder / "tls" if tls else None
        self._managers = managers
        self._workers = workers
        self._settings = settings or {}
        self._heartbeat_seconds = heartbeat_seconds

    def _begin(self) -> None:
        numbers = range(1, 1 + self._managers + self._workers)
        if self.tls_files is not None:
            make_tls_files(self.tls_files, map(self.slot.node_address, numbers))
        for number in numbers:
            self.add_node(manager=number <= self._managers)

    def _end(self) -> None:
        for node in self.nodes:
            node.close()

    @property
    def manager(self) -> SwarmNode:
        """Return the node that made the Swarm: a manager, and at first the leader."""
        return self.nodes[0]

    @property
    def docker_host(self) -> str:
        """Return the first manager's address for DOCKER_HOST."""
        return self.manager.docker_host

    def add_node(self, *, manager: bool = False) -> SwarmNode:
        """Start one more node, join it, and wait until it is ready."""
        settings = {**UNFILTERED, "insecure-registries": [f"{self.slot.address}/24"], **self._settings}
        number = len(self.nodes) + 1
        node = SwarmNode(self.folder / f"node{number}", self.slot, number, settings)
        node.tls_files = self.tls_files
        self.nodes.append(node)
        node.__enter__()
        with client_of(node) as client:
            if number == 1:
                client.swarm.init(
                    advertise_addr=node.address,
                    listen_addr=node.address,
                    default_addr_pool=[OVERLAY_POOL],
                    subnet_size=24,
                    dispatcher_heartbeat_period=int(self._heartbeat_seconds * 1e9),
                )
            else:
                self._join(client, node, manager=manager)
        self.wait_until_ready(len(self.nodes))
        return node

    def wait_until_ready(self, nodes: int, *, asked: SwarmNode | None = None) -> None:
        """Wait until a manager sees so many nodes ready."""

        def ready() -> bool:
            with suppress(docker.errors.APIError, requests.exceptions.RequestException):
                with client_of(asked or self.manager) as client:
                    states = [node.attrs["Status"]["State"] for node in client.nodes.list()]
                return states.count("ready") >= nodes
            return False

        if not wait_until(ready, READY_SECONDS):
            raise DaemonError(f"the Swarm has no {nodes} nodes that are ready\n{self.manager.log_tail()}")

    def _join(self, client: docker.DockerClient, node: SwarmNode, *, manager: bool) -> None:
        with client_of(self.manager) as asked:
            tokens = asked.swarm.attrs["JoinTokens"]
        client.swarm.join(
            [f"{self.manager.address}:2377"],
            tokens["Manager" if manager else "Worker"],
            listen_addr=node.address,
            advertise_addr=node.address,
        )


@contextmanager
def client_of(node: PrivateDaemon) -> Iterator[docker.DockerClient]:
    """Provide an SDK client of a node."""
    with ExitStack() as closing:
        client = node.client()
        closing.callback(client.close)
        yield client
