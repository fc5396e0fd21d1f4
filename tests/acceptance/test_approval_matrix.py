"""A yes covers all that will run: whatever of it changes between the plan and the yes, the plan is void."""

import pytest

from roas.errors import ImageChangedError
from roas.models.deployment import DeploymentKind
from tests.acceptance.people import request
from tests.acceptance.stack import REPOSITORY, service

FILES = {
    "web.env": "GREETING=1\n",
    "password": "hunter2",
    "settings.ini": "a=1",
    "bound.conf": "1",
    "conf/a": "1",
    "app/Dockerfile": f"FROM {REPOSITORY}:v1\nCOPY . /all\n",
    "app/main": "1",
}
BOUND = ["./bound.conf:/bound.conf:ro", "./conf:/conf:ro"]
WEB = {"env_file": "web.env", "secrets": ["password"], "configs": ["settings"], "volumes": BOUND}
TOP = {"secrets": {"password": {"file": "./password"}}, "configs": {"settings": {"file": "./settings.ini"}}}
CHANGES = (*FILES, "app/new", "model", "image")


def write(stack, **more) -> None:
    stack.write({"web": service(**WEB, **more), "built": {"build": "app", "image": f"{stack.base_name}-built"}}, **TOP)


@pytest.fixture
def planned(stack, images):
    """A stack that has one of everything."""
    for path, text in FILES.items():
        stack.put(path, text)
    write(stack)
    v1 = stack.client.images.get(f"{REPOSITORY}:v1")
    yield stack
    v1.tag(REPOSITORY, "v1")


async def test_change_between_plan_and_yes_voids(people, planned, images):
    """One thing after the other changes, and each makes another plan; the yes to the first deploys nothing any more."""

    async def digest() -> str:
        plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v1"))
        return plan.digest

    digests = [await digest()]
    assert await digest() == digests[0]
    for what in CHANGES:
        if what == "model":
            write(planned, hostname="other")
        elif what == "image":
            planned.client.images.get(f"{REPOSITORY}:v2").tag(REPOSITORY, "v1")
        else:
            planned.put(what, FILES.get(what, "").replace("1", "2") + "# 2")
        digests.append(await digest())
        assert digests[-1] not in digests[:-1], what
    done = await people.deploy("v1", plan_digest=digests[0])
    assert done.problem is not None
    assert done.problem.key == ImageChangedError.key
    assert planned.containers() == []
