"""A bot reads the journal of the release before it, and after a rollback that of the release after it."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import is_dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from roas.models.alert import Alert, AlertReport, AlertSource, AlertState, Severity
from roas.models.deployment import (
    Deployment,
    DeploymentKind,
    Freeze,
    Lock,
    Outcome,
    PhaseStatus,
    ServiceProgress,
    ServiceStep,
)
from roas.models.leader_lease import Heartbeat
from roas.models.phases import PhaseName
from roas.models.plan import PlanRecord, PlanState
from roas.models.post import Post
from roas.models.recovery import RecoveryStep
from roas.models.release import Release, ReleaseState
from roas.models.state_change import ChangeType, StateChange
from roas.state.deployments.locks import LockHeldError
from roas.state.documents import log_once
from roas.state.journal.place import JOURNAL_NAME
from roas.state.living_processes import boot_id, boot_seconds
from roas.state.manager import StateManager
from roas.state.schema import MIGRATIONS
from tests.unit.state.deployments.test_plans_and_drafts import a_plan_record
from tests.unit.state.samples import a_deployment, a_release

UNDER_WAY, ENDED, OF_ANOTHER_KIND = (a_deployment(name) for name in ("prod", "staging", "dev"))
PROPOSAL = a_plan_record(state=PlanState.AWAITING)


def manually(folder: Path, *statements: str) -> None:
    """Do to the journal what another version would."""
    with closing(sqlite3.connect(folder / JOURNAL_NAME)) as journal:
        for statement in statements:
            journal.execute(statement)
        journal.commit()


def put(table: str, path: str, value: str, where: str = "1") -> str:
    return f"UPDATE {table} SET document = json_set(document, '{path}', '{value}') WHERE {where}"  # noqa: S608 - our own words only


@pytest.fixture
async def of_the_future(tmp_path: Path) -> Path:
    """Write a journal, and change it as a newer version may: only by adding tables, columns, keys and values."""
    async with StateManager(tmp_path) as state:
        for deployment in (UNDER_WAY, ENDED, OF_ANOTHER_KIND):
            fence = await state.deployments.create(deployment, "deploy v2")
            await state.deployments.save_service(deployment, ServiceProgress("web", ServiceStep.STARTING), fence)
            if deployment is UNDER_WAY:
                await state.releases.add(a_release(ReleaseState.SUCCEEDED), fence)
            if deployment is ENDED:
                await state.deployments.finish(replace(deployment, outcome=Outcome.SUCCEEDED), fence)
        await state.record(StateChange(ChangeType.SERVICE_STARTED, "test", "prod", "web"))
        await state.approvals.add(PROPOSAL)
        await state.alerts.take([AlertReport("f", AlertSource.HEALTH, Severity.WARNING, "web is down")])
        await state.posts.save(Post(UNDER_WAY.id, "live", 5))
        await state.ownership.acquire()
        await state.ownership.beat(Heartbeat(state.instance_id, boot_id(), boot_seconds()))
    tables = (*documents(tmp_path),)
    manually(
        tmp_path,
        "CREATE TABLE oracles (id TEXT PRIMARY KEY)",
        *(f"ALTER TABLE {table} ADD COLUMN mood TEXT NOT NULL DEFAULT 'bright'" for table in tables),
        *(put(table, "$.mood", "of the future") for table in tables),
        put("deployments", "$.request.kind", "CANARY", f"id = '{OF_ANOTHER_KIND.id}'"),
        put("deployments", "$.outcome", "superseded", f"id = '{ENDED.id}'"),
        put("deployments", "$.request.requested_by.kind", "carrier pigeon"),
        "UPDATE deployments SET outcome = 'superseded' WHERE outcome IS NOT NULL",
        put("phases", "$.status", "dreaming", "name = 'initialization'"),
        put("phases", "$.name", "divination", "name = 'validation'"),
        put("service_progress", "$.step", "levitating"),
        put("releases", "$.state", "blessed"),
        put("proposals", "$.state", "sworn"),
        put("alerts", "$.state", "foretold"),
        put("alerts", "$.severity", "apocalyptic"),
        put("changes", "$.type", "omen_seen", "type = 'service_started'"),
        f"PRAGMA user_version = {len(MIGRATIONS) + 1}",
    )
    return tmp_path


def documents(folder: Path) -> Sequence[str]:
    """Return the tables that hold documents."""
    question = "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE c.name = 'document'"
    with closing(sqlite3.connect(folder / JOURNAL_NAME)) as journal:
        return [name for (name,) in journal.execute(question) if name != "projections"]


async def test_newer_journal_read_with_unknown_as_bad(of_the_future: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is unknown in a journal of the next version counts as nothing good."""
    log_once.cache_clear()
    async with StateManager(of_the_future) as state:
        known = await state.deployments.unfinished()
        assert [item.id for item in known] == [UNDER_WAY.id]
        assert await state.deployments.active("prod") == known[0]
        assert [deployment.id for deployment in await state.deployments.list()] == [ENDED.id, UNDER_WAY.id]
        ended = await state.deployments.get(ENDED.id)
        assert ended is not None
        assert (ended.finished, ended.outcome) == (True, Outcome.FAILED)
        (progress,), (phase,) = known[0].services, known[0].phases
        assert (known[0].touched, progress.step) == (True, ServiceStep.WAITING)
        assert (phase.name, phase.status) == (PhaseName.INITIALIZATION, PhaseStatus.IN_PROGRESS)
        assert [item.state for item in await state.releases.list("prod")] == [ReleaseState.FAILED]
        assert [approval.ended for approval in await state.approvals.open()] == [True]
        (alert,) = await state.alerts.open()
        assert (alert.state, alert.severity) == (AlertState.FIRING, Severity.HIGH)
        assert ChangeType.AUDIT in {change.type for change in await state.changes("prod")}
        assert len((await state.changes_since(0))[1]) == await state.last_sequence()
        assert (await state.posts.unfinished(["live"]))[0].subject == UNDER_WAY.id
        assert await state.ownership.lease() is not None
    assert caplog.text.count("unreadable row skipped") == 2  # a deployment, and the phase of others


async def test_newer_journal_continued(of_the_future: Path) -> None:
    async with StateManager(of_the_future) as state:
        assert await state.ownership.acquire() is not None
        (found,) = await state.deployments.unfinished()
        lock = await state.locks.get("prod")
        assert lock is not None
        found, fence = await state.deployments.take_over(found.id, lock.instance_id, is_new_attempt=lambda _left: True)
        await state.deployments.save_service(found, ServiceProgress("web", ServiceStep.HEALTHY), fence)
        await state.deployments.finish(replace(found, outcome=Outcome.SUCCEEDED), fence)
        with pytest.raises(LockHeldError):  # the next version carries on with what only it knows
            await state.deployments.create(a_deployment("dev"), "deploy v3")
        await state.alerts.take([AlertReport("f", AlertSource.HEALTH, Severity.WARNING, "it is over", firing=False)])
        assert await state.alerts.open() == ()
    with closing(sqlite3.connect(of_the_future / JOURNAL_NAME)) as journal:
        assert journal.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS) + 1


def enums_of(kind: Any, seen: set[Any]) -> set[type[StrEnum]]:
    """Return the enums that documents of a kind hold, however deep."""
    if kind in seen:
        return set()
    seen.add(kind)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {kind}
    inner = get_type_hints(kind).values() if is_dataclass(kind) else get_args(kind)
    return {enum for item in inner for enum in enums_of(item, seen)}


def test_unknown_enum_values_readable() -> None:
    kept: tuple[type, ...] = (
        Deployment,
        Release,
        StateChange,
        Lock,
        Freeze,
        PlanRecord,
        Alert,
        RecoveryStep,
        Heartbeat,
    )
    found = {enum for kind in kept for enum in enums_of(kind, set())}
    assert ServiceStep in found
    # What was asked for, and what a phase does, nobody can guess: such rows are left out.
    for enum in found - {DeploymentKind, PhaseName}:
        assert enum("of the future") in set(enum)


def a_row(deployment: Deployment) -> tuple[Any, ...]:
    """Write a deployment with no more keys than the first version had."""
    document = (
        f'{{"id": "{deployment.id}", "request": {{"environment": "prod", "kind": "DEPLOY", "requested_by":'
        ' {"kind": "system", "id": "0", "name": "root"}, "version": "v1"}, "coordination": "standard",'
        f' "correlation_id": "COR-1", "created_at": "{deployment.created_at.isoformat()}"}}'
    )
    return deployment.id, "prod", "DEPLOY", document


async def test_older_journal_read_and_continued(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / JOURNAL_NAME)) as journal:
        for script in MIGRATIONS[:-1]:
            journal.executescript(script)
        journal.execute(f"PRAGMA user_version = {len(MIGRATIONS) - 1}")
        journal.execute(
            "INSERT INTO deployments (id, environment, kind, document) VALUES (?, ?, ?, ?)", a_row(UNDER_WAY)
        )
        journal.execute("INSERT INTO owners VALUES ('voice', ?)", (OLD_VOICE,))
        journal.execute("INSERT INTO heartbeats VALUES ('BOT-0', 'c', ?)", (OLD_BEAT.format(boot=boot_id()),))
        journal.commit()
    async with StateManager(tmp_path) as state:
        (found,) = await state.deployments.unfinished()
        assert (found.id, found.request.version, found.handed_over_to) == (UNDER_WAY.id, "v1", "")
        beat = await state.ownership.heartbeat(container_id="c")
        assert beat is not None
        assert beat.process is None
        taken = await state.ownership.acquire()
        assert taken is not None
        await state.alerts.take([AlertReport("f", AlertSource.HEALTH, Severity.WARNING, "web is down")])
        assert len(await state.alerts.open()) == 1


OLD_VOICE = '{"instance_id": "BOT-0", "token": 3, "boot_id": "b", "lease_until": 1.0}'
OLD_BEAT = '{{"instance_id": "BOT-0", "boot_id": "{boot}", "beat_at": 1.0, "container_id": "c"}}'


async def test_unreadable_change_skipped(tmp_path: Path) -> None:
    async with StateManager(tmp_path / "state") as state:
        for text in ("before", "strange", "after"):
            await state.record(StateChange(ChangeType.AUDIT, "test", new=text))
        with closing(sqlite3.connect(state.folder / JOURNAL_NAME)) as journal, journal:
            journal.execute("UPDATE changes SET document = '{\"type\": 7}' WHERE document LIKE '%strange%'")
        number, news = await state.changes_since(0)
        assert [change.new for change in news if change.source == "test"] == ["before", "after"]
        assert number == await state.last_sequence()
