"""What a Swarm's nodes and managers show of a stack: Docker's own answers, for whoever judges from outside."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import NotFound

from testbed.swarm import Swarm, SwarmNode, client_of
from testbed.waiting import wait_until

Json = dict[str, Any]
SERVICE_LABEL = "com.docker.swarm.service.name"
STACK_LABEL = "com.docker.stack.namespace"


@dataclass(frozen=True)
class NodeContainer:
    """Hold a container that runs on a node for a service of a stack."""

    node: str
    service: str
    image: str
    health: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class StackView:
    """Look at one stack on the nodes that live; nothing here knows of the bot."""

    swarm: Swarm
    stack: str

    @property
    def nodes(self) -> list[SwarmNode]:
        """Return the nodes whose engine runs."""
        return [node for node in self.swarm.nodes if node.pid is not None]

    def containers(self, *paths: str, service: str = "") -> list[NodeContainer]:
        """Return what runs on the nodes, of all services or of one, with the content of some files of each."""
        label = f"{SERVICE_LABEL}={self.stack}_{service}" if service else f"{STACK_LABEL}={self.stack}"
        return [item for node in self.nodes for item in self._of_node(node, label, paths)]

    def versions(self, service: str) -> Counter[str]:
        """Return how many healthy containers of a service run of each version that they themselves say."""
        found = self.containers("/version", service=service)
        return Counter(container.files[0] for container in found if container.health in {"healthy", ""})

    def nodes_of(self, service: str) -> list[str]:
        """Return the nodes of the healthy containers of a service."""
        return sorted(
            container.node for container in self.containers(service=service) if container.health in {"healthy", ""}
        )

    def inside(self, service: str, path: str) -> set[str]:
        """Return what the healthy containers of a service have in a file."""
        return {
            container.files[0]
            for container in self.containers(path, service=service)
            if container.health in {"healthy", ""}
        }

    def service(self, name: str) -> Json | None:
        """Return a service as a manager shows it."""
        with client_of(self._manager) as client:
            try:
                found: Json = client.api.inspect_service(f"{self.stack}_{name}")  # type: ignore[no-untyped-call]
            except NotFound:
                return None
        return found

    def tasks(self, name: str, **filters: str) -> list[Json]:
        """Return the tasks of a service as a manager shows them."""
        with client_of(self._manager) as client:
            wanted = {"service": f"{self.stack}_{name}", **filters}
            found: list[Json] = client.api.tasks(filters=wanted)  # type: ignore[no-untyped-call]
        return found

    def runs_of_job(self, name: str) -> int:
        """Return how often Swarm ran a job since its service was made."""
        found = self.service(name)
        return 0 if found is None else int((found.get("JobStatus") or {})["JobIteration"].get("Index") or 0) + 1

    def node_state(self, node: SwarmNode) -> str:
        """Return what a manager says of a node: `ready`, `down` …"""
        with client_of(self._manager) as client:
            found = [
                item.attrs for item in client.nodes.list() if item.attrs["Description"]["Hostname"] == node.hostname
            ]
        return str(found[0]["Status"]["State"])

    def set_availability(self, node: SwarmNode, availability: str) -> None:
        """Drain a node, or make it active again."""
        with client_of(self._manager) as client:
            found = next(item for item in client.nodes.list() if item.attrs["Description"]["Hostname"] == node.hostname)
            found.update({**found.attrs["Spec"], "Availability": availability})

    def remove(self) -> bool:
        """Remove the stack; return whether its containers were gone soon."""
        with client_of(self._manager) as client:
            own = {"label": f"{STACK_LABEL}={self.stack}"}
            for service in client.services.list(filters=own):
                service.remove()  # type: ignore[no-untyped-call]
            gone = wait_until(lambda: not self.containers(), 60)
            for kind in ("config", "secret"):
                for item in getattr(client, f"{kind}s").list(filters=own):
                    getattr(client.api, f"remove_{kind}")(item.id)
        return gone

    @property
    def _manager(self) -> SwarmNode:
        return self.nodes[0]

    def _of_node(self, node: SwarmNode, label: str, paths: tuple[str, ...]) -> Iterator[NodeContainer]:
        """Yield what a node runs. Its engine runs on this machine, where files are read at no cost to a container."""
        with client_of(node) as client:
            own: dict[str, str | list[str] | bool] = {"label": label}
            for container in client.containers.list(filters=own, ignore_removed=True):
                root = Path("/proc", str(container.attrs["State"]["Pid"]), "root")
                try:
                    files = tuple((root / path.lstrip("/")).read_text().strip() for path in paths)
                except FileNotFoundError:
                    if root.exists():
                        raise
                    continue  # it ended meanwhile
                health = (container.attrs["State"].get("Health") or {}).get("Status") or ""
                service = str(container.labels.get(SERVICE_LABEL, "")).removeprefix(f"{self.stack}_")
                yield NodeContainer(node.hostname, service, str(container.attrs["Config"]["Image"]), health, files)
