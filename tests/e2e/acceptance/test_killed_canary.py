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
from testbed.compose_labels import of_service
from testbed.inherited import inherited
from testbed.preloaded import PreloadedPopen
from testbed.proxy_images import web_image
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
# Its first seconds are good, which are those of the canary.
LATE, GOOD_SECONDS, LONG_BAKE = "late", 12, "40s"


@pytest.fixture(scope="session")
def late_version(docker_client, proxy_images) -> None:
    web_image(docker_client, f"shop/web:{LATE}", version=LATE, FAILS_PERCENT="40", FAILS_FROM=str(GOOD_SECONDS))


@pytest.mark.parametrize("bad", ["", "fails40"])
@pytest.mark.parametrize(("stride", "most"), STRIDES)
async def test_kill_after_any_step_of_a_canary(settings, stack, write, failing_versions, stride, most, bad):
    """Who takes over promotes what is good and takes back what is worse; not one request is lost by the death."""
    await kill_after_steps(settings, stack, write, stride, most, bad, bake="3s")


async def test_kill_after_any_step_of_a_bake_that_goes_back(settings, stack, write, failing_versions, late_version):
    """At its beginning, in it, and on the way back: who takes over takes back what got worse."""
    killed = await kill_after_steps(settings, stack, write, 2, NO_MORE_STEPS, LATE, bake=LONG_BAKE)
    baked = [step for step, has_baked in killed.items() if has_baked]
    assert baked, "none was killed while it baked"
    assert min(killed) < baked[0], "none was killed in its canary"
    assert baked[-1] < max(killed), "none was killed on the way back"


async def kill_after_steps(settings, stack, write, stride: int, most: int, bad: str, *, bake: str) -> dict[int, bool]:
    """Deploy again and again, each time with a death at a later step; returns at which, and whether it baked then."""
    port = write("HAProxy", **QUICK, **canary(steps="[20, 50]", pause="1s", deadline="60s", bake=bake), **WHERE)
    async with open_application(settings, metrics=Metrics("test")) as application:
        await People(application).succeed("v1")
    assert await asyncio.to_thread(wait_until, lambda: whole(stack), 10)
    runs, killed, step = "v1", dict[int, bool](), random.randint(1, stride)
    while len(killed) < most:
        version = bad or ("v2" if runs == "v1" else "v1")
        with users(port, rate=RATE) as seen:
            child = deploying(stack, settings.state_dir, version, step)
            code = await asyncio.to_thread(child.wait, MOST_SECONDS)
            ended, has_baked = await end_of(settings)
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
        killed[step] = has_baked
        step += stride
        assert step < NO_MORE_STEPS, "a canary of two steps has no end of steps"
    print(f"killed after the journalled steps, and whether it baked then: {killed}")
    assert killed
    return killed


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


async def end_of(settings) -> tuple[Deployment, bool]:
    """Let another process take over what is left; returns how the last deployment ended, and whether it had baked."""
    async with open_application(settings, metrics=Metrics("test")) as application:
        left_by_it, *_ = await application.state.deployments.list("dev")
        for left in await application.orchestrator.resume():
            await application.orchestrator.wait(left.id)
        assert await application.state.locks.all() == ()
        last, *_ = await application.state.deployments.list("dev")
        return last, left_by_it.bakes_until is not None


def images_of_web(stack) -> set[str]:
    found = of_service(stack.containers(), "web")
    return {item.attrs["Config"]["Image"] for item in found}
