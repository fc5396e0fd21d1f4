"""How long a release is watched where nothing is said, on a real engine, and what ends the watch."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roas.app.application import open_application
from roas.configuration.tables import EnvironmentSettings
from roas.models.deployment import DeploymentKind, Outcome, PhaseStatus
from roas.models.phases import PhaseName
from roas.ui.embeds.live import draw_live
from testbed.swarm import Swarm, client_of
from testbed.swarm_registry import healthy, swarm_registry
from testbed.swarm_view import StackView
from tests.e2e.acceptance.conftest import settings_for
from tests.e2e.acceptance.people import ANNA, People, request, succeeded
from tests.e2e.acceptance.stack import CHECK, REPOSITORY, Stack, alone

pytestmark = pytest.mark.long

DIES_LATE = ["sh", "-c", "sleep 8; exit 3"]


async def test_service_without_check_is_watched_for_half_a_minute(stack, settings, images):
    """One that dies after eight seconds has failed; the message says at once until when it is watched."""
    async with open_application(settings.model_copy(update={"environments": {}})) as application:
        people, orchestrator = People(application), application.orchestrator
        stack.write({"web": alone(image=f"{REPOSITORY}:v1", healthcheck=CHECK)})
        await people.succeed("v1", "staging")
        stack.write({"web": alone(image=f"{REPOSITORY}:v1", healthcheck=None, command=DIES_LATE)})
        asked = await orchestrator.start(request(DeploymentKind.DEPLOY, "staging", "v2"))
        watching = await watched(application, asked.id)
        seconds = (watching.services[0].watched_until - watching.created_at).total_seconds()
        until_it_was_seen = (datetime.now(UTC) - watching.created_at).total_seconds()
        assert 30 <= seconds <= 30 + until_it_was_seen
        assert "`web` running, unverified until <t:" in draw_live(watching).embeds[0].description
        ended = await orchestrator.wait(asked.id)
        assert (ended.outcome, ended.problem.service) == (Outcome.ROLLED_BACK, "web")
        assert "code 3" in ended.problem.message
        await newer_request_ends_the_watch(people, stack)


async def newer_request_ends_the_watch(people, stack):
    """The one that is watched has succeeded, and says what it was not watched for."""
    orchestrator = people.application.orchestrator
    stack.write({"web": alone(image=f"{REPOSITORY}:v1", healthcheck=None)})
    first = await orchestrator.start(request(DeploymentKind.DEPLOY, "staging", "v3"))
    await watched(people.application, first.id)
    stack.write({"web": alone(image=f"{REPOSITORY}:v2", healthcheck=CHECK)})
    async with asyncio.timeout(25):
        await people.succeed("v4", "staging", by=ANNA)
    ended = succeeded(await orchestrator.wait(first.id))
    assert any("anna asked for something newer: the watch of web ended" in warning for warning in ended.warnings)


async def test_window_of_the_settings_is_watched(stack, settings, images):
    """Not only up to Swarm's five seconds."""
    long = {"dev": EnvironmentSettings(observation_seconds=8)}
    async with open_application(settings.model_copy(update={"environments": long})) as application:
        stack.write({"web": alone(healthcheck=CHECK)})
        deployment = await People(application).succeed("v1")
        log = stack.container("web").attrs["State"]["Health"]["Log"]
        ready = min(datetime.fromisoformat(item["End"][:26] + "+00:00") for item in log if item["ExitCode"] == 0)
        assert 8 <= (deployment.ended_at - ready).total_seconds() < 12


async def test_task_that_dies_after_the_monitor_of_a_swarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Swarm takes the update for done after two seconds; the task dies after six, and the next one runs as well."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with (
        Swarm(tmp_path / "swarm") as swarm,
        client_of(swarm.manager) as client,
        swarm_registry(swarm, tmp_path / "registry", healthy(["v1"]), name="late") as registry,
    ):
        registry.write_login(tmp_path / "docker")
        stack = Stack(tmp_path / "stack", "late", client, swarm.docker_host)
        deploy = {"endpoint_mode": "dnsrr", "update_config": {"monitor": "2s"}}
        web = {"image": f"{registry.address}/late:v1", "stop_grace_period": "1s", "deploy": deploy}
        stack.write({"web": web | {"healthcheck": CHECK}})
        on_swarm = {"staging": EnvironmentSettings(engine="swarm")}
        async with open_application(settings_for(stack, tmp_path / "state", environments=on_swarm)) as application:
            people = People(application)
            await people.succeed("v1", "staging")
            stack.write({"web": web | {"command": ["sh", "-c", "sleep 6; exit 3"]}})
            ended = await people.deploy("v2", "staging")
            assert (ended.outcome, ended.problem.service) == (Outcome.ROLLED_BACK, "web"), ended.problem
        assert StackView(swarm, "late-staging").remove()


async def watched(application, deployment_id):
    """Return a deployment once it watches its release."""
    while True:
        found = await application.state.deployments.get(deployment_id)
        phase = found.phase(PhaseName.VERIFICATION)
        assert not found.finished, found.problem
        if phase.status is PhaseStatus.IN_PROGRESS and found.services[0].watched_until is not None:
            return found
        await asyncio.sleep(0.1)
