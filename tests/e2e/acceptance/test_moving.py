"""Deploying, hotfixing and rolling back move what Docker runs, and nothing more than what was asked for."""

from roas.models.deployment import DeploymentKind, Outcome
from roas.models.plan import ServiceAction
from roas.stack.model.services import named_model
from roas.stack.model.store import ModelStore
from tests.e2e.acceptance.people import request, succeeded
from tests.e2e.acceptance.stack import REPOSITORY, alone, service


async def test_first_deployments_of_a_stack(people, stack, settings, images):
    """All new and healthy, nothing to change, one that was stopped, all replaced, one service less, and back."""
    web = service(
        depends_on={"store": {"condition": "service_healthy"}},
        environment={"PRICE": "5$$"},
        volumes=["./conf:/config:ro"],
        ports=["127.0.0.1::8080"],
        pull_policy="missing",
    )
    stack.write({"store": service(volumes=["data:/data"]), "web": web}, volumes={"data": {}})
    stack.put("conf/a", "1")
    deployment = succeeded(await people.deploy("v1"))
    assert stack.images() == {"store-1": images["v1"], "web-1": images["v1"]}
    assert stack.client.networks.list(names=[f"{stack.project()}_default"])
    started = {name: stack.container(name).attrs["State"]["StartedAt"] for name in ("store", "web")}
    assert started["store"] < started["web"]
    assert all(phase.status == "success" for phase in deployment.phases)
    assert (await people.application.state.releases.current("dev")).number == 1
    assert stack.container("web").attrs["Config"]["Image"] == f"{REPOSITORY}:v1", "as the file says"

    before = stack.ids()
    await people.succeed("v1")
    assert stack.ids() == before
    applied = await people.application.state.releases.applied_model("dev")
    models = ModelStore(settings.state_dir / "models")
    as_typed = named_model(models.load(applied), dict.fromkeys(("store", "web"), f"{REPOSITORY}:v1"))
    stack.manually("up", "-d", file=models.existing(models.save(as_typed)))
    assert stack.ids() == before, "Compose has nothing to change either"
    stack.container("web").stop()
    await people.succeed("v1")
    assert stack.images() == {"store-1": images["v1"], "web-1": images["v1"]}

    await people.succeed("v2")
    assert stack.images() == {"store-1": images["v2"], "web-1": images["v2"]}
    assert not set(before.values()) & set(stack.ids().values())

    stack.write({"web": service()})
    await people.succeed("v3")
    assert stack.images() == {"web-1": images["v3"]}
    succeeded(await people.rollback())
    assert stack.images() == {"store-1": images["v2"], "web-1": images["v2"]}


async def test_what_is_not_asked_for_stays(people, stack, images, long_lane):
    """A plan applies nothing, and is deployed as it was made; what is the same keeps its container, there and back."""

    def write(mode: str) -> None:
        stack.write({"store": alone(image=f"{REPOSITORY}:v1"), "web": alone(environment={"MODE": mode})})

    write("a")
    await people.succeed("v1")
    before = stack.ids()
    write("s3cret")
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
    says_what_changes(plan)
    assert stack.ids() == before
    assert len(await people.application.state.deployments.list("dev")) == 1
    assert len(await people.application.state.releases.list("dev")) == 1
    write("since then")
    succeeded(await people.deploy("v2", plan_digest=plan.digest))
    assert stack.variables("web")["MODE"] == "s3cret", "as it was planned"
    after = stack.ids()
    write("s3cret")
    await people.succeed("v2")
    assert stack.ids() == after
    assert after["store-1"] == before["store-1"]
    assert after["web-1"] != before["web-1"]
    assert stack.images() == {"store-1": images["v1"], "web-1": images["v2"]}
    for release, version in ((None, "v1"), (2, "v2")):
        succeeded(await people.rollback(to=release))
        assert stack.images() == {"store-1": images["v1"], "web-1": images[version]}
    assert stack.ids()["store-1"] == before["store-1"]
    if not long_lane:
        return
    await hotfix_makes_release(people, stack, images)
    await service_that_is_not_named_stays(people, stack, images)


async def hotfix_makes_release(people, stack, images):
    before = stack.ids()
    number = (await people.application.state.releases.current("dev")).number
    deployment = succeeded(await people.hotfix("v3", "dev"))
    assert [phase.name for phase in deployment.phases] == ["validation", "preparation", "execution", "verification"]
    assert stack.images() == {"store-1": images["v1"], "web-1": images["v3"]}
    assert stack.ids()["store-1"] == before["store-1"]
    assert (await people.application.state.releases.current("dev")).number == number + 1
    deployment = await people.hotfix("exits", "dev")
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert stack.images() == {"store-1": images["v1"], "web-1": images["v3"]}


async def service_that_is_not_named_stays(people, stack, images):
    before = stack.ids()
    stack.write({"store": alone(environment={"A": "new"}), "web": alone(environment={"A": "new"})})
    await people.succeed("v2", services=("web",))
    assert stack.ids()["store-1"] == before["store-1"]
    assert stack.images() == {"store-1": images["v1"], "web-1": images["v2"]}
    assert stack.variables("web")["A"] == "new"
    release = await people.application.state.releases.current("dev")
    assert {one.name: one.image.image_id for one in release.services} == {"store": images["v1"], "web": images["v2"]}


def says_what_changes(plan):
    changes = {one.service: one for one in plan.services}
    assert changes["store"].action is ServiceAction.KEEP
    assert changes["web"].action is ServiceAction.RECREATE
    assert changes["web"].old_image.endswith(":v1")
    assert changes["web"].new_image.endswith(":v2")
    assert any("MODE" in key for key in changes["web"].changed_keys)
    assert [line for line in plan.diff if "s3cret" in str(line)], "a value that no secret source holds is shown"
