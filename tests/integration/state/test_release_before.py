"""A journal that the release before wrote is continued here, and what is written here is continued there."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from roas.messages.message import Message, said
from roas.models.actor import Actor, ActorKind
from roas.models.alert import AlertReport, AlertSource, AlertState, RecoveryStatus, Severity
from roas.models.deployment import Draft, Freeze, Outcome, PhaseStatus, Problem, ServiceStep
from roas.models.phases import PhaseName
from roas.models.plan import PlanState
from roas.models.post import Post
from roas.models.recovery import RecoveryAction
from roas.models.release import ReleaseState
from roas.models.rollout import Choice, Decision, Pause
from roas.state.documents import from_row, to_json
from roas.state.journal.place import JOURNAL_NAME
from roas.state.manager import StateManager
from tests.integration.state.release_before import APPROVE, READ, UNFINISHED, WRITE, run_release_before
from tests.unit.state.deployments.test_plans_and_drafts import a_plan_record
from tests.unit.state.samples import a_deployment, a_release
from tests.unit.state.stored_surface import DOCUMENTS

# What WRITE left, as it was on the day of that release.
FIXTURE = Path(__file__).with_name("journal_of_release_before.sql")
ANNA = Actor(ActorKind.DISCORD, "2", "anna")
# What the release before does not know; it neither reads nor writes these.
LATER_TABLES = {"candidates", "deliveries", "holds"}
TABLES_OF_BEFORE = [name for name in DOCUMENTS if not name.startswith("control") and name not in LATER_TABLES]
POST_KINDS = ("live", "alert", "call", "approval")


@pytest.fixture
def of_before(tmp_path: Path) -> Path:
    """Lay out the journal that the release before left when it was killed."""
    with closing(sqlite3.connect(tmp_path / JOURNAL_NAME)) as journal:
        journal.executescript(FIXTURE.read_text())
    return tmp_path


def rows(folder: Path, table: str) -> list[str]:
    """Return the documents of a table as they are stored."""
    with closing(sqlite3.connect(folder / JOURNAL_NAME)) as journal:
        return [row[0] for row in journal.execute(f"SELECT document FROM {table}")]  # noqa: S608 - our own words only


def missing(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Yield where a document lacks something of another, or has it otherwise; it may have more."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            yield from missing(value, new.get(key, "nothing"), f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from missing(one, other, f"{path}[{number}]")
    elif old != new:
        yield f"{path}: {old!r} became {new!r}"


@pytest.mark.parametrize("table", TABLES_OF_BEFORE)
def test_documents_of_before_kept_whole(of_before: Path, table: str) -> None:
    """Whatever the release before wrote is still there when this one has read it and written it again."""
    found = rows(of_before, table)
    assert found
    for text in found:
        assert list(missing(json.loads(text), json.loads(to_json(from_row(DOCUMENTS[table], text))))) == []


async def test_journal_of_before_read(of_before: Path) -> None:
    async with StateManager(of_before) as state:
        middle, leaving = await state.deployments.unfinished()
        assert (middle.environment, leaving.environment) == ("prod", "qa")
        assert leaving.cancel_requested_by == ANNA
        execution, preparation = middle.phase(PhaseName.EXECUTION), middle.phase(PhaseName.PREPARATION)
        assert execution is not None
        assert preparation is not None
        assert (preparation.status, execution.status) == (PhaseStatus.SUCCESS, PhaseStatus.IN_PROGRESS)
        assert [(service.service, service.step, service.changed) for service in middle.services] == [
            ("web", ServiceStep.STARTING, True)
        ]
        web, db, mail = await state.alerts.open()
        states = [AlertState.FIRING, AlertState.ACKNOWLEDGED, AlertState.SILENCED]
        assert [item.state for item in (web, db, mail)] == states
        assert (web.healing, web.actions, web.escalated) == (RecoveryStatus.DEFERRED, ("restarted once",), True)
        assert await state.alerts.group(web.group) == (web, db)
        (step,) = await state.recoveries.of("prod", "web", RecoveryAction.RESTART)
        assert step.alert_id == web.id
        (plan,) = await state.approvals.open()
        assert (plan.state, plan.plan.changed[0].service) == (PlanState.AWAITING, "web")
        assert (await state.freezes.all())[0].reason == "the fair"
        current = await state.releases.current("staging")
        assert current is not None
        assert (current.state, current.services[0].image.built) == (ReleaseState.SUCCEEDED, True)
        assert {post.kind for post in await state.posts.unfinished(POST_KINDS)} == set(POST_KINDS)
        assert await state.ownership.has_beaten("c")
        assert len((await state.changes_since(0))[1]) == len(rows(of_before, "changes"))


async def carry_on(state: StateManager) -> None:
    """Do to a journal what this release does in a day, with what only it knows."""
    seen = await state.ownership.lease()
    taken = await state.ownership.acquire()
    assert seen is not None
    assert taken is not None
    assert taken.token > seen.token
    for left in await state.deployments.unfinished():
        lock = await state.locks.get(left.environment)
        assert lock is not None
        found, fence = await state.deployments.take_over(left.id, lock.instance_id, is_new_attempt=lambda _: True)
        problem = Problem("service_failed", said("{service} is gone.", service="web"), said("Start the bot again."))
        await state.deployments.finish(replace(found, outcome=Outcome.ROLLED_BACK, problem=problem), fence)
    (plan,) = await state.approvals.open()
    done, _ = await state.approvals.move(plan.id, PlanState.CONFIRMED, ANNA, from_states=[PlanState.AWAITING])
    assert done
    web, db, _ = await state.alerts.open()
    await state.alerts.take([AlertReport(db.fingerprint, AlertSource.HEALTH, Severity.HIGH, "db is up", firing=False)])
    await state.alerts.note(web.id, said("restarted {times}", times="again"), healing=RecoveryStatus.UNDER_WAY)

    begun = replace(a_deployment(), successors=("c1", "c2"))
    fence = await state.deployments.create(begun, "deploy v3")
    await state.releases.add(a_release(ReleaseState.SUCCEEDED, "v3"), fence)
    await state.approvals.add(a_plan_record(state=PlanState.AWAITING))
    await state.alerts.take([AlertReport("health:prod:mta", AlertSource.HEALTH, Severity.HIGH, "mta is down")])
    await state.freezes.put(Freeze("staging", ANNA, "the other fair", datetime.now(UTC)))
    await state.posts.save(Post(begun.id, "live", 7, 8, "def"))


async def everything(state: StateManager) -> dict[str, list[Any]]:
    """Return what READ prints."""
    found: dict[str, Any] = {
        "deployments": await state.deployments.list(),
        "unfinished": await state.deployments.unfinished(),
        "alerts": await state.alerts.all(),
        "proposals": await state.approvals.open(),
        "freezes": await state.freezes.all(),
        "locks": await state.locks.all(),
        "owners": [await state.ownership.lease()],
        "releases": [*await state.releases.list("prod"), *await state.releases.list("staging")],
        "posts": await state.posts.unfinished(POST_KINDS),
        "changes": (await state.changes_since(0))[1],
    }
    return {name: [json.loads(to_json(item)) for item in kept] for name, kept in found.items()}


async def test_release_before_continues_what_we_write(before: Path, tmp_path: Path) -> None:
    """The real code of that release writes, reads what this one has made of it, carries on, and this one again."""
    run_release_before(before, WRITE, tmp_path)
    async with StateManager(tmp_path) as state:
        await carry_on(state)
        ours = await everything(state)
    theirs = run_release_before(before, READ, tmp_path)
    assert {name: len(kept) for name, kept in theirs.items()} == {name: len(kept) for name, kept in ours.items()}
    assert list(missing(theirs, ours)) == []
    assert {their["problem"]["message"] for their in theirs["deployments"] if their["problem"]} == {"web is gone."}
    assert "messages" in json.dumps(ours)
    assert "messages" not in json.dumps(theirs), "that release shows the English beside which they stand"
    async with StateManager(tmp_path) as state:
        assert await state.deployments.unfinished() == ()
        assert (await state.deployments.list())[0].outcome is Outcome.SUCCEEDED
        assert {approval.state for approval in await state.approvals.open()} == {PlanState.CONFIRMED}
        assert {alert.state for alert in await state.alerts.open()} == {AlertState.ACKNOWLEDGED}
        assert len((await state.changes_since(0))[1]) > len(theirs["changes"])
        kept = {type(deployment.problem.message) for deployment in await state.deployments.list() if deployment.problem}
        assert kept == {Message}, "that release did not touch these rows"
        acknowledged = [text for alert in await state.alerts.open() for text in alert.actions]
        assert [type(item) for item in acknowledged if item == "restarted again"] == [str], "it wrote this one anew"


async def test_release_before_takes_a_paused_deployment_back(before: Path, tmp_path: Path) -> None:
    """It knows no pauses: it would go on where a person was asked. What it reads is one on its way back."""
    begun = a_deployment()
    pause = Pause(1, "web", said("{service} failed.", service="web"), datetime.now(UTC))
    async with StateManager(tmp_path) as state:
        fence = await state.deployments.create(begun, "deploy v3")
        waits = replace(begun, pauses=(pause,))
        await state.deployments.set_partial(waits, fence, partial=True)
        (found,) = await state.deployments.unfinished()
        assert found.waits_in
        assert found.problem is None
        went_on = replace(waits, pauses=(replace(pause, decision=Decision(1, Choice.GO_ON, ANNA)),))
    (theirs,) = run_release_before(before, UNFINISHED, tmp_path)
    assert theirs["problem"]["key"] == "rollout_paused", "with a problem, it rolls back whatever it resumes"
    async with StateManager(tmp_path) as state:
        await state.deployments.set_partial(went_on, fence, partial=False)
    (theirs,) = run_release_before(before, UNFINISHED, tmp_path)
    assert theirs["problem"] is None


async def test_release_before_leaves_a_draft_to_wait(before: Path, tmp_path: Path) -> None:
    """It resumes no draft, says that its plan is void, and approves none. Then this one has it again."""
    wanted = a_plan_record(state=PlanState.CONFIRMED)
    request = replace(wanted.request, interaction_id=wanted.id)
    drafted = Draft("f" * 64, from_model="", inputs="i", replaces=())
    begun = replace(a_deployment(), request=request, draft=drafted)
    async with StateManager(tmp_path) as state:
        await state.approvals.add(wanted)
        fence = await state.deployments.create(begun, "deploy v3")
        await state.approvals.move(
            wanted.id, PlanState.STARTED, ANNA, from_states=[PlanState.CONFIRMED], deployment_id=begun.id
        )
        await state.drafts.wait_for_approval(begun, fence)
    theirs = run_release_before(before, APPROVE, tmp_path)
    assert theirs == {"unfinished": [], "outcomes": ["cancelled"], "plans": ["void"], "approved": False}
    async with StateManager(tmp_path) as state:
        (waiting,) = await state.drafts.waiting(begun.environment)
        assert (waiting.id, waiting.draft) == (begun.id, replace(drafted, waits=True))
        assert [plan.state for plan in await state.approvals.open()] == [PlanState.DRAFTED]


async def test_fixture_is_what_before_writes(before: Path, of_before: Path, tmp_path_factory: Any) -> None:
    """The committed journal has the same documents as one that this code of that release writes today."""
    fresh = tmp_path_factory.mktemp("fresh")
    run_release_before(before, WRITE, fresh)
    for table in TABLES_OF_BEFORE:
        old, new = (sorted(shape(json.loads(text)) for text in rows(item, table)) for item in (of_before, fresh))
        assert old == new, table


def shape(document: Any) -> str:
    """Return a document's keys, however deep, without its values."""
    match document:
        case dict():
            return "{" + ",".join(f"{key}:{shape(document[key])}" for key in sorted(document)) + "}"
        case list():
            return "[" + ",".join(map(shape, document)) + "]"
    return type(document).__name__
