"""What is refused is refused before anything is asked of anybody: the engine, the network, another environment."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from roas.errors import ComposeFileError, ComposePolicyError
from roas.models.deployment import DeploymentKind
from roas.models.environment import PolicyLevel
from tests.e2e.acceptance.people import request
from tests.e2e.acceptance.stack import alone
from tools.campaigns.hostile.corpus import PLAIN, READ, cases, compose_file

# Of these, a file is refused as a whole, by Compose itself: they are not there, and nothing fetches them.
FILES_BY_ADDRESS = (
    "include: ['http://{at}/x.yml']\nservices: {{web: {{image: x}}}}",
    "include: ['oci://{at}/x']\nservices: {{web: {{image: x}}}}",
    "services: {{web: {{image: x, extends: {{file: 'git@{at}:x.git', service: web}}}}}}",
)
FIELDS_BY_ADDRESS = {
    "built": "build: 'http://{at}/x.git'",
    "context": "build: {{context: app, additional_contexts: {{x: 'http://{at}/x'}}}}",
    "syslog": "logging: {{driver: syslog, options: {{syslog-address: 'tcp://{at}'}}}}",
    "fluentd": "logging: {{driver: fluentd, options: {{fluentd-address: '{at}'}}}}",
    "splunk": "logging: {{driver: splunk, options: {{splunk-url: 'http://{at}'}}}}",
    "asked": "x-deploy: {{probe: 'http://{at}/admin?delete=all'}}",
    "redis": "x-deploy: {{probe: 'redis://{at}'}}",
}


@pytest.fixture
def settings(settings):
    """Refuse what no entry names."""
    return settings.model_copy(update={"compose_policy": PolicyLevel.DEFAULT})


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Whoever connects to it waits there."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


def stacks(at: str) -> Iterator[tuple[str, list[str]]]:
    """Yield compose files that are refused, and what is refused by name: hostile values of all keys, and addresses."""
    hostile = {case.key: case for case in cases(1) if case.hostile and case.spelled == PLAIN}
    yield from ((compose_file([hostile.pop(key)]), []) for key in sorted(READ))
    yield compose_file(hostile.values()), [case.name for case in hostile.values()]
    yield from ((text.format(at=at), []) for text in FILES_BY_ADDRESS)
    services = (f"  {name}: {{image: x, {text.format(at=at)}}}\n" for name, text in FIELDS_BY_ADDRESS.items())
    yield "services:\n" + "".join(services), list(FIELDS_BY_ADDRESS)


def there(client) -> set[str]:
    """Name all that the engine has."""
    listed = (client.containers.list(all=True), client.networks.list(), client.volumes.list(), client.images.list())
    return {item.id for kind in listed for item in kind}


async def refusal(people, *, deploying: bool) -> str:
    """Return what is said to who asks for a plan, or at once for the deployment."""
    if deploying:
        done = await people.deploy("v2")
        return done.problem.message if done.problem is not None else ""
    with pytest.raises((ComposePolicyError, ComposeFileError)) as refused:
        await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
    return refused.value.message


@pytest.mark.long
async def test_refused_stack_reaches_nobody(people, stack, images, listener):
    stack.write({"web": alone()})
    await people.succeed("v1")
    for name in ("app/Dockerfile", "data/a", "own.txt", "more.yml"):
        stack.put(name, "FROM x\n")
    for name, target in (("link", "/etc"), ("chain", "link")):
        (stack.folder / name).symlink_to(target)
    (stack.folder / "state").mkdir()
    before, since = there(stack.client), datetime.now(UTC).timestamp()
    named = 0
    for text, names in stacks(f"127.0.0.1:{listener.getsockname()[1]}"):
        (stack.folder / "docker-compose.yml").write_text(text)
        for deploying in (False, True):
            message = await refusal(people, deploying=deploying)
            is_fetched = f"127.0.0.1:{listener.getsockname()[1]}" in text and not names
            wanted = "is not usable" if is_fetched else "asks for something that is not allowed here"
            assert wanted in message, (text, message)
            assert [name for name in names if name not in message] == []
        named += len(names)
    assert named > 35
    assert there(stack.client) == before
    until = datetime.now(UTC).timestamp()
    seen = list(stack.client.events(since=since, until=until, decode=True))
    assert [item["Action"] for item in seen if not item["Action"].startswith(("exec_", "health_status"))] == []
    with pytest.raises(BlockingIOError):
        listener.accept()
