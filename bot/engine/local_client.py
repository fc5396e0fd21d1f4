"""A client of an engine on this machine's socket: what a deployment asks goes without the Docker SDK.

To load the SDK with requests and urllib3 takes a sixth of all that a command loads, and to ask by it five times as much
processor time. A stack of hundreds of services is asked about container by container, and a deployment asks some thirty
times what there is.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from roas.engine.api import EngineApi, EventStream, Filters, Json
from roas.engine.api_errors import refusal
from roas.engine.registry_logins import configuration_file
from roas.engine.sdk_client import SdkCalls, open_local
from roas.engine.socket_connection import Answer, SocketConnections

Answered = TypeVar("Answered", dict[str, Any], list[Any])
UNREADABLE = "what it answers is no Docker API's"


class LocalClient:
    """Ask an engine by a socket of this machine."""

    def __init__(self, path: str, *, timeout_seconds: int, connections: int) -> None:
        """Ask for the API's version; blocks. Raises ApiError, OSError."""
        self._path = path
        self._timeout_seconds = timeout_seconds
        self._connections = connections
        self._api = LocalApi(path, timeout_seconds)

    @property
    def api(self) -> EngineApi:
        """Return what is asked without the SDK."""
        return self._api

    @cached_property
    def sdk(self) -> SdkCalls:
        """Load the SDK for the first that needs it; in somebody's bot it is loaded already."""
        return open_local(self._path, self._api.api_version, self._timeout_seconds, self._connections)

    def read_logins(self, path: Path) -> None:
        """Let the SDK read the logins again, if it is loaded: it reads them once by itself."""
        if "sdk" in vars(self):
            self.sdk.reload_config(str(path))

    def close(self) -> None:
        """Close all connections."""
        self._api.close()
        if "sdk" in vars(self):
            self.sdk.close()


class LocalApi:
    """Do what `EngineApi` names, by connections of its own."""

    def __init__(self, path: str, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._socket = SocketConnections(path, timeout_seconds, _headers())
        try:
            self.api_version = str(_checked(dict, self._socket.ask("/version"))["ApiVersion"])
        except (LookupError, TypeError) as error:  # something else listens there
            raise ConnectionError(repr(error)) from error

    def version(self) -> Json:
        """Return the versions of the engine and its parts."""
        return self._get(dict, "/version")

    def info(self) -> Json:
        """Return what the engine says of itself and its machine."""
        return self._get(dict, "/info")

    def ping(self) -> bool:
        """Return whether it is well."""
        answer = self._socket.ask(self._target("/_ping"))
        _require_success(answer)
        return answer.content == b"OK"

    def containers(self, *, all: bool = False, filters: Filters | None = None) -> list[Json]:  # noqa: A002
        """Return the containers that run, or all."""
        return self._get(list, "/containers/json", all=int(all), filters=_filters(filters))

    def inspect_container(self, container: str) -> Json:
        """Return what the engine says of a container."""
        return self._get(dict, f"/containers/{_quoted(container)}/json")

    def stats(self, container: str, *, stream: bool = False, one_shot: bool = True) -> Json:
        """Return what a container uses."""
        what = urlencode({"stream": str(stream).lower(), "one-shot": str(one_shot).lower()})
        return self._get(dict, f"/containers/{_quoted(container)}/stats?{what}")

    def start(self, container: str, *, timeout: float) -> None:
        """Start a container."""
        self._act("POST", f"/containers/{_quoted(container)}/start", timeout)

    def stop(self, container: str, *, timeout: int) -> None:
        """Stop a container within that many seconds; the request is given more."""
        self._act("POST", f"/containers/{_quoted(container)}/stop", self._timeout_seconds + timeout, t=timeout)

    def wait(self, container: str, *, timeout: float, condition: str) -> object:
        """Wait until a container is as the condition says."""
        return _checked(dict, self._act("POST", f"/containers/{_quoted(container)}/wait", timeout, condition=condition))

    def unpause(self, container: str) -> None:
        """Let a paused container go on."""
        self._act("POST", f"/containers/{_quoted(container)}/unpause")

    def rename(self, container: str, name: str) -> None:
        """Give a container another name."""
        self._act("POST", f"/containers/{_quoted(container)}/rename", name=name)

    def remove_container(self, container: str, *, force: bool, v: bool = False) -> None:
        """Remove a container, with `v` with its anonymous volumes."""
        self._act("DELETE", f"/containers/{_quoted(container)}", v=v, force=force)

    def images(self, *, filters: Filters | None = None) -> list[Json]:
        """Return the images."""
        return self._get(list, "/images/json", filters=_filters(filters))

    def inspect_image(self, image: str) -> Json:
        """Return what the engine says of an image."""
        return self._get(dict, f"/images/{_quoted(image)}/json")

    def tag(self, image: str, repository: str, tag: str | None, *, force: bool = False) -> object:
        """Give an image a name."""
        return self._act("POST", f"/images/{_quoted(image)}/tag", repo=repository, tag=tag, force=force)

    def remove_image(self, image: str, *, force: bool = False) -> object:
        """Remove a name of an image, and the image with its last one."""
        return self._act("DELETE", f"/images/{_quoted(image)}", force=force)

    def networks(self, *, names: Iterable[str] | None = None, filters: Filters | None = None) -> list[Json]:
        """Return the networks."""
        named = {"name": list(names)} if names else {}
        return self._get(list, "/networks", filters=_filters({**(filters or {}), **named}))

    def volumes(self, *, filters: Filters | None = None) -> Json:
        """Return the volumes."""
        return self._get(dict, "/volumes", filters=_filters(filters))

    def events(self, *, filters: Filters, since: str | None = None) -> EventStream:
        """Subscribe to events."""
        target = self._target("/events", since=since, filters=_filters(filters))
        found = self._socket.stream(target)
        if isinstance(found, Answer):
            raise refusal(found.status, found.reason, found.content)
        return found

    def close(self) -> None:
        """Close all connections."""
        self._socket.close()

    def _get(self, kind: type[Answered], path: str, **parameters: object) -> Answered:
        return _checked(kind, self._socket.ask(self._target(path, **parameters)))

    def _act(self, method: str, path: str, timeout: float | None = None, **parameters: object) -> Answer:
        answer = self._socket.send(method, self._target(path, **parameters), timeout)
        _require_success(answer)
        return answer

    def _target(self, path: str, **parameters: object) -> str:
        said = {name: int(one) if isinstance(one, bool) else one for name, one in parameters.items() if one is not None}
        return f"/v{self.api_version}{path}{'?' if said else ''}{urlencode(said)}"


def _quoted(name: str) -> str:
    return quote(name, safe="/:")


def _filters(filters: Filters | None) -> str | None:
    """Write filters as the API takes them: lists of text."""
    if not filters:
        return None
    return json.dumps(
        {key: list(map(str, one)) if isinstance(one, list) else [str(one)] for key, one in filters.items()}
    )


def _require_success(answer: Answer) -> None:
    """Raise ApiError where that is no success; what is as it should be already is `NOT_MODIFIED`."""
    if answer.status >= HTTPStatus.MULTIPLE_CHOICES and answer.status != HTTPStatus.NOT_MODIFIED:
        raise refusal(answer.status, answer.reason, answer.content)


def _checked(kind: type[Answered], answer: Answer) -> Answered:
    _require_success(answer)
    try:
        found = json.loads(answer.content)
    except ValueError as error:
        raise OSError(UNREADABLE) from error
    if not isinstance(found, kind):
        raise OSError(UNREADABLE)
    return found


def _headers() -> Mapping[str, str]:
    """Return the headers that Docker's clients are told to send with each request; without a home there are none."""
    with suppress(OSError, ValueError, AttributeError, RuntimeError):
        found = json.loads(configuration_file().read_bytes()).get("HttpHeaders")
        return {str(name): str(value) for name, value in (found or {}).items()}
    return {}
