"""An engine that is unavailable is told as such, and what it held when it went is put right when it is back."""

import asyncio

import pytest

from roas.application import open_application
from roas.backoff import Retries
from roas.deployment import engine_return, phase_runner
from roas.engine.containers import watch as container_watch
from roas.errors import EngineUnavailableError
from roas.models.deployment import DeploymentKind, Outcome
from testbed.sample import sample_image
from tests.e2e.acceptance.conftest import settings_for
from tests.e2e.acceptance.people import People, request, told
from tests.e2e.acceptance.stack import REPOSITORY, Stack, alone, patiently
from tests.e2e.acceptance.test_parallel_start import NEVER_HEALTHY, until_waiting


@pytest.fixture
def frail(fresh_daemon, tmp_path):
    """Give a stack on an engine of its own, which the test may break."""
    client = fresh_daemon.client()
    for version in ("v1", "v2"):
        sample_image(client, f"{REPOSITORY}:{version}", version=version)
    (tmp_path / "stack").mkdir()
    stack = Stack(tmp_path / "stack", "frail", client, fresh_daemon.docker_host)
    yield stack
    stack.clear()
    client.close()


async def test_unreachable_engine_fails_with_address(stack, tmp_path):
    stack.write({"web": alone()})
    nowhere = f"unix://{tmp_path}/nowhere.sock"
    async with open_application(settings_for(stack, tmp_path / "state", docker_host=nowhere)) as application:
        deployment = await People(application).deploy("v1")
        assert deployment.outcome is Outcome.FAILED
        assert nowhere in deployment.problem.message
        assert "Start Docker, or correct DOCKER_HOST" in deployment.problem.hint
        assert deployment.phases[0].attempts == 3, "it may have been away for a moment only"
        with pytest.raises(EngineUnavailableError):
            await application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v1"))
        assert await application.state.locks.get("dev") is None


async def test_lost_engine_fails_deployment_then_repaired(frail, fresh_daemon, tmp_path, monkeypatch):
    """A deployment whose engine is lost fails; what it left is repaired when the engine is back."""
    for waiting in (container_watch, engine_return):
        monkeypatch.setattr(waiting, "ENGINE_GRACE_SECONDS", 1.0)
    monkeypatch.setattr(phase_runner, "SOON", Retries(0.1, 0.1))
    frail.write({"store": alone(healthcheck=None), "web": alone()})
    async with open_application(settings_for(frail, tmp_path / "state")) as application:
        people = People(application)
        await people.succeed("v1")
        frail.write({"store": alone(healthcheck=None), "web": alone(healthcheck=NEVER_HEALTHY)})
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v2"))
        await until_waiting(application, started.id, "web")
        await asyncio.to_thread(fresh_daemon.stop, kill=True)
        deployment = await application.orchestrator.wait(started.id)
        assert deployment.outcome is Outcome.FAILED
        assert fresh_daemon.docker_host in deployment.problem.message
        assert "does not answer" in deployment.problem.message
        assert "operator" in deployment.problem.hint
        assert "DOCKER_HOST" in told(deployment)
        await asyncio.to_thread(fresh_daemon.start)
        frail.write({"store": alone(healthcheck=None), "web": alone()})
        await people.succeed("v2")
        assert set(frail.images().values()) == {frail.client.images.get(f"{REPOSITORY}:v2").id}


async def test_engine_restart_delays_deployment(frail, fresh_daemon, tmp_path):
    slow = {"test": patiently("test -e /tmp/ready"), "interval": "1s", "start_period": "60s"}
    frail.write({"web": alone(restart="always", healthcheck=slow | {"start_interval": "100ms"})})
    async with open_application(settings_for(frail, tmp_path / "state")) as application:
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v1"))
        await until_waiting(application, started.id, "web")
        await asyncio.to_thread(fresh_daemon.restart)
        await asyncio.to_thread(frail.container("web").exec_run, ["touch", "/tmp/ready"])
        deployment = await application.orchestrator.wait(started.id)
        assert deployment.outcome is Outcome.SUCCEEDED, told(deployment)
        assert list(frail.images()) == ["web-1"]
