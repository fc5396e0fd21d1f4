"""Recovery begins gently, goes on within its budget, and keeps away from deployments and people."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import time_machine

from roas.deploy.planning.rollback_target import find_sound_release
from roas.errors import EnginePartAwayError
from roas.limits import RECOVERY_WINDOW, Retries
from roas.models.deployment import DeploymentRequest, Outcome, ServiceProgress, ServiceStep
from roas.models.environment import Environment
from roas.models.facts import OwnContainer
from roas.models.health import Verdict
from roas.models.recovery import Fault, FaultCategory, RecoveryAction, RecoveryOutcome, RecoveryStep
from roas.models.release import Holding, ReleaseState
from roas.models.stack import ServiceDefinition
from roas.recovery import handler
from roas.recovery.handler import ErrorHandler, RecoveryParts
from roas.recovery.refusals import budget_allows
from roas.state.living_processes import boot_seconds
from roas.state.manager import StateManager
from tests.unit.one_stack import stacks_that
from tests.unit.recovery.played_checks import played_checks

DEV = Environment("dev", "shop-dev", Path(), ())
FAULT = Fault("ALERT-1", "dev", "web", FaultCategory.PROCESS, "web has ended")
RESTART, RECREATE, ROLL_BACK = RecoveryAction.RESTART, RecoveryAction.RECREATE, RecoveryAction.ROLL_BACK


@dataclass
class Notes:
    text: list[str] = field(default_factory=list)

    async def note(self, alert_id: str, text: str = "", **_: Any) -> None:
        if text:
            self.text.append(text)


class Scene:
    """Let a handler work whose attempts turn out as a test says."""

    def __init__(self, state: StateManager) -> None:
        self.state = state
        self.notes = Notes()
        self.verdict = Verdict.UNHEALTHY
        self.manually = self.own = self.recovers = False
        self.has_sound_release = True
        self.away = 0
        self.helps: frozenset[RecoveryAction] = frozenset()
        self.tried: list[RecoveryAction] = []
        checks = played_checks(
            verdict=lambda: self.verdict, manually=lambda: self.manually, own_container=self._own_container
        )
        orchestrator = SimpleNamespace(run=self._roll_back)
        parts = RecoveryParts(stacks_that(containers=self._containers), None, state, self.notes, checks, orchestrator)  # type: ignore[arg-type]
        self.handler = ErrorHandler(parts)
        self.handler._try = self._try  # type: ignore[method-assign]
        self.handler._is_recovered = self._is_recovered  # type: ignore[method-assign]
        self.handler._has_sound_release = self._has_sound_release  # type: ignore[method-assign]

    async def _own_container(self, environment: Environment) -> OwnContainer | None:
        return OwnContainer("id-1", "web-1", environment.project, "web") if self.own else None

    async def _is_recovered(self, *_: object) -> bool:
        return self.recovers

    async def _has_sound_release(self, *_: object) -> bool:
        return self.has_sound_release

    async def _containers(self, environment: Environment) -> tuple[Any, ...]:
        return (SimpleNamespace(service="web"),)

    async def _roll_back(self, request: DeploymentRequest) -> Any:
        return SimpleNamespace(id="ROLLBACK-1", outcome=Outcome.SUCCEEDED)

    async def _try(self, fault: Fault, environment: Environment, action: RecoveryAction) -> str | None:
        if self.away:
            self.away -= 1
            raise EnginePartAwayError("A part of the engine is away: containerd.sock")
        self.tried.append(action)
        return None if action in self.helps else "it ended again"


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(handler, "RECOVERY_PAUSE_SECONDS", 0.0)
    async with StateManager(tmp_path / "state") as state:
        yield Scene(state)


async def test_successful_restart_ends_recovery(scene: Scene) -> None:
    scene.helps = frozenset({RESTART})
    report = await scene.handler.handle(FAULT, DEV)
    assert report.succeeded
    assert scene.tried == [RESTART]
    assert scene.notes.text == ["restart: recovered"]


async def test_failed_steps_escalate_to_person(scene: Scene) -> None:
    report = await scene.handler.handle(FAULT, DEV)
    assert report.outcome is RecoveryOutcome.ESCALATED
    assert scene.tried == [RESTART, RECREATE, ROLL_BACK]


async def test_attempt_waits_for_the_engine(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it cannot do then says nothing of the service: neither another attempt nor the budget is spent on it."""
    monkeypatch.setattr(handler, "SOON", Retries(0.0, 0.0))
    scene.away, scene.helps = 9, frozenset({RESTART})
    assert (await scene.handler.handle(FAULT, DEV)).succeeded
    assert scene.tried == [RESTART]
    assert len(await scene.state.recoveries.of("dev", "web", RESTART)) == 1
    assert scene.notes.text == [
        "restart: waits: A part of the engine is away: containerd.sock",
        "restart: recovered",
    ]


async def test_service_that_is_well_by_now_is_left(scene: Scene) -> None:
    """What an attempt did may take a moment to show: the next one is not made then."""
    scene.recovers = True
    assert (await scene.handler.handle(FAULT, DEV)).succeeded
    assert scene.tried == [RESTART]


async def test_sound_version_is_not_rolled_back(scene: Scene) -> None:
    scene.has_sound_release = False
    report = await scene.handler.handle(FAULT, DEV)
    assert report.outcome is RecoveryOutcome.ESCALATED
    assert "a person decides" in report.text
    assert scene.tried == [RESTART, RECREATE]


GOOD, WATCHED, LEFT, BAD = ServiceStep.HEALTHY, ServiceStep.UNVERIFIED, ServiceStep.UNCHANGED, ServiceStep.FAILED


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([("a", GOOD)], None),
        ([("a", GOOD), ("b", GOOD)], None),
        ([("a", GOOD), ("b", BAD)], 0),
        ([("a", WATCHED), ("b", BAD)], 0),
        ([("a", GOOD), ("b", GOOD), ("c", BAD)], 1),
        ([("a", GOOD), ("b", BAD), ("c", BAD)], 0),
        ([("a", GOOD), ("a", LEFT)], None),
        ([("a", GOOD), ("b", GOOD), ("b", LEFT)], None),
        ([("a", GOOD), ("b", BAD), ("b", LEFT)], 0),
        ([("a", LEFT), ("b", BAD)], None),
        ([("a", BAD)], None),
    ],
)
async def test_service_goes_back_to_where_it_was_sound_last(
    history: list[tuple[str, ServiceStep]], expected: int | None
) -> None:
    """Each release with the version of the service, and how its deployment left it; never past one that was sound."""
    releases, deployments = {}, {}
    for number, (version, step) in enumerate(history):
        pin = SimpleNamespace(image_id=version)
        there = SimpleNamespace(image=pin, definition_hash="d")
        releases[number] = SimpleNamespace(
            number=number,
            state=ReleaseState.SUCCEEDED,
            deployment_id=str(number),
            replaces=number - 1 if number else None,
            service=lambda _, there=there: there,
        )
        progress = ServiceProgress("web", step, changed=step is not LEFT)
        deployments[str(number)] = SimpleNamespace(services=(progress,))

    async def current(_environment: str) -> Any:
        return releases[len(history) - 1]

    async def release(_environment: str, number: int) -> Any:
        return releases.get(number)

    async def deployment(id_: str) -> Any:
        return deployments[id_]

    state: Any = SimpleNamespace(
        releases=SimpleNamespace(current=current, get=release), deployments=SimpleNamespace(get=deployment)
    )
    found = await find_sound_release(state, "dev", "web")
    assert (found.number if found is not None else None) == expected


async def test_missing_container_recreated(scene: Scene) -> None:
    scene.helps = frozenset({RECREATE})
    await scene.handler.handle(replace(FAULT, category=FaultCategory.CONTAINER), DEV)
    assert scene.tried == [RECREATE]


async def test_budget_ends_repeated_recovery(scene: Scene) -> None:
    scene.helps = frozenset({RESTART, RECREATE, ROLL_BACK})
    outcomes = [(await scene.handler.handle(FAULT, DEV)).outcome for _ in range(6)]
    assert scene.tried == [RESTART, RESTART, RESTART, RECREATE, ROLL_BACK]
    assert outcomes[-1] is RecoveryOutcome.ESCALATED


async def test_budget_survives_killed_bot(tmp_path: Path) -> None:
    tried: list[RecoveryAction] = []
    for _ in range(6):
        async with StateManager(tmp_path / "state") as state:
            scene = Scene(state)
            scene.helps = frozenset({RESTART, RECREATE, ROLL_BACK})
            await scene.handler.handle(FAULT, DEV)
            tried += scene.tried
    assert tried == [RESTART, RESTART, RESTART, RECREATE, ROLL_BACK]


async def test_rollback_budget_spans_environment(scene: Scene) -> None:
    """Attempts outside the window do not count any more."""
    now = datetime.now(UTC)
    await scene.state.recoveries.save(RecoveryStep("STEP-1", "ALERT-0", "dev", "store", ROLL_BACK, now))
    old = now - timedelta(hours=1)
    await scene.state.recoveries.save(RecoveryStep("STEP-2", "ALERT-0", "dev", "web", RECREATE, old))
    assert not await budget_allows(scene.state.recoveries, "dev", "web", ROLL_BACK)
    assert await budget_allows(scene.state.recoveries, "dev", "web", RECREATE)


async def test_running_deployment_blocks_recovery(scene: Scene) -> None:
    scene.state.deployments = SimpleNamespace(holding=_held)  # type: ignore[assignment]
    report = await scene.handler.handle(FAULT, DEV)
    assert report.outcome is RecoveryOutcome.DEFERRED
    assert scene.tried == []


async def _held(environment: str) -> Holding:
    return Holding("DEPLOY-1", is_partial=False, to_release=None, services={})


@pytest.mark.parametrize(
    ("step", "outcome", "tried"),
    [
        (ServiceStep.PAUSED, RecoveryOutcome.DEFERRED, []),
        (ServiceStep.WAITING, RecoveryOutcome.DEFERRED, []),
        (ServiceStep.HEALTHY, RecoveryOutcome.ESCALATED, [RESTART, RECREATE]),
        (ServiceStep.PENDING, RecoveryOutcome.ESCALATED, [RESTART, RECREATE]),
    ],
)
async def test_paused_deployment_blocks_only_what_it_is_in_the_middle_of(
    scene: Scene, step: ServiceStep, outcome: RecoveryOutcome, tried: list[RecoveryAction]
) -> None:
    """Which release it is to be is what a person is asked: nothing is rolled back meanwhile."""

    async def holding(environment: str) -> Holding:
        return Holding("DEPLOY-1", is_partial=True, to_release=2, services={"web": ServiceProgress("web", step)})

    async def of_no_deployment(_id: str) -> None:
        return None

    scene.state.deployments = SimpleNamespace(holding=holding, get=of_no_deployment)  # type: ignore[assignment]
    report = await scene.handler.handle(FAULT, DEV)
    assert (report.outcome, scene.tried) == (outcome, tried)


async def test_manual_stop_not_recovered(scene: Scene) -> None:
    scene.manually = True
    assert (await scene.handler.handle(FAULT, DEV)).outcome is RecoveryOutcome.NOT_OURS
    assert scene.tried == []


@pytest.mark.parametrize("verdict", [Verdict.HEALTHY, Verdict.DEGRADED, Verdict.UNKNOWN, Verdict.UNVERIFIED])
async def test_external_alert_starts_no_recovery(scene: Scene, verdict: Verdict) -> None:
    scene.verdict = verdict
    report = await scene.handler.handle(replace(FAULT, from_outside=True), DEV)
    assert report.outcome is RecoveryOutcome.NOT_OURS
    assert scene.tried == []


async def test_external_alert_recovers_unhealthy_service(scene: Scene) -> None:
    scene.helps = frozenset({RESTART})
    assert (await scene.handler.handle(replace(FAULT, from_outside=True), DEV)).succeeded


async def test_bot_does_not_recover_itself(scene: Scene) -> None:
    scene.own = True
    assert (await scene.handler.handle(FAULT, DEV)).outcome is RecoveryOutcome.ESCALATED
    assert scene.tried == []


async def test_wall_clock_jump_keeps_budget(scene: Scene) -> None:
    scene.helps = frozenset({RESTART, RECREATE, ROLL_BACK})
    for hours in (1, -1, 2):
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True):
            await scene.handler.handle(FAULT, DEV)
    await scene.handler.handle(FAULT, DEV)
    assert scene.tried == [RESTART, RESTART, RESTART, RECREATE]
    with booted_for(boot_seconds() + RECOVERY_WINDOW.total_seconds() + 1):
        assert await budget_allows(scene.state.recoveries, "dev", "web", RECREATE)


async def test_interrupted_attempt_closed_once(scene: Scene) -> None:
    now = datetime.now(UTC)
    await scene.state.recoveries.save(RecoveryStep("STEP-1", "ALERT-1", "dev", "web", RESTART, now))
    scene.helps = frozenset({RESTART})
    for _ in range(2):
        assert (await scene.handler.handle(FAULT, DEV)).succeeded
    interrupted = "restart: interrupted, the bot stopped in the middle of it"
    assert scene.notes.text == [interrupted, *["restart: recovered"] * 2]


async def test_starting_deployment_interrupts_recovery(scene: Scene) -> None:
    async def _try(*_: object) -> str:
        scene.state.deployments = SimpleNamespace(holding=_held)  # type: ignore[assignment]
        return "interrupted, a deployment started"

    scene.handler._try = _try  # type: ignore[method-assign, assignment]
    assert (await scene.handler.handle(FAULT, DEV)).outcome is RecoveryOutcome.DEFERRED


def booted_for(seconds: float) -> Any:
    return mock.patch("roas.recovery.refusals.boot_seconds", return_value=seconds)


async def test_job_not_run_by_recovery(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its release was brought back, perhaps, and it would undo what a newer one did."""

    async def wanted(_fault: Fault) -> tuple[str, ServiceDefinition]:
        return "m", ServiceDefinition("web", "web:v1", "d", one_shot=True)

    monkeypatch.setattr(scene.handler, "_wanted", wanted)
    report = await scene.handler.handle(FAULT, DEV)
    assert (report.outcome, scene.tried) == (RecoveryOutcome.ESCALATED, [])
    assert "only a deployment runs" in report.text
