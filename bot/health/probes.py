"""Probe a service over the network: `http(s)://`, `redis://`, `tcp://`.

Whoever answers may be anybody, and say anything. So a name is resolved once, the connection goes to that very address
if a probe may ask it, nothing is followed elsewhere, little is read, and no answer is more than "no".
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from roas.concurrency import in_daemon_thread, pause
from roas.errors import RoasError
from roas.health.verdicts import Clock
from roas.limits import PROBE_RETRY_SECONDS
from roas.log import get_logger
from roas.messages.message import said
from roas.models.environment import Environment
from roas.models.health import ServiceHealth, Verdict
from roas.models.stack import PROBE_TIMEOUT_SECONDS, ServiceDefinition, ServiceProbe
from roas.stack.model.x_deploy.probes import can_be_asked
from roas.stack.policy.probe_rules import target_of
from roas.stack.policy.probe_targets import ProbeTargets

log = get_logger(__name__)

# One answer may be lost on the way; this many in a row are trouble.
FAILURES_OF_TROUBLE = 3
# The verdicts by container state that a probe may still make worse.
OPEN_VERDICTS = frozenset({Verdict.HEALTHY, Verdict.UNVERIFIED, Verdict.DEGRADED})
ENDS_OF_PLACE = re.compile("[/?#]")

Place = tuple[str, str]  # environment, service


@dataclass(slots=True)
class _Run:
    """Hold what was seen of a service since its containers were last started; `key` identifies that run."""

    key: frozenset[str]
    since: float
    failures: dict[str, int] = field(default_factory=dict)


class ProbeHistory:
    """Count failures in a row, by service and URL, since the service was started last."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._runs: dict[Place, _Run] = {}

    def record(self, environment: str, service: str, url: str, *, answered: bool) -> bool:
        """Record the result of a probe; returns whether it may change the verdict."""
        run = self._runs.get((environment, service))
        if run is None:  # no container of it was seen yet
            return False
        before = run.failures.get(url, 0)
        run.failures[url] = 0 if answered else before + 1
        return bool(before) if answered else before < FAILURES_OF_TROUBLE

    def judge(self, environment: str, health: ServiceHealth, definition: ServiceDefinition) -> ServiceHealth:
        """Judge a service whose containers run by its probes, too: the worse of the two holds."""
        run = self._run(environment, health)
        if health.verdict not in OPEN_VERDICTS:
            return health
        failing = [
            (run.failures.get(probe.url, 0), probe) for probe in definition.probes if self._is_grace_over(run, probe)
        ]
        count, worst = max(failing, key=lambda failure: failure[0], default=(0, None))
        if worst is None or not count:
            return health
        verdict = Verdict.UNHEALTHY if count >= FAILURES_OF_TROUBLE else Verdict.DEGRADED
        return replace(health, verdict=verdict, reason=said("does not answer {url}", url=place_of(worst.url)))

    def forget(self, environment: str, services: Iterable[str]) -> None:
        """Drop services that are in the stack no more."""
        for service in services:
            self._runs.pop((environment, service), None)

    def _run(self, environment: str, health: ServiceHealth) -> _Run:
        key = frozenset(f"{container.id} {container.started_at}" for container in health.containers)
        known = self._runs.get((environment, health.service))
        if known is None or known.key != key:
            known = self._runs[environment, health.service] = _Run(key, self._clock())
        return known

    def _is_grace_over(self, run: _Run, probe: ServiceProbe) -> bool:
        return self._clock() - run.since >= probe.grace_seconds


def place_of(url: str) -> str:
    """Return a URL without what may be secret in it: user, password, path and query."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{ENDS_OF_PLACE.split(rest, 1)[0].rpartition('@')[2]}"


LONGEST_LINE = 1024
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class _Target:
    """Hold what is asked, and at which address."""

    parts: SplitResult
    host: str
    port: int
    address: str

    @asynccontextmanager
    async def connected(self, *, secure: bool = False) -> AsyncIterator[Streams]:
        """Open a connection to the address, and close it."""
        context = ssl.create_default_context() if secure else None
        name = self.host if secure else None
        reader, writer = await asyncio.open_connection(
            self.address, self.port, ssl=context, server_hostname=name, limit=LONGEST_LINE
        )
        try:
            yield reader, writer
        finally:
            writer.close()
        await writer.wait_closed()


class NetworkProber:
    """Open one connection per probe, and close it."""

    def __init__(self, targets: ProbeTargets) -> None:
        self._targets = targets
        self._refused: set[tuple[str, str]] = set()

    async def probe(self, environment: Environment, url: str, timeout_seconds: float) -> bool | None:
        """Return whether a URL answers within its time; None where it or its name means nothing from here."""
        named = target_of(url)
        if named is None or not can_be_asked(url):  # a release may hold what is refused today
            return None
        (host, port), is_known = named, False
        try:
            async with asyncio.timeout(timeout_seconds):
                found = await in_daemon_thread(
                    partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM), f"lookup-{host}"
                )
                addresses = tuple(dict.fromkeys(str(item[4][0]) for item in found))
                permitted = await self._targets.permitted(environment, host, port, addresses)
                if not permitted:
                    self._note_refusal(environment, url, f"probe:{host}:{port}")
                    return None
                is_known = True
                parts = urlsplit(url)
                return await PROBES[parts.scheme](_Target(parts, host, port, permitted[0]))
        except (OSError, EOFError, TimeoutError, ValueError, aiohttp.ClientError, RoasError):
            return False if is_known else None

    async def all_answer(self, environment: Environment, definition: ServiceDefinition) -> bool:
        """Return whether every probe of a service answers right now; those that cannot run from here do not count."""
        asked = (self.probe(environment, probe.url, PROBE_TIMEOUT_SECONDS) for probe in definition.probes)
        return all(answer is not False for answer in await asyncio.gather(*asked))

    def _note_refusal(self, environment: Environment, url: str, entry: str) -> None:
        if (environment.name, url) not in self._refused:
            self._refused.add((environment.name, url))
            hint = said("Name a service of the stack, or add {entry} to COMPOSE_POLICY_ALLOW.", entry=entry)
            log.warning(
                "a probe leads out of its environment", environment=environment.name, probe=place_of(url), hint=hint
            )


class _Pinned:
    """Resolve every name to the one address that was permitted, as aiohttp's AbstractResolver does.

    It is none by inheritance: aiohttp would be loaded with this file.
    """

    def __init__(self, target: _Target) -> None:
        self._target = target

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the address."""
        address = self._target.address
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [{"hostname": host, "host": address, "port": port, "family": kind, "proto": 0, "flags": flags}]

    async def close(self) -> None:
        """Have nothing to close."""


async def _http(target: _Target) -> bool:
    connector = aiohttp.TCPConnector(resolver=cast("AbstractResolver", _Pinned(target)), use_dns_cache=False)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(target.parts.geturl(), allow_redirects=False) as response,
    ):
        return response.status < 400  # the first status that means an error


async def _redis(target: _Target) -> bool:
    """Send PING by hand: a library would read an answer of any size, and believe what it says of that."""
    async with target.connected(secure=target.parts.scheme == "rediss") as (reader, writer):
        commands = [*_authentication(target.parts), ("PING",)]
        for command in commands:
            writer.write(_encoded(command))
        answers = [await reader.readline() for _ in commands]
        return answers[-1] == b"+PONG\r\n"


def _authentication(parts: SplitResult) -> list[tuple[str, ...]]:
    if parts.password is None:
        return []
    user = [unquote(parts.username)] if parts.username else []
    return [("AUTH", *user, unquote(parts.password))]


def _encoded(command: tuple[str, ...]) -> bytes:
    words = [word.encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


async def _tcp(target: _Target) -> bool:
    async with target.connected():
        return True


PROBES: Mapping[str, Callable[[_Target], Awaitable[bool]]] = {
    "http": _http,
    "https": _http,
    "redis": _redis,
    "rediss": _redis,
    "tcp": _tcp,
}


EVERY_SECONDS = 10.0


class ProbeLoop:
    """Run every probe of one environment in rounds, and wake the observer when a result may change a verdict."""

    def __init__(
        self,
        environment: Environment,
        prober: NetworkProber,
        history: ProbeHistory,
        definitions: Callable[[], Awaitable[Mapping[str, ServiceDefinition]]],
        wake: Callable[[], None],
        *,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self._environment = environment
        self._prober = prober
        self._history = history
        self._definitions = definitions
        self._wake = wake
        self._every_seconds = every_seconds
        self._unreachable: set[str] = set()

    async def run(self) -> None:
        """Probe until cancelled; a failed round is not the last."""
        while True:
            well = True
            try:
                well = await self._round()
            except Exception:  # a probe loop that ends unnoticed would be worse than one that fails
                log.exception("probe round failed", environment=self._environment.name)
            await pause(self._every_seconds if well else min(PROBE_RETRY_SECONDS, self._every_seconds))

    async def _round(self) -> bool:
        """Ask every probe at the same time; returns whether all answered."""
        definitions = await self._definitions()
        asked = [(definition.name, probe) for definition in definitions.values() for probe in definition.probes]
        answers = await asyncio.gather(*(self._ask(name, probe) for name, probe in asked))
        return all(answers)

    async def _ask(self, service: str, probe: ServiceProbe) -> bool:
        answer = await self._prober.probe(self._environment, probe.url, PROBE_TIMEOUT_SECONDS)
        if answer is None:
            if probe.url not in self._unreachable:
                self._unreachable.add(probe.url)
                log.info("a probe cannot run from here", service=service, probe=place_of(probe.url))
            return True
        if self._history.record(self._environment.name, service, probe.url, answered=answer):
            self._wake()
        return answer
