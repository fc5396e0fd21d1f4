"""Reach the engine of another host: one ssh connection forwards its socket to one of this machine.

The Docker SDK and Compose use that socket as if the engine were here. Each by itself would connect anew for each
question, and sshd refuses who connects too often (`MaxStartups`).
"""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from roas.concurrency import in_thread
from roas.errors import EngineError, EngineUnavailableError
from roas.extras import SSH, load
from roas.messages.message import said
from roas.models.environment import SshAccess
from roas.temporary import temporary_folder

SCHEME = "ssh://"
ENGINE_SOCKET = "/var/run/docker.sock"
CONNECT_SECONDS = 10
# A host that answers nothing is away after the third of these.
KEEPALIVE_SECONDS, KEEPALIVES = 5, 3
NEW_KEY_HINT = said(
    "Compare the host's key with what `ssh-keyscan` prints, and put it into `docker_known_hosts_file`, else into "
    "~/.ssh/known_hosts."
)
LOGIN_HINT = said("Name a key that the host accepts by `docker_key_file`.")
AWAY_HINT = said("Check by ssh that the host answers, and that this user may use its Docker socket.")


class SshHost:
    """Keep the connection to one host; when it is lost, the next who asks connects again."""

    def __init__(self, address: str, access: SshAccess) -> None:
        self._parts = urlsplit(address)
        self._address = address
        self._access = access
        self._folder = ExitStack()
        self._socket: Path | None = None
        self._connection: Any = None
        self._connecting = asyncio.Lock()

    async def socket(self) -> Path:
        """Return the socket that leads to the engine, always the same, connecting where that is needed.

        Raises EngineUnavailableError where the host does not answer or lets nobody in, EngineError without asyncssh.
        """
        async with self._connecting:
            if self._socket is None:
                self._socket = self._folder.enter_context(temporary_folder("ssh")) / "docker.sock"
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._connected(self._socket)
            return self._socket

    def close(self) -> None:
        """End the connection; whoever uses the socket gets no more answers."""
        if self._connection is not None:
            self._connection.abort()
        self._folder.close()
        self._connection = self._socket = None

    async def _connected(self, socket: Path) -> Any:
        library = await in_thread(load, SSH, EngineError)
        connection = None
        try:
            connection = await library.connect(self._parts.hostname, **self._options())
            await connection.forward_local_path(str(socket), self._parts.path.rstrip("/") or ENGINE_SOCKET)
        except (OSError, ValueError, library.Error) as error:
            raise _fault(library, self._address, error) from error
        else:
            opened, connection = connection, None
            return opened
        finally:
            if connection is not None:
                connection.abort()

    def _options(self) -> dict[str, Any]:
        """Return what is said; what is left out is as `ssh` has it."""
        options: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "login_timeout": CONNECT_SECONDS,
            "keepalive_interval": KEEPALIVE_SECONDS,
            "keepalive_count_max": KEEPALIVES,
        }
        if self._parts.port is not None:
            options["port"] = self._parts.port
        if self._parts.username is not None:
            options["username"] = self._parts.username
        if self._access.known_hosts_file is not None:
            options["known_hosts"] = str(self._access.known_hosts_file)
        if self._access.key_file is not None:
            options |= {"client_keys": [str(self._access.key_file)], "agent_path": None}
        return options


def _fault(library: Any, address: str, error: Exception) -> EngineUnavailableError:
    """Return what people are told of a host that does not answer, is not the one that is known, or lets nobody in."""
    hint = AWAY_HINT
    if isinstance(error, library.HostKeyNotVerifiable):
        hint = NEW_KEY_HINT
    elif isinstance(error, library.PermissionDenied | library.KeyImportError):
        hint = LOGIN_HINT
    reason = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        reason, hint = f"{error.strerror}: {error.filename}", LOGIN_HINT
    return EngineUnavailableError(
        said(
            "The engine at {address} does not answer ({error}).",
            address=address,
            error=reason or type(error).__name__,
        ),
        hint=hint,
    )
