"""Ask an engine through the Docker SDK: one that is elsewhere, and what has streams, archives and registries in it.

This is where `docker` is loaded, with requests and urllib3.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, cast

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, TLSParameterError
from docker.transport import UnixHTTPAdapter
from docker.utils import kwargs_from_env

from roas.engine.api import EngineApi, EventStream, Filters
from roas.engine.api_errors import refusal
from roas.errors import EngineError
from roas.messages.message import said

ADAPTED = "http+docker://"  # what the SDK calls any socket

# What the SDK puts before everything that keeps it from an engine.
SDK_ASKED = "Error while fetching server API version: "


class SdkFaultError(OSError):
    """The SDK could not ask an engine; the cause says why."""


class SdkClient:
    """Ask an engine that is elsewhere."""

    def __init__(self, address: str, *, timeout_seconds: int, connections: int) -> None:
        """Ask for the API's version; blocks. Raises ApiError, OSError, EngineError for wrong TLS settings."""
        with sdk_faults():
            arguments: dict[str, Any] = {**kwargs_from_env(), "base_url": address}
            if address.startswith("ssh://"):
                arguments["use_ssh_client"] = True
            self.sdk = SdkCalls(
                docker.APIClient(version="auto", timeout=timeout_seconds, max_pool_size=connections, **arguments)
            )

    @property
    def api(self) -> EngineApi:
        """Return the same: the SDK has all of it."""
        return cast("EngineApi", self.sdk)

    def read_logins(self, path: Path) -> None:
        """Read the logins to registries again."""
        self.sdk.reload_config(str(path))

    def close(self) -> None:
        """Close all connections."""
        self.sdk.close()


class SdkCalls:
    """Call the SDK's `APIClient` by its own names, and raise our own errors; `raw` is that client itself."""

    def __init__(self, api: docker.APIClient) -> None:
        self.raw: Any = api

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method of the SDK's."""
        return _with_our_errors(getattr(self.raw, name))

    def events(self, *, filters: Filters, since: str | None = None) -> EventStream:
        """Subscribe to events."""
        with sdk_faults():
            return SdkStream(self.raw.events(since=since, filters=dict(filters), decode=True))

    def start(self, container: str, *, timeout: float) -> None:
        """Start a container; the SDK's own method gives the engine no longer than any question."""
        with sdk_faults():
            self.raw._raise_for_status(
                self.raw._post(self.raw._url("/containers/{0}/start", container), timeout=timeout)
            )


def open_local(path: str, version: str, timeout_seconds: int, connections: int) -> SdkCalls:
    """Return the SDK's calls of an engine on a socket of this machine; asks nothing."""
    with sdk_faults():
        api = docker.APIClient(
            base_url=f"unix://{path}", version=version, timeout=timeout_seconds, max_pool_size=connections
        )
        api.mount(ADAPTED, SocketAdapter(f"http+unix://{path}", timeout_seconds, max_pool_size=connections))
        api.trust_env = False  # no proxy and no netrc has a part in a socket; looking for them takes a third
    return SdkCalls(api)


class SocketAdapter(UnixHTTPAdapter):
    """Keep connections open from call to call: the SDK's own has a pool for each URL, and so connects each time."""

    def get_connection(self, url: str | bytes, proxies: Mapping[str, str] | None = None) -> Any:
        """Return the one pool, whatever the URL."""
        return super().get_connection(ADAPTED, proxies)


@contextmanager
def sdk_faults() -> Iterator[None]:
    """Raise our own errors instead of the SDK's, of requests' and of urllib3's."""
    try:
        yield
    except APIError as error:
        answer = error.response
        raise refusal(
            answer.status_code if answer is not None else 0,
            (answer.reason or "") if answer is not None else str(error),
            str(error.explanation or "").encode(),
        ) from error
    except TLSParameterError as error:
        raise EngineError(
            said("The engine's TLS settings are wrong: {error}", error=error), hint=said("Check DOCKER_CERT_PATH.")
        ) from error
    except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise SdkFaultError(str(error).removeprefix(SDK_ASKED)) from error


def _with_our_errors(method: Any) -> Callable[..., Any]:
    @wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        with sdk_faults():
            found = method(*arguments, **named)
        return tuple(map(_stream, found)) if isinstance(found, tuple) else _stream(found)

    return call


def _stream(found: Any) -> Any:
    return SdkStream(found) if hasattr(found, "__next__") else found


class SdkStream:
    """Read what comes bit by bit, and raise our own errors; another thread may close it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[Any]:
        with sdk_faults():
            yield from self._stream

    def close(self) -> None:
        """End it."""
        with sdk_faults():
            self._stream.close()
