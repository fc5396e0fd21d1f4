"""Kill the bot or the proxy in the middle of a replacement, and see that all is whole afterwards.

`python -m tools.campaigns.requests.crash --compare 10` kills the proxy so many times while nobody deploys, while new
containers are not ready, and while old ones drain, in turn, with as many containers each, and prints what each cost:
how long nobody was answered, how many requests were lost until then, and how many afterwards, which is none. In the end
it says how likely it is that kills which cost the same come out so differently by chance (`chance_of`): below 5 %, a
deployment costs more.

`python -m tools.campaigns.requests.crash --kills 24`. In turn, the bot, the proxy, both, or a command line that carries
the deployment out are killed: while the old containers drain, while the deployment is paused, while the new containers
are held, or while old and new serve and the new ones are watched. Then a new bot resumes. The last kind kills nobody:
in a pause, the new container crashes again and again. Afterwards one version runs, HAProxy sends requests to its
containers and to nothing else, no server is in
`drain` or `maint`, and no order was carried out twice. Where the proxy lived, no request was lost; where it was killed,
no more than a kill costs while nobody deploys, which is measured first.
"""

import argparse
import asyncio
import itertools
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from statistics import median
from threading import Thread

from docker.models.containers import Container

from testbed.preloaded import PreloadedPopen
from testbed.proxy_images import web_image
from testbed.waiting import wait_until
from tools.campaigns.requests.pausing import FLAKY, ROAS, decide, pausing, typed_environment
from tools.campaigns.requests.scene import ENVIRONMENT, SERVICE, Scene, application, deploy, scene
from tools.campaigns.requests.users import Users, users

ROOT = Path(__file__).resolve().parents[3]
# How long each of the slow requests takes that are always under way. Of several lengths, they never end all at once:
# old containers drain for long enough to be met doing it.
SLOW_SECONDS = (2, 3, 4, 5)
# Those that are refused must not take the processor from what is started again.
ASKED_AGAIN_SECONDS = 0.05
MOST_SECONDS = 120
# What the leader's rounds may take to look at the proxies.
WHOLE_SECONDS = 20
VICTIMS = ("bot and proxy", "bot", "proxy", "command line")
WATCHED, LONG_WATCH = "watched", "{parallelism: 0, monitor: 5s}"
MOMENTS = ("draining", "paused", "held", WATCHED)
# In which HAProxy would send requests to what is not ready, had nobody told it again.
WARMING, CALM = "warming", "nobody deploys"
COMPARED = (CALM, WARMING, "draining")
SLOW, SLOW_VARIABLES = "slow", {"WARMING": "8"}
# So long after they came, the new containers no longer take the processor from HAProxy, and answer that they are not
# ready.
STARTED_SECONDS = 2.5
# The engine waits twice as long each time before it starts again what ended sooner than that.
RESTART_RESET_SECONDS = 11.0
NOBODY = "nobody"
KINDS = (*itertools.product(VICTIMS, MOMENTS), (NOBODY, "paused"))
# How often a crash loop goes round in a pause.
ROUNDS = 3
# How often it is drawn which of two sets a figure belongs to, and what is no chance any more.
DRAWS, LEAST_LIKELY = 10_000, 0.05
# By how long a proxy's next start may differ from that of another time.
START_SECONDS = 1.0


@dataclass(frozen=True)
class Kill:
    """Say what is killed when."""

    victim: str
    moment: str
    rate: float
    goes_on: bool = False
    # How many requests are lost where the proxy is killed while nobody deploys.
    cost: float = 0

    @property
    def ends_bot(self) -> bool:
        """Return whether whoever carries the deployment out is killed."""
        return self.victim not in {"proxy", NOBODY}

    @property
    def ends_proxy(self) -> bool:
        """Return whether the proxy is killed."""
        return "proxy" in self.victim

    def begin(self, found: Scene, version: str) -> "subprocess.Popen[bytes]":
        """Start whoever deploys the version."""
        if self.victim == "command line":
            deploying = ["deploy", ENVIRONMENT, version, "--yes", "--reason", "campaign"]
            return subprocess.Popen([*ROAS, *deploying], cwd=ROOT, env=typed_environment(found))
        return _worker(found, version)


def main() -> int:
    """Kill, and return 1 where something is not whole."""
    parser = argparse.ArgumentParser(prog="python -m tools.campaigns.requests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--first", type=int, default=0, help="the kind to begin with")
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--compare", type=int, default=0, help="compare so many kills of the proxy at each moment")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="roas-requests-") as folder,
        scene(Path(folder), proxy="HAProxy", replicas=2) as found,
    ):
        if given.compare:
            broken = compare(found, given.compare, given.rate)
        else:
            broken = crash(found, given.kills, given.rate, first=given.first)
    for item in broken:
        print(f"BROKEN: {item}")
    return int(bool(broken))


def crash(found: Scene, kills: int, rate: float, *, first: int = 0) -> list[str]:
    """Kill so many times, in turn, beginning with one of the kinds; returns what is wrong."""
    asyncio.run(_deploy(found, "v1"))
    if not wait_until(found.is_whole, WHOLE_SECONDS):
        raise RuntimeError("the first deployment did not succeed")
    broken: list[str] = []
    chosen = [*zip(range(kills), itertools.islice(itertools.cycle(KINDS), first, None), strict=False)]
    cost = _measure_kill(found, rate, Users()) if any("proxy" in victim for _, (victim, _) in chosen) else 0
    for number, (victim, moment) in chosen:
        begun = time.monotonic()
        goes_on = victim != NOBODY and number // len(MOMENTS) % 2 == 1
        kill = Kill(victim, moment, rate, goes_on=goes_on, cost=cost)
        version, before = ("v2", "v1") if number % 2 == 0 else ("v1", "v2")
        seen = Users()
        play = _paused(found, kill, seen, version, before) if moment == "paused" else _one(found, kill, seen, version)
        wrong = list(play)
        took, lost = (
            time.monotonic() - begun,
            f"{seen.lost} of {seen.report['sent']} lost {seen.report['failures'] or ''}",
        )
        print(f"{number + 1}: {victim}, {moment}: {wrong or 'whole'}, {lost} ({took:.0f} s)", flush=True)
        broken += [f"{victim}, {moment}: {item}" for item in wrong]
    return broken


def compare(found: Scene, turns: int, rate: float) -> list[str]:
    """Kill the proxy at each of the moments in turn; returns what is wrong, and where a kill costs more than alone."""
    web_image(found.client, f"shop/web:{SLOW}", version=SLOW, **SLOW_VARIABLES)
    asyncio.run(_deploy(found, "v1"))
    broken: list[str] = []
    gaps = {moment: list[float]() for moment in COMPARED}
    lost = {moment: list[int]() for moment in COMPARED}
    for number in range(turns):
        for moment in COMPARED:
            wait_until(lambda: _age(found.containers("haproxy")[0]) >= RESTART_RESET_SECONDS, WHOLE_SECONDS)
            seen = Users()
            version = SLOW if moment == WARMING else "v1" if number % 2 else "v2"
            if moment == CALM:
                with _as_many(found):
                    _measure_kill(found, rate, seen)
                wrong = []
            else:
                wrong = list(_one(found, Kill("proxy", moment, rate, cost=math.inf), seen, version))
            if later := seen.lost_once_back:
                when = f"{later[0]:.1f} to {later[-1]:.1f} s after"
                wrong.append(f"{len(later)} requests were lost {when} HAProxy answered again")
            gap = seen.report["longest_gap"]
            gaps[moment].append(gap)
            lost[moment].append(seen.lost)
            figures = f"{seen.lost} of {seen.report['sent']} lost {seen.report['failures']}, {gap:.2f} s"
            print(
                f"{number + 1}: {moment}: {wrong or 'whole'}, {figures}, late {seen.report['late']:.2f} s", flush=True
            )
            broken += [f"{moment}: {item}" for item in wrong]
    for moment in COMPARED:
        by_chance = min(chance_of(gaps[CALM], gaps[moment]), chance_of(lost[CALM], lost[moment]))
        medians = f"median {median(gaps[moment]):.2f} s, {median(lost[moment]):.0f} lost"
        print(f"{moment}: {medians}, so much more by chance: {by_chance:.1%}: {lost[moment]}")
        if by_chance < LEAST_LIKELY:
            broken.append(f"{moment}: a kill costs more than while nobody deploys")
    return broken


def chance_of(fewer: Sequence[float], more: Sequence[float]) -> float:
    """Return how likely it is by chance alone that the second are so much more in all (a permutation test)."""
    both, drawn = [*fewer, *more], random.Random(0)  # noqa: S311 - nothing is kept secret by it
    return sum(sum(drawn.sample(both, len(more))) >= sum(more) for _ in range(DRAWS)) / DRAWS


@contextmanager
def _as_many(found: Scene) -> Iterator[None]:
    """Have as many containers as a deployment has in its middle: each takes its share of the machine."""
    before = found.containers()
    found.compose("v1", "up", "-d", "--no-recreate", "--scale", f"{SERVICE}={2 * len(before)}", SERVICE)
    if not wait_until(lambda: len(found.containers()) == 2 * len(before) and found.is_whole(), WHOLE_SECONDS):
        raise RuntimeError("HAProxy does not see all containers")
    try:
        yield
    finally:
        for container in set(found.containers()) - set(before):
            container.remove(force=True)
        if not wait_until(found.is_whole, WHOLE_SECONDS):
            raise RuntimeError("HAProxy does not forget containers that are gone")


def _measure_kill(found: Scene, rate: float, seen: Users) -> int:
    """Kill the proxy while nobody deploys, once it is asked; returns how many requests are lost."""
    name = f"{time.time()}"
    with users(found.port, rate=rate, name=name, seen=seen), _slow_requests(found):
        if not wait_until(lambda: found.orders.exists() and name in found.orders.read_text(), WHOLE_SECONDS):
            raise RuntimeError("nobody is served")
        killed = _proxy_process(found)
        os.kill(killed, signal.SIGKILL)
        if not wait_until(lambda: _proxy_process(found) not in {0, killed} and found.is_whole(), WHOLE_SECONDS):
            raise RuntimeError("the proxy did not come back")
    print(
        f"the proxy killed while nobody deploys: {seen.lost} of {seen.report['sent']} lost {seen.report['failures']}",
        flush=True,
    )
    return seen.lost


def _proxy_process(found: Scene) -> int:
    return int(found.containers("haproxy")[0].attrs["State"]["Pid"])


@contextmanager
def _watched_long(found: Scene, moment: str) -> Iterator[None]:
    """Let new containers be watched for long where they are to be met then: else it is over once HAProxy sees them."""
    page = found.folder / "stack" / "compose.yaml"
    usual = page.read_text()
    if moment == WATCHED:
        page.write_text(usual.replace("replicas: 2", f"replicas: 2\n      update_config: {LONG_WATCH}"))
    try:
        yield
    finally:
        page.write_text(usual)


def _one(found: Scene, kill: Kill, seen: Users, version: str) -> Iterator[str]:
    with (
        _watched_long(found, kill.moment),
        users(found.port, rate=kill.rate, name=f"{time.time()}", seen=seen),
        _slow_requests(found),
    ):
        bot = kill.begin(found, version)
        if not _meet(found, kill.moment, bot):
            yield f"the moment never came (the bot ended with {bot.poll()})"
        _strike(found, kill, bot)
        code = bot.wait(MOST_SECONDS)
        if kill.ends_bot:
            code = _worker(found).wait(MOST_SECONDS)
        if code:
            yield f"the bot ended with {code}"
        if not wait_until(found.is_whole, WHOLE_SECONDS):
            yield f"not whole: {found.admin().states()}, {found.admin().set_aside()}"
    yield from _judge(found, kill, seen, version)


def _strike(found: Scene, kill: Kill, bot: "subprocess.Popen[bytes]") -> None:
    if kill.ends_bot:
        bot.kill()
    if kill.ends_proxy:
        os.kill(_proxy_process(found), signal.SIGKILL)


def _paused(found: Scene, kill: Kill, seen: Users, version: str, before: str) -> Iterator[str]:
    """Kill while a person is asked about the first new container; then decide, and bring the next version up whole.

    Meanwhile, and where it goes on, only what is well gets requests, and only what is not is set aside.
    """
    loops = kill.victim == NOBODY
    with users(found.port, rate=kill.rate, name=f"{time.time()}", seen=seen):
        with pausing(found, loops=loops):
            bot = kill.begin(found, FLAKY)
            if not wait_until(found.is_paused, MOST_SECONDS):
                yield f"it never paused (the bot ended with {bot.poll()})"
            _strike(found, kill, bot)
            if kill.ends_bot:
                bot.wait(MOST_SECONDS)
                bot = _worker(found)
            if loops:
                restarts = _restarts(found)
                if not wait_until(lambda: _restarts(found) >= restarts + ROUNDS, MOST_SECONDS):
                    yield "it does not crash again and again"
            if not wait_until(found.serves_what_is_well, WHOLE_SECONDS):
                yield f"in the pause: {found.admin().states()}, {found.admin().set_aside()}"
            if not found.is_paused():
                yield "it does not wait any more"
            decide(found, goes_on=kill.goes_on)
            bot.wait(MOST_SECONDS)
            if not wait_until(found.serves_what_is_well, WHOLE_SECONDS):
                yield f"after the decision: {found.admin().states()}, {found.admin().set_aside()}"
            wanted = [FLAKY] * 2 if kill.goes_on else [before] * 2
            if (running := found.versions()) != wanted:
                yield f"these run: {running}, not {wanted}"
        asyncio.run(_deploy(found, version))
        if not wait_until(found.is_whole, WHOLE_SECONDS):
            yield f"not whole: {found.admin().states()}, {found.admin().set_aside()}"
    yield from _judge(found, kill, seen, version)


def _restarts(found: Scene) -> int:
    return sum(int(container.attrs["RestartCount"]) for container in found.containers())


def _judge(found: Scene, kill: Kill, seen: Users, version: str) -> Iterator[str]:
    most = kill.cost + kill.rate * START_SECONDS if kill.ends_proxy else 0
    if seen.lost > most:
        yield f"{seen.lost} requests were lost, and at most {most:.0f} may be: {seen.report['failures']}"
    if twice := seen.twice(found.orders):
        yield f"{len(twice)} orders were carried out twice"
    if missing := seen.missing(found.orders):
        yield f"{len(missing)} orders were answered and not carried out"
    running = sorted(str(container.attrs["Config"]["Image"]) for container in found.containers())
    if len(running) != 2 or len(set(running)) != 1 or version not in running[0]:
        yield f"these run: {running}"


def _meet(found: Scene, moment: str, bot: "subprocess.Popen[bytes]") -> bool:
    """Wait for a moment; returns False where the bot ends before."""
    met = False

    def looked() -> bool:
        nonlocal met
        met = _is_at(found, moment)
        return met or bot.poll() is not None

    wait_until(looked, MOST_SECONDS, poll=0.02)
    return met


def _is_at(found: Scene, moment: str) -> bool:
    """Return whether free servers are held, new containers are not ready, old ones drain beside them, or both serve."""
    try:
        admin = found.admin()
        if moment == "held":
            return bool(admin.set_aside())
        states = [status.split()[0] for _, status in admin.states().values()]
    except OSError:
        return False
    if moment == WATCHED:
        return states.count("UP") > 2  # the first old one may have gone: the last one waits
    if moment == WARMING:
        return states.count("UP") == 2 and len(states) > 2 and _have_started(found)
    return states.count("DRAIN") == 2 and states.count("UP") == 2


def _have_started(found: Scene) -> bool:
    """Return whether the youngest container of the service is no longer starting."""
    return min(_age(container) for container in found.containers()) >= STARTED_SECONDS


def _age(container: Container) -> float:
    started = datetime.fromisoformat(container.attrs["State"]["StartedAt"][:19] + "+00:00")
    return (datetime.now(UTC) - started).total_seconds()


async def _deploy(found: Scene, version: str) -> None:
    """Deploy a version while nobody is killed: that needs no process of its own, which takes a second to start."""
    async with application(found) as opened:
        await deploy(opened, version)


def _worker(found: Scene, *versions: str) -> subprocess.Popen[bytes]:
    command = ["tools.campaigns.requests.worker", str(found.folder), str(found.port), found.docker_host]
    return PreloadedPopen([*command, *versions], cwd=ROOT)


@contextmanager
def _slow_requests(found: Scene) -> Iterator[None]:
    """Keep a slow request under way, so that draining takes a while."""
    ended = False

    def ask(seconds: int) -> None:
        while not ended:
            _ask(found.port, seconds)
            time.sleep(ASKED_AGAIN_SECONDS)

    threads = [Thread(target=ask, args=(seconds,), daemon=True) for seconds in SLOW_SECONDS]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended = True
        for item in threads:
            item.join(4 * max(SLOW_SECONDS))


def _ask(port: int, seconds: int) -> None:
    """Send one slow request; what becomes of it is not counted, since it ends with a proxy that is killed."""
    connection = HTTPConnection("127.0.0.1", port, timeout=3 * seconds)
    with suppress(OSError, HTTPException):
        connection.request("GET", f"/slow?{seconds}")
        connection.getresponse().read()
    connection.close()


if __name__ == "__main__":
    sys.exit(main())
