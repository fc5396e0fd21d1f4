"""An engine that is unavailable is told as such, and what it held when it went is put right when it is back."""

import asyncio
import os
import secrets
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from roas.app.application import open_application
from roas.concurrency import begun, in_thread
from roas.configuration.tables import EnvironmentSettings
from roas.deploy import engine_absence, phase_failure
from roas.errors import EngineUnavailableError
from roas.limits import Retries
from roas.models.deployment import DeploymentKind, Outcome, PhaseStatus
from roas.models.phases import PhaseName
from roas.stack.containers import watch as container_watch
from testbed.daemon import PrivateDaemon
from testbed.sample import sample_image
from testbed.waiting import wait_until
from tests.e2e.acceptance.conftest import settings_for
from tests.e2e.acceptance.people import People, request, told
from tests.e2e.acceptance.stack import REPOSITORY, WATCHED_CHECK, Stack, alone, patiently
from tests.e2e.acceptance.test_parallel_start import NEVER_HEALTHY, until_waiting
from tests.e2e.acceptance.trouble import WAIT_SECONDS, alert_that, is_over, until


@pytest.fixture
def frail(fresh_daemon, tmp_path):
    """Give a stack on an engine of its own, which the test may break."""
    yield from stack_on(fresh_daemon, tmp_path)


@pytest.fixture
def parted(tmp_path_factory):
    """Give an engine whose containerd is a process apart, as packages install it."""
    with PrivateDaemon(tmp_path_factory.mktemp("parted"), beside_containerd=True) as daemon:
        yield daemon


@pytest.fixture
def on_parted(parted, tmp_path):
    """Give a stack on that."""
    yield from stack_on(parted, tmp_path)


def stack_on(daemon, tmp_path):
    client = daemon.client()
    for version in ("v1", "v2"):
        sample_image(client, f"{REPOSITORY}:{version}", version=version)
    (tmp_path / "stack").mkdir()
    stack = Stack(tmp_path / "stack", f"frail{secrets.token_hex(2)}", client, daemon.docker_host)
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


@pytest.mark.long
async def test_lost_engine_fails_deployment_then_repaired(frail, fresh_daemon, tmp_path, monkeypatch):
    """A deployment whose engine is lost fails; what it left is repaired when the engine is back."""
    for waiting in (container_watch, engine_absence):
        monkeypatch.setattr(waiting, "ENGINE_GRACE_SECONDS", 1.0)
    monkeypatch.setattr(phase_failure, "SOON", Retries(0.1, 0.1))
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


@pytest.mark.long
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


async def until_told(application, deployment_id, phase):
    """Wait until the live message of a deployment says that a phase waits for a part of the engine."""

    async def is_told():
        deployment = await application.state.deployments.get(deployment_id)
        known = deployment.phase(phase)
        return known is not None and "A part of the engine is away" in known.summary

    await until(is_told)


@pytest.mark.long
@pytest.mark.parametrize("phase", [PhaseName.EXECUTION, PhaseName.VERIFICATION])
async def test_containerd_away_is_waited_for_and_blames_nobody(on_parted, parted, tmp_path, phase):
    """It is upgraded, or ended for want of memory, for longer than all retries of a phase take."""
    ready = WATCHED_CHECK | {"test": patiently("test -e /tmp/ready"), "start_period": "60s"}
    on_parted.write({"web": alone(healthcheck=ready), "other": alone(healthcheck=WATCHED_CHECK)})
    observed = {"dev": EnvironmentSettings(observation_seconds=4.0, critical_services=("other",))}
    settings = settings_for(on_parted, tmp_path / "state", environments=observed)
    async with open_application(settings) as application:
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v1"))
        await until_waiting(application, started.id, "web")
        await asyncio.to_thread(on_parted.container("web").exec_run, ["touch", "/tmp/ready"])
        assert (await application.orchestrator.wait(started.id)).outcome is Outcome.SUCCEEDED
        before = on_parted.ids()["other-1"]
        other = alone(healthcheck=WATCHED_CHECK, image=f"{REPOSITORY}:v1")
        on_parted.write({"web": alone(healthcheck=WATCHED_CHECK), "other": other})
        if phase is PhaseName.EXECUTION:
            await asyncio.to_thread(parted.kill_containerd)
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v2"))
        if phase is PhaseName.VERIFICATION:
            await until_phase(application, started.id, phase)
            await asyncio.to_thread(parted.kill_containerd)
        await until_told(application, started.id, phase)
        await asyncio.to_thread(parted.start_containerd)
        deployment = await application.orchestrator.wait(started.id)
        assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
        assert deployment.problem is None
        assert on_parted.ids()["other-1"] == before


@pytest.mark.long
async def test_containerd_away_from_the_first_deployment_is_waited_for(on_parted, parted, tmp_path):
    """There is no release to go back to: nothing stays created that was never started."""
    on_parted.write({"web": alone(healthcheck=WATCHED_CHECK)})
    async with open_application(settings_for(on_parted, tmp_path / "state")) as application:
        await asyncio.to_thread(parted.kill_containerd)
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v1"))
        await until_told(application, started.id, PhaseName.EXECUTION)
        await asyncio.to_thread(parted.start_containerd)
        deployment = await application.orchestrator.wait(started.id)
        assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
        assert list(on_parted.images()) == ["web-1"], "it runs"


STALLS = [3, 75]
# What a step of a build runs, as no other process of this machine does.
BUILT = ("sleep", "4.0625")


def processes_that(words: Sequence[str]) -> list[int]:
    """Return the processes whose command line has all of these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_text()
            if all(word in line for word in words):
                found.append(int(path.parent.name))
    return found


@pytest.mark.long
@pytest.mark.parametrize("seconds", STALLS)
async def test_containerd_stalled_midway_is_waited_for(on_parted, parted, tmp_path, seconds):
    """It takes what it is asked, and does not answer; whoever waits for it blames no service."""
    ready = WATCHED_CHECK | {"test": patiently("test -e /tmp/ready"), "start_period": "60s"}
    after = {"web": {"condition": "service_healthy"}}
    on_parted.write({"web": alone(healthcheck=ready), "other": alone(healthcheck=WATCHED_CHECK, depends_on=after)})
    async with open_application(settings_for(on_parted, tmp_path / "state")) as application:
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v1"))
        await until_waiting(application, started.id, "web")
        await asyncio.to_thread(on_parted.container("web").exec_run, ["touch", "/tmp/ready"])
        assert (await application.orchestrator.wait(started.id)).outcome is Outcome.SUCCEEDED
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v2"))
        await until_waiting(application, started.id, "web")
        await asyncio.to_thread(on_parted.container("web").exec_run, ["touch", "/tmp/ready"])
        await asyncio.to_thread(parted.pause_containerd)
        await asyncio.sleep(seconds)  # how long it stalls is what is played
        await asyncio.to_thread(parted.resume_containerd)
        deployment = await application.orchestrator.wait(started.id)
        assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
        assert set(on_parted.images().values()) == {on_parted.client.images.get(f"{REPOSITORY}:v2").id}


@pytest.mark.long
async def test_buildkit_killed_while_it_builds_is_waited_for(frail, fresh_daemon, tmp_path):
    """It is a part of the engine, and comes back with it; what it built is built again, and no file is to blame."""
    frail.put("app/Dockerfile", f"FROM {REPOSITORY}:v1\nRUN {' '.join(BUILT)}\n")
    frail.write({"web": alone(image=f"{frail.base_name}-built", build="app")})
    async with open_application(settings_for(frail, tmp_path / "state")) as application:
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v1"))
        await asyncio.to_thread(wait_until, lambda: processes_that(BUILT), WAIT_SECONDS)
        await asyncio.to_thread(fresh_daemon.restart, kill=True)
        deployment = await application.orchestrator.wait(started.id)
        assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
        assert list(frail.images()) == ["web-1"]


@pytest.mark.long
async def test_shims_killed_while_they_start_are_waited_for(on_parted, parted, tmp_path):
    """Each dies with the container that it is to start: another one is started, and no version is to blame."""
    on_parted.write({"web": alone()})
    shim = ("containerd-shim-runc-v2", f"{parted.run_folder}/containerd/containerd.sock")
    async with open_application(settings_for(on_parted, tmp_path / "state")) as application:
        people = People(application)
        await people.succeed("v1")
        known = set(processes_that(shim))

        def kill_first() -> None:
            for _ in range(3):
                assert wait_until(lambda: set(processes_that(shim)) - known, WAIT_SECONDS)
                for pid in set(processes_that(shim)) - known:
                    known.add(pid)
                    os.kill(pid, signal.SIGKILL)

        async with begun(in_thread(kill_first)) as killing:
            deployment = await people.deploy("v2")
            await killing
        assert deployment.outcome is Outcome.SUCCEEDED, deployment.problem
        assert set(on_parted.images().values()) == {on_parted.client.images.get(f"{REPOSITORY}:v2").id}


@pytest.mark.parametrize("versions", [("v1", "v2"), pytest.param(("v2",), marks=pytest.mark.long)])
async def test_containerd_away_rolls_nothing_back(on_parted, parted, tmp_path, versions):
    """Recovery waits for it, and what it could not do says nothing of the service, be there an older release or not."""
    on_parted.write({"web": alone(healthcheck=WATCHED_CHECK), "store": alone(healthcheck=None)})
    async with open_application(settings_for(on_parted, tmp_path / "state")) as application:
        people = People(application)
        for version in versions:
            await people.succeed(version)
        store = on_parted.ids()["store-1"]
        await application.maintenance.start()
        pid = on_parted.container("web").attrs["State"]["Pid"]
        await asyncio.to_thread(parted.kill_containerd)
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(parted.start_containerd)
        raised = await alert_that(application, lambda one: one.service == "web")
        over = await alert_that(application, lambda one: one.id == raised.id and is_over(one))
        assert not [text for text in over.actions if text.startswith("roll back")], over.actions
        assert (await application.state.releases.current("dev")).number == len(versions)
        assert on_parted.ids()["store-1"] == store
        assert set(on_parted.images().values()) == {on_parted.client.images.get(f"{REPOSITORY}:v2").id}


async def until_phase(application, deployment_id, phase):
    """Wait until a phase is under way."""

    async def is_under_way():
        known = (await application.state.deployments.get(deployment_id)).phase(phase)
        return known is not None and known.status is PhaseStatus.IN_PROGRESS

    await until(is_under_way)
