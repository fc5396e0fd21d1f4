"""What cannot be deployed is refused with words that a person can act on, before anything changes: v1 goes on."""

import pytest

from roas.errors import InvalidRequestError
from roas.models.deployment import Outcome
from roas.models.phases import PhaseName
from testbed.ports import free_port
from tests.e2e.acceptance.one_stack import application, on_v1, stack, standing
from tests.e2e.acceptance.people import told
from tests.e2e.acceptance.stack import REPOSITORY, alone, service

pytestmark = pytest.mark.asyncio(loop_scope="module")
__all__ = ["application", "on_v1", "stack", "standing"]


async def test_missing_image_fails_before_changes(people, stack, images, on_v1):
    deployment = await people.deploy("v99")
    assert deployment.outcome is Outcome.FAILED
    assert f"{REPOSITORY}:v99" in deployment.problem.message
    assert "not on this machine" in deployment.problem.message
    assert "registry" in deployment.problem.message
    assert "Check the image's name and the version" in deployment.problem.hint
    assert stack.ids() == on_v1


async def test_unpullable_missing_image_named(people, stack, images, on_v1):
    """An image that may not be pulled and is not on the engine is named."""
    stack.write({"store": alone(image=f"{REPOSITORY}:v1"), "web": alone(pull_policy="never")})
    deployment = await people.deploy("v99")
    assert deployment.outcome is Outcome.FAILED
    assert f"{REPOSITORY}:v99" in deployment.problem.message
    assert "pull policy" in deployment.problem.message
    assert "version" in deployment.problem.hint
    assert deployment.phase(PhaseName.VALIDATION).status == "failed"
    assert stack.ids() == on_v1


def write(**services):
    """Return what writes a stack of these services beside the store."""
    return lambda stack: stack.write({"store": alone(image=f"{REPOSITORY}:v1"), **services})


@pytest.mark.parametrize(
    ("change", "named", "advice"),
    [
        pytest.param(
            lambda stack: stack.put("docker-compose.yml", "services:\n  web:\n    image: [\n"),
            ("docker-compose.yml", "line"),
            "docker compose config",
            id="invalid file, with the position",
        ),
        pytest.param(write(web=alone(imagee="x")), ("docker-compose.yml", "imagee"), "", id="unknown key"),
        pytest.param(
            lambda stack: (stack.folder / "docker-compose.yml").unlink(),
            ("stack/docker-compose.yml",),
            "STACK_DIR",
            id="missing file",
        ),
        pytest.param(
            write(web=alone(environment={"DSN": "${DATABASE_URL:?where is the database}"})),
            ("DATABASE_URL", "where is the database"),
            "env file",
            id="missing variable",
        ),
        pytest.param(write(a=alone(depends_on=["b"]), b=alone(depends_on=["a"])), ("a", "b", "depend"), "", id="cycle"),
        pytest.param(write(web=alone(privileged=True)), ("privileged", "web"), "", id="what the policy forbids"),
    ],
)
async def test_file_that_cannot_be_deployed_is_refused(people, stack, images, on_v1, change, named, advice):
    change(stack)
    deployment = await people.deploy("v2")
    assert deployment.outcome is Outcome.FAILED
    assert [word for word in named if word not in told(deployment)] == []
    assert advice in deployment.problem.hint
    assert stack.ids() == on_v1


async def test_occupied_host_port_named_with_holder(people, stack, images, on_v1):
    port = free_port()
    taken = stack.client.containers.run(
        f"{REPOSITORY}:v1", detach=True, name=f"{stack.base_name}-holder", ports={"8080/tcp": ("127.0.0.1", port)}
    )
    try:
        stack.write({"web": service(ports=[f"127.0.0.1:{port}:8080"])})
        deployment = await people.deploy("v2")
        assert deployment.outcome is Outcome.FAILED
        assert str(port) in deployment.problem.message
        assert f"{stack.base_name}-holder" in deployment.problem.message
        assert stack.ids() == on_v1
    finally:
        taken.remove(force=True)


async def test_rollback_without_earlier_release_refused(people, stack, images, on_v1):
    with pytest.raises(InvalidRequestError) as refused:
        await people.rollback()
    assert "no release before" in refused.value.message
    assert "roas releases dev" in refused.value.hint


async def test_unknown_service_refused_with_known_ones(people, stack, images, on_v1):
    deployment = await people.deploy("v2", services=("wbe",))
    assert deployment.outcome is Outcome.FAILED
    assert "wbe" in deployment.problem.message
    assert "store, web" in deployment.problem.hint
    assert stack.ids() == on_v1
