"""Gather what is to be judged: from the engine and the journal, never from what a bot says of itself."""

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from docker.errors import NotFound

from roas.stack.model.services import written_model
from roas.stack.model.store import ModelStore
from roas.stack.model.text import write_model
from testbed.home_stack import PROJECT, Home
from tools.campaigns.crash.journal import JournalFacts, JournalReader, Mark

COMPOSE_SECONDS = 60
ADOPTED_HASH = "adopted_hash"


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """Hold the engine's view of one container."""

    id: str
    name: str
    state: str
    health: str
    image: str
    pid: int
    restarts: int = 0
    started_at: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    # What the hand of `docker update` sets; no compose file here does.
    cpu_shares: int = 0
    # Why the engine could not start it.
    error: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Hold everything that a round is judged by."""

    containers: tuple[ContainerFacts, ...]
    journal: JournalFacts
    # The configuration hashes that each service's container may have, by the current release's own model.
    hashes: Mapping[str, frozenset[str]]
    # The processes that were killed: a container that still has one is not known to be dead yet.
    killed: frozenset[int] = frozenset()
    # What was about to be done without its intent in the journal.
    unannounced: tuple[str, ...] = ()


class FactFinder:
    """Look at one stack, in which the release `before` may have made containers, too."""

    def __init__(self, home: Home, reader: JournalReader, state_dir: Path, *, before: bool = False) -> None:
        self._before = before
        self._home = home
        self._reader = reader
        self._models = ModelStore(state_dir / "models")
        self._hashes: dict[str, Mapping[str, frozenset[str]]] = {}

    def look(self, since: Mark, killed: frozenset[int] = frozenset(), unannounced: tuple[str, ...] = ()) -> Facts:
        """Return the facts of this moment."""
        containers = self.containers()
        journal = self._reader.look(since)
        hashes = self._wanted_hashes(journal.applied_model) if journal.applied_model else {}
        return Facts(containers, journal, hashes, killed, unannounced)

    def containers(self) -> tuple[ContainerFacts, ...]:
        """Return every container of the engine; only this stack's are there."""
        found = []
        for listed in self._home.client.api.containers(all=True):
            try:
                found.append(_container(self._home.client, listed["Id"]))
            except NotFound:
                continue
        return tuple(found)

    def _wanted_hashes(self, model: str) -> Mapping[str, frozenset[str]]:
        if model not in self._hashes:
            stored = self._models.load(model)
            adopted, hashes = _adopted(stored), _ask_hashes(written_model(stored))
            before = _ask_hashes(_as_before(stored)) if self._before else hashes
            self._hashes[model] = {
                name: frozenset({own, adopted.get(name, own), before[name]}) for name, own in hashes.items()
            }
        return self._hashes[model]


def _ask_hashes(model: Mapping[str, Any]) -> dict[str, str]:
    """Ask Compose for the hash of each service of a model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.yml"
        path.write_text(write_model(model))
        text = ["docker-compose", "--project-name", PROJECT, "--env-file", "/dev/null", "--file", str(path)]
        done = subprocess.run(
            [*text, "--profile", "*", "config", "--no-normalize", "--hash", "*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=COMPOSE_SECONDS,
        )
    return dict(line.split() for line in done.stdout.splitlines())


def _as_before(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model as the release before makes containers of it: by the names of the bot's, and without needs."""
    services = {
        name: {key: value for key, value in fields.items() if key not in {"x-deploy", "depends_on"}}
        for name, fields in model["services"].items()
    }
    return {**model, "services": services}


def _adopted(model: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes from before the first deployment: containers keep them until they are recreated."""
    extensions = {name: fields.get("x-deploy") or {} for name, fields in model["services"].items()}
    return {name: str(extension[ADOPTED_HASH]) for name, extension in extensions.items() if extension.get(ADOPTED_HASH)}


def _container(client: docker.DockerClient, container_id: str) -> ContainerFacts:
    inspected = client.api.inspect_container(container_id)
    state = inspected["State"]
    return ContainerFacts(
        id=inspected["Id"],
        name=inspected["Name"].lstrip("/"),
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        image=inspected["Image"],
        pid=int(state["Pid"]),
        restarts=int(inspected["RestartCount"]),
        started_at=state["StartedAt"],
        labels=inspected["Config"].get("Labels") or {},
        cpu_shares=int(inspected["HostConfig"].get("CpuShares") or 0),
        error=state.get("Error", ""),
    )
