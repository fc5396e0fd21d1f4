"""Ask engines in threads, and convert what goes wrong to our own errors."""

import asyncio
import os
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from roas.engine.api import EngineClient
from roas.engine.api_errors import ApiError
from roas.engine.fresh_answers import FreshAnswers
from roas.engine.local_client import LocalClient
from roas.engine.registry_logins import RegistryLogins
from roas.engine.sdk_client import SdkClient
from roas.errors import EngineError, EngineUnavailableError, without_secrets
from roas.messages.message import said
from roas.models.environment import Environment

DEFAULT_HOST = "unix:///var/run/docker.sock"
LOCAL_SCHEMES = ("unix://", "http+unix://")
REQUEST_SECONDS = 30
CONNECTIONS = 128
THREADS = 32
# For what takes long: to start and to stop. Else whoever looks at a large stack waits behind all that moves in it.
ACTING_THREADS = 64
# For files, apart from those that ask engines: whatever a disk does, the engines are still asked.
FILE_THREADS = 8
EACH_THREADS = 8
BUSY_STATUSES = frozenset({429, 502, 503, 504})
# What an engine says once it speaks other versions of its API than when its client was opened.
OTHER_API = re.compile(r"client version \S+ is too (new|old)\.")
BRIEF_LENGTH = 200
AWAY_HINT = said("Start Docker, or correct DOCKER_HOST; the bot's user must be able to use its socket.")
# Where a container gets a path that the host does not have, Docker makes a folder of it.
NO_SOCKET_HINT = said(
    "Name the engine's socket on the host (`docker context ls` shows it): DOCKER_SOCKET in the shipped stack, else "
    "DOCKER_HOST. Remove the folder that Docker made there, and start the bot by `docker compose up -d`."
)

Answer = TypeVar("Answer")


def engine_address(environment: Environment) -> str:
    """Return where an environment's engine listens; the SDK and the CLI use the same address."""
    return environment.docker_host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def is_local(environment: Environment) -> bool:
    """Return whether the engine is reached by a socket of this machine, so that it sees the files that we see."""
    return engine_address(environment).startswith(LOCAL_SCHEMES)


def socket_path(environment: Environment) -> str:
    """Return the path of a local engine's socket."""
    return _path(engine_address(environment))


def _path(address: str) -> str:
    return f"/{address.partition('://')[2].lstrip('/')}"


class _Threads:
    """The threads that ask one engine: one that hangs fills its own, and holds up nobody who asks another one."""

    def __init__(self) -> None:
        self.asking = ThreadPoolExecutor(THREADS, thread_name_prefix="engine")
        self.acting = ThreadPoolExecutor(ACTING_THREADS, thread_name_prefix="engine-acts")
        self.each = ThreadPoolExecutor(EACH_THREADS, thread_name_prefix="engine-each")

    def shutdown(self) -> None:
        """Let them end."""
        for threads in (self.asking, self.acting, self.each):
            threads.shutdown(wait=False, cancel_futures=True)


class EngineClients:
    """Keep one client per engine; a client serves as many threads as it has connections."""

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._redact = redact
        self._clients: dict[str, Future[EngineClient]] = {}
        self._opening = threading.Lock()
        self._logins = RegistryLogins()
        self.fresh = FreshAnswers()
        self._threads: defaultdict[str, _Threads] = defaultdict(_Threads)
        # In a thread that asks an engine: that engine's threads.
        self._here = threading.local()
        self._file_threads = ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="files")

    async def call(self, environment: Environment, question: Callable[[EngineClient], Answer]) -> Answer:
        """Ask an engine in a thread. Raises EngineUnavailableError, or EngineError for what it refuses."""
        address = engine_address(environment)
        return await self._in_thread(self._threads[address].asking, address, question)

    async def act(self, environment: Environment, question: Callable[[EngineClient], Answer]) -> Answer:
        """Do what takes an engine long, as `call` asks it; nobody who asks waits for it."""
        address = engine_address(environment)
        return await self._in_thread(self._threads[address].acting, address, question)

    async def _in_thread(
        self, threads: ThreadPoolExecutor, address: str, question: Callable[[EngineClient], Answer]
    ) -> Answer:
        beside = self._threads[address].each

        def ask() -> Answer:
            self._here.each = beside
            with without_secrets(self._redact), typed_faults(address):
                client = self.client(address)
                try:
                    return question(client)
                except ApiError as error:
                    if OTHER_API.search(explanation(error)):
                        self._drop(address, client)
                    raise

        return await asyncio.get_running_loop().run_in_executor(threads, ask)

    async def local(self, work: Callable[[], Answer]) -> Answer:
        """Do blocking work that asks no engine."""
        return await asyncio.get_running_loop().run_in_executor(self._file_threads, work)

    def client(self, address: str) -> EngineClient:
        """Return the client of an address; blocks when it is the first time.

        An engine that does not answer takes until its time limit then. That holds up nobody who asks another one, and
        all who want this one wait for the same opening, and learn how it ended: one after the other, they would fill
        the threads.
        """
        with self._opening:
            opening = self._clients.get(address)
            is_first = opening is None
            if opening is None:
                opening = self._clients[address] = Future()
        if is_first:
            self._open(address, opening)
        client = opening.result()
        self._logins.refresh(client)
        return client

    def _open(self, address: str, opening: "Future[EngineClient]") -> None:
        try:
            opening.set_result(open_client(address))
        except BaseException as error:
            with self._opening:
                self._clients.pop(address, None)  # whoever comes next tries again
            opening.set_exception(error)

    def _drop(self, address: str, client: EngineClient) -> None:
        """Let whoever asks next open another client: the engine was upgraded, or is an older one again."""
        with self._opening:
            opening = self._clients.get(address)
            if opening is None or not opening.done() or opening.result() is not client:
                return  # somebody else was told, too
            del self._clients[address]
        self.fresh.forget(client)
        client.close()

    def each(self, work: Callable[[Any], Answer], items: list[Any]) -> list[Answer]:
        """Do the same for many items at the same time; for use within a question only."""
        if len(items) == 1:
            return [work(items[0])]
        left = iter(enumerate(items))
        done: dict[int, Answer] = {}

        def take_the_next() -> None:
            """Work until nothing is left: to hand over each item by itself costs as much as asking for it."""
            try:
                done.update((number, work(item)) for number, item in left)
            except BaseException:
                deque(left, maxlen=0)  # whoever waits gets this error: the others need not go on
                raise

        for working in [self._beside.submit(take_the_next) for _ in range(min(EACH_THREADS, len(items)))]:
            working.result()
        return [done[number] for number in range(len(items))]

    def begin(self, work: Callable[[], Answer]) -> "Future[Answer]":
        """Begin beside `each` what is needed after it; for use within a question only."""
        return self._beside.submit(work)

    @property
    def _beside(self) -> ThreadPoolExecutor:
        found: ThreadPoolExecutor = self._here.each
        return found

    async def close(self) -> None:
        """Close every client and let the threads end."""
        opened, self._clients = list(self._clients.values()), {}
        for one in opened:
            if one.done() and one.exception() is None:
                one.result().close()
        for threads in self._threads.values():
            threads.shutdown()
        self._file_threads.shutdown(wait=False, cancel_futures=True)


def open_client(address: str) -> EngineClient:
    """Open a client of its own; blocks, since it asks for the API's version."""
    if address.startswith(LOCAL_SCHEMES):
        return LocalClient(_path(address), timeout_seconds=REQUEST_SECONDS, connections=CONNECTIONS)

    return SdkClient(address, timeout_seconds=REQUEST_SECONDS, connections=CONNECTIONS)


@contextmanager
def typed_faults(address: str) -> Iterator[None]:
    """Raise what people are told of an engine that refuses, or does not answer."""
    try:
        yield
    except ApiError as error:
        raise _refusal(error, address) from error
    except OSError as error:
        raise engine_unavailable(address, error) from error


def engine_unavailable(address: str, error: BaseException) -> EngineUnavailableError:
    """Create the error for an engine that cannot be reached."""
    if address.startswith(LOCAL_SCHEMES) and Path(_path(address)).is_dir():
        return EngineUnavailableError(
            said("The engine at {address} does not answer: that is a folder, and no socket.", address=address),
            hint=NO_SOCKET_HINT,
        )
    return EngineUnavailableError(
        said("The engine at {address} does not answer ({error}).", address=address, error=_brief(error)), hint=AWAY_HINT
    )


def explanation(error: ApiError) -> str:
    """Return the engine's own error message."""
    return error.explanation


def _refusal(error: ApiError, address: str) -> EngineError:
    text = explanation(error)
    if OTHER_API.search(text):
        return EngineUnavailableError(
            said("The engine at {address} is of another version than before: {text}", address=address, text=text),
            hint=said("Try again in a moment."),
        )
    if error.status in BUSY_STATUSES:
        return EngineUnavailableError(
            said("The engine at {address} is too busy: {text}", address=address, text=text),
            hint=said("Try again in a moment."),
        )
    return EngineError(said("The engine refused: {text}", text=text), hint=said("Read what it says and try again."))


def _brief(error: BaseException) -> str:
    """Find the shortest true reason in a chain of wrapped errors; without one, what the outermost says."""
    reason: BaseException | None = error
    while reason is not None:
        if isinstance(reason, OSError) and reason.strerror:
            return reason.strerror.lower()
        if type(reason) is OSError and str(reason):  # such as for a path that is too long for a socket
            return str(reason)
        reason = reason.__cause__ or reason.__context__
    said_of_it = " ".join(str(error).split())
    return said_of_it[:BRIEF_LENGTH] or type(error.__cause__ or error).__name__
