"""A registry that the nodes of a Swarm reach, with versions of the sample app that no node has."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from testbed.private_registry import PrivateRegistry, private_registry
from testbed.sample import Behaviour
from testbed.swarm import Swarm, client_of


def healthy(versions: Iterable[str]) -> dict[str, Behaviour]:
    """Return these versions, each of which is healthy."""
    return dict.fromkeys(versions, "healthy")


@contextmanager
def swarm_registry(
    swarm: Swarm, folder: Path, versions: Mapping[str, Behaviour], *, name: str = "shop"
) -> Iterator[PrivateRegistry]:
    """Run a registry that asks for a password and has the versions, whose images the first manager makes."""
    with private_registry(folder, host=swarm.host_address) as registry:
        with client_of(swarm.manager) as client:
            for version, behaviour in versions.items():
                registry.push_sample(client, name, version, behaviour)
        yield registry
