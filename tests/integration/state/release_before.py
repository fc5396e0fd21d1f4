"""Programs for the code of the release before, which has its own names: what it writes, and what it reads."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from testbed.inherited import chosen_programs

SECONDS = 90
# A bot that was killed in the middle of everything: nothing is ended, and its lease is still its own.
WRITE = """
import asyncio, sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from bot.models.actor import Actor, ActorKind
from bot.models.alert import AlertReport, AlertSource, Healing, Severity
from bot.models.change import ChangeType, StateChange
from bot.models.coordination import PhaseName
from bot.models.deployment import *
from bot.models.freeze import Freeze
from bot.models.ownership import Heartbeat, ProcessMark
from bot.models.plan import Plan, ServiceAction, ServicePlan
from bot.models.post import Post
from bot.models.proposal import Proposal, ProposalState
from bot.models.recovery import RecoveryAction, RecoveryStep
from bot.models.release import ImagePin, Release, ReleaseService, ReleaseState
from bot.state.manager import StateManager

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DORA, ANNA = Actor(ActorKind.DISCORD, "1", "dora"), Actor(ActorKind.DISCORD, "2", "anna")
NAMES = iter(f"{number:026d}" for number in range(100))

def deployment(environment):
    request = DeploymentRequest(environment, DeploymentKind.DEPLOY, DORA, version="v2", interaction_id=next(NAMES))
    phases = tuple(PhaseResult(name) for name in PhaseName)
    return Deployment("DEPLOY-" + next(NAMES), request, "standard", "COR-1", NOW, phases, to_release=2)

def release(environment):
    service = ReleaseService("web", ImagePin("shop/web:v1", "sha256:" + "a" * 64, built=True), "h", 2)
    return Release(environment, -1, "v1", ReleaseState.CANDIDATE, (service,), "f" * 64, NOW, DORA, replaces=None)

async def write(state):
    done, middle, leaving = deployment("staging"), deployment("prod"), deployment("qa")
    fence = await state.deployments.create(done, "deploy v1")
    first = await state.releases.add(release("staging"), fence)
    await state.deployments.finish(replace(done, outcome=Outcome.SUCCEEDED), fence, active=first,
                                   release_states={first.number: ReleaseState.SUCCEEDED})
    fence = await state.deployments.create(middle, "deploy v2")
    await state.releases.add(release("prod"), fence)
    for name in (PhaseName.INITIALIZATION, PhaseName.VALIDATION, PhaseName.PREPARATION):
        done = PhaseResult(name, PhaseStatus.SUCCESS, 1, NOW, NOW, 1.5, "fine")
        await state.deployments.save_phase(middle, done, fence)
    begun = PhaseResult(PhaseName.EXECUTION, PhaseStatus.IN_PROGRESS, 1, NOW, warnings=("slow",))
    await state.deployments.save_phase(middle, begun, fence)
    moved = ServiceProgress("web", ServiceStep.STARTING, "as v2", 0.5, "shop/web:v1", "shop/web:v2", changed=True)
    await state.deployments.save_service(middle, moved, fence)
    await state.deployments.create(leaving, "deploy v2")
    await state.deployments.request_cancel(leaving.id, ANNA)
    for name, severity in (("web", Severity.CRITICAL), ("db", Severity.HIGH), ("mail", Severity.WARNING)):
        report = AlertReport("health:prod:" + name, AlertSource.HEALTH, severity, "it is down", "since", "prod", name)
        await state.alerts.take([report])
    web, db, mail = await state.alerts.open()
    await state.alerts.note(web.id, "restarted once", healing=Healing.KEPT_AWAY, escalated=True)
    await state.alerts.acknowledge(db.id, ANNA)
    await state.alerts.silence(mail.id, DORA, timedelta(hours=1))
    await state.alerts.put_in_group([web, db], "STORM-" + next(NAMES))
    await state.recoveries.save(RecoveryStep("STEP-1", web.id, "prod", "web", RecoveryAction.RESTART, NOW))
    service = ServicePlan("web", ServiceAction.RECREATE, "shop/web:v1", "shop/web:v2", changed_keys=("ports",))
    plan = Plan("prod", "v2", 1, None, (service,), ("web",), ("slow",), "d")
    request = DeploymentRequest("prod", DeploymentKind.DEPLOY, DORA, version="v2", plan_digest="d")
    waits = Proposal("PLAN-" + next(NAMES), request, plan, NOW, NOW + timedelta(days=36500), ProposalState.AWAITING)
    await state.approvals.add(waits)
    await state.freezes.put(Freeze("dev", ANNA, "the fair", NOW))
    for subject, kind in ((middle.id, "live"), (web.id, "alert"), (web.id, "call"), (waits.id, "approval")):
        await state.posts.save(Post(subject, kind, 5, 6, "abc"))
    await state.record(StateChange(ChangeType.SERVICE_STARTED, "health", "prod", "web"))
    assert await state.ownership.acquire() is not None
    mark = ProcessMark(1, 2, "n")
    await state.ownership.beat(Heartbeat(state.instance_id, "boot", 1.0, container_id="c", process=mark))

async def main():
    async with StateManager(Path(sys.argv[1])) as state:
        await write(state)

asyncio.run(main())
"""
# What it makes of a journal that this release has continued, and what it does next.
READ = """
import asyncio, json, sys
from dataclasses import replace
from pathlib import Path
from bot.models.actor import Actor, ActorKind
from bot.models.deployment import Outcome
from bot.models.proposal import ProposalState
from bot.state.documents import to_json
from bot.state.manager import StateManager

ANNA = Actor(ActorKind.DISCORD, "2", "anna")

async def main():
    async with StateManager(Path(sys.argv[1])) as state:
        found = {
            "deployments": await state.deployments.list(),
            "unfinished": await state.deployments.unfinished(),
            "alerts": await state.alerts.all(),
            "proposals": await state.approvals.open(),
            "freezes": await state.freezes.all(),
            "locks": await state.locks.all(),
            "owners": [await state.ownership.voice()],
            "releases": [*await state.releases.list("prod"), *await state.releases.list("staging")],
            "posts": await state.posts.unfinished(["live", "alert", "call", "approval"]),
            "changes": (await state.changes_since(0))[1],
        }
        print(json.dumps({name: [json.loads(to_json(one)) for one in rows] for name, rows in found.items()}))
        assert await state.ownership.acquire() is not None
        for left in found["unfinished"]:
            lock = await state.locks.get(left.environment)
            taken, fence = await state.deployments.take_over(left.id, lock.instance_id, counts=lambda _: True)
            await state.deployments.finish(replace(taken, outcome=Outcome.SUCCEEDED), fence)
        for plan in found["proposals"]:
            done, _ = await state.approvals.move(plan.id, ProposalState.CONFIRMED, ANNA, from_states=[plan.state])
            assert done
        for alert in await state.alerts.open():
            await state.alerts.acknowledge(alert.id, ANNA)

asyncio.run(main())
"""

# Which deployments it would resume.
UNFINISHED = """
import asyncio, json, sys
from pathlib import Path
from bot.state.documents import to_json
from bot.state.manager import StateManager


async def main():
    async with StateManager(Path(sys.argv[1])) as state:
        print(json.dumps([json.loads(to_json(one)) for one in await state.deployments.unfinished()]))

asyncio.run(main())
"""

# What it makes of plans that wait here, where somebody then presses its button.
APPROVE = """
import asyncio, json, sys
from pathlib import Path
from bot.models.actor import Actor, ActorKind
from bot.models.proposal import ProposalState
from bot.state.manager import StateManager


async def main():
    async with StateManager(Path(sys.argv[1])) as state:
        plans, anna = await state.approvals.open(), Actor(ActorKind.DISCORD, "3", "anna")
        moved = [
            await state.approvals.move(plan.id, ProposalState.CONFIRMED, anna, from_states=[ProposalState.AWAITING])
            for plan in plans
        ]
        print(json.dumps({
            "unfinished": [one.id for one in await state.deployments.unfinished()],
            "outcomes": [one.outcome for one in await state.deployments.list()],
            "plans": [plan.state for plan in plans],
            "approved": any(done for done, _ in moved),
        }))

asyncio.run(main())
"""


def run_release_before(code: Path, program: str, folder: Path, *arguments: str) -> Any:
    """Run a program with the code of the release before on a state folder, and return its last line, which is JSON."""
    done = subprocess.run(
        command_of_before(program, folder, *arguments),
        cwd=code,
        env=environment_of_before(code),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    *_log, printed = done.stdout.splitlines() or ["null"]
    return json.loads(printed)


def command_of_before(program: str, folder: Path, *arguments: str) -> list[str]:
    """Return what runs a program on a state folder; it has to run in the folder of the code."""
    return [sys.executable, "-c", program, str(folder), *arguments]


def environment_of_before(code: Path) -> dict[str, str]:
    """Return the variables with which the code of the release before is found, and nothing of ours."""
    return {**chosen_programs(), "PYTHONPATH": str(code)}
