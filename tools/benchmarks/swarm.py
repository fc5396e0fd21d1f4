"""A stack on a Swarm of three nodes: `roas deploy` beside `docker stack deploy --detach=false`, in turns.

The four services need nothing of each other; their image is on every node. *All run* is when the manager's API shows
every task running, which for a service with a health check is when that has passed: for both sides from the start of
the command on, and for a bot that runs already from the click on its plan, too. The bot *knows* when its journal
says that execution has ended, before its observation window; the other command knows when it ends. Raft writes are by
how much its index grew, those of the tasks' own states among them. Then two replicas are replaced
start-first while a client on another node asks them without a pause, over a new connection each time.
"""

import asyncio
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from testbed.engine import Engine
from testbed.private_registry import PrivateRegistry
from testbed.running_bot import Stack, running_bot
from testbed.sample import HEALTH_COMMAND
from testbed.swarm import Swarm, client_of
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import StackView
from testbed.waiting import wait_until
from tools.benchmarks.deploy import REPOSITORY

NAME = "bench"
SIZE = 4
SECONDS = 300
CALM_SECONDS = 3.0
OURS, THEIRS = "roas deploy", "docker stack deploy"
UPDATED = "docker service update"
ALL_RUN, CLICKED = "all new: all run (s)", "all new, from the click: all run (s)"
CHECK = {"test": ["CMD-SHELL", HEALTH_COMMAND], "interval": "5s", "start_period": "30s", "start_interval": "100ms"}
ASK = "while :; do if wget -q -T 1 -O /dev/null http://web:8080/version; then echo ok; else echo lost; fi; done"
LINE = re.compile(r"^(\S+) (ok|lost)$", re.MULTILINE)
# To find out where Raft is takes two writes: the mark before is removed, and the one after is made.
MARK_WRITES = 2


@dataclass
class Result:
    """Hold every figure of each side: `(what, side)` → one a run."""

    taken: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, what: str, side: str, figure: float) -> None:
        """Take a figure of one run."""
        self.taken.setdefault((what, side), []).append(figure)

    def as_dict(self) -> Mapping[str, object]:
        """Return every figure."""
        return {f"{what}, {side}": figures for (what, side), figures in asdict(self)["taken"].items()}

    def as_table(self) -> str:
        """Return the medians as a Markdown table."""
        lines = ["| What | Bot | `docker` | Ratio |", "|---|---|---|---|"]
        for what in dict.fromkeys(what for what, _ in self.taken):
            ours, theirs = (
                statistics.median(
                    next(item for key, item in self.taken.items() if key[0] == what and (key[1] == OURS) is is_ours)
                )
                for is_ours in (True, False)
            )
            ratio = f"{ours / theirs:.2f}" if theirs else "–"
            lines.append(f"| {what} | {ours:.2f} | {theirs:.2f} | {ratio} |")
        return "\n".join(lines)


@dataclass(frozen=True)
class Ground:
    """Hold where everything is."""

    folder: Path
    swarm: Swarm
    registry: PrivateRegistry

    @property
    def image(self) -> str:
        """Return the image without its tag."""
        return f"{self.registry.address}/{NAME}"

    def environ(self, state: str) -> dict[str, str]:
        """Return the environment of both sides; `state` names the bot's folder."""
        inherited = {name: item for name, item in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return inherited | {
            "DOCKER_HOST": self.swarm.docker_host,
            "DOCKER_CONFIG": str(self.folder / "docker"),
            "STACK_DIR": str(self.folder / "stack"),
            "STATE_DIR": str(self.folder / state),
            "COMPOSE_PROJECT_NAME": NAME,
            "ENVIRONMENTS__DEV__ENGINE": "swarm",
            "PYTHONPATH": str(REPOSITORY),
        }

    def write(self, services: Mapping[str, object]) -> None:
        """Write the stack: for both sides, since this one has nothing that either does not take."""
        (self.folder / "stack").mkdir(exist_ok=True)
        text = json.dumps({"version": "3.12", "services": services})
        (self.folder / "stack" / "docker-compose.yml").write_text(text)

    def bot(self, state: str, version: str) -> tuple[float, float]:
        """Deploy by the bot; returns the seconds until its journal says that execution has ended, and those of all."""
        began, clock = time.monotonic(), datetime.now().astimezone()
        command = [sys.executable, "-m", "roas", "deploy", "dev", version, "--json"]
        shown = json.loads(self._run(command, state, VERSION=version))
        ended = next(item["ended_at"] for item in shown["phases"] if item["name"] == "execution")
        return (datetime.fromisoformat(ended) - clock).total_seconds(), time.monotonic() - began

    def peer(self, version: str) -> float:
        """Deploy by Docker; returns the seconds that the command takes."""
        began = time.monotonic()
        options = ["--detach=false", "--with-registry-auth", "--compose-file", "docker-compose.yml"]
        self._run(["docker", "stack", "deploy", *options, f"{NAME}-dev"], "peer", VERSION=version)
        return time.monotonic() - began

    def update(self, version: str) -> None:
        """Update one service by Docker."""
        options = ["--detach=false", "--quiet", "--with-registry-auth", "--image", f"{self.image}:{version}"]
        self._run(["docker", "service", "update", *options, f"{NAME}-dev_web"], "peer")

    def _run(self, command: Sequence[str], state: str, **more: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder / "stack",
            env=self.environ(state) | more,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
        return done.stdout

    @property
    def view(self) -> StackView:
        """Return a look at the stack."""
        return StackView(self.swarm, f"{NAME}-dev")

    def raft_index(self) -> int:
        """Return at which Raft index the Swarm is; writes a mark to find it out, and takes it away again.

        What a stack has written is gone with it, so that its objects do not tell.
        """
        with client_of(self.swarm.manager) as client:
            mark = client.configs.create(name="mark", data=b"-")
            mark.reload()
            mark.remove()
        return int(mark.attrs["Version"]["Index"])

    def running(self, name: str = NAME) -> int:
        """Return how many tasks of a stack the manager's API shows running."""
        with client_of(self.swarm.manager) as client:
            tasks = client.api.tasks(filters={"label": f"com.docker.stack.namespace={name}-dev"})  # type: ignore[no-untyped-call]
        return sum(task["Status"]["State"] == "running" for task in tasks)


def measure(folder: Path, runs: int) -> Result:
    """Let both sides take turns."""
    result = Result()
    with (
        Swarm(folder / "swarm", workers=2) as swarm,
        swarm_registry(swarm, folder / "registry", healthy(["v1", "v2"]), name=NAME) as made,
    ):
        ground = Ground(folder, swarm, made)
        made.write_login(folder / "docker")
        for node in swarm.nodes:
            with client_of(node) as client:
                for version in ("v1", "v2"):
                    client.images.pull(f"{ground.image}:{version}", auth_config=made.login)
        ground.write({f"service-{number}": _service(ground) for number in range(SIZE)})
        ground.bot("warm-up", "v1")
        ground.view.remove()
        for run in range(runs):
            _new(ground, result, THEIRS, _peer)
            _new(ground, result, OURS, partial(Ground.bot, state=f"state-{run}", version="v1"))
            result.add(CLICKED, OURS, asyncio.run(_clicked(ground, folder / f"living-{run}")))
            result.add(CLICKED, THEIRS, result.taken[ALL_RUN, THEIRS][-1])
        _under_load(ground, result, runs)
    return result


def _service(ground: Ground, **deploy: object) -> dict[str, object]:
    own: dict[str, object] = {"endpoint_mode": "dnsrr", **deploy}
    return {"image": f"{ground.image}:v1", "healthcheck": CHECK, "deploy": own}


def _peer(ground: Ground) -> tuple[float, float]:
    """Return what the command takes twice: it knows how it went when it ends."""
    seconds = ground.peer("v1")
    return seconds, seconds


def _new(ground: Ground, result: Result, side: str, deploy: Callable[[Ground], tuple[float, float]]) -> None:
    """Deploy from nothing, and once more with nothing to change; then remove the stack."""
    before = ground.raft_index()
    with _watched(ground) as all_run:
        known, whole = deploy(ground)
    result.add(ALL_RUN, side, all_run[0])
    result.add("all new: the command knows (s)", side, known)
    result.add("all new: the command ends (s)", side, whole)
    result.add("all new: Raft writes", side, ground.raft_index() - before - MARK_WRITES)
    before = ground.raft_index()
    known, whole = deploy(ground)
    result.add("nothing to change: the command knows (s)", side, known)
    result.add("nothing to change: the command ends (s)", side, whole)
    result.add("nothing to change: Raft writes", side, ground.raft_index() - before - MARK_WRITES)
    ground.view.remove()


async def _clicked(ground: Ground, folder: Path) -> float:
    """Return the seconds from a click on a plan, in a bot that runs already, until all tasks run."""
    services = {f"service-{number}": _service(ground) for number in range(SIZE)}
    settings = {"ENVIRONMENTS__DEV__ENGINE": "swarm", "DOCKER_CONFIG": str(ground.folder / "docker")}
    async with running_bot(Engine(ground.swarm.docker_host), folder, Stack(services, settings)) as bot:
        after = await bot.last_message()
        plan = await bot.plan("dev", "v1")
        with _watched(ground, bot.name) as all_run:
            outcome = await bot.confirm(plan, after=after)
        if "succeeded" not in outcome.text:
            raise RuntimeError(outcome.text)
    await asyncio.to_thread(StackView(ground.swarm, f"{bot.name}-dev").remove)
    return all_run[0]


@contextmanager
def _watched(ground: Ground, name: str = NAME) -> Iterator[list[float]]:
    """Note after how many seconds all tasks of a stack run."""
    began, found, ended = time.monotonic(), [], Event()

    def watch() -> None:
        if wait_until(lambda: ended.is_set() or ground.running(name) >= SIZE, SECONDS, poll=0.02):
            found.append(time.monotonic() - began)

    watching = Thread(target=watch)
    watching.start()
    try:
        yield found
        watching.join(SECONDS)
    finally:
        ended.set()
        watching.join()


def _under_load(ground: Ground, result: Result, runs: int) -> None:
    """Replace two replicas start-first while a client on another node asks."""
    update = {"order": "start-first", "parallelism": 1, "monitor": "1s"}
    here, there = ({"constraints": [f"node.hostname {how} node3"]} for how in ("!=", "=="))
    web = _service(ground, replicas=2, update_config=update, placement=here)
    asker = {**_service(ground, placement=there), "command": ["sh", "-c", ASK], "healthcheck": {"disable": True}}
    ground.write({"web": {**web, "image": f"{ground.image}:${{VERSION}}"}, "asker": asker})
    ground.bot("under-load", "v1")
    for _ in range(runs):
        _asked(ground, result, OURS, lambda: ground.bot("under-load", "v2"))
        _asked(ground, result, UPDATED, lambda: ground.update("v1"))


def _asked(ground: Ground, result: Result, side: str, act: Callable[[], Any]) -> None:
    time.sleep(CALM_SECONDS)  # as long as users come in peace
    began = time.time()
    act()
    time.sleep(CALM_SECONDS)
    with client_of(ground.swarm.nodes[2]) as client:
        (asker,) = client.containers.list(filters={"label": f"com.docker.swarm.service.name={NAME}-dev_asker"})
        log = asker.logs(timestamps=True, since=int(began)).decode()
    lines = [(datetime.fromisoformat(f"{at[:26]}+00:00").timestamp(), how) for at, how in LINE.findall(log)]
    good = [at for at, how in lines if how == "ok"]
    gaps = [after - before for before, after in itertools.pairwise(good)]
    result.add("start-first under load: requests", side, len(lines))
    result.add("start-first under load: lost", side, sum(how == "lost" for _, how in lines))
    result.add("start-first under load: longest gap (s)", side, max(gaps, default=0.0))
