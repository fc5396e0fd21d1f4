"""Ask one Docker Engine by the Docker SDK; every call blocks, and is made in a thread (`engine.py`)."""

import json
import os
from collections.abc import Collection
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import TLSParameterError
from docker.transport import UnixHTTPAdapter
from docker.utils import kwargs_from_env

from roas.errors import EngineError
from roas.messages.message import said
from roas.stack.docker.api_errors import ApiError, ApiNotFoundError

FILE_NAME = "config.json"
Version = tuple[int, int, int]
LOCAL_SCHEMES = ("unix://", "http+unix://")
REQUEST_SECONDS = 30
# To measure volumes, the engine reads all folders of all of them: nobody waits longer for that.
MEASURE_SECONDS = 5
CONNECTIONS = 64
TLS_HINT = said(
    "Check DOCKER_CERT_PATH: its `ca.pem` has to have signed the engine's certificate, and the engine's authority its "
    "`cert.pem`."
)
SOCKET_URL = "http+docker://localhost"  # what the SDK calls any socket
UNREADABLE = "what it answers is no Docker API's"


def login_folder() -> Path | None:
    """Return the folder that Docker's clients read logins from, where that is said."""
    named = os.environ.get("DOCKER_CONFIG")
    return Path(named) if named else None


def configuration_file() -> Path:
    """Return where Docker's clients read their configuration from."""
    return (login_folder() or Path.home() / ".docker") / FILE_NAME


def file_version(path: Path) -> Version | None:
    """Return what changes with a file that is written or replaced; None where there is none."""
    with suppress(OSError):
        status = path.stat()
        return status.st_ino, status.st_mtime_ns, status.st_size
    return None


class EngineClient(docker.APIClient):
    """The SDK's client of the API, with the engine's refusals as our own errors.

    `address` is what the settings call the engine, wherever this machine reaches it.
    Raises ApiError for what the engine refuses, OSError where it does not answer.
    """

    address = ""

    def __init__(self, address: str) -> None:
        """Ask for the API's version. Raises EngineError for wrong TLS settings."""
        is_local = address.startswith(LOCAL_SCHEMES)
        try:
            settings = {} if is_local else kwargs_from_env()
            settings["base_url"] = f"unix://{path_of(address)}" if is_local else address
            super().__init__(
                version="auto",
                timeout=REQUEST_SECONDS,
                max_pool_size=CONNECTIONS,
                **settings,
            )
            if is_local:
                self._keep_connections(f"http+unix://{path_of(address)}")
        except TLSParameterError as error:
            raise EngineError(
                said("The engine's TLS settings are wrong: {error}", error=error), hint=TLS_HINT
            ) from error

    def _keep_connections(self, address: str) -> None:
        """Ask a socket by few connections, and look up no proxy or password for it: a large stack is many requests."""
        self.get_adapter(SOCKET_URL).close()
        self.mount("http+docker://", _OneEngineAdapter(address, REQUEST_SECONDS, max_pool_size=CONNECTIONS))
        self.trust_env = False

    def ping_within(self, seconds: float) -> None:
        """Ask whether the engine lives. Raises OSError where it does not say so in time."""
        self._raise_for_status(self.get(f"{self.base_url}/_ping", timeout=seconds))

    def start(self, container: Any, *, timeout: float = REQUEST_SECONDS) -> None:
        """Start a container; the SDK gives the engine no longer for it than for any question."""
        url = self._url("/containers/{0}/start", container)  # type: ignore[attr-defined]
        self._raise_for_status(self._post(url, timeout=timeout))  # type: ignore[attr-defined]

    def volume_sizes(self, volumes: Collection[str]) -> dict[str, int]:
        """Return how many bytes volumes hold, of those of which the engine knows it."""
        # Since API 1.52 volumes are listed only where that is asked for, and in another place.
        wanted = {"type": "volume", "verbose": "1"}
        answer = self._get(self._url("/system/df"), params=wanted, timeout=MEASURE_SECONDS)  # type: ignore[attr-defined]
        found = self._result(answer, json=True)
        listed = found.get("Volumes") or (found.get("VolumeUsage") or {}).get("Items") or ()
        sizes = {item["Name"]: int((item.get("UsageData") or {}).get("Size", -1)) for item in listed}
        return {name: sizes[name] for name in volumes if sizes.get(name, -1) >= 0}

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Trust the authority in DOCKER_CERT_PATH; `requests` would rather have that of REQUESTS_CA_BUNDLE."""
        trusted = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, trusted, cert)

    def _raise_for_status(self, response: requests.Response) -> None:
        if response.ok:
            return
        text = response.text.strip()
        with suppress(ValueError, LookupError, TypeError):
            text = str(json.loads(text)["message"]).strip()
        kind = ApiNotFoundError if response.status_code == HTTPStatus.NOT_FOUND else ApiError
        raise kind(response.status_code, text or response.reason)

    def _result(self, response: requests.Response, json: bool = False, binary: bool = False) -> Any:
        try:
            found = super()._result(response, json=json, binary=binary)  # type: ignore[misc]
        except ValueError as error:
            raise OSError(UNREADABLE) from error
        if json and not isinstance(found, dict | list):
            raise OSError(UNREADABLE)
        return found


class _OneEngineAdapter(UnixHTTPAdapter):
    """Keep connections for all paths: the SDK has those of 25 paths, so that each container would get another one."""

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:
        return super().get_connection(SOCKET_URL, proxies)


def path_of(address: str) -> str:
    """Return the path of a local engine's socket."""
    return f"/{address.partition('://')[2].lstrip('/')}"


class RegistryLogins:
    """Let clients read the logins again whenever they have changed: each reads them once by itself."""

    def __init__(self) -> None:
        self._known: dict[int, Version | None] = {}

    def refresh(self, client: EngineClient) -> None:
        """Read the file again where it is another one than before."""
        folder = login_folder()
        if folder is None:
            return
        version = file_version(folder / FILE_NAME)
        if self._known.get(id(client)) != version:
            client.reload_config(str(folder / FILE_NAME))
            self._known[id(client)] = version
