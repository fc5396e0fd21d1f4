"""Keep what the bots of several machines share as configs of the Swarm, of which all managers have the same."""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from docker.errors import DockerException

from roas.errors import EngineError
from roas.stack.docker.api_errors import ApiError
from roas.stack.docker.sdk import EngineClient
from roas.stack.swarm.calls import OutOfSequenceError, SwarmCalls
from roas.state.shared.objects import RefusedError, StoreAwayError, Stored, TakenError

PREFIX = "roas"
# By this label the objects of one project are found.
LABEL = "io.roas.state"
LONGEST_PROJECT = 20
# A manager that hangs must not hold a lease for longer than it lasts.
ANSWER_SECONDS = 4
# What an engine answers to a request that it will answer in no other way: a name, a size, what may not be asked of it.
REFUSED = frozenset({400, 401, 403, 405, 413})
Answer = TypeVar("Answer")


def prefix_of(project: str) -> str:
    """Return what the names of a project's objects begin with: Swarm takes 64 characters, and ours need 38."""
    if len(project) > LONGEST_PROJECT:
        digest = hashlib.sha256(project.encode()).hexdigest()[:6]
        project = f"{project[: LONGEST_PROJECT - 7]}-{digest}"
    return f"{PREFIX}.{project}."


class SharedStore:
    """Ask the manager at one address; blocks."""

    def __init__(self, address: str, project: str) -> None:
        self._address = address
        self._prefix = prefix_of(project)
        self._client: EngineClient | None = None

    def create(self, name: str, data: bytes) -> None:
        """Write an object. Raises TakenError, StoreAwayError."""
        spec = {
            "Name": f"{self._prefix}{name}",
            "Labels": {LABEL: self._prefix},
            "Data": base64.b64encode(data).decode(),
        }
        self._ask(lambda calls: calls.create("configs", spec))

    def read(self, name: str) -> Stored | None:
        """Return an object, or None. Raises StoreAwayError."""
        found = self._ask(lambda calls: calls.config(f"{self._prefix}{name}"))
        return None if found is None else self._stored(found)

    def relabel(self, seen: Stored, labels: Mapping[str, str]) -> None:
        """Change an object's labels. Raises TakenError where somebody did since it was read, StoreAwayError."""
        spec = {
            "Name": f"{self._prefix}{seen.name}",
            "Labels": {**labels, LABEL: self._prefix},
            "Data": base64.b64encode(seen.data).decode(),
        }
        self._ask(lambda calls: calls.relabel_config(seen.id, seen.version, spec))

    def all(self) -> Sequence[Stored]:
        """Return all objects of the project's bots. Raises StoreAwayError."""
        found = self._ask(lambda calls: calls.configs_with(f"{LABEL}={self._prefix}"))
        return tuple(map(self._stored, found))

    def remove(self, name: str) -> None:
        """Remove an object; one that is gone is no error. Raises StoreAwayError."""
        self._ask(lambda calls: calls.remove("configs", f"{self._prefix}{name}"))

    def node(self) -> str:
        """Return what the node of this manager is called, or its id. Raises StoreAwayError."""
        return self._ask(SwarmCalls.own_node_name)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _ask(self, question: Callable[[SwarmCalls], Answer]) -> Answer:
        with _typed():
            if self._client is None:
                self._client = EngineClient(self._address)
                self._client.timeout = ANSWER_SECONDS
            return question(SwarmCalls(self._client))

    def _stored(self, found: Mapping[str, Any]) -> Stored:
        spec = found["Spec"]
        return Stored(
            id=str(found["ID"]),
            name=str(spec["Name"]).removeprefix(self._prefix),
            version=int(found["Version"]["Index"]),
            data=base64.b64decode(spec.get("Data") or ""),
            labels=dict(spec.get("Labels") or {}),
        )


@contextmanager
def _typed() -> Iterator[None]:
    try:
        yield
    except OutOfSequenceError as error:
        raise TakenError(str(error)) from error
    except ApiError as error:
        raise (RefusedError if error.status in REFUSED else StoreAwayError)(error.explanation) from error
    except (OSError, EngineError, DockerException) as error:
        raise StoreAwayError(str(error)) from error
