"""Ask one Docker Engine by the Docker SDK; every call blocks, and is made in a thread (`client.py`)."""

import json
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import docker
import requests
from docker.errors import TLSParameterError
from docker.utils import kwargs_from_env

from roas.engine.api_errors import ApiError, ApiNotFoundError
from roas.errors import EngineError
from roas.messages.message import said

LOCAL_SCHEMES = ("unix://", "http+unix://")
REQUEST_SECONDS = 30
CONNECTIONS = 64
UNREADABLE = "what it answers is no Docker API's"


class EngineClient(docker.APIClient):
    """The SDK's client of the API, with the engine's refusals as our own errors.

    Raises ApiError for what the engine refuses, OSError where it does not answer.
    """

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
                use_ssh_client=address.startswith("ssh://"),
                **settings,
            )
        except TLSParameterError as error:
            raise EngineError(
                said("The engine's TLS settings are wrong: {error}", error=error), hint=said("Check DOCKER_CERT_PATH.")
            ) from error

    def start(self, container: Any, *, timeout: float = REQUEST_SECONDS) -> None:
        """Start a container; the SDK gives the engine no longer for it than for any question."""
        url = self._url("/containers/{0}/start", container)  # type: ignore[attr-defined]
        self._raise_for_status(self._post(url, timeout=timeout))  # type: ignore[attr-defined]

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


def path_of(address: str) -> str:
    """Return the path of a local engine's socket."""
    return f"/{address.partition('://')[2].lstrip('/')}"
