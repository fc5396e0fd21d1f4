"""What somebody else did to a service of a Swarm while it was observed is told as that, and blames no release."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from roas.deploy.context import DeploymentContext
from roas.deploy.phases.completion import Completion
from roas.models.deployment import Outcome, PhaseStatus
from roas.models.environment import EngineKind, Environment
from roas.models.events import PhaseChanged
from roas.models.health import ContainerState
from roas.models.phases import PhaseName
from tests.unit.deploy.played_parts import service
from tests.unit.deploy.requested import deploy
from tests.unit.deploy.swarming import Swarming


class Meddled(Swarming):
    """Be a Swarm in which a hand does something to web."""

    def remove_web(self) -> None:
        self.running = {key: one for key, one in self.running.items() if one.service != "web"}
        self.tell("web")

    def change_web(self) -> None:
        for key, one in self.running.items():
            if one.service == "web":
                self.running[key] = replace(one, config_hash="by hand", state=ContainerState.RESTARTING)
        self.tell("web")

    def lose_web(self) -> None:
        """Lose the node of web; Swarm starts it on another one, which takes a moment."""

        def change(**fields: object) -> None:
            for key, one in self.running.items():
                if one.service == "web":
                    self.running[key] = replace(one, left_on=("node3",), left_as=("web:v2",), **fields)  # type: ignore[arg-type]
            self.tell("web")

        change(state=ContainerState.CREATED)
        asyncio.get_running_loop().call_later(3.0, lambda: change(state=ContainerState.RUNNING))

    def end_web(self) -> None:
        for key, one in self.running.items():
            if one.service == "web":
                self.running[key] = replace(one, state=ContainerState.RESTARTING)
        self.tell("web")


@pytest.fixture
def engine() -> Meddled:
    return Meddled({"web": service("web", monitor_seconds=5.0)})


@pytest.fixture
def environment(tmp_path: Path, request: pytest.FixtureRequest) -> Environment:
    """Give one on a Swarm, watched for 5 s, or as long as the test says."""
    seconds = getattr(request, "param", 5.0)
    return Environment("dev", "shop-dev", tmp_path, (), observation_seconds=seconds, engine=EngineKind.SWARM)


@pytest.mark.parametrize(
    ("act", "message", "hint"),
    [
        ("remove_web", "web failed: somebody removed the service meanwhile.", "Find out who did that"),
        ("change_web", "web failed: somebody else changed the service meanwhile.", "Find out who did that"),
        ("end_web", "web failed: it is restarting", "Read the last lines of web"),
    ],
)
async def test_hand_while_it_is_observed(orchestrator, engine, components, act: str, message: str, hint: str) -> None:
    async def meddle(event: PhaseChanged) -> None:
        if (event.phase, event.status) == (PhaseName.VERIFICATION, PhaseStatus.IN_PROGRESS):
            getattr(engine, act)()

    components.bus.subscribe(PhaseChanged, meddle, name="test")
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert deployment.problem.message.startswith(message), deployment.problem
    assert deployment.problem.hint.startswith(hint), deployment.problem


@pytest.mark.parametrize("act", ["remove_web", "change_web"])
@pytest.mark.usefixtures("hurried_time")
async def test_hand_after_it_was_observed(orchestrator, engine, components, monkeypatch, act: str) -> None:
    """What runs is read again as the last thing before it is said to be the release."""
    tidy_up = Completion.run

    async def meddle(phase: Completion, context: DeploymentContext) -> str:
        text = await tidy_up(phase, context)
        getattr(engine, act)()
        return text

    monkeypatch.setattr(Completion, "run", meddle)
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert deployment.problem.message == "web failed: somebody else changed the service meanwhile."


@pytest.mark.usefixtures("hurried_time")
async def test_node_that_was_lost_is_in_the_outcome(orchestrator, engine, components) -> None:
    """What ran there before answers again when it is back."""

    async def lose(event: PhaseChanged) -> None:
        if (event.phase, event.status) == (PhaseName.VERIFICATION, PhaseStatus.IN_PROGRESS):
            left = {"left_on": ("node3",), "left_as": ("web:v1",)}
            engine.running = {key: replace(item, **left) for key, item in engine.running.items()}

    components.bus.subscribe(PhaseChanged, lose, name="test")
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED
    told = "node3 is down: web may still run there, and answer, as web:v1, until the node is back."
    assert told in deployment.warnings


@pytest.mark.parametrize(("environment", "after"), [(5.0, 0.0), (600.0, 550.0)], indirect=["environment"])
@pytest.mark.usefixtures("hurried_time")
async def test_task_that_is_lost_with_its_node_fails_no_version(
    orchestrator, engine, components, environment: Environment, after: float
) -> None:
    """Swarm starts another one elsewhere, which is waited for, and watched for the whole window, beyond the limit."""

    async def lose(event: PhaseChanged) -> None:
        if (event.phase, event.status) == (PhaseName.VERIFICATION, PhaseStatus.IN_PROGRESS):
            asyncio.get_running_loop().call_later(after, engine.lose_web)

    components.bus.subscribe(PhaseChanged, lose, name="test")
    deployment = await orchestrator.run(deploy())
    assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
    assert "node3 is down: web may still run there, and answer, as web:v2" in " ".join(deployment.warnings)
    verified = next(phase for phase in deployment.phases if phase.name is PhaseName.VERIFICATION)
    assert verified.duration_seconds >= after + environment.observation_seconds
