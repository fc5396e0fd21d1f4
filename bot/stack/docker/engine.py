"""Ask engines in threads, and convert what goes wrong to our own errors."""

import asyncio
import errno
import os
import re
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any, TypeVar

import urllib3
from docker.errors import DockerException
from requests.exceptions import InvalidHeader

from roas.concurrency import run_concurrently, started_threads
from roas.errors import EngineError, EngineUnavailableError, InvalidRequestError, without_secrets
from roas.log import get_logger
from roas.messages.message import said
from roas.models.environment import Environment, SshAccess
from roas.shortages import find_shortage
from roas.stack.docker.api_errors import AWAY_HINT, BUSY_STATUSES, ApiError, find_passing_fault
from roas.stack.docker.sdk import LOCAL_SCHEMES, TLS_HINT, EngineClient, RegistryLogins, path_of
from roas.stack.docker.ssh_host import CONNECT_SECONDS, SCHEME, SshHost

log = get_logger(__name__)

DEFAULT_HOST = "unix:///var/run/docker.sock"
ASKING_THREADS = 16
# For what takes long: to start and to stop. Else whoever looks at a large stack waits behind all that moves in it.
ACTING_THREADS = 32
# Where there are several addresses, an engine that is silent for so long is asked whether it lives, and given so long
# to say so; and so long until its client is opened, and its host is reached.
SILENT_SECONDS = 2.0
OPENING_SECONDS = 4.0
# For files, apart from those that ask engines: whatever a disk does, the engines are still asked.
FILE_THREADS = 8
# What an engine says once it speaks other versions of its API than when its client was opened.
OTHER_API = re.compile(r"client version \S+ is too (new|old)\.")
BRIEF_LENGTH = 200
# What the SDK puts before everything that keeps it from an engine: it is cut off, and nobody reads it.
SDK_ASKED = "Error while fetching server API version: "
# Where a container gets a path that the host does not have, Docker makes a folder of it.
NO_SOCKET_HINT = said(
    "Name the engine's socket on the host (`docker context ls` shows it): DOCKER_SOCKET in the shipped stack, else "
    "DOCKER_HOST. Remove the folder that Docker made there, and start the bot by `docker compose up -d --no-deps "
    "discord-bot`, with its service's name."
)

Answer = TypeVar("Answer")
Item = TypeVar("Item")


def refuse_many_hosts(environment: Environment) -> None:
    """Raise InvalidRequestError where an environment is on many hosts: each of these has an engine, it has none."""
    if environment.hosts:
        raise InvalidRequestError(
            said("{environment} is on many hosts.", environment=environment.name),
            hint=said("Name one of them: {hosts}.", hosts=", ".join(host.name for host in environment.hosts)),
        )


def engine_address(environment: Environment) -> str:
    """Return where an environment's engine listens; the SDK and the CLI use the same address.

    Raises InvalidRequestError for one on many hosts.
    """
    refuse_many_hosts(environment)
    return environment.docker_host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def engine_addresses(environment: Environment) -> tuple[str, ...]:
    """Return all addresses at which an environment's engine is asked: those of the managers of its Swarm."""
    return tuple(dict.fromkeys((engine_address(environment), *environment.managers)))


def is_local(environment: Environment) -> bool:
    """Return whether the engine is reached by a socket of this machine, so that it sees the files that we see."""
    return engine_address(environment).startswith(LOCAL_SCHEMES)


class _Connection:
    """One engine: its client, and the threads in which it is asked.

    An engine that hangs fills its own threads, and holds up nobody who asks another one. What an environment's stack
    takes long for, such as containers that do not stop, fills that environment's.
    """

    def __init__(self, address: str, ssh: SshAccess) -> None:
        """Start the threads. Raises ShortageError."""
        self._address = address
        self._host = SshHost(address, ssh) if address.startswith(SCHEME) else None
        self._opening: asyncio.Future[EngineClient] | None = None
        self.asking = started_threads(ASKING_THREADS, "engine")
        self._acting: dict[str, ThreadPoolExecutor] = {}

    def acting(self, environment: str) -> ThreadPoolExecutor:
        """Return the threads in which one environment acts. Raises ShortageError."""
        if environment not in self._acting:
            self._acting[environment] = started_threads(ACTING_THREADS, "engine-acts")
        return self._acting[environment]

    async def reached(self) -> str:
        """Return the address by which this machine reaches the engine. Raises EngineUnavailableError."""
        return self._address if self._host is None else f"unix://{await self._host.socket()}"

    async def lives(self, client: EngineClient) -> bool:
        """Return whether the engine answers a ping now: one that waits for a leader does, one that hangs does not."""
        ping = asyncio.get_running_loop().run_in_executor(self.asking, client.ping_within, SILENT_SECONDS)
        ping.add_done_callback(_heard)
        done, _ = await asyncio.wait({ping}, timeout=2 * SILENT_SECONDS)
        return bool(done) and ping.exception() is None

    async def opened(self) -> EngineClient:
        """Return the client; all who ask while it is opened wait for the same opening, and learn how it ended.

        Raises what the SDK does, and EngineUnavailableError where a host is not reached, or does not reach its engine.
        """
        address = await self.reached()
        opening = self._opening
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
            loop = asyncio.get_running_loop()
            opening = self._opening = loop.run_in_executor(self.asking, EngineClient, address)
            opening.add_done_callback(_heard)
        try:
            return await asyncio.shield(opening)
        except (OSError, DockerException):
            if self._host is not None:
                await self._host.require_engine()
            raise

    def forget(self, client: EngineClient) -> None:
        """Let whoever asks next open another client: the engine was upgraded, or is an older one again."""
        opening = self._opening
        if opening is not None and opening.done() and opening.result() is client:
            self._opening = None
            client.close()

    async def close(self) -> None:
        """Close the client, and let the threads end."""
        if self._host is not None:
            await self._host.close()
        opening, self._opening = self._opening, None
        if opening is not None and opening.done() and not opening.cancelled() and opening.exception() is None:
            opening.result().close()
        for threads in (self.asking, *self._acting.values()):
            threads.shutdown(wait=False, cancel_futures=True)


def _heard(ended: "asyncio.Future[Any]") -> None:
    """Take what became of something that nobody waits for any more, so that asyncio does not complain of it."""
    _ = ended.cancelled() or ended.exception()


class EngineClients:
    """Keep the connections to engines, each with threads of its own, and those in which files are worked on."""

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self.redact = redact
        self.logins = RegistryLogins()
        self._engines: dict[tuple[str, SshAccess], _Connection] = {}
        self._answering: dict[tuple[str, ...], str] = {}
        self._file_threads = started_threads(FILE_THREADS, "files")

    async def local(self, work: Callable[[], Answer]) -> Answer:
        """Do blocking work that asks no engine."""
        return await asyncio.get_running_loop().run_in_executor(self._file_threads, work)

    def of(self, environment: Environment) -> "Engine":
        """Return what asks the engine of an environment."""
        return Engine(self, environment)

    def connection(self, environment: Environment, address: str = "") -> _Connection:
        """Return the connection to the engine of an environment, at its first or another address.

        Raises ShortageError.
        """
        address = address or engine_address(environment)
        known = (address, environment.ssh)
        if known not in self._engines:
            self._engines[known] = _Connection(address, environment.ssh)
        return self._engines[known]

    def answering(self, addresses: tuple[str, ...]) -> str:
        """Return which of several addresses answered last; the first until one has."""
        return self._answering.get(addresses, addresses[0])

    def note_answer(self, addresses: tuple[str, ...], address: str) -> None:
        """Note that one of several addresses answered: it is asked first from now on."""
        if (before := self.answering(addresses)) != address:
            log.warning("another manager answers", address=address, before=before)
            self._answering[addresses] = address

    async def close(self) -> None:
        """Close every client and let the threads end."""
        for engine in self._engines.values():
            await engine.close()
        self._engines.clear()
        self._file_threads.shutdown(wait=False, cancel_futures=True)


class Engine:
    """Ask the engine that one environment's stack runs on, in threads.

    Where it has several addresses, those of a Swarm's managers, the next one is asked where one does not answer, says
    that it has no leader, or is silent and answers no ping. What was asked there may still be done: whoever writes to a
    Swarm knows its write by a mark. What asks raises EngineUnavailableError, EngineError for what is refused.
    """

    def __init__(self, clients: EngineClients, environment: Environment) -> None:
        self._clients = clients
        self.environment = environment
        self.project = environment.project
        self.addresses = engine_addresses(environment)
        self.is_local = is_local(environment)
        # Of this machine: the engine's own, or one that leads to its host by ssh.
        self.has_socket = self.is_local or self.addresses[0].startswith(SCHEME)

    @property
    def address(self) -> str:
        """Return where the engine answered last, or is asked first."""
        return self._clients.answering(self.addresses)

    async def reached(self) -> str:
        """Return the address by which this machine reaches the engine: of several managers, of one that answers."""
        if len(self.addresses) > 1:
            await self.call(lambda client: client.ping())
        return await self._clients.connection(self.environment, self.address).reached()

    async def call(self, question: Callable[[EngineClient], Answer]) -> Answer:
        """Ask in a thread."""
        return await self._ask(lambda connection: connection.asking, question)

    async def act(self, question: Callable[[EngineClient], Answer]) -> Answer:
        """Do what takes the engine long; nobody who asks waits for it."""
        return await self._ask(lambda connection: connection.acting(self.environment.name), question)

    async def unresponsive_addresses(self) -> tuple[str, ...]:
        """Return the other addresses at which no engine answers now."""
        others = [address for address in self.addresses if address != self.address]
        answers = await asyncio.gather(*map(self._answers, others))
        return tuple(address for address, does in zip(others, answers, strict=True) if not does)

    async def _answers(self, address: str) -> bool:
        try:
            async with asyncio.timeout(2 * SILENT_SECONDS):
                return await self._clients.connection(self.environment, address).lives(await self._opened(address))
        except (EngineUnavailableError, TimeoutError):
            return False

    async def each(self, question: Callable[[EngineClient, Item], Answer], items: Iterable[Item]) -> list[Answer]:
        """Ask the same about many items at the same time."""
        every = list(items)
        parts = [every[number::ASKING_THREADS] for number in range(min(ASKING_THREADS, len(every)))]
        answers = await run_concurrently(self.call(partial(_about_each, question, part)) for part in parts)
        return [answers[number % ASKING_THREADS][number // ASKING_THREADS] for number in range(len(every))]

    async def local(self, work: Callable[[], Answer]) -> Answer:
        """Do blocking work that asks no engine."""
        return await self._clients.local(work)

    async def client(self) -> EngineClient:
        """Return the client, with today's logins to registries, for a stream in a thread of its own.

        A stream would hold a thread that answers questions.
        """
        return await self._first_that_answers(self._opened)

    async def _opened(self, address: str) -> EngineClient:
        with without_secrets(self._clients.redact), typed_faults(address):
            opening = self._clients.connection(self.environment, address).opened()
            async with asyncio.timeout(self._opening_seconds(address)):
                client = await opening
            client.address = address
            self._clients.logins.refresh(client)
            return client

    def _opening_seconds(self, address: str) -> float | None:
        if len(self.addresses) == 1:
            return None
        return OPENING_SECONDS + (CONNECT_SECONDS if address.startswith(SCHEME) else 0)

    async def _ask(
        self, threads: Callable[[_Connection], ThreadPoolExecutor], question: Callable[[EngineClient], Answer]
    ) -> Answer:
        return await self._first_that_answers(partial(self._ask_at, threads, question))

    async def _ask_at(
        self,
        threads: Callable[[_Connection], ThreadPoolExecutor],
        question: Callable[[EngineClient], Answer],
        address: str,
    ) -> Answer:
        client, connection = await self._opened(address), self._clients.connection(self.environment, address)

        def ask() -> Answer:
            with without_secrets(self._clients.redact), typed_faults(address):
                try:
                    return question(client)
                except ApiError as error:
                    if OTHER_API.search(error.explanation):
                        connection.forget(client)
                    raise

        answer = asyncio.get_running_loop().run_in_executor(threads(connection), ask)
        if len(self.addresses) > 1:
            await _require_life(connection, client, answer)
        return await answer

    async def _first_that_answers(self, ask: Callable[[str], Awaitable[Answer]]) -> Answer:
        """Ask at one address after the other, beginning with the one that answered last.

        Raises what says most of why none of them answers.
        """
        at = self.addresses.index(self.address)
        faults: list[EngineUnavailableError] = []
        for address in self.addresses[at:] + self.addresses[:at]:
            try:
                answer = await ask(address)
            except EngineUnavailableError as error:
                faults.append(error)
            else:
                self._clients.note_answer(self.addresses, address)
                return answer
        raise next((fault for fault in faults if type(fault) is not EngineUnavailableError), faults[0])


async def _require_life(connection: _Connection, client: EngineClient, answer: "asyncio.Future[Answer]") -> None:
    """Wait for an answer as long as the engine lives. Raises EngineUnavailableError; the thread is left to end."""
    while not (await asyncio.wait({answer}, timeout=SILENT_SECONDS))[0]:
        if not await connection.lives(client) and not answer.done():
            answer.add_done_callback(_heard)
            raise engine_unavailable(client.address, TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)))


def _about_each(
    question: Callable[[EngineClient, Item], Answer], items: Iterable[Item], client: EngineClient
) -> list[Answer]:
    return [question(client, item) for item in items]


@contextmanager
def typed_faults(address: str) -> Iterator[None]:
    """Raise what people are told of an engine that refuses, or does not answer."""
    try:
        yield
    except ApiError as error:
        raise _refusal(error, address) from error
    except (OSError, RuntimeError, MemoryError, DockerException, urllib3.exceptions.HTTPError) as error:
        if (short := next(filter(None, map(find_shortage, _chain(error))), None)) is not None:
            raise short from error
        if isinstance(error, RuntimeError | MemoryError):
            raise
        raise engine_unavailable(address, error) from error


def engine_unavailable(address: str, error: BaseException) -> EngineUnavailableError:
    """Create the error for an engine that cannot be reached."""
    if address.startswith(LOCAL_SCHEMES) and Path(path_of(address)).is_dir():
        return EngineUnavailableError(
            said(
                "The engine at {address} does not answer ({error}).", address=address, error=os.strerror(errno.EISDIR)
            ),
            hint=NO_SOCKET_HINT,
        )
    refuses_tls = any(isinstance(reason, ssl.SSLError) for reason in _chain(error))
    return EngineUnavailableError(
        said("The engine at {address} does not answer ({error}).", address=address, error=_brief(error)),
        hint=TLS_HINT if refuses_tls else AWAY_HINT,
    )


def _refusal(error: ApiError, address: str) -> EngineError:
    text = error.explanation
    if OTHER_API.search(text):
        return EngineUnavailableError(
            said("The engine at {address} is of another version than before: {text}", address=address, text=text),
        )
    if passing := find_passing_fault(text):
        return passing
    if error.status in BUSY_STATUSES:
        return EngineUnavailableError(
            said("The engine at {address} is too busy: {text}", address=address, text=text),
        )
    return EngineError(said("The engine refused: {text}", text=text))


def _brief(error: BaseException) -> str:
    """Find the shortest true reason in a chain of wrapped errors; without one, what the outermost says."""
    for reason in _chain(error):
        if isinstance(reason, InvalidHeader):  # of Docker's configuration; it may be a secret
            return type(reason).__name__
        if isinstance(reason, OSError) and reason.strerror:
            return reason.strerror.lower()
        if isinstance(reason, RemoteDisconnected):
            return str(reason).lower()
        if type(reason) is OSError and str(reason):  # such as for a path that is too long for a socket
            return str(reason)
    said_of_it = " ".join(str(error).removeprefix(SDK_ASKED).split())
    return said_of_it[:BRIEF_LENGTH] or type(error.__cause__ or error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came of; libraries wrap some without raising them."""
    reason: BaseException | None = error
    seen: set[int] = set()  # what wraps an error may be what that came of
    while reason is not None and id(reason) not in seen:
        seen.add(id(reason))
        yield reason
        wrapped = (part for part in reason.args if isinstance(part, BaseException))
        reason = reason.__cause__ or reason.__context__ or next(wrapped, None)
