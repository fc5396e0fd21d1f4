"""Live through a month: bots that replace each other, deployments, alerts, and the leader's rounds, by a fast clock."""

import asyncio
import gc
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

from roas.events import EventBus
from roas.maintenance import ATTEMPTS_KEPT, RESOLVED_KEPT
from roas.models.actor import Actor, ActorKind
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.coordination import STANDARD
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    DeploymentRequest,
    Outcome,
    PhaseResult,
    PhaseStatus,
    ServiceProgress,
    ServiceStep,
)
from roas.models.identifiers import new_id
from roas.models.ownership import Heartbeat
from roas.models.release import ImagePin, Release, ReleaseService, ReleaseState
from roas.monitoring.alerts.alert_service import AlertService
from roas.state.boot_clock import boot_id, boot_seconds
from roas.state.history import HistoryBounds
from roas.state.manager import StateManager

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 30
DORA = Actor(ActorKind.DISCORD, "1", "dora")
SERVICES = ("discord-bot", "redis", "web")
RELEASES_KEPT = 10
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Busyness:
    """Say how much happens in the month."""

    deployments: int = 500
    alerts: int = 5000
    bots: int = 200
    bounds: HistoryBounds = field(default_factory=lambda: HistoryBounds(days=7, rows=10_000))


@dataclass(frozen=True, slots=True)
class Footprint:
    """Measure what is held at one moment."""

    memory_bytes: int
    open_files: int
    files: int
    disk_bytes: int


async def live(folder: Path, busyness: Busyness) -> tuple[list[Footprint], dict[str, int]]:
    """Live through the month; returns what was held after each bot, and the rows of each table at the end."""
    footprints: list[Footprint] = []
    with time_machine.travel(BEGIN, tick=True) as clock:
        for number in range(busyness.bots):
            async with StateManager(folder) as state:
                await _one_bot(state, number, busyness)
                clock.shift(timedelta(days=DAYS) / busyness.bots)
                await _round(state, busyness)
            gc.collect()
            footprints.append(_measure(folder))
        async with StateManager(folder) as state:
            await _round(state, busyness)
            rows = await _rows(state)
    return footprints, rows


async def _one_bot(state: StateManager, number: int, busyness: Busyness) -> None:
    """Take over, beat, and do this bot's share of the month's work."""
    bus = EventBus()
    alerts = AlertService(state.alerts, bus)
    await state.ownership.acquire()
    await state.ownership.beat(Heartbeat(state.instance_id, boot_id(), boot_seconds(), f"container-{number}"))
    for index in _share(busyness.deployments, number, busyness.bots):
        await _deploy(state, index)
    for index in _share(busyness.alerts, number, busyness.bots):
        for firing in (True, False):
            report = AlertReport(
                f"web:{index}", AlertSource.HEALTH, Severity.HIGH, f"web {index}", environment="dev", firing=firing
            )
            await alerts.take([report])
    shown = await state.alerts.pending_notification()
    await state.alerts.mark_notified(shown)
    await bus.close()


def _share(total: int, number: int, of: int) -> range:
    return range(total * number // of, total * (number + 1) // of)


async def _deploy(state: StateManager, index: int) -> None:
    """Write the whole life of a deployment, and let go of the releases beyond those that are kept."""
    request = DeploymentRequest("dev", DeploymentKind.DEPLOY, DORA, version=f"v{index}")
    phases = tuple(PhaseResult(policy.name) for policy in STANDARD.phases)
    deployment = Deployment(new_id("DEPLOY"), request, "standard", new_id("COR"), datetime.now(UTC), phases=phases)
    fence = await state.deployments.create(deployment, "deploy")
    services = tuple(ReleaseService(one, ImagePin(f"{one}:v{index}", f"sha256:{index}"), "h") for one in SERVICES)
    release = await state.releases.add(
        Release("dev", -1, f"v{index}", ReleaseState.CANDIDATE, services, f"{index:064x}", datetime.now(UTC), DORA),
        fence,
    )
    for phase in phases:
        await state.deployments.save_phase(deployment, replace(phase, status=PhaseStatus.SUCCESS), fence)
    for name in SERVICES:
        await state.deployments.save_service(deployment, ServiceProgress(name, ServiceStep.HEALTHY), fence)
    ended = replace(deployment, outcome=Outcome.SUCCEEDED, to_release=release.number, ended_at=datetime.now(UTC))
    await state.deployments.finish(ended, fence, active=release, applied_model=release.model_hash)
    for old in await state.releases.beyond("dev", RELEASES_KEPT):
        await state.releases.forget(old, fence)


async def _round(state: StateManager, busyness: Busyness) -> None:
    """Do what the leader's rounds do to the journal."""
    await state.alerts.prune(RESOLVED_KEPT)
    await state.recoveries.prune(datetime.now(UTC) - ATTEMPTS_KEPT)
    while await state.history.prune(busyness.bounds):
        pass
    if await asyncio.to_thread(state.backups.is_due):
        await asyncio.to_thread(state.backups.make)


async def _rows(state: StateManager) -> dict[str, int]:
    def count(transaction: object) -> dict[str, int]:
        execute = transaction.execute  # type: ignore[attr-defined]
        tables = [row[0] for row in execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
        found = {name: execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608
        kept = execute("SELECT count(*) FROM releases WHERE kept = 1").fetchone()[0]
        return {**found, "releases kept": kept}

    return await state._journal.read(count)


def _measure(folder: Path) -> Footprint:
    files = [path for path in folder.rglob("*") if path.is_file()]
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    return Footprint(resident, open_files, len(files), sum(path.stat().st_size for path in files))
