"""What is asked of an engine: on our own connection to a local one, through the Docker SDK to one elsewhere."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

Json = dict[str, Any]
# As Docker's API takes them: by key a value, or several.
Filters = Mapping[str, object]


class EventStream(Protocol):
    """Yield events as they happen; another thread may close it."""

    def __iter__(self) -> Iterator[Json]: ...

    def close(self) -> None:
        """End it, also for the thread that waits for the next event."""
        ...


class EngineApi(Protocol):
    """Ask one engine; each blocks. Raises ApiError for what the engine refuses, OSError where it does not answer.

    The names, and what they return, are those of the Docker SDK.
    """

    def version(self) -> Json:
        """Return the versions of the engine and its parts."""
        ...

    def info(self) -> Json:
        """Return what the engine says of itself and its machine."""
        ...

    def ping(self) -> object:
        """Return whether it is well."""
        ...

    def containers(self, *, all: bool = False, filters: Filters | None = None) -> list[Json]:  # noqa: A002
        """Return the containers that run, or all."""
        ...

    def inspect_container(self, container: str) -> Json:
        """Return what the engine says of a container."""
        ...

    def stats(self, container: str, *, stream: bool, one_shot: bool) -> Json:
        """Return what a container uses."""
        ...

    def start(self, container: str, *, timeout: float) -> None:
        """Start a container."""
        ...

    def stop(self, container: str, *, timeout: int) -> None:
        """Stop a container within that many seconds; the request is given more."""
        ...

    def wait(self, container: str, *, timeout: float, condition: str) -> object:
        """Wait until a container is as the condition says."""
        ...

    def unpause(self, container: str) -> None:
        """Let a paused container go on."""
        ...

    def rename(self, container: str, name: str) -> None:
        """Give a container another name."""
        ...

    def remove_container(self, container: str, *, force: bool, v: bool = False) -> None:
        """Remove a container, with `v` with its anonymous volumes."""
        ...

    def images(self, *, filters: Filters | None = None) -> list[Json]:
        """Return the images."""
        ...

    def inspect_image(self, image: str) -> Json:
        """Return what the engine says of an image."""
        ...

    def tag(self, image: str, repository: str, tag: str | None, *, force: bool = False) -> object:
        """Give an image a name."""
        ...

    def remove_image(self, image: str, *, force: bool = False) -> object:
        """Remove a name of an image, and the image with its last one."""
        ...

    def networks(self, *, names: Iterable[str] | None = None, filters: Filters | None = None) -> list[Json]:
        """Return the networks."""
        ...

    def volumes(self, *, filters: Filters | None = None) -> Json:
        """Return the volumes."""
        ...

    def events(self, *, filters: Filters, since: str | None = None) -> EventStream:
        """Subscribe to events."""
        ...


class EngineClient(Protocol):
    """Hold the ways to one engine. `sdk` is loaded where it is first asked for: it is a sixth of a command's start."""

    @property
    def api(self) -> EngineApi:
        """Return what most is asked of."""
        ...

    @property
    def sdk(self) -> Any:
        """Return the Docker SDK's client of the API for all else; it raises the same errors."""
        ...

    def read_logins(self, path: Path) -> None:
        """Read the logins to registries again."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...
