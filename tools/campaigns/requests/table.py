"""Replace a service in every way that a compose file can ask for, by versions good and bad, and count what users lost.

`python -m tools.campaigns.requests.table --rate 100 --only start-first --slice 1/4 --results rows.jsonl`. Each case is
one deployment under load: order, parallelism, replicas, how the new version turns out, and whether long streams are
open. What fails goes back by `rollback_config`, and a good version by a rollback that somebody asks for. Where one
replica that is well exists at each moment, no request is lost but those that were in flight on a container that
crashed. Where none can, since all are replaced at once without a new one beside, the plan says so, and what was lost is
measured. Prints a line for each case and a table of the documentation, and returns 1 where one was not as it has to be.
"""

import argparse
import asyncio
import itertools
import json
import math
import os
import signal
import socket
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread

from roas.models.deployment import Deployment, DeploymentKind, DeploymentRequest, Outcome
from testbed.proxy_images import web_image
from testbed.waiting import wait_until
from tools.campaigns.requests.scene import (
    ACTOR,
    ENVIRONMENT,
    SERVICE,
    Scene,
    addresses,
    application,
    deploy,
    roll_back,
    scene,
    until,
)
from tools.campaigns.requests.users import users

# What a new version does, as variables of its image.
VERSIONS = {
    "good": {},
    "slow start": {"WARMING": "8"},
    "never healthy": {"WARMING": "3600"},
    "crashes at once": {"CRASHES_AFTER": "0"},
    "crashes after 3 s": {"CRASHES_AFTER": "3"},
    "crashes after 8 s": {"CRASHES_AFTER": "8"},
    "fails after 3 s": {"FAILS_AFTER": "3"},
}
# So long after the last old containers began to drain, which open streams make take long.
IN_DRAIN = "crashes in the drain"
LONG_DRAIN, CRASHES_IN_DRAIN = "30s", (3, 8, 15)
# Until the engine has told of it, and the old ones are given the requests back.
REACTION_SECONDS = 0.5
SLOW = "slow start"
GOOD = ("good", SLOW)
# So many that each old container has one of them.
STREAMS = 8
# What the configuration of HAProxy becomes: other text for some of it, how the deployment of that ends, and the version
# of the service that comes with it.
CONFIGURATIONS = {
    "changed": ("timeout client 60s", "timeout client 61s", Outcome.SUCCEEDED, "v1"),
    "changed with a version": ("timeout client 60s", "timeout client 61s", Outcome.SUCCEEDED, "slow-start"),
    "broken": ("bind :8080", "bind nowhere", Outcome.FAILED, "v1"),
    "too few servers": ("server-template web 2-6", "server-template web 2-3", Outcome.FAILED, "v1"),
}
WHOLE_SECONDS = 30
# A case in which a request was sent later than that is played again: it was beside something else.
MOST_LATE_SECONDS = 0.25
# What a plan says where all are replaced at once, without new ones beside.
GAP = "nothing answers until the new ones are healthy"
# What became of requests that were in flight on a container when it crashed, and what one answers that fails.
OF_BAD = {
    "crashes": ("status 502", "closed before its answer", "ECONNRESET"),
    "fails": ("status 500",),
}
# So that what is never healthy is known soon. What starts slowly has the time of the documentation's file: on a busy
# machine its start alone may take seconds.
INTERVAL = {"      interval: 5s": "      interval: 1s\n      retries: 2"}
START_PERIOD = {"start_period: 30s": "start_period: 12s"}


@dataclass(frozen=True)
class Case:
    """Say how a service is replaced, and by what."""

    order: str
    parallelism: int
    replicas: int
    version: str
    streams: bool
    # Order and parallelism of the way back, where these are others.
    back: tuple[str, int] | None = None
    # How long the old ones may drain, where it is not `stop_grace_period`, and after how much of it all new ones crash.
    drain: str = ""
    crash_seconds: float = 0.0

    @property
    def ways(self) -> dict[str, tuple[str, int]]:
        """Return order and parallelism by the key that says them."""
        there = (self.order, self.parallelism)
        return {"update_config": there, "rollback_config": self.back or there}

    @property
    def serves(self) -> bool:
        """Return whether one replica serves at each moment."""
        ways = self.ways.values()
        return all(order == "start-first" or 0 < parallelism < self.replicas for order, parallelism in ways)

    @property
    def flaws(self) -> dict[str, str]:
        """Return what the new version does, as variables of its image."""
        return VERSIONS.get(self.version, {})

    @property
    def of_bad(self) -> tuple[str, ...]:
        """Return what became of requests that the new version lost; where all crash at once, HAProxy has no other."""
        no_other = ("status 503",) if self.is_in_drain else ()
        return OF_BAD.get(self.version.partition(" ")[0], ()) + no_other

    @property
    def tag(self) -> str:
        """Return the version's tag."""
        return self.version.replace(" ", "-")

    def __str__(self) -> str:
        """Return the first cells of a table."""
        streams = "streams" if self.streams else ""
        order, parallelism = (f"{there}, back {back}" if self.back else there for there, back in self._both)
        return f"{order} | {parallelism} | {self.replicas} | {self.version} | {streams}"

    @property
    def is_in_drain(self) -> bool:
        """Return whether the new version crashes while the old ones drain."""
        return self.version.startswith(IN_DRAIN)

    @property
    def _both(self) -> Iterator[tuple[str | int, str | int]]:
        return zip(*self.ways.values(), strict=True)


def cases() -> Iterator[Case]:
    """Yield all of them; two of two at a time are all."""
    hows = ((2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
    for order, (replicas, parallelism) in itertools.product(("start-first", "stop-first"), hows):
        for version, streams in itertools.product(VERSIONS, (False, True)):
            yield Case(order, parallelism, replicas, version, streams)
    for there, back in itertools.permutations((("start-first", 0), ("stop-first", 1))):
        for version in ("good", "never healthy", "crashes after 8 s"):
            yield Case(*there, 3, version, streams=False, back=back)
    yield Case("start-first", 0, 2, IN_DRAIN, streams=True)
    for seconds in CRASHES_IN_DRAIN:
        version = f"{IN_DRAIN} of {LONG_DRAIN} after {seconds} s"
        yield Case("start-first", 0, 2, version, streams=True, drain=LONG_DRAIN, crash_seconds=seconds)


@dataclass(frozen=True)
class Played:
    """Hold how one case went, as the users of the service saw it."""

    case: str
    outcome: str
    sent: int
    lost: int
    of_bad: int
    longest_gap: float
    seconds: float
    wrong: tuple[str, ...]
    # How many requests were sent later than they should, and by how much: the machine was too busy for the rate.
    sent_late: int = 0
    late: float = 0.0

    def __str__(self) -> str:
        """Return a row of the table, and what is wrong."""
        late = f"{self.sent_late} late, {self.late:.2f} s"
        times = f"{self.longest_gap:.2f} s | {self.seconds:.1f} s | {late}"
        figures = f"{self.sent} | {self.lost} | {self.of_bad} | {times}"
        row = f"| {self.case} | {self.outcome} | {figures} |"
        return "\n".join((row, *(f"WRONG: {self.case}: {item}" for item in self.wrong)))


def play(found: Scene, case: Case, rate: float) -> Played:
    """Play one case."""
    with _written(found, case):
        wrong = asyncio.run(_begin(found, case))
        name = f"{case.tag}-{time.time()}"
        with users(found.port, rate=rate, name=name) as seen, _streams(found.port if case.streams else None):
            begun = time.monotonic()
            with _crashing(found, case.crash_seconds) if case.is_in_drain else nullcontext(Event()) as crashed:
                ended = asyncio.run(_replace(found, case.tag, and_back=case.version in GOOD))
            took = time.monotonic() - begun
        if case.is_in_drain and not crashed.is_set():
            wrong.append("nothing was drained with all new ones in service")
        if ended.outcome is not (Outcome.SUCCEEDED if case.version in GOOD else Outcome.ROLLED_BACK):
            wrong.append(f"it ended as {ended.outcome}: {ended.problem}")
        if not wait_until(found.is_whole, WHOLE_SECONDS):
            wrong.append(f"not whole: {found.admin().states()}, {found.admin().set_aside()}")
    failures = Counter(seen.report["failures"])
    of_bad = sum(failures[item] for item in case.of_bad)
    if case.is_in_drain and of_bad > rate * REACTION_SECONDS:
        wrong.append(f"{of_bad} requests were lost before the old containers served again: {dict(failures)}")
    lost = seen.lost - of_bad
    if case.serves and lost:
        wrong.append(f"{lost} requests were lost: {dict(failures)} at {seen.report['failed_at']}")
    if twice := seen.twice(found.orders):
        wrong.append(f"{len(twice)} orders were carried out twice")
    report = seen.report
    figures = (report["sent"], lost, of_bad, report["longest_gap"], took)
    return Played(str(case), str(ended.outcome), *figures, tuple(wrong), report["sent_late"], report["late"])


def play_configuration(found: Scene, kind: str, rate: float) -> Played:
    """Deploy another configuration of the proxy, alone or with a version that is not ready at once, then the usual."""
    page, (before, after, expected, version) = found.folder / "stack" / "haproxy.cfg", CONFIGURATIONS[kind]
    stays = ["haproxy", SERVICE]
    if version != "v1":
        web_image(found.client, f"shop/web:{version}", version=version, **VERSIONS[SLOW])
        stays = ["haproxy"]
    asyncio.run(_deploy(found, "v1"))
    wrong, usual = [], page.read_text()
    there = {container.id for service in stays for container in found.containers(service)}
    with users(found.port, rate=rate, name=f"{time.time()}") as seen, _streams(found.port):
        begun = time.monotonic()
        page.write_text(usual.replace(before, after))
        ended = asyncio.run(_replace(found, version))
        took = time.monotonic() - begun
        page.write_text(usual)
        asyncio.run(_replace(found, "v1"))
    if ended.outcome is not expected:
        wrong.append(f"it ended as {ended.outcome}: {ended.problem}")
    if there != {container.id for service in stays for container in found.containers(service)}:
        wrong.append("a container was replaced")
    if seen.lost or not wait_until(found.is_whole, WHOLE_SECONDS):
        wrong.append(f"lost: {seen.report['failures']}; {found.admin().states()}")
    report = seen.report
    figures = (report["sent"], seen.lost, 0, report["longest_gap"], took)
    return Played(_name(kind), str(ended.outcome), *figures, tuple(wrong), report["sent_late"], report["late"])


def summary(played: Sequence[Played]) -> str:
    """Return a table of what was lost: a row for each way, a column for each version; of the bad one in brackets."""
    cells = defaultdict[tuple[str, str], list[Played]](list)
    for item in played:
        order, at_once, replicas, version, _ = (part.strip() for part in item.case.split("|"))
        cells[f"{order} | {at_once} of {replicas}", version].append(item)
    lines = [f"| Order | At a time | {' | '.join(VERSIONS)} |", f"|---|---|{'---|' * len(VERSIONS)}"]
    for way in dict.fromkeys(way for way, version in cells if version in VERSIONS):
        texts = []
        for version in VERSIONS:
            runs = cells.get((way, version), [])
            lost, of_bad = sum(item.lost for item in runs), sum(item.of_bad for item in runs)
            gap = max((item.longest_gap for item in runs), default=0.0)
            texts.append(f"{lost} ({of_bad}), {gap:.2f} s" if runs else "")
        lines.append(f"| {way} | {' | '.join(texts)} |")
    lines += [str(item) for item in played if item.case.startswith("configuration")]
    sent, wrong = sum(item.sent for item in played), sum(len(item.wrong) for item in played)
    late, latest = sum(item.sent_late for item in played), max((item.late for item in played), default=0.0)
    figures = f"{sent:,} requests, {wrong} wrong; {late:,} were sent late, by {latest:.2f} s at most"
    return "\n".join((*lines, f"{len(played)} cases, {figures}"))


async def _deploy(found: Scene, version: str) -> None:
    async with application(found) as opened:
        await deploy(opened, version)


async def _begin(found: Scene, case: Case) -> list[str]:
    """Deploy the version before, and plan the next; returns what is wrong before anything is replaced."""
    wrong: list[str] = []
    async with application(found) as opened:
        await deploy(opened, "v1")
        if not await until(found.is_whole, WHOLE_SECONDS):
            wrong.append("HAProxy does not see the first containers")
        plan = await opened.orchestrator.plan(_request(case.tag))
    if any(GAP in str(warning) for warning in plan.warnings) is case.serves:
        wrong.append("the plan says otherwise whether somebody serves meanwhile")
    return wrong


def _request(version: str) -> DeploymentRequest:
    return DeploymentRequest(ENVIRONMENT, DeploymentKind.DEPLOY, ACTOR, version=version)


async def _replace(found: Scene, version: str, *, and_back: bool = False) -> Deployment:
    async with application(found) as opened:
        ended = await opened.orchestrator.run(_request(version))
        if and_back and ended.outcome is Outcome.SUCCEEDED:
            await roll_back(opened)
        return ended


@contextmanager
def _crashing(found: Scene, seconds: float) -> Iterator[Event]:
    """Let the new containers crash so long after the last old ones are drained; the event says that they have."""
    old, crashed, ended = found.addresses(), Event(), Event()
    drained_at: float | None = None

    def crash() -> bool:
        nonlocal drained_at
        with suppress(OSError):
            states = dict(found.admin().states().values())
            up = {address for address, status in states.items() if status == "UP"}
            going = [status for address, status in states.items() if address in old]
            if going and len(up - old) == len(old) and all(status.startswith("DRAIN") for status in going):
                drained_at = drained_at or time.monotonic()
            if drained_at is not None and time.monotonic() >= drained_at + seconds:
                for container in found.containers():
                    if container.status == "running" and not addresses([container]) & old:
                        os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)
                crashed.set()
        return crashed.is_set() or ended.is_set()

    thread = Thread(target=wait_until, args=(crash, math.inf), daemon=True)
    thread.start()
    try:
        yield crashed
    finally:
        ended.set()
        thread.join()


@contextmanager
def _written(found: Scene, case: Case) -> Iterator[None]:
    """Write the case into the compose file, for the length of the block; the way back is the same way."""
    web_image(found.client, f"shop/web:{case.tag}", version=case.tag, **case.flaws)
    page = found.folder / "stack" / "compose.yaml"
    usual = written = page.read_text()
    ways = [f"{key}: {{order: {order}, parallelism: {count}}}" for key, (order, count) in case.ways.items()]
    check = INTERVAL | ({} if case.version == SLOW else START_PERIOD)
    if case.drain:
        check |= {"        backends: [web]": f"        backends: [web]\n        drain: {case.drain}"}
    for before, after in (check | {"replicas: 2": "\n      ".join([f"replicas: {case.replicas}", *ways])}).items():
        written = written.replace(before, after)
    page.write_text(written)
    try:
        yield
    finally:
        page.write_text(usual)


@contextmanager
def _streams(port: int | None) -> Iterator[None]:
    """Keep streams of events open; they are cut with the containers that they are of."""
    opened = []
    for _ in range(STREAMS if port is not None else 0):
        made = socket.create_connection(("127.0.0.1", port))
        made.sendall(b"GET /events HTTP/1.1\r\nHost: shop\r\n\r\n")
        made.recv(1024)
        opened.append(made)
    try:
        yield
    finally:
        for item in opened:
            item.close()


def main() -> int:
    """Play the cases, and return 1 where one was not as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.requests.table", description=__doc__)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--only", action="append", default=[], help="a part of the case's row; all have to fit")
    parser.add_argument("--observation", type=float, default=10.0, help="how long a new release is watched")
    parser.add_argument("--slice", default="1/1", help="play only the K-th of N parts, as K/N")
    parser.add_argument("--results", type=Path, help="keep each row there, and play no case that has one in time")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no case after so long")
    given = parser.parse_args()
    part, parts = map(int, given.slice.split("/"))
    before = [item for item in _kept(given.results) if item.late <= MOST_LATE_SECONDS]
    known: list[Case | str] = [*cases(), *CONFIGURATIONS]
    chosen = [item for item in known if all(text in f"| {_name(item)} |" for text in given.only)][part - 1 :: parts]
    waiting = [item for item in chosen if _name(item) not in {done.case for done in before}]
    played, ends_at = list[Played](), time.monotonic() + given.seconds
    with (
        tempfile.TemporaryDirectory(prefix="roas-requests-") as folder,
        scene(Path(folder), proxy="HAProxy", replicas=2, observation_seconds=given.observation) as found,
    ):
        for case in waiting:
            if time.monotonic() >= ends_at:
                break
            if isinstance(case, Case):
                done = play(found, case, given.rate)
            else:
                done = play_configuration(found, case, given.rate)
            print(done, flush=True)
            if given.results:
                with given.results.open("a") as file:
                    file.write(json.dumps(asdict(done)) + "\n")
            played.append(done)
    print(summary([*before, *played]))
    return int(any(item.wrong for item in played))


def _name(item: Case | str) -> str:
    return str(item) if isinstance(item, Case) else f"configuration | | | {item} | streams"


def _kept(results: Path | None) -> list[Played]:
    if results is None or not results.exists():
        return []
    return [Played(**json.loads(line)) for line in results.read_text().splitlines()]


if __name__ == "__main__":
    sys.exit(main())
