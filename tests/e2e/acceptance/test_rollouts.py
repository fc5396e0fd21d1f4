"""Replicas are replaced as `update_config` and `rollback_config` say, judged by Docker's own events."""

import pytest

from tests.e2e.acceptance.people import phase, request
from tests.e2e.acceptance.rolling import rolled
from tests.e2e.acceptance.stack import WATCHED_CHECK, alone

pytestmark = pytest.mark.engine


def web(back: dict | None = None, changes: dict | None = None, **update: object) -> dict:
    """Return a service whose three replicas are replaced as the test says."""
    deploy = {"replicas": 3, "update_config": update} | ({"rollback_config": back} if back else {})
    return {"web": alone(deploy=deploy, **changes or {})}


async def test_replicas_are_replaced_as_the_file_says(application, people, stack, images, long_lane):
    """A stack on which one rollout follows the other, each by another `update_config`."""
    back = {"parallelism": 2, "order": "start-first", "delay": "1500ms"}
    stack.write(web(back=back))
    await people.succeed("v1")
    await one_at_a_time(application, people, stack, images)
    if long_lane:
        await late_failure_is_rolled_back_a_few_at_a_time(people, stack, images)
    await two_at_a_time_beside_the_old_ones_with_a_delay(application, people, stack, images)
    await failed_replica_rolls_back(people, stack)
    if not long_lane:
        return
    await failure_ratio_lets_some_fail(people, stack, images)
    await continue_goes_on_whatever_fails(people, stack, images)


async def one_at_a_time(application, people, stack, images):
    back = {"parallelism": 1, "order": "stop-first"}
    stack.write(web(parallelism=1, delay="1s", failure_action="pause", back=back))
    there = await application.orchestrator.plan(request("DEPLOY", version="v2"))
    said = "1 of 3 replicas replaced at a time; 1 s in between; where one fails, it pauses and asks"
    assert (said in there.services[0].reasons, there.services[0].start_first) == (True, False)
    with rolled(stack) as seen:
        await people.succeed("v2")
    assert (seen.fewest, seen.most, seen.most_begun, len(seen.created())) == (2, 3, 1, 3)
    assert list(stack.images().values()) == [images["v2"]] * 3


async def late_failure_is_rolled_back_a_few_at_a_time(people, stack, images):
    """What fails within the monitored time counts, too; the way back leaves what still runs to the last.

    It goes as the release says that it leads to.
    """
    stack.write(web(changes={"healthcheck": WATCHED_CHECK}, parallelism=1, monitor="6s"))
    with rolled(stack) as seen:
        assert (await people.deploy("fades")).outcome == "rolled_back"
    assert seen.most_begun == 1
    assert list(stack.images().values()) == [images["v2"]] * 3


async def two_at_a_time_beside_the_old_ones_with_a_delay(application, people, stack, images):
    """Plan and rollout follow `update_config` on the way there, and `rollback_config` on the way back."""
    back = await application.orchestrator.plan(request("ROLLBACK"))
    said = "2 of 3 replicas replaced at a time; 1.5 s in between; where one fails, it is rolled back"
    assert (said in back.services[0].reasons, back.services[0].start_first) == (True, True), back.services[0].reasons
    with rolled(stack) as seen:
        assert (await people.rollback()).outcome == "succeeded"
    assert seen.fewest == 3
    assert 3 < seen.most <= 5
    assert (seen.most_begun, len(seen.created())) == (2, 3)
    healthy, created = (sorted(at for _, at, _ in seen.of(kind)) for kind in ("health_status: healthy", "create"))
    assert 1.4 < created[2] - healthy[0] < 4, "whoever replaced one pauses before the next"
    assert list(stack.images().values()) == [images["v1"]] * 3


async def failed_replica_rolls_back(people, stack):
    soon = {"healthcheck": WATCHED_CHECK}
    stack.write(web(changes=soon, parallelism=1, failure_action="rollback", order="start-first"))
    before = stack.ids()
    with rolled(stack) as seen:
        assert (await people.deploy("unhealthy")).outcome == "rolled_back"
    assert stack.ids() == before
    assert len(seen.created()) == 1, "the second replica is not begun after the first has failed"


async def failure_ratio_lets_some_fail(people, stack, images):
    stack.write(web(parallelism=1, max_failure_ratio=0.5, failure_action="rollback"))
    with rolled(stack) as seen:
        assert (await people.deploy("exits")).outcome == "rolled_back"
    assert len([item for item in seen.created() if seen.image_of(item) == images["exits"]]) == 2, "1 of 3 may"
    assert list(stack.images().values()) == [images["v1"]] * 3


async def continue_goes_on_whatever_fails(people, stack, images):
    stack.write(web(parallelism=1, failure_action="continue"))
    deployment = await people.deploy("exits")
    assert deployment.outcome == "succeeded"
    assert any("3 of 3 new replicas of web failed" in warning for warning in deployment.warnings)
    assert phase(deployment, "verification").summary == "0 of 1 changed service is healthy"
    assert [container.attrs["Image"] for container in stack.containers()] == [images["exits"]] * 3


async def test_unnamed_volumes_are_kept(people, stack, images):
    """Compose passes them on where it replaces all that differ, and only there."""
    deploy = {"replicas": 2, "update_config": {"parallelism": 1}}
    stack.write({"web": alone(deploy=deploy, volumes=["/data"])})
    await people.succeed("v1")
    volumes = {container.attrs["Mounts"][0]["Name"] for container in stack.containers()}
    await people.succeed("v2")
    assert list(stack.images().values()) == [images["v2"]] * 2
    assert {container.attrs["Mounts"][0]["Name"] for container in stack.containers()} == volumes
