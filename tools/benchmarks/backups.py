"""How long a backup and a restore take, and how large it is, beside what people type for that, in turns.

A PostgreSQL is dumped and restored beside `pg_dump` and `pg_restore` by `docker exec`, a volume of 1 GB copied beside
`docker run … tar`. Ours is hashed and synced to the disk on its way, and read whole before it is restored. Nothing is
stopped for either, since nothing writes.
"""

import asyncio
import statistics
import subprocess
import time
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker

from roas.app.application import Application, open_application
from roas.configuration.settings import Settings
from roas.metrics.bot_metrics import Metrics
from roas.models.actor import Actor, ActorKind
from roas.models.backup import BackupReason, DataBackup
from roas.models.deployment import DeploymentKind, DeploymentRequest, Outcome
from roas.models.stack import BackupRule
from roas.models.stored import new_id
from roas.stack.backups.service_data import ServiceData
from testbed.engine import Engine, manual_environment
from testbed.sample import HEALTH_COMMAND, sample_image
from testbed.stack_images import postgres_image
from tools.benchmarks.services import write_stack

ENVIRONMENT, PROJECT, IMAGE = "dev", "roas-benchmark-backups", "roas-benchmark/files:v1"
VOLUME = f"{PROJECT}-{ENVIRONMENT}_files"
ROWS = 1_000_000
FILES, FILE_BYTES = 64, 16 << 20
SECONDS = 600
SOCKET = "/tmp"  # noqa: S108 - in its container
DATABASE, A_VOLUME = "PostgreSQL", "a volume of 1 GB"
DUMP = ("pg_dump", "-h", SOCKET, "--format=custom", "postgres")
LOAD = ("pg_restore", "-h", SOCKET, "-d", "postgres", "--clean", "--if-exists", "--single-transaction")
FILL = f"CREATE TABLE people AS SELECT n AS id, md5(n::text) AS name FROM generate_series(1, {ROWS}) n"  # noqa: S608
FILL_FILES = f"for n in $(seq {FILES}); do head -c {FILE_BYTES} /dev/urandom >/data/$n; done; sync"
UNPACK = "rm -rf /data/* && tar -x -p -f /backup/files -C /data"
RULES = {
    DATABASE: BackupRule(DUMP, LOAD, 5),
    A_VOLUME: BackupRule((), (), 5, volumes=(VOLUME,), helper="files"),
}
SERVICES = {DATABASE: "database", A_VOLUME: "files"}


@dataclass
class Side:
    """Hold what one side took for one store: the seconds of each run, and the bytes of its backup."""

    saved: list[float] = field(default_factory=list)
    restored: list[float] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True)
class Result:
    """Hold both sides of each store."""

    ours: Mapping[str, Side]
    theirs: Mapping[str, Side]

    def as_dict(self) -> Mapping[str, object]:
        """Return every figure."""
        return asdict(self)

    def as_table(self) -> str:
        """Return the medians as a Markdown table, with the ratios."""
        lines = ["| What | Bot | By hand | Ratio |", "|---|---|---|---|"]
        for store, ours in self.ours.items():
            theirs = self.theirs[store]
            lines += [
                _row(f"{store}: backup (s)", statistics.median(ours.saved), statistics.median(theirs.saved), 2),
                _row(f"{store}: restore (s)", statistics.median(ours.restored), statistics.median(theirs.restored), 2),
                _row(f"{store}: size (MB)", ours.size / 1e6, theirs.size / 1e6, 1),
            ]
        return "\n".join(lines)


def _row(name: str, ours: float, theirs: float, digits: int) -> str:
    return f"| {name} | {ours:.{digits}f} | {theirs:.{digits}f} | {ours / theirs:.2f} |"


@dataclass(frozen=True)
class Hand:
    """Do by hand, with Docker's command line, what the bot does."""

    engine: Engine
    folder: Path
    container_id: str

    def save(self, store: str) -> int:
        """Write a backup; returns its size in bytes."""
        if store == A_VOLUME:
            self._docker([*self._with_volume(":ro"), "tar", "-c", "-f", "/backup/files", "-C", "/data", "."])
            return (self.folder / "files").stat().st_size
        with (self.folder / "dump").open("wb") as file:
            self._docker(["exec", self.container_id, *DUMP], stdout=file)
        return (self.folder / "dump").stat().st_size

    def restore(self, store: str) -> None:
        """Replace the data by that of the backup."""
        if store == A_VOLUME:
            self._docker([*self._with_volume(), "sh", "-c", UNPACK])
            return
        with (self.folder / "dump").open("rb") as file:
            self._docker(["exec", "-i", self.container_id, *LOAD], stdin=file)

    def _with_volume(self, mode: str = "") -> list[str]:
        return ["run", "--rm", "-v", f"{VOLUME}:/data{mode}", "-v", f"{self.folder}:/backup", IMAGE]

    def _docker(self, arguments: Sequence[str], **streams: Any) -> None:
        environ = manual_environment(self.engine.docker_host, self.folder)
        subprocess.run(["docker", *arguments], env=environ, check=True, timeout=SECONDS, **streams)


def measure(engine: Engine, folder: Path, runs: int) -> Result:
    """Back up and restore both stores, in turns, the first turn of each side uncounted."""
    (folder / "by-hand").mkdir()
    settings = Settings(
        _env_file=None,
        stack_dir=folder / "stack",
        state_dir=folder / "state",
        docker_host=engine.docker_host,
        compose_project_name=PROJECT,
    )
    with closing(engine.client()) as client:
        _write(folder / "stack", client)
        try:
            return asyncio.run(_measure(settings, engine, client, folder / "by-hand", runs))
        finally:
            _remove(client)


def _write(folder: Path, client: docker.DockerClient) -> None:
    sample_image(client, IMAGE)
    quick = {"interval": "5s", "start_period": "60s", "start_interval": "200ms"}
    services = {
        "database": {
            "image": postgres_image(client),
            "network_mode": "none",
            "healthcheck": {"test": ["CMD", "pg_isready", "-h", SOCKET], **quick},
        },
        "files": {
            "image": IMAGE,
            "init": True,
            "network_mode": "none",
            "volumes": ["files:/data"],
            "healthcheck": {"test": ["CMD-SHELL", HEALTH_COMMAND], **quick},
        },
    }
    write_stack(folder, services, volumes={"files": {}})


async def _measure(settings: Settings, engine: Engine, client: docker.DockerClient, folder: Path, runs: int) -> Result:
    async with open_application(settings, metrics=Metrics("benchmark")) as application:
        await _deploy(application)
        label = f"com.docker.compose.project={PROJECT}-{ENVIRONMENT}"
        found = {
            item.labels["com.docker.compose.service"]: item for item in client.containers.list(filters={"label": label})
        }
        await asyncio.to_thread(_fill, found)
        data = application.stacks.of(application.environments[ENVIRONMENT]).data
        hand = Hand(engine, folder, str(found["database"].id))
        result = Result({store: Side() for store in RULES}, {store: Side() for store in RULES})
        for turn in range(runs + 1):
            for store in RULES:
                await _turn(result, store, data, hand, is_counted=turn > 0)
        return result


async def _deploy(application: Application) -> None:
    request = DeploymentRequest(ENVIRONMENT, DeploymentKind.DEPLOY, Actor(ActorKind.SYSTEM, "1", "bench"), version="v1")
    ended = await application.orchestrator.run(request)
    if ended.outcome is not Outcome.SUCCEEDED:
        raise RuntimeError(f"{ended.id} ended {ended.outcome}: {ended.problem}")


def _fill(containers: Mapping[str, Any]) -> None:
    psql = ["psql", "-h", SOCKET, "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", FILL]
    for service, command in (("database", psql), ("files", ["sh", "-ec", FILL_FILES])):
        code, output = containers[service].exec_run(command)
        if code != 0:
            raise RuntimeError(f"{service} was not filled: {output.decode()}")


async def _turn(result: Result, store: str, data: ServiceData, hand: Hand, *, is_counted: bool) -> None:
    ours, theirs = result.ours[store], result.theirs[store]
    seconds, backup = await _timed(_save(data, store))
    ours.size = backup.size
    by_hand, theirs.size = await _timed(asyncio.to_thread(hand.save, store))
    restored, _ = await _timed(_restore(data, backup))
    for path in data.files.files_of(backup):
        path.unlink()
    restored_by_hand, _ = await _timed(asyncio.to_thread(hand.restore, store))
    if is_counted:
        ours.saved.append(seconds)
        theirs.saved.append(by_hand)
        ours.restored.append(restored)
        theirs.restored.append(restored_by_hand)


async def _timed(work: Awaitable[Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    done = await work
    return time.perf_counter() - begun, done


async def _save(data: ServiceData, store: str) -> DataBackup:
    backup_id, service, rule = new_id("BACKUP"), SERVICES[store], RULES[store]
    container_id = await data.find_container(service, rule, "")
    if container_id is None:
        raise RuntimeError(f"{service} has no container")
    saved = await data.save(backup_id, service, rule, container_id)
    reason, now = BackupReason.DEPLOYMENT, datetime.now(UTC)
    known = (backup_id, ENVIRONMENT, service, "", reason, 1, now, saved.seconds, saved.size, saved.sha256)
    return DataBackup(*known, volumes=rule.volumes)


async def _restore(data: ServiceData, backup: DataBackup) -> None:
    container_id = await data.find_container(backup.service, await data.rule_of(backup), "")
    if container_id is None:
        raise RuntimeError(f"{backup.service} has no container")
    await data.verify(backup)
    await data.restore(backup, container_id)


def _remove(client: docker.DockerClient) -> None:
    label: dict[str, str | list[str] | bool] = {"label": f"com.docker.compose.project={PROJECT}-{ENVIRONMENT}"}
    for container in client.containers.list(all=True, filters=label):
        container.remove(force=True, v=True)
    for volume in client.volumes.list(filters=label):
        volume.remove()
