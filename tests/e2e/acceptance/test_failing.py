"""Whatever goes wrong while services start ends in an honest outcome, and v1 runs again."""

import asyncio

import pytest

from tests.e2e.acceptance.one_stack import application, on_v1, stack, standing
from tests.e2e.acceptance.people import phase, told
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
    before = await people.application.state.releases.current("dev")
    deployment = await people.deploy("unhealthy")
    assert deployment.outcome == "rolled_back"
    assert deployment.problem.service == "web"
    assert "web" in deployment.problem.message
    assert "health check fails" in deployment.problem.message
    assert "deploy again" in deployment.problem.hint
    assert "sample app unhealthy: unhealthy" in deployment.problem.report, "the last log lines"
    assert "404" in deployment.problem.report, "the health check's own output"
    assert back_on_v1(stack, images, on_v1)
    assert (await people.application.state.releases.current("dev")).number == before.number


@pytest.mark.long
async def test_immediate_exit_rolled_back_with_code_and_log(people, stack, images, on_v1):
    deployment = await people.deploy("exits")
    assert deployment.outcome == "rolled_back"
    assert "web" in deployment.problem.message
    assert "code 3" in deployment.problem.message
    assert "sample app: cannot go on" in deployment.problem.report
    assert back_on_v1(stack, images, on_v1)


@pytest.mark.long
async def test_server_exit_with_code_0_fails(people, stack, images, on_v1):
    deployment = await people.deploy("ends")
    assert deployment.outcome == "rolled_back"
    assert "web" in deployment.problem.message
    assert "ended with code 0" in deployment.problem.message
    assert "one_shot" in told(deployment)
    assert back_on_v1(stack, images, on_v1)


@pytest.mark.long
async def test_restart_loop_rolled_back(people, stack, images, on_v1):
    stack.write({"store": alone(image=f"{REPOSITORY}:v1"), "web": alone(restart="always")})
    deployment = await people.deploy("exits")
    assert deployment.outcome == "rolled_back"
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
    assert deployment.outcome == "rolled_back"
    assert phase(deployment, "verification").status == "failed"
    assert "health check fails" in deployment.problem.message
    assert back_on_v1(stack, images, on_v1)


@pytest.mark.long
async def test_image_of_the_same_name_goes_back_at_once(people, stack, images, on_v1):
    """What is replaced and what replaces it have one hash: the one that was stopped is not waited for."""
    late = alone(depends_on={"fixed": {"condition": "service_healthy"}})
    stack.write({"fixed": alone(image=f"{REPOSITORY}:fixed", restart="always"), "late": late})
    stack.client.images.get(images["v1"]).tag(REPOSITORY, "fixed")
    try:
        await people.succeed("v1")
        stack.client.images.get(images["v2"]).tag(REPOSITORY, "fixed")
        async with asyncio.timeout(40):
            deployment = await people.deploy("exits")
        assert deployment.outcome == "rolled_back"
        assert "late" in deployment.problem.message
        assert {name[:-2]: image for name, image in stack.images().items()} == dict.fromkeys(
            ("fixed", "late"), images["v1"]
        )
    finally:
        stack.client.images.remove(f"{REPOSITORY}:fixed", force=True)
        stack.write({"store": alone(image=f"{REPOSITORY}:v1"), "web": alone()})
        await people.succeed("v1")
