"""A bot that is killed at any step of a canary, or of its bake, leaves one version, and weights that are as before."""

import asyncio
import random
import signal
import subprocess
from pathlib import Path

import pytest

from roas.app.application import open_application
from roas.metrics.bot_metrics import Metrics
from roas.models.deployment import Deployment, Outcome
from testbed.inherited import inherited
from testbed.preloaded import PreloadedPopen
from testbed.waiting import wait_until
from tests.e2e.acceptance.behind_proxy import QUICK, orders, proxy_images, whole, write
from tests.e2e.acceptance.people import People
from tests.e2e.acceptance.test_canary import RATE, canary, failing_versions, weights
from tools.campaigns.requests.users import users

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
__all__ = ["failing_versions", "orders", "proxy_images", "write"]

ROOT = Path(__file__).resolve().parents[3]
NO_MORE_STEPS = 120
MOST_SECONDS = 120
# A sample, another one each time; and at each one, until a bot survives it.
STRIDES = [(12, 4), (1, NO_MORE_STEPS)]
WHERE = {"replicas: 2": "replicas: 1"}


@pytest.mark.parametrize("bad", [False, True])
@pytest.mark.parametrize(("stride", "most"), STRIDES)
async def test_kill_after_any_step_of_a_canary(settings, stack, write, failing_versions, stride, most, bad):
    """Who takes over promotes what is good and takes back what is worse; not one request is lost by the death."""
    port = write("HAProxy", **QUICK, **canary(steps="[20, 50]", pause="1s", deadline="60s", bake="3s"), **WHERE)
    async with open_application(settings, metrics=Metrics("test")) as application:
        await People(application).succeed("v1")
    assert await asyncio.to_thread(wait_until, lambda: whole(stack), 10)
    runs, killed_after, step = "v1", list[int](), random.randint(1, stride)
    while len(killed_after) < most:
        version = "fails40" if bad else "v2" if runs == "v1" else "v1"
        with users(port, rate=RATE) as seen:
            child = deploying(stack, settings.state_dir, version, step)
            code = await asyncio.to_thread(child.wait, MOST_SECONDS)
            ended = await end_of(settings)
            when = f"killed at step {step}, which ended as {ended.outcome}: {ended.problem}"
            assert await asyncio.to_thread(wait_until, lambda: whole(stack), 15), when
        runs = version if ended.outcome is Outcome.SUCCEEDED else runs
        assert all(runs in image for image in images_of_web(stack)), when
        assert weights(stack) == {"1"}, when
        assert not (bad and ended.outcome is Outcome.SUCCEEDED), when
        assert bad or seen.lost == 0, f"{when}, {seen.report}"
        if code == 0:
            break
        assert code == -signal.SIGKILL, when
        killed_after.append(step)
        step += stride
        assert step < NO_MORE_STEPS, "a canary of two steps has no end of steps"
    print(f"killed after the journalled steps {killed_after}")
    assert killed_after


def deploying(stack, state_dir: Path, version: str, step: int) -> "subprocess.Popen[bytes]":
    """Start a process that deploys a version and dies after a step."""
    environment = {
        "DOCKER_HOST": stack.docker_host,
        "STACK_DIR": str(stack.folder),
        "STATE_DIR": str(state_dir),
        "COMPOSE_PROJECT_NAME": stack.base_name,
        "ENVIRONMENTS__DEV__OBSERVATION_SECONDS": "0.5",
        "MORTAL_AFTER": str(step),
        "PYTHONPATH": str(ROOT),
    }
    module = "tests.e2e.acceptance.killable_deployment"
    return PreloadedPopen([module, version], cwd=ROOT, env=inherited() | environment)


async def end_of(settings) -> Deployment:
    """Let another process take over what is left, and return how the last deployment ended."""
    async with open_application(settings, metrics=Metrics("test")) as application:
        for left in await application.orchestrator.resume():
            await application.orchestrator.wait(left.id)
        assert await application.state.locks.all() == ()
        last, *_ = await application.state.deployments.list("dev")
        return last


def images_of_web(stack) -> set[str]:
    found = [item for item in stack.containers() if item.labels["com.docker.compose.service"] == "web"]
    return {item.attrs["Config"]["Image"] for item in found}
