"""A yes covers all that will run: whatever of it changes between the plan and the yes, the plan is void."""

from dataclasses import replace

import pytest

from roas.errors import ImageChangedError
from roas.models.deployment import DeploymentKind
from tests.e2e.acceptance.people import request, succeeded
from tests.e2e.acceptance.stack import REPOSITORY, alone

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
CHANGES = (*FILES, "app/new", "model", "image", "settings", "policy")
ASKED = ("web.env", "app/new", "image", "policy")  # whether a yes to another plan deploys nothing is one question


def write(stack, **more) -> None:
    stack.write(
        {"web": alone(healthcheck=None, **WEB, **more), "built": {"build": "app", "image": f"{stack.base_name}-built"}},
        **TOP,
    )


@pytest.fixture
def planned(stack, images):
    """A stack that has one of everything."""
    for path, text in FILES.items():
        stack.put(path, text)
    write(stack)
    v1 = stack.client.images.get(f"{REPOSITORY}:v1")
    yield stack
    v1.tag(REPOSITORY, "v1")


async def test_change_between_plan_and_yes_voids(people, planned, images, monkeypatch):
    """One thing after the other changes, and each makes another plan; the yes to the one before deploys nothing."""
    orchestrator, engine = people.application.orchestrator, people.application.stacks

    async def digest() -> str:
        plan = await orchestrator.plan(request(DeploymentKind.DEPLOY, version="v1"))
        return plan.digest

    def change(what: str) -> None:
        if what == "model":
            write(planned, hostname="other")
        elif what == "image":
            planned.client.images.get(f"{REPOSITORY}:v2").tag(REPOSITORY, "v1")
        elif what == "settings":
            other = replace(orchestrator.environment("dev"), observation_seconds=0.3)
            monkeypatch.setattr(orchestrator, "_environments", {"dev": other})
        elif what == "policy":
            monkeypatch.setattr(engine._parts.policy, "allowed", (*engine._parts.policy.allowed, "cap_add:web"))
        else:
            planned.put(what, FILES.get(what, "").replace("1", "2") + "# 2")

    digests = [await digest()]
    assert await digest() == digests[0]
    for what in CHANGES:
        change(what)
        if what in ASKED:
            done = await people.deploy("v1", plan_digest=digests[-1])
            assert done.problem is not None, what
            assert done.problem.key == ImageChangedError.key, what
        digests.append(await digest())
        assert digests[-1] not in digests[:-1], what
    assert planned.containers() == []
    succeeded(await people.deploy("v1", plan_digest=digests[-1]))


ROLLED_BACK = {"password": "hunter2", "settings.ini": "a=1", ".env": "DB_PASSWORD=first-1\n"}
# What of today reaches a release of the past, and what of it does not.
FOR_ROLLBACK = {"password": True, ".env": True, "settings.ini": False, "policy": True, "settings": True}


async def test_change_since_the_yes_voids_rollback(people, stack, images, monkeypatch):
    """A rollback takes today's credentials, and is judged by today's settings: the yes to it covers them."""
    orchestrator, engine = people.application.orchestrator, people.application.stacks
    for path, text in ROLLED_BACK.items():
        stack.put(path, text)
    web = {"secrets": ["password"], "configs": ["settings"], "environment": {"DB_PASSWORD": "${DB_PASSWORD}"}}
    stack.write({"web": alone(healthcheck=None, **web)}, **TOP)
    await people.succeed("v1")
    await people.succeed("v2")

    async def digest() -> str:
        return (await orchestrator.plan(request(DeploymentKind.ROLLBACK))).digest

    digests = [await digest()]
    assert await digest() == digests[0]
    for what, counts in FOR_ROLLBACK.items():
        if what == "policy":
            monkeypatch.setattr(engine._parts.policy, "allowed", (*engine._parts.policy.allowed, "cap_add:web"))
        elif what == "settings":
            other = replace(orchestrator.environment("dev"), observation_seconds=0.3)
            monkeypatch.setattr(orchestrator, "_environments", {"dev": other})
        else:
            stack.put(what, ROLLED_BACK[what].replace("1", "2") + "# 2")
        digests.append(await digest())
        assert (digests[-1] not in digests[:-1]) == counts, what
    before = stack.ids()
    with pytest.raises(ImageChangedError):
        await orchestrator.start(request(DeploymentKind.ROLLBACK, plan_digest=digests[0]))
    assert stack.ids() == before

    deployments = people.application.state.deployments
    create = type(deployments).create

    async def create_and_change(*arguments):
        fence = await create(*arguments)
        stack.put("password", "changed once it had begun")
        return fence

    monkeypatch.setattr(type(deployments), "create", create_and_change)
    done = await orchestrator.run(request(DeploymentKind.ROLLBACK, plan_digest=digests[-1]))
    assert done.problem is not None
    assert done.problem.key == ImageChangedError.key
    assert stack.ids() == before
