"""Deploy one and the same file by `docker stack deploy` and by the bot, and note what Docker says of both."""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import docker

from testbed.engine import manual_environment
from testbed.sample import HEALTH_COMMAND, sample_image
from testbed.waiting import wait_until

REPOSITORY = "roas-acceptance/rolled"
VERSION = "sample.version"
SWARM_SERVICE = "com.docker.swarm.service.name"
# `docker stack deploy` does not know start_interval: what the images say of it holds, and what they ask.
CHECK = {"interval": "5s", "timeout": "2s", "retries": 3}
# Where a case is about a check. As often as that is asked, it is most of what a replica costs.
OFTEN = {"test": ["CMD-SHELL", HEALTH_COMMAND], "interval": "500ms"}
# Swarm replaces no replica that ended for good, not even on the way back; and it is to be seen what failed. What comes
# in the place of one that failed waits for as long, too.
RESTART = {"condition": "on-failure", "delay": "120s"}
# The first container of a version fails, as often as it is started; the others do not.
FIRST_ONE_FAILS = (
    "if mkdir /marks/$$VERSION 2>/dev/null; then hostname > /marks/$$VERSION/first; fi; "
    'if [ "$$(cat /marks/$$VERSION/first)" = "$$(hostname)" ]; then exit 3; fi; exec /serve'
)
# Of v1, none fails.
NONE_FAILS = "mkdir /marks/v1; touch /marks/v1/first"
UPDATE_SECONDS = 240.0
AFTERWARDS_SECONDS = 40.0
MOVING = frozenset({"preparing", "ready", "starting", "running"})
ENDS = frozenset({"completed", "paused", "rollback_completed", "rollback_paused"})


def images(client: docker.DockerClient) -> None:
    """Make the versions that both deploy."""
    sample_image(client, f"{REPOSITORY}:unhealthy", version="unhealthy", behaviour="unhealthy")
    sample_image(client, f"{REPOSITORY}:fades", version="fades", behaviour="fades", delay_seconds=1.2)
    sample_image(client, f"{REPOSITORY}:exits", version="exits", behaviour="exits", healthcheck=True)
    for name in ("v1", "v2"):
        sample_image(client, f"{REPOSITORY}:{name}", version=name, healthcheck=True)


def web(
    deploy: dict[str, Any], *, first_fails: bool = False, check: dict[str, Any], restart: dict[str, Any]
) -> dict[str, Any]:
    """Return a file of one service, as both take it: no virtual address, and a network of its own."""
    plain: dict[str, Any] = {
        "image": f"{REPOSITORY}:${{VERSION:?}}",
        "init": True,
        "stop_grace_period": "1s",
        "healthcheck": CHECK | check,
        "deploy": {"endpoint_mode": "dnsrr", "restart_policy": RESTART | restart} | deploy,
    }
    if not first_fails:
        return {"version": "3.9", "services": {"web": plain}}
    marked = {"command": ["sh", "-c", FIRST_ONE_FAILS], "environment": {"VERSION": "${VERSION}"}}
    services = {"web": plain | marked | {"volumes": ["marks:/marks"]}}
    return {"version": "3.9", "services": services, "volumes": {"marks": {}}}


@dataclass
class Seen:
    """Hold what became of containers, in order: `-v1` stopped or failed, `+v2` started, `v2` well; each once."""

    order: list[str] = field(default_factory=list)
    started: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    well: set[str] = field(default_factory=set)
    at: list[float] = field(default_factory=list)

    def see(self, event: dict[str, Any]) -> None:
        """Take in an event; of each container, its first end counts."""
        action, actor = event["Action"], event["Actor"]["ID"]
        version = event["Actor"]["Attributes"].get(VERSION, "?")
        if action == "start" and actor not in self.started:
            self.started.add(actor)
            self._note(f"+{version}", event)
        elif action == "health_status: healthy" and actor not in self.well:
            self.well.add(actor)
            self._note(version, event)
        elif action in {"die", "health_status: unhealthy"} and actor not in self.gone:
            self.gone.add(actor)
            self._note(f"-{version}", event)

    def _note(self, what: str, event: dict[str, Any]) -> None:
        self.order.append(what)
        self.at.append(event["timeNano"] / 1e9)


@dataclass(frozen=True)
class Run:
    """Hold how a deployment went: the verdict, which versions are well in the end, and the order of events."""

    verdict: str
    well: dict[str, int]
    order: list[str]
    at: list[float]


@contextmanager
def watching(client: docker.DockerClient, label: str) -> Iterator[Seen]:
    """Follow the containers that have a label until the end of the block."""
    seen = Seen()
    filters = {"type": "container", "label": label}
    stream = client.events(decode=True, filters=filters, since=f"{time.time():.3f}")
    thread = Thread(target=lambda: [seen.see(event) for event in stream], daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stream.close()
        thread.join(5)


def well_by_version(client: docker.DockerClient, label: str) -> dict[str, int]:
    """Return how many healthy containers there are of each version."""
    found = client.api.containers(filters={"label": [label], "health": ["healthy"]})
    return dict(Counter(item["Labels"][VERSION] for item in found))


@dataclass
class SwarmStack:
    """Deploy a file to a Swarm under a name of its own."""

    client: docker.DockerClient
    docker_host: str
    folder: Path
    name: str

    def begin(self, file: dict[str, Any], version: str) -> None:
        """Deploy a file with the version that is there before a case, and wait until all of it is well."""
        path = self._written(file)
        if "volumes" in file:  # the first one of v1 is not to fail
            marks = [f"{self.name}_marks:/marks"]
            self.client.containers.run(f"{REPOSITORY}:v1", ["sh", "-c", NONE_FAILS], volumes=marks, remove=True)
        self._deploy(path, version)
        up = {version: file["services"]["web"]["deploy"]["replicas"]}
        assert wait_until(lambda: well_by_version(self.client, self._label) == up, UPDATE_SECONDS), f"no {version}"
        assert wait_until(self._all_run, UPDATE_SECONDS), f"Swarm does not see that {version} is up"
        assert wait_until(self._is_settled, UPDATE_SECONDS), "what was to be stopped still runs"

    def update(self, file: dict[str, Any], version: str, expected: Collection[dict[str, int]]) -> Run:
        """Deploy a version, and note how that went; one of what is `expected` may come a while after the verdict."""
        with watching(self.client, self._label) as seen:
            self._deploy(self._written(file), version)
            assert wait_until(lambda: self._state() in ENDS, UPDATE_SECONDS), f"the update is {self._state()}"
            state = self._state()
            assert wait_until(self._is_settled, UPDATE_SECONDS), "what was to be stopped still runs"
            wait_until(lambda: well_by_version(self.client, self._label) in expected, AFTERWARDS_SECONDS)
        verdict = {"rollback_completed": "rolled back"}.get(state, state)
        return Run(verdict, well_by_version(self.client, self._label), seen.order, seen.at)

    def remove(self) -> None:
        """Remove the stack; a task that is ending may hold its network for a moment."""
        assert wait_until(lambda: self._run("stack", "rm", self.name).returncode == 0, UPDATE_SECONDS)

    @property
    def _label(self) -> str:
        return f"{SWARM_SERVICE}={self.name}_web"

    def _written(self, file: dict[str, Any]) -> Path:
        path = self.folder / f"{self.name}.json"
        path.write_text(json.dumps(file))
        return path

    def _all_run(self) -> bool:
        tasks = self.client.api.tasks({"service": f"{self.name}_web", "desired-state": "running"})
        return bool(tasks) and all(task["Status"]["State"] == "running" for task in tasks)

    def _is_settled(self) -> bool:
        """Return whether nothing runs any more that was to be stopped: Swarm does not wait for that."""
        tasks = self.client.api.tasks({"service": f"{self.name}_web", "desired-state": "shutdown"})
        return not any(task["Status"]["State"] in MOVING for task in tasks)

    def _state(self) -> str:
        service = self.client.services.get(f"{self.name}_web")
        return str((service.attrs.get("UpdateStatus") or {}).get("State", ""))

    def _deploy(self, path: Path, version: str) -> None:
        self._docker("stack", "deploy", "--resolve-image", "never", "--compose-file", str(path), self.name, v=version)

    def _docker(self, *arguments: str, v: str = "") -> None:
        done = self._run(*arguments, v=v)
        assert done.returncode == 0, done.stderr

    def _run(self, *arguments: str, v: str = "") -> "subprocess.CompletedProcess[str]":
        own = manual_environment(self.docker_host) | {"VERSION": v}
        return subprocess.run(["docker", *arguments], env=own, capture_output=True, text=True, check=False)
