"""Do to a state folder what a bot does, by the code of whichever release is on PYTHONPATH; the last line is JSON."""

import asyncio
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis.asyncio

from roas.api.application import ControlApi
from roas.api.control_client import ControlClient
from roas.api.control_socket import serve_control_socket
from roas.messages.message import said
from roas.models.actor import Actor, ActorKind
from roas.models.alert import AlertReport, AlertSource, Severity
from roas.models.deployment import (
    Draft,
    Freeze,
    Outcome,
    PhaseResult,
    PhaseStatus,
    Problem,
    ServiceProgress,
    ServiceStep,
)
from roas.models.environment import Environment
from roas.models.leader_lease import Heartbeat, ProcessMark
from roas.models.phases import PhaseName
from roas.models.plan import PlanState
from roas.models.post import Post
from roas.models.recovery import RecoveryAction, RecoveryStep
from roas.models.release import ReleaseState
from roas.models.rollout import Pause
from roas.models.state_change import ChangeType, StateChange
from roas.state.deployments.locks import LockHeldError
from roas.state.documents import to_json
from roas.state.manager import StateManager
from roas.state.redis_sync import DataSyncManager
from tests.unit.api.conftest import PERSON, PlayedCollector, PlayedSecrets, lock_held, request
from tests.unit.played_orchestrator import PlayedOrchestrator
from tests.unit.state.deployments.test_plans_and_drafts import a_plan_record
from tests.unit.state.samples import a_deployment, a_release

ANNA = Actor(ActorKind.DISCORD, "2", "anna")
POSTS = ("live", "alert", "approval")


async def write(state: StateManager) -> None:
    """Leave a journal as a bot does that is killed in the middle of everything: its lease is still its own."""
    done, middle, paused, leaving = (a_deployment(name) for name in ("staging", "prod", "dev", "qa"))
    fence = await state.deployments.create(done, "deploy v1")
    first = await state.releases.add(replace(a_release(), environment="staging"), fence)
    ended = replace(done, outcome=Outcome.SUCCEEDED)
    await state.deployments.finish(ended, fence, active=first, release_states={first.number: ReleaseState.SUCCEEDED})
    fence = await state.deployments.create(middle, "deploy v2")
    await state.releases.add(a_release(), fence)
    begun = PhaseResult(PhaseName.EXECUTION, PhaseStatus.IN_PROGRESS, 1, datetime.now(UTC), warnings=("slow",))
    await state.deployments.save_phases(middle, (begun,), fence)
    moved = ServiceProgress("web", ServiceStep.STARTING, "as v2", 0.5, "shop/web:v1", "shop/web:v2", changed=True)
    await state.deployments.save_service(middle, moved, fence)
    fence = await state.deployments.create(paused, "deploy v3")
    pause = Pause(1, "web", said("{service} failed.", service="web"), datetime.now(UTC))
    await state.deployments.set_partial(replace(paused, pauses=(pause,)), fence, partial=True)
    await state.deployments.create(leaving, "deploy v2")
    await state.deployments.request_cancel(leaving.id, ANNA)
    await write_what_waits(state)
    for subject, kind in ((middle.id, "live"), ("ALERT-1", "alert"), ("PLAN-1", "approval")):
        await state.posts.save(Post(subject, kind, 5, 6, "abc"))
    await state.record(StateChange(ChangeType.SERVICE_STARTED, "health", "prod", "web"))
    assert await state.ownership.acquire() is not None
    mark = ProcessMark(1, 2, "n")
    await state.ownership.beat(Heartbeat(state.instance_id, "boot", 1.0, container_id="c", process=mark))


async def write_what_waits(state: StateManager) -> None:
    """Leave alerts, a plan that nobody confirmed, a draft that waits for an approval, and a freeze."""
    for name, severity in (("web", Severity.CRITICAL), ("db", Severity.HIGH), ("mail", Severity.WARNING)):
        report = AlertReport(f"health:prod:{name}", AlertSource.HEALTH, severity, "it is down", "since", "prod", name)
        await state.alerts.take([report])
    web, db, mail = await state.alerts.open()
    await state.alerts.note(web.id, said("restarted {times}", times="once"), escalated=True)
    await state.alerts.acknowledge(db.id, ANNA)
    await state.alerts.silence(mail.id, ANNA, timedelta(hours=1))
    await state.recoveries.save(
        RecoveryStep("STEP-1", web.id, "prod", "web", RecoveryAction.RESTART, datetime.now(UTC))
    )
    await state.approvals.add(a_plan_record())
    confirmed = a_plan_record(state=PlanState.CONFIRMED)
    await state.approvals.add(confirmed)
    asked = replace(confirmed.request, environment="demo", interaction_id=confirmed.id)
    drafted = replace(a_deployment("demo"), request=asked, draft=Draft("f" * 64, inputs="i", replaces=()))
    fence = await state.deployments.create(drafted, "deploy v3")
    states = [PlanState.CONFIRMED]
    await state.approvals.move(confirmed.id, PlanState.STARTED, ANNA, from_states=states, deployment_id=drafted.id)
    await state.drafts.wait_for_approval(drafted, fence)
    await state.freezes.put(Freeze("dev", ANNA, "the fair", datetime.now(UTC)))


async def read(state: StateManager) -> dict[str, list[Any]]:
    """Return all that this release makes of a journal."""
    environments = ("staging", "prod")
    found: dict[str, Any] = {
        "deployments": await state.deployments.list(),
        "unfinished": await state.deployments.unfinished(),
        "waiting": await state.drafts.waiting("demo"),
        "alerts": await state.alerts.all(),
        "proposals": await state.approvals.open(),
        "freezes": await state.freezes.all(),
        "locks": await state.locks.all(),
        "owners": [await state.ownership.lease()],
        "releases": [release for name in environments for release in await state.releases.list(name)],
        "recoveries": await state.recoveries.of("prod", "web", RecoveryAction.RESTART),
        "posts": await state.posts.unfinished(POSTS),
        "changes": (await state.changes_since(0))[1],
    }
    return {name: [json.loads(to_json(item)) for item in kept] for name, kept in found.items()}


async def carry_on(state: StateManager) -> dict[str, int]:
    """Lead in the place of a bot that died, end what it left, and answer what waits."""
    seen, taken = await state.ownership.lease(), await state.ownership.acquire()
    assert seen is not None
    assert taken is not None
    assert taken.token > seen.token
    for left in await state.deployments.unfinished():
        lock = await state.locks.get(left.environment)
        assert lock is not None
        mine, fence = await state.deployments.take_over(left.id, lock.instance_id, is_new_attempt=lambda _: True)
        problem = Problem("service_failed", said("{service} is gone.", service="web"), said("Start the bot again."))
        await state.deployments.finish(replace(mine, outcome=Outcome.ROLLED_BACK, problem=problem), fence)
    (waiting,) = await state.drafts.waiting("demo")
    approved, fence = await state.drafts.approve(waiting.id, ANNA, "deploy v3")
    await state.deployments.finish(replace(approved, outcome=Outcome.SUCCEEDED), fence)
    for alert in await state.alerts.open():
        await state.alerts.acknowledge(alert.id, ANNA)
    return {"unfinished": len(await state.deployments.unfinished())}


async def project(state: StateManager, url: str, word: str) -> dict[str, Any]:
    """Write to the journal, and bring Redis up to it."""
    async with redis.asyncio.Redis.from_url(url) as client, asyncio.timeout(60):
        sync = DataSyncManager(state, url, "shop", str, poll_seconds=0.1, timeout_seconds=10)
        await sync.start()
        for number in range(3):
            await state.record(StateChange(ChangeType.AUDIT, "test", "dev", f"{word}{number}", new="said"))
        wanted = [f"{change.sequence}-0" for change in await state.projection.after(0, 1000)]
        while [entry.decode() for entry, _ in await client.xrange("roas:shop:events")] != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await sync.stop()
    subjects = [change.subject for change in (await state.changes_since(0))[1]]
    return {"rebuilt": sync.statistics.rebuilt, "subjects": subjects}


async def serve(state: StateManager) -> dict[str, Any]:
    """Be a bot whose deployment ends when it is cancelled, and that refuses the next one."""
    played, known = PlayedOrchestrator(state), {"dev": Environment("dev", "shop-dev", Path("/shop"), ())}
    api = ControlApi(
        state=state,
        orchestrator=played,
        environments=known,
        health=PlayedCollector(),
        candidates=None,
        secrets=PlayedSecrets(),
    )
    async with serve_control_socket(api, state.folder), asyncio.timeout(60):
        print("READY", flush=True)
        while not played.cancelled:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        (deployment,) = await state.deployments.unfinished()
        played.fault = lock_held()
        ended = replace(deployment, outcome=Outcome.CANCELLED)
        await state.deployments.finish(ended, played.fences[deployment.id])
        await asyncio.to_thread(sys.stdin.readline)
    return {}


async def ask(folder: Path) -> dict[str, Any]:
    """Ask a bot for all that a command line asks it for."""
    async with ControlClient(folder) as bot:
        found: dict[str, Any] = {"plan": (await bot.plan(request())).services[0].service}
        started = await bot.start(request(), confirmed=True)
        cancelled = (await bot.cancel(started.id, PERSON)).cancel_requested_by
        found["cancelled"] = cancelled and cancelled.name
        found["status"] = [item.environment for item in (await bot.status("dev")).environments]
        found["followed"] = [record.outcome async for record in bot.follow(started.id)][-1]
        try:
            await bot.start(request(), confirmed=True)
        except LockHeldError as error:
            found["refused"] = error.message
    return found


async def main(what: str, folder: str, *more: str) -> None:
    """Do one of the above, and print what it returns."""
    if what == "ask":
        print(json.dumps(await ask(Path(folder))))
        return
    async with StateManager(Path(folder)) as state:
        print(json.dumps(await globals()[what](state, *more)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
