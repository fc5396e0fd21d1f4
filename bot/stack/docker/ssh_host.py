"""Reach the engine of another host: one ssh connection forwards its socket to one of this machine.

The Docker SDK and Compose use that socket as if the engine were here. Each by itself would connect anew for each
question, and sshd refuses who connects too often (`MaxStartups`), or fails to log in too often (`PerSourcePenalties`).
"""

import asyncio
import errno
import getpass
import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from roas.concurrency import end_tasks, in_thread
from roas.errors import EngineError, EngineUnavailableError
from roas.extras import SSH, load
from roas.limits import LOGIN_RETRY_SECONDS
from roas.messages.message import said
from roas.models.environment import SshAccess
from roas.stack.docker.sdk import file_version
from roas.temporary import socket_in, temporary_folder

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
LOCKED_KEY_HINT = said(
    "Name a key without a passphrase by `docker_key_file`, or leave that out and load the key into the agent."
)
CLOSED_HINT = said(
    "Check what its sshd logs: it closes connections where too many begin at once (`MaxStartups`), and for some "
    "minutes those of an address from which logins failed (`PerSourcePenalties`)."
)
NO_NAME_HINT = said("Set USER and HOME: the user that the bot runs as has no name or home here, and ssh wants both.")
AWAY_HINT = said("Check by ssh that the host answers, and that this user may use its Docker socket.")
SOCKET_HINT = said(
    "Check that Docker runs there, that this user may use its socket (group docker), and that sshd lets the key "
    "forward it (`port-forwarding`, `AllowStreamLocalForwarding`)."
)


class SshHost:
    """Keep the connection to one host; when it is lost, the next who asks connects again."""

    def __init__(self, address: str, access: SshAccess) -> None:
        self._parts = urlsplit(address)
        self._address = address
        self._access = access
        self._folder = ExitStack()
        self._socket: Path | None = None
        self._connection: Any = None
        self._connecting: asyncio.Task[Path] | None = None
        self._refusal: EngineUnavailableError | None = None
        self._refused_until = 0.0
        self._refused_files: tuple[object, ...] = ()

    async def socket(self) -> Path:
        """Return the socket that leads to the engine, always the same, connecting where that is needed.

        All who ask while it is connected wait for the same attempt, and learn how it ended.
        Raises EngineUnavailableError where the host does not answer or lets nobody in, EngineError without asyncssh.
        """
        attempt = self._connecting
        if attempt is None or (attempt.done() and not (self._is_connected() and self._has_socket())):
            attempt = self._connecting = asyncio.create_task(self._connect())
            attempt.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return await asyncio.shield(attempt)

    async def require_engine(self) -> None:
        """Raise EngineUnavailableError where the host is connected and its sshd cannot open the engine's socket."""
        if not self._is_connected():
            return
        library = await in_thread(load, SSH, EngineError)
        try:
            _, writer = await self._connection.open_unix_connection(self._engine_socket)
            writer.close()
        except library.ChannelOpenError as error:
            raise EngineUnavailableError(
                said(
                    "The engine at {address} does not answer: sshd cannot open {path} there.",
                    address=self._address,
                    path=self._engine_socket,
                ),
                hint=SOCKET_HINT,
            ) from error
        except (OSError, library.Error) as error:
            raise self._fault(error, AWAY_HINT) from error

    async def close(self) -> None:
        """End the connection; whoever uses the socket gets no more answers."""
        if self._connecting is not None:
            await end_tasks(self._connecting)
        if self._connection is not None:
            self._connection.abort()
        self._folder.close()
        self._connection = self._socket = self._connecting = None

    @property
    def _engine_socket(self) -> str:
        return self._parts.path.rstrip("/") or ENGINE_SOCKET

    def _is_connected(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    def _has_socket(self) -> bool:
        """Return whether nobody has removed the socket: what is temporary is cleared away on some machines."""
        return self._socket is not None and self._socket.exists()

    async def _connect(self) -> Path:
        self._raise_refusal()
        if self._connection is not None:
            self._connection.abort()
        if self._socket is None:
            with ExitStack() as made:
                self._socket = socket_in(made.enter_context(temporary_folder("ssh")))
                self._folder = made.pop_all()
        self._socket.parent.mkdir(mode=0o700, exist_ok=True)
        self._connection = await self._connected(self._socket)
        return self._socket

    async def _connected(self, path: Path) -> Any:
        library = await in_thread(load, SSH, EngineError)
        self._require_user()
        connection, files = None, self._file_versions()
        known_hosts = self._known_hosts(library)
        try:
            connection = await library.connect(self._parts.hostname, **known_hosts, **self._options())
            await connection.forward_local_path(str(path), self._engine_socket)
        except (OSError, ValueError, library.Error) as error:
            fault = self._fault(error, await self._hint(library, error))
            if isinstance(error, library.HostKeyNotVerifiable | library.PermissionDenied):
                self._refusal, self._refused_files = fault, files
                self._refused_until = time.monotonic() + LOGIN_RETRY_SECONDS
            raise fault from error
        else:
            opened, connection = connection, None
            return opened
        finally:
            if connection is not None:
                connection.abort()

    def _raise_refusal(self) -> None:
        """Raise again what the host said a moment ago, where it would say the same."""
        if self._refusal is None:
            return
        if time.monotonic() < self._refused_until and self._refused_files == self._file_versions():
            raise self._refusal
        self._refusal = None

    def _file_versions(self) -> tuple[object, ...]:
        files = (self._access.key_file, self._access.known_hosts_file)
        return tuple(file_version(path) for path in files if path is not None)

    def _require_user(self) -> None:
        """Raise EngineUnavailableError where this process's user has no name or no home: the library wants both."""
        try:
            getpass.getuser()
            Path.home()
        except (OSError, KeyError, ImportError, RuntimeError) as error:  # as Python's versions have it
            raise self._fault(error, NO_NAME_HINT) from error

    def _known_hosts(self, library: Any) -> dict[str, Any]:
        """Return the hosts' own keys, as they are now. Raises EngineUnavailableError where that file is unusable."""
        if self._access.known_hosts_file is None:
            return {}
        try:
            return {"known_hosts": library.read_known_hosts(str(self._access.known_hosts_file))}
        except (OSError, ValueError) as error:
            raise self._fault(error, NEW_KEY_HINT) from error

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
        if self._access.key_file is not None:
            options |= {"client_keys": [str(self._access.key_file)], "agent_path": None}
        return options

    def _fault(self, error: Exception, hint: str) -> EngineUnavailableError:
        """Return what people are told of a host that does not answer, is not the known one, or lets nobody in."""
        return EngineUnavailableError(
            said("The engine at {address} does not answer ({error}).", address=self._address, error=_reason(error)),
            hint=hint,
        )

    async def _hint(self, library: Any, error: Exception) -> str:
        """Return what to do about what keeps us from a host."""
        if isinstance(error, library.HostKeyNotVerifiable):
            return NEW_KEY_HINT
        if isinstance(error, library.KeyImportError) and await in_thread(_is_locked, library, self._access.key_file):
            return LOCKED_KEY_HINT
        of_a_file = isinstance(error, OSError) and error.filename is not None
        if of_a_file or isinstance(error, library.PermissionDenied | library.KeyImportError):
            return LOGIN_HINT
        if isinstance(error, ConnectionResetError | library.ConnectionLost):
            return CLOSED_HINT
        return AWAY_HINT


def _is_locked(library: Any, key_file: Path | None) -> bool:
    """Return whether a key is there, and has a passphrase; to try one takes a moment of a processor."""
    try:
        library.read_private_key(str(key_file), passphrase="none")  # noqa: S106 - any, to learn whether one is asked for
    except library.KeyEncryptionError:
        return True
    except (OSError, ValueError):
        return False
    return False


def _reason(error: Exception) -> str:
    """Return in few words why a host is not reached."""
    if isinstance(error, TimeoutError):
        return os.strerror(errno.ETIMEDOUT).lower()
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno).lower()
    if isinstance(error, socket.gaierror):
        return str(error.strerror).lower()
    return str(error) or type(error).__name__
