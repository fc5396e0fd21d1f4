"""Whatever goes wrong while services start ends in an honest outcome, and v1 runs again."""

import pytest

from roas.models.coordination import PhaseName
from roas.models.deployment import Outcome
from tests.e2e.acceptance.one_stack import application, on_v1, stack, standing
from tests.e2e.acceptance.people import told
from tests.e2e.acceptance.stack import CHECK, PATIENT_CHECK, REPOSITORY, alone

pytestmark = pytest.mark.asyncio(loop_scope="module")
__all__ = ["application", "on_v1", "stack", "standing"]


def back_on_v1(stack, images, before) -> bool:
    """Tell whether both services run v1 again, healthy, and the store was never touched."""
    same = stack.images() == {"store-1": images["v1"], "web-1": images["v1"]}
    return same and stack.ids()["store-1"] == before["store-1"]


async def test_failed_health_check_rolled_back_with_output(people, stack, images, on_v1):
    often = alone(healthcheck=PATIENT_CHECK | {"interval": "1s"})
    stack.write({"store": alone(image=f"{REPOSITORY}:v1"), "web": often})
    deployment = await people.deploy("unhealthy")
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert deployment.problem.service == "web"
    assert "web" in deployment.problem.message
    assert "health check fails" in deployment.problem.message
    assert "deploy again" in deployment.problem.hint
    assert "sample app unhealthy: unhealthy" in deployment.problem.report, "the last log lines"
    assert "404" in deployment.problem.report, "the health check's own output"
    assert back_on_v1(stack, images, on_v1)
    assert (await people.application.state.releases.current("dev")).number == 1


async def test_immediate_exit_rolled_back_with_code_and_log(people, stack, images, on_v1):
    deployment = await people.deploy("exits")
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert "web" in deployment.problem.message
    assert "code 3" in deployment.problem.message
    assert "sample app: cannot go on" in deployment.problem.report
    assert back_on_v1(stack, images, on_v1)


async def test_server_exit_with_code_0_fails(people, stack, images, on_v1):
    deployment = await people.deploy("ends")
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert "web" in deployment.problem.message
    assert "ended with code 0" in deployment.problem.message
    assert "one_shot" in told(deployment)
    assert back_on_v1(stack, images, on_v1)


async def test_restart_loop_rolled_back(people, stack, images, on_v1):
    stack.write({"store": alone(image=f"{REPOSITORY}:v1"), "web": alone(restart="always")})
    deployment = await people.deploy("exits")
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert "web" in deployment.problem.message
    assert "restart" in deployment.problem.message
    assert "sample app: cannot go on" in deployment.problem.report
    assert back_on_v1(stack, images, on_v1)
    assert stack.container("web").attrs["HostConfig"]["RestartPolicy"]["Name"] in {"", "no"}


async def test_late_unhealthy_service_rolled_back(people, stack, images, on_v1):
    """A service that becomes unhealthy within the observation window is rolled back."""
    monitored = {"update_config": {"monitor": "6s"}}
    check = CHECK | {"interval": "300ms"}
    stack.write({"store": alone(image=f"{REPOSITORY}:v1"), "web": alone(healthcheck=check, deploy=monitored)})
    deployment = await people.deploy("fades")
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert deployment.phase(PhaseName.VERIFICATION).status == "failed"
    assert "health check fails" in deployment.problem.message
    assert back_on_v1(stack, images, on_v1)
