"""What was approved is what runs, byte for byte and ID for ID, or nothing: whatever changes between draft and yes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from roas.errors import DraftVoidError, ImageChangedError
from roas.models.deployment import Deployment, DeploymentKind, Outcome
from roas.models.plan import PlanRecord, PlanState
from roas.models.stored import new_id
from roas.state.deployments.plans_and_drafts import with_expiry
from tests.e2e.acceptance.people import ANNA, DORA, People, request, succeeded
from tests.e2e.acceptance.stack import REPOSITORY, alone, service

FILES = {
    "web.env": "GREETING=1\n",
    "password": "hunter2",
    "settings.ini": "a=1",
    "bound.conf": "1",
    "conf/a": "1",
    "app/Dockerfile": f"FROM {REPOSITORY}:v1\nCOPY . /all\n",
    "app/main": "1",
    ".env": "LEVEL=1\n",
}
BOUND = ["./bound.conf:/bound.conf:ro", "./conf:/conf:ro"]
WEB = {
    "env_file": "web.env",
    "environment": {"LEVEL": "${LEVEL}"},
    "secrets": ["password"],
    "configs": ["settings"],
    "volumes": BOUND,
}
TOP = {"secrets": {"password": {"file": "./password"}}, "configs": {"settings": {"file": "./settings.ini"}}}
READ = {
    "bound.conf": ("web", "/bound.conf"),
    "conf/a": ("web", "/conf/a"),
    "password": ("web", "/run/secrets/password"),
    "settings.ini": ("web", "/settings"),
    "app/main": ("built", "/all/main"),
}


def write(stack, **more) -> None:
    built = {"build": "app", "image": f"{stack.base_name}-built", "healthcheck": None}
    stack.write({"web": alone(healthcheck=None, **WEB, **more), "built": alone(**built)}, **TOP)


def change_all(stack, text: str) -> None:
    """Change each file, what the compose file says, and what the tag and the base image mean."""
    for path, before in FILES.items():
        stack.put(path, before.replace("1", text).replace("hunter2", text))
    stack.put("app/Dockerfile", f"FROM {REPOSITORY}:v3\nCOPY . /all\nRUN touch /{text}\n")
    stack.put("app/new", text)
    write(stack, hostname=f"host{text}")
    stack.client.images.get(f"{REPOSITORY}:v2").tag(REPOSITORY, "v1")


def found(stack) -> dict[str, str]:
    """Return what the containers have of each file and variable."""
    read = {path: stack.read(name, place) for path, (name, place) in READ.items()}
    variables = stack.variables("web")
    return read | {name: variables[name] for name in ("GREETING", "LEVEL")}


EXPECTED = {path: FILES[path] for path in READ} | {"GREETING": "1", "LEVEL": "1"}


@pytest.fixture
def planned(stack, images):
    """A stack that has one of everything."""
    for path, text in FILES.items():
        stack.put(path, text)
    write(stack)
    v1 = stack.client.images.get(f"{REPOSITORY}:v1")
    yield stack
    v1.tag(REPOSITORY, "v1")


async def drafted(people: People, version: str | None) -> Deployment:
    """Plan, confirm, and wait for the draft; without a version, of a rollback."""
    orchestrator = people.application.orchestrator
    asked = request(DeploymentKind.DEPLOY if version else DeploymentKind.ROLLBACK, version=version)
    plan = await orchestrator.plan(asked)
    waiting = await orchestrator.run(replace(asked, plan_digest=plan.digest, needs_approval=True))
    assert waiting.awaits_approval, waiting.problem
    return waiting


async def approved(people: People, waiting: Deployment) -> Deployment:
    orchestrator = people.application.orchestrator
    return await orchestrator.wait((await orchestrator.approve(waiting.id, ANNA)).id)


async def test_plan_binds_its_copies(people, planned, images):
    """All changes between the plan and its confirmation, and again before the approval; none of it counts."""
    orchestrator = people.application.orchestrator
    asked = request(DeploymentKind.DEPLOY, version="v1")
    plan = await orchestrator.plan(asked)
    change_all(planned, "2")
    waiting = await orchestrator.run(replace(asked, plan_digest=plan.digest, needs_approval=True))
    assert waiting.awaits_approval, waiting.problem
    assert planned.containers() == []
    release = await people.application.state.releases.get("dev", waiting.to_release)
    ids = {one.name: one.image.image_id for one in release.services}
    assert ids["web"] == images["v1"]
    change_all(planned, "3")
    succeeded(await approved(people, waiting))
    assert found(planned) == EXPECTED
    assert {name.removesuffix("-1"): image for name, image in planned.images().items()} == ids
    assert planned.container("web").attrs["Config"]["Hostname"] != "host3"
    code, _ = planned.container("built").exec_run(["ls", "/all/new"])
    assert code != 0


@pytest.mark.long
async def test_approved_draft_waits_for_its_time(people, planned):
    """All changes between the approval and the time that it was scheduled for; none of it counts."""
    application, plan_id, now = people.application, new_id("PLAN"), datetime.now(UTC)
    approvals, orchestrator = application.state.approvals, application.orchestrator
    asked = request(DeploymentKind.DEPLOY, version="v1", interaction_id=plan_id, needs_approval=True)
    plan = await orchestrator.plan(asked)
    asked = replace(asked, plan_digest=plan.digest)
    await approvals.add(with_expiry(PlanRecord(plan_id, asked, plan, now, now, PlanState.CONFIRMED, DORA, now)))
    waiting = await orchestrator.run(asked)
    await application.state.drafts.schedule(waiting.id, ANNA, now + timedelta(hours=1))
    change_all(planned, "2")
    await application.schedule.begin_due()
    assert planned.containers() == []
    scheduled = await approvals.get(plan_id)
    await approvals.add(replace(scheduled, request=replace(scheduled.request, starts_at=now)))
    await application.schedule.begin_due()
    done = succeeded(await orchestrator.wait(waiting.id))
    assert done.request.approved_by == ANNA
    assert found(planned) == EXPECTED
    await application.schedule.begin_due()
    assert len(await application.state.deployments.list("dev")) == 1


async def recreate_network(stack, people, monkeypatch):
    network = stack.client.networks.get(f"{stack.project()}_inner")
    for container in stack.containers():
        network.disconnect(container, force=True)
    network.remove()
    stack.client.networks.create(f"{stack.project()}_inner", labels=network.attrs["Labels"])


async def take_image(stack, people, monkeypatch):
    image = stack.client.images.get(f"{REPOSITORY}:mine")
    for tag in image.tags:
        stack.client.images.remove(tag, force=True)


async def change_settings(stack, people, monkeypatch):
    orchestrator = people.application.orchestrator
    other = replace(orchestrator.environment("dev"), observation_seconds=0.3)
    monkeypatch.setattr(orchestrator, "_environments", {"dev": other})


async def change_policy(stack, people, monkeypatch):
    policy = people.application.stacks._parts.policy
    monkeypatch.setattr(policy, "allowed", (*policy.allowed, "cap_add:web"))


async def deploy_another(stack, people, monkeypatch):
    await people.succeed("v3")


async def replace_neighbour(stack, people, monkeypatch):
    stack.write(neighbours(hostname="byhand"))
    stack.manually("up", "-d", "--no-deps", "store", VERSION="v1")


def neighbours(**store):
    return {
        "web": service(healthcheck=None, networks=["inner"]),
        "store": service(healthcheck=None, networks=["inner"], image=f"{REPOSITORY}:v1", **store),
    }


WORLD = {
    recreate_network: "network",
    change_settings: "settings",
    change_policy: "policy",
    deploy_another: "is on another release than when this was planned",
    replace_neighbour: "store changed since this was planned",
    take_image: "The images of web are gone",
}


@pytest.mark.long
async def test_changed_world_voids_the_draft(people, stack, images, sample_image, monkeypatch):
    """Each thing that a draft names is as it was, or nothing is touched; what is in files is no part of it."""
    sample_image(f"{REPOSITORY}:mine", version="mine")
    top = {"networks": {"inner": {}}}
    original = stack.write
    stack.write = lambda services, **more: original(services, **(top | more))
    stack.write(neighbours())
    await people.succeed("v1")
    for change, told in WORLD.items():
        with monkeypatch.context() as patch:
            waiting = await drafted(people, "mine")
            await change(stack, people, patch)
            before = stack.ids()
            ended = await approved(people, waiting)
            assert ended.outcome is Outcome.CANCELLED, (change, ended.problem)
            assert ended.problem.key == DraftVoidError.key
            assert told in ended.problem.message, change
            assert stack.ids() == before, change
        stack.write(neighbours())
        await people.succeed("v1")


@pytest.mark.long
async def test_settings_void_the_confirmation(people, planned, images, monkeypatch):
    """What is not copied is compared when the plan is confirmed: the settings, the policy, the release."""
    orchestrator = people.application.orchestrator
    asked = request(DeploymentKind.DEPLOY, version="v1")
    for change in (change_settings, change_policy):
        plan = await orchestrator.plan(asked)
        with monkeypatch.context() as patch:
            await change(planned, people, patch)
            with pytest.raises(ImageChangedError, match="settings"):
                await orchestrator.start(replace(asked, plan_digest=plan.digest))
    plan = await orchestrator.plan(asked)
    await people.succeed("v1")
    with pytest.raises(ImageChangedError, match="on another release than when this was planned: r1"):
        await orchestrator.start(replace(asked, plan_digest=plan.digest))


@pytest.mark.long
async def test_rollback_has_the_credentials_of_its_plan(people, stack, images):
    """A rollback takes today's credentials: those that were there when it was planned."""
    files = {"password": "first", ".env": "DB_PASSWORD=first-1\n", "settings.ini": "a=1"}
    for path, text in files.items():
        stack.put(path, text)
    web = {"secrets": ["password"], "configs": ["settings"], "environment": {"DB_PASSWORD": "${DB_PASSWORD}"}}
    stack.write({"web": alone(healthcheck=None, **web)}, **TOP)
    await people.succeed("v1")
    await people.succeed("v2")
    for path, text in files.items():
        stack.put(path, text.replace("first", "planned").replace("1", "2"))
    waiting = await drafted(people, None)
    for path, text in files.items():
        stack.put(path, text.replace("first", "later").replace("1", "3"))
    succeeded(await approved(people, waiting))
    assert stack.images() == {"web-1": images["v1"]}
    assert stack.read("web", "/run/secrets/password") == "planned"
    assert stack.variables("web")["DB_PASSWORD"] == "planned-2"
    assert stack.read("web", "/settings") == "a=1", "that is configuration of the release"
