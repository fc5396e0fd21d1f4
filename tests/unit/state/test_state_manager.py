"""The journal keeps what it is told, in order, for whoever comes next."""

import asyncio
import errno
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from roas.errors import FencedOffError, InvalidRequestError, StateError
from roas.models.deployment import (
    Outcome,
    PhaseResult,
    PhaseStatus,
    ServiceProgress,
    ServiceStep,
)
from roas.models.phases import PhaseName
from roas.models.post import Post
from roas.models.release import ReleaseState
from roas.models.state_change import ChangeType, StateChange
from roas.state.deployments.locks import LockHeldError
from roas.state.journal.place import JOURNAL_NAME
from roas.state.manager import StateManager
from testbed.stopping import stop_process
from tests.unit.state.samples import DORA, a_deployment, a_release


async def test_deployment_read_back_whole(state: StateManager) -> None:
    deployment = a_deployment()
    fence = await state.deployments.create(deployment, "deploy v2")
    phase = PhaseResult(PhaseName.VALIDATION, PhaseStatus.SUCCESS, attempts=1, summary="fine")
    await state.deployments.save_phases(deployment, (phase,), fence)
    await state.deployments.save_service(deployment, ServiceProgress("web", ServiceStep.STARTING), fence)

    read = await state.deployments.get(deployment.id)

    assert read is not None
    assert read.request == deployment.request
    assert [p.status for p in read.phases] == [PhaseStatus.PENDING, PhaseStatus.SUCCESS]
    assert read.services[0].step is ServiceStep.STARTING
    assert read.services[0].updated_at is not None


async def test_deployment_read_without_its_parts(state: StateManager) -> None:
    """Whoever goes through many of a large stack, or asks every second, reads its own row only."""
    started = a_deployment()
    fence = await state.deployments.create(started, "deploy v2")
    await state.deployments.save_service(started, ServiceProgress("web", ServiceStep.STARTING), fence)
    await state.deployments.request_cancel(started.id, DORA)
    known = await state.deployments.get(started.id)
    own = replace(known, phases=(), services=())
    assert known.services
    assert known.cancel_requested_by == DORA
    assert await state.deployments.get_own(started.id) == own
    assert await state.deployments.get_own("DEPLOY-0") is None
    assert await state.deployments.list(whole=False) == (own,)
    assert await state.deployments.list() == (known,)


async def test_second_deployment_refused_with_lock_details(state) -> None:
    """The refusal says who holds the deployment lock, since when and for what."""
    first = a_deployment()
    await state.deployments.create(first, "deploy v2")

    with pytest.raises(LockHeldError) as refusal:
        await state.deployments.create(a_deployment(), "deploy v3")

    assert "dora" in refusal.value.message
    assert "deploy v2" in refusal.value.message
    assert f"{first.created_at:%H:%M:%S}" in refusal.value.message
    assert first.id in refusal.value.hint
    assert len(await state.deployments.list()) == 1


async def test_other_environment_not_locked(state) -> None:
    await state.deployments.create(a_deployment("prod"), "deploy v2")
    await state.deployments.create(a_deployment("dev"), "deploy v2")


async def test_interaction_starts_one_deployment(state) -> None:
    deployment = a_deployment(interaction_id="77")
    fence = await state.deployments.create(deployment, "deploy v2")
    await state.deployments.finish(replace(deployment, outcome=Outcome.SUCCEEDED), fence)
    with pytest.raises(InvalidRequestError, match=deployment.id):
        await state.deployments.create(a_deployment(interaction_id="77"), "deploy v2")


async def test_finish_unlocks_and_moves_environment(state) -> None:
    """Both happen in one step."""
    deployment = a_deployment()
    fence = await state.deployments.create(deployment, "deploy v2")
    release = await state.releases.add(a_release(), fence)
    await state.deployments.finish(
        replace(deployment, outcome=Outcome.SUCCEEDED),
        fence,
        active=release,
        release_states={release.number: ReleaseState.SUCCEEDED},
    )
    assert await state.locks.get("prod") is None
    current = await state.releases.current("prod")
    assert current is not None
    assert current.state is ReleaseState.SUCCEEDED
    assert (await state.deployments.unfinished()) == ()


async def test_adopted_release_is_number_zero(state) -> None:
    deployment = a_deployment()
    fence = await state.deployments.create(deployment, "deploy v2")
    adopted = await state.releases.add(a_release(ReleaseState.ADOPTED), fence)
    first = await state.releases.add(a_release(version="v2"), fence)
    assert (adopted.number, first.number) == (0, 1)
    assert (await state.releases.current("prod")).number == 0


async def test_previous_is_last_succeeded_before_current(state) -> None:
    fence = await state.deployments.create(a_deployment(), "deploy")
    deployment = (await state.deployments.unfinished())[0]
    for replaces, release_state in enumerate((ReleaseState.SUCCEEDED, ReleaseState.FAILED, ReleaseState.SUCCEEDED)):
        release = replace(a_release(release_state), replaces=replaces)
        third = await state.releases.add(release, fence)
    await state.deployments.finish(replace(deployment, outcome=Outcome.SUCCEEDED), fence, active=third)
    assert [release.number for release in await state.releases.before("prod")] == [1]


async def test_rollback_previous_is_origin_of_release(state) -> None:
    fence = await state.deployments.create(a_deployment(), "deploy")
    deployment = (await state.deployments.unfinished())[0]
    first = await state.releases.add(a_release(ReleaseState.SUCCEEDED), fence)
    await state.releases.add(replace(a_release(ReleaseState.SUCCEEDED), replaces=first.number), fence)
    third = await state.releases.add(replace(a_release(ReleaseState.SUCCEEDED), replaces=first.number), fence)
    await state.deployments.finish(replace(deployment, outcome=Outcome.SUCCEEDED), fence, active=third)
    assert (await state.releases.before("prod"))[0].number == first.number


async def test_removable_releases_exclude_current(state) -> None:
    deployment = a_deployment()
    fence = await state.deployments.create(deployment, "deploy")
    first, *_ = [await state.releases.add(a_release(ReleaseState.SUCCEEDED), fence) for _ in range(5)]
    await state.deployments.finish(replace(deployment, outcome=Outcome.SUCCEEDED), fence, active=first)
    assert [release.number for release in await state.releases.beyond("prod", kept=3)] == [2]


async def test_failed_releases_take_no_place_of_good_ones(state) -> None:
    deployment = a_deployment()
    fence = await state.deployments.create(deployment, "deploy")
    failed = [await state.releases.add(a_release(ReleaseState.FAILED), fence) for _ in range(2)]
    good = [await state.releases.add(a_release(ReleaseState.SUCCEEDED), fence) for _ in range(3)]
    failed += [await state.releases.add(a_release(ReleaseState.FAILED), fence) for _ in range(3)]
    about_to_be = await state.releases.add(a_release(ReleaseState.CANDIDATE), fence)
    await state.deployments.finish(replace(deployment, outcome=Outcome.SUCCEEDED), fence, active=good[-1])
    beyond = await state.releases.beyond("prod", kept=2, runs=about_to_be.number)
    assert {release.number for release in beyond} == {release.number for release in (*failed[:-1], *good[:-1])}


async def test_superseded_owner_changes_nothing(tmp_path: Path) -> None:
    async with StateManager(tmp_path) as old, StateManager(tmp_path) as new:
        deployment = a_deployment()
        old_fence = await old.deployments.create(deployment, "deploy v2")
        _, new_fence = await new.deployments.take_over(deployment.id, old.instance_id, is_new_attempt=lambda _: True)
        assert new_fence.token > old_fence.token

        with pytest.raises(FencedOffError):
            await old.deployments.save_service(deployment, ServiceProgress("web", ServiceStep.STARTING), old_fence)
        with pytest.raises(FencedOffError):
            await old.record(StateChange(ChangeType.SERVICE_STARTED, "test", "prod"), old_fence)

        read = await new.deployments.get(deployment.id)
        assert read.services == ()
        assert read.attempts == 2


async def test_subscribers_notified_after_commit(state) -> None:
    seen: list[str] = []
    state.subscribe(lambda change: seen.append(change.type.value))
    await state.record(StateChange(ChangeType.SERVICE_STARTED, "test", "prod", "web"))
    assert seen == ["service_started"]
    assert (await state.changes("prod"))[-1].subject == "web"


async def test_failing_subscriber_isolated(state) -> None:
    """It hurts neither the write nor another subscriber."""
    seen: list[str] = []

    def fail(_: StateChange) -> None:
        raise RuntimeError("planted")

    state.subscribe(fail)
    state.subscribe(lambda change: seen.append(change.subject))
    await state.record(StateChange(ChangeType.SERVICE_STARTED, "test", "prod", "web"))
    assert seen == ["web"]


async def test_cancellation_recorded_once(state) -> None:
    """It names who asked, and is refused after the end."""
    deployment = a_deployment()
    fence = await state.deployments.create(deployment, "deploy v2")
    await state.deployments.request_cancel(deployment.id, DORA)
    assert (await state.deployments.get(deployment.id)).cancel_requested_by == DORA
    await state.deployments.finish(replace(deployment, outcome=Outcome.CANCELLED), fence)
    with pytest.raises(InvalidRequestError, match="ended already"):
        await state.deployments.request_cancel(deployment.id, DORA)


async def test_folder_and_journal_private_to_owner(tmp_path: Path) -> None:
    async with StateManager(tmp_path / "state"):
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "state" / JOURNAL_NAME).stat().st_mode) == 0o600


async def test_uncreatable_state_folder_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StateError, match="cannot be used"):
        await StateManager(tmp_path / "file" / "state").open()


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EACCES, "chown -R"),
        (errno.EROFS, "mounted read-only"),
        (errno.EIO, "dmesg"),
        (errno.ENOSPC, "has free space"),
    ],
)
async def test_hint_does_not_lead_away_from_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    """Whoever follows it keeps the releases: another STATE_DIR would begin without any."""
    state = StateManager(tmp_path)

    def refuse() -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(state.instance, "announce", refuse)
    with pytest.raises(StateError) as raised:
        await state.open()
    assert hint in raised.value.hint
    assert "Set STATE_DIR" not in raised.value.hint


async def test_invalid_journal_file_named(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).write_text("this is no database, and long enough to be taken for a header")
    with pytest.raises(StateError, match=JOURNAL_NAME):
        await StateManager(tmp_path).open()


async def test_posts_remembered(state) -> None:
    await state.posts.save(Post("DEPLOY-1", "live", 5, 6, "hash"))
    assert (await state.posts.get("DEPLOY-1", "live")).message_id == 6
    assert len(await state.posts.unfinished(["outcome", "live"])) == 1
    assert await state.posts.unfinished(["outcome"]) == ()
    await state.posts.save(Post("DEPLOY-1", "live", 5, 6, "hash", finished=True))
    assert await state.posts.unfinished(["outcome", "live"]) == ()


async def test_killed_process_known_dead_at_once(tmp_path: Path) -> None:
    program = (
        "import sys, signal; from pathlib import Path; from roas.state.living_processes import Instance;"
        "i = Instance(Path(sys.argv[1])); i.announce(); print(i.id, flush=True); signal.pause()"
    )
    async with StateManager(tmp_path) as state:
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "instances")], stdout=subprocess.PIPE, text=True
        )
        instance_id = child.stdout.readline().strip()
        assert state.instance.is_alive(instance_id)
        stop_process(child.pid)
        assert state.instance.is_alive(instance_id)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert not state.instance.is_alive(instance_id)
        async with StateManager(tmp_path) as next_one:  # what the dead left is cleared away; the living keep theirs
            left = {path.stem for path in (tmp_path / "instances").iterdir()}
            assert left == {state.instance_id, next_one.instance_id}


async def test_cancelled_open_leaves_no_live_instance(tmp_path, monkeypatch):
    """A load of the extension may be cancelled while it opens the journal; a peer would wait for such a ghost."""
    state, begun = StateManager(tmp_path), asyncio.Event()

    async def hang(_journal: object) -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr("roas.state.journal.journal.Journal.open", hang)
    opening = asyncio.create_task(state.__aenter__())
    await begun.wait()
    assert list((tmp_path / "instances").iterdir())
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert list((tmp_path / "instances").iterdir()) == []


async def test_what_is_under_way_is_found_without_reading_all(tmp_path: Path) -> None:
    """With 10,000 deployments that ended, to read them all takes 16 ms; these are asked at each event."""
    statements: list[str] = []
    async with StateManager(tmp_path) as state:
        connection = state._journal._connection
        assert connection is not None
        connection.set_trace_callback(statements.append)
        assert await state.deployments.active("dev") is None
        assert await state.deployments.unfinished() == ()
        connection.set_trace_callback(None)
    asked = [statement for statement in statements if "FROM deployments" in statement]
    with closing(sqlite3.connect(tmp_path / JOURNAL_NAME)) as reader:
        plans = [reader.execute(f"EXPLAIN QUERY PLAN {item}").fetchone()[3] for item in asked]
    assert len(plans) == 2
    assert all("deployments_unfinished" in plan for plan in plans), plans
