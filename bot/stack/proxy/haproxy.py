"""Speak with HAProxy by its runtime API: which servers a backend has, and in which state each is."""

import asyncio
import csv
import io
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from roas.errors import ProxyError
from roas.messages.message import said
from roas.models.canary import Counts
from roas.stack.sources.opening import held

ANSWER_SECONDS = 5.0
MOST_BYTES = 8 << 20
# Bits of `srv_admin_state`, and the values of `srv_op_state` of a server that is down or up.
DRAINING, BY_HAND, DOWN, RUNNING = 0x08, 0x01, 0, 2
# Which fields of `show servers state` are a server's address, `srv_admin_state`, its weight and that of the
# configuration, and the name and port that it is of.
ADDRESS, ADMIN_STATE, WEIGHT, USUAL_WEIGHT, NAME, PORT = 4, 6, 7, 8, 17, 18
PASSED = ("L4OK", "L6OK", "L7OK")
ANSWERS = (*(f"hrsp_{kind}xx" for kind in range(1, 6)), "hrsp_other")
LOST, GIVEN_AWAY = ("econ", "eresp"), ("wretr", "wredis", "scur")
NO_CHECK, NOT_CHECKED = "no check", ("INI", "UNK")
# What `show servers state` begins with, and nothing more.
NO_STATES = "1\n"
# What a list ends with, and each answer with a part of it; whoever is killed in the middle breaks it off.
END, LINE_END, BROKEN_OFF = "\n\n", "\n", "its answer is broken off"
NO_ANSWER = f"no answer within {ANSWER_SECONDS:g} s"
# Keep the states of all servers for the next start of HAProxy.
Keep = Callable[[str], Awaitable[None]]


class ServerState(StrEnum):
    """The states that a server is put into; `maint` is of people, and set again where HAProxy has forgotten it."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


@dataclass(frozen=True, slots=True)
class Server:
    """Hold a server of a backend; one that DNS gave no address has none. `maint` puts it aside `by_hand`.

    One that is `failing` has failed its last check: after a few of them it is `down`. `counts` are of all requests that
    were sent to it since HAProxy was started, and `answer_ms` is how long its last answers took on average.
    """

    backend: str
    name: str
    address: str
    draining: bool
    passing: bool
    down: bool
    failing: bool
    status: str
    connections: int
    by_hand: bool = False
    weight: int = 1
    usual_weight: int = 1
    counts: Counts = field(default_factory=Counts)
    mode: str = ""
    answer_ms: float = 0.0

    @property
    def receives(self) -> bool:
        """Return whether new requests are sent to it."""
        return self.passing and not self.draining and not self.status.startswith("MAINT")


class ProxyAwayError(ProxyError):
    """HAProxy does not answer at its admin socket."""

    key = "proxy_away"


class UnknownBackendError(ProxyError):
    """HAProxy has no such backend, so that nobody is sent anywhere by it."""


class HAProxyRuntime:
    """Ask one HAProxy by the admin socket that is below a folder; each question is a connection of its own."""

    def __init__(self, folder: Path, name: Path, keep: Keep | None = None) -> None:
        self._folder = folder
        self._name = name
        self._keep = keep

    async def servers(self, backends: Iterable[str]) -> tuple[Server, ...]:
        """Return the servers of backends. Raises ProxyAwayError, and ProxyError for an unknown backend."""
        found: list[Server] = []
        for backend in backends:
            states = await self._ask(f"show servers state {backend}")
            figures = await self._ask(f"show stat {backend} 4 -1")
            if not (states.endswith(END) and figures.endswith(END)):
                raise self._away(BROKEN_OFF)
            if not states.startswith("1\n") or not figures.startswith("# "):
                answer = states if not states.startswith("1\n") else figures
                raise UnknownBackendError(
                    said("The proxy has no backend {backend}: {answer}", backend=backend, answer=answer.strip()[:200]),
                    hint=said("Name its backends in `x-deploy.proxy`, or deploy the proxy's configuration first."),
                )
            found += _read(backend, states, figures)
        return tuple(found)

    async def known_servers(self, backends: Iterable[str]) -> list[Server]:
        """Return the servers of those backends that there are: by one that is gone nobody is sent anywhere."""
        found: list[Server] = []
        for backend in dict.fromkeys(backends):
            with suppress(UnknownBackendError):
                found += await self.servers([backend])
        return found

    async def put(self, servers: Iterable[Server], state: ServerState) -> None:
        """Put servers into a state; it stays until the next such command."""
        if not (changed := list(servers)):
            return
        for server in changed:
            answer = await self._ask(f"set server {server.backend}/{server.name} state {state}")
            if answer.strip():
                raise ProxyError(
                    said("The proxy refused: {answer}", answer=answer.strip()[:200]),
                    hint=said("Give its socket `level admin`."),
                )
        await self._keep_states()

    async def weigh(self, weights: Mapping[Server, int]) -> None:
        """Give servers weights, which decide how many of the requests each gets."""
        for server, weight in weights.items():
            answer = await self._ask(f"set server {server.backend}/{server.name} weight {weight}")
            if answer.strip():
                raise ProxyError(
                    said("The proxy refused: {answer}", answer=answer.strip()[:200]),
                    hint=said("Give its backend `balance roundrobin` or `leastconn`."),
                )
        if weights:
            await self._keep_states()

    async def _keep_states(self) -> None:
        """Keep the states while one is drained or weighed; else HAProxy begins with the addresses of that day."""
        if self._keep is not None:
            states = await self._ask("show servers state")
            is_any_apart = any(_is_apart(line) for line in states.splitlines())
            await self._keep(addressed_first(states) if is_any_apart else NO_STATES)

    async def worker(self) -> str:
        """Return which process answers: each start and each reload begins another. Raises ProxyAwayError.

        In a container, it has the same process id after each start.
        """
        lines = (await self._ask("show info")).splitlines()
        return " ".join(line for line in lines if line.startswith(("Pid:", "Start_time_sec:")))

    async def level(self) -> str:
        """Return what whoever asks at the socket may do: `admin`, `operator` or `user`. Raises ProxyAwayError."""
        return (await self._ask("show cli level")).strip()

    async def resolvers(self) -> frozenset[str]:
        """Return the names of its sections of resolvers; `default` is there by itself. Raises ProxyAwayError."""
        lines = (await self._ask("show resolvers")).splitlines()
        return frozenset(line.rpartition(" ")[2] for line in lines if line.startswith("Resolvers section "))

    async def _ask(self, command: str) -> str:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._exchange(command)
        except TimeoutError as error:
            raise self._away(NO_ANSWER) from error
        except (OSError, UnicodeDecodeError) as error:
            raise self._away(error) from error
        if not answer.endswith(LINE_END):
            raise self._away(BROKEN_OFF)
        return answer

    def _away(self, error: Exception | str) -> ProxyAwayError:
        return ProxyAwayError(
            said("The proxy does not answer at {path} ({error}).", path=self._folder / self._name, error=error),
            hint=said("Look at the proxy's log, and who may use its socket."),
        )

    async def _exchange(self, command: str) -> str:
        # No link on the way is followed: the proxy's container chooses what lies there.
        with held(self._folder / self._name, self._folder) as descriptor:
            reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{descriptor}")
        try:
            writer.write(f"{command}\n".encode())
            await writer.drain()
            answer = bytearray()
            while part := await reader.read(1 << 16):
                answer += part
                if len(answer) > MOST_BYTES:
                    raise OSError("its answer has no end")
            return answer.decode()
        finally:
            writer.close()


def addressed_first(states: str) -> str:
    """Give what has an address to the first servers of each template, which `show servers state` lists.

    One that is kept without an address would look its name up (`libc`), and may find that of another: HAProxy then
    moves one of the two to whoever is not ready, and takes it for up.
    """
    lines = [line.split(" ") for line in states.split("\n")]
    alike = defaultdict[tuple[str, ...], list[int]](list)
    for index, fields in enumerate(lines):
        if len(fields) > PORT and fields[0].isdigit():
            alike[fields[1], fields[NAME], fields[PORT]].append(index)
    for indexes in alike.values():
        rest = sorted((lines[index][ADDRESS:] for index in indexes), key=lambda fields: fields[0] == "-")
        for index, fields in zip(indexes, rest, strict=True):
            lines[index] = lines[index][:ADDRESS] + fields
    return "\n".join(" ".join(fields) for fields in lines)


def _is_apart(line: str) -> bool:
    """Return whether a line of `show servers state` is of a server that is in `drain`, or has another weight."""
    fields = line.split()
    if len(fields) <= PORT or not fields[0].isdigit():
        return False
    return bool(int(fields[ADMIN_STATE]) & DRAINING) or fields[WEIGHT] != fields[USUAL_WEIGHT]


def _read(backend: str, states: str, figures: str) -> Iterator[Server]:
    rows = {row["svname"]: row for row in csv.DictReader(io.StringIO(figures.removeprefix("# ")))}
    lines = [line for line in states.splitlines()[1:] if line]
    names = lines[0].removeprefix("# ").split() if lines else []
    for line in lines[1:]:
        fields = dict(zip(names, line.split(), strict=False))
        row = rows.get(fields["srv_name"], {})
        status, check = row.get("status") or "", (row.get("check_status") or "").removeprefix("* ")
        address = fields["srv_addr"]
        yield Server(
            backend=backend,
            name=fields["srv_name"],
            address="" if address in {"-", "0.0.0.0"} else address,  # noqa: S104 - what HAProxy writes for none
            draining=bool(int(fields["srv_admin_state"]) & DRAINING),
            passing=int(fields["srv_op_state"]) == RUNNING and (status == NO_CHECK or check.startswith(PASSED)),
            down=int(fields["srv_op_state"]) == DOWN,
            failing=bool(check) and not check.startswith(PASSED + NOT_CHECKED),
            status=" ".join(item for item in (status, check) if item),
            connections=int(row.get("scur") or 0) + int(row.get("qcur") or 0),
            by_hand=bool(int(fields["srv_admin_state"]) & BY_HAND),
            weight=int(fields["srv_uweight"]),
            usual_weight=int(fields["srv_iweight"]),
            counts=_counts(row),
            mode=row.get("mode") or "",
            answer_ms=float(row.get("rtime") or 0),
        )


def _counts(row: Mapping[str, str | None]) -> Counts:
    """Count what a server answered, and what it did not: it refused the connection, or broke off.

    HAProxy counts an answer that broke off twice. No more can be lost than was sent to this server, was not tried again
    there or elsewhere, has ended, and was not answered.
    """

    def total(*names: str) -> int:
        return sum(int(row.get(name) or 0) for name in names)

    answered = total(*ANSWERS)
    lost = max(0, min(total(*LOST), total("stot") - total(*GIVEN_AWAY) - answered))
    return Counts(answered + lost, total("hrsp_5xx") + lost)
