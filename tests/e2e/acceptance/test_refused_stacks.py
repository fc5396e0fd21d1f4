"""What is refused is refused before anything is asked of anybody: the engine, the network, another environment."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from campaigns.hostile.corpus import PLAIN, cases, compose_file
from roas.errors import ComposePolicyError
from roas.models.deployment import DeploymentKind
from tests.e2e.acceptance.people import request
from tests.e2e.acceptance.stack import service

BY_ADDRESS = (
    "include: ['http://{at}/x.yml']\nservices: {{web: {{image: x}}}}",
    "include: ['oci://{at}/x']\nservices: {{web: {{image: x}}}}",
    "services: {{web: {{image: x, extends: {{file: 'git@{at}:x.git', service: web}}}}}}",
    "services: {{web: {{image: x, build: 'http://{at}/x.git'}}}}",
    "services: {{web: {{image: x, build: {{context: app, additional_contexts: {{x: 'http://{at}/x'}}}}}}}}",
    "services: {{web: {{image: x, build: {{context: app, cache_to: ['type=registry,ref={at}/x']}}}}}}",
    "services: {{web: {{image: x, logging: {{driver: syslog, options: {{syslog-address: 'tcp://{at}'}}}}}}}}",
    "services: {{web: {{image: x, logging: {{driver: fluentd, options: {{fluentd-address: '{at}'}}}}}}}}",
    "services: {{web: {{image: x, logging: {{driver: splunk, options: {{splunk-url: 'http://{at}'}}}}}}}}",
    "services: {{web: {{image: x, x-deploy: {{probe: 'http://{at}/admin?delete=all'}}}}}}",
    "services: {{web: {{image: x, x-deploy: {{probe: 'redis://{at}'}}}}}}",
)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Whoever connects to it waits there."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


def stacks(at: str) -> Iterator[tuple[str, str]]:
    """Yield compose files that are refused, one for each key of which the corpus has something hostile."""
    hostile = {case.key: case for case in cases(1) if case.hostile and case.spelled == PLAIN}
    yield from ((key, compose_file([case])) for key, case in sorted(hostile.items()))
    yield from (("an address", text.format(at=at)) for text in BY_ADDRESS)


def there(client) -> set[str]:
    """Name all that the engine has."""
    listed = (client.containers.list(all=True), client.networks.list(), client.volumes.list(), client.images.list())
    return {one.id for kind in listed for one in kind}


async def refusal(people, *, deploying: bool) -> str:
    """Return what is said to who asks for a plan, or at once for the deployment."""
    if deploying:
        done = await people.deploy("v2")
        return done.problem.message if done.problem is not None else ""
    with pytest.raises(ComposePolicyError) as refused:
        await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
    return refused.value.message


async def test_refused_stack_reaches_nobody(people, stack, images, listener):
    stack.write({"web": service()})
    await people.succeed("v1")
    for name in ("app/Dockerfile", "data/a", "own.txt", "more.yml"):
        stack.put(name, "FROM x\n")
    for name, target in (("link", "/etc"), ("chain", "link")):
        (stack.folder / name).symlink_to(target)
    (stack.folder / "state").mkdir()
    before, since = there(stack.client), datetime.now(UTC).timestamp()
    asked = 0
    for key, text in stacks(f"127.0.0.1:{listener.getsockname()[1]}"):
        (stack.folder / "docker-compose.yml").write_text(text)
        message = await refusal(people, deploying=key == "an address")
        assert "asks for something that is not allowed here" in message, (key, message)
        asked += 1
    assert asked > 40
    assert there(stack.client) == before
    until = datetime.now(UTC).timestamp()
    seen = list(stack.client.events(since=since, until=until, decode=True))
    assert [one["Action"] for one in seen if not one["Action"].startswith(("exec_", "health_status"))] == []
    with pytest.raises(BlockingIOError):
        listener.accept()
