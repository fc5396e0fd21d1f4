"""From the yes of a second person until Docker has started the first container of the draft, with four services."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import docker

from roas.app.application import Application, open_application
from roas.configuration.settings import Settings
from roas.configuration.tables import EnvironmentSettings
from roas.metrics.bot_metrics import Metrics
from roas.metrics.integration_monitor import percentile
from roas.models.actor import Actor, ActorKind
from roas.models.deployment import DeploymentKind, DeploymentRequest, Outcome
from testbed.engine import Engine
from testbed.sample import sample_image
from tools.benchmarks.services import independent, write_stack

ENVIRONMENT, PROJECT = "dev", "roas-benchmark-approval"
SERVICES, IMAGE = 4, "roas-benchmark/approved"
ASKS, APPROVES = Actor(ActorKind.DISCORD, "1", "dora"), Actor(ActorKind.DISCORD, "2", "anna")


@dataclass(frozen=True)
class Result:
    """Hold the seconds of each approval."""

    seconds: Sequence[float]

    def as_dict(self) -> dict[str, object]:
        """Return every figure."""
        return asdict(self)

    def as_table(self) -> str:
        """Return the figures as a Markdown table."""
        figures = (statistics.median(self.seconds), percentile(self.seconds, 0.95) or 0.0, max(self.seconds))
        row = " | ".join(f"{figure:.2f}" for figure in figures)
        return f"| approvals | p50 (s) | p95 (s) | max (s) |\n|---|---|---|---|\n| {len(self.seconds)} | {row} |"


def measure(engine: Engine, folder: Path, runs: int) -> Result:
    """Approve another version each time: all four containers are replaced."""
    services = {name: {**fields, "image": f"{IMAGE}:${{VERSION}}"} for name, fields in independent(SERVICES).items()}
    stack = write_stack(folder / "stack", services)
    settings = Settings(
        _env_file=None,
        stack_dir=stack,
        state_dir=folder / "state",
        docker_host=engine.docker_host,
        compose_project_name=PROJECT,
        environments={ENVIRONMENT: EnvironmentSettings(observation_seconds=0.2)},
    )
    with closing(engine.client()) as client:
        for version in ("v0", "v1"):
            sample_image(client, f"{IMAGE}:{version}", version=version)
        try:
            return Result(asyncio.run(_measure(settings, client, runs)))
        finally:
            for container in client.containers.list(all=True, filters=_of_the_stack()):
                container.remove(force=True)


async def _measure(settings: Settings, client: docker.DockerClient, runs: int) -> list[float]:
    async with open_application(settings, metrics=Metrics("benchmark")) as application:
        return [await _approved(application, client, number) for number in range(runs)]


async def _approved(application: Application, client: docker.DockerClient, number: int) -> float:
    orchestrator = application.orchestrator
    request = DeploymentRequest(ENVIRONMENT, DeploymentKind.DEPLOY, ASKS, version=f"v{number % 2}")
    plan = await orchestrator.plan(request)
    begun = await orchestrator.start(
        replace(request, plan_digest=plan.digest, interaction_id=f"PLAN-{number:026}", needs_approval=True)
    )
    drafted = await orchestrator.wait(begun.id)
    said_yes = time.time()  # as Docker says when it started a container
    ended = await orchestrator.wait((await orchestrator.approve(drafted.id, APPROVES)).id)
    if ended.outcome is not Outcome.SUCCEEDED:
        raise RuntimeError(f"{ended.id} ended {ended.outcome}: {ended.problem}")
    found = client.containers.list(filters=_of_the_stack())
    return min(datetime.fromisoformat(item.attrs["State"]["StartedAt"]).timestamp() for item in found) - said_yes


def _of_the_stack() -> dict[str, str | list[str] | bool]:
    return {"label": f"com.docker.compose.project={PROJECT}-{ENVIRONMENT}"}
