"""A replacement behind HAProxy fails, or HAProxy itself does: nothing stays held, and people are told who failed."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from roas.errors import ComposeFileError
from roas.models.deployment import DeploymentKind, Outcome
from roas.models.rollout import Choice
from roas.stack.proxy import live_configuration
from testbed.proxy_images import web_image
from testbed.waiting import wait_until
from tests.e2e.acceptance.behind_proxy import (
    RATE,
    SOON,
    addresses,
    admin,
    edit,
    orders,
    proxy_images,
    up,
    whole,
    write,
)
from tests.e2e.acceptance.people import ANNA, request, told
from tests.e2e.acceptance.test_paused_rollouts import paused, waiting
from tools.campaigns.requests.users import users

__all__ = ["orders", "proxy_images", "write"]

PAUSES = "replicas: 2\n      update_config: {parallelism: 1, failure_action: pause}"
# Two for each replica: what failed and is let pass keeps the old one beside it.
FEW = {"server-template web 2-6": "server-template web 2-4"}
# Any image that has something to run.
STORE = """
  store:
    image: haproxy:3.0
    entrypoint: [sleep, 1h]
    environment: {NUMBER: 1}
    init: true
"""


@pytest.mark.long
async def test_failures_and_restarts_leave_nothing_held(people, stack, write, monkeypatch):
    """A release that is never ready is taken back; a restart, as `restart: true` asks for, loses no request either.

    Then the proxy itself changes, breaks, and does not answer.
    """
    needs = "depends_on: {store: {condition: service_started, restart: true}}\n    stop_grace_period: 10s"
    port = write("HAProxy", **{"stop_grace_period: 10s": needs}, **SOON, **FEW)
    edit(stack, "\n\nvolumes:\n", f"\n{STORE}\nvolumes:\n")
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    before = stack.ids()
    web_image(stack.client, "shop/web:broken", version="broken", WARMING="3600")
    taken_out = next(iter(admin(stack).states()))
    admin(stack).ask(f"set server web/{taken_out} state maint")
    with users(port, rate=RATE) as seen:
        assert (await people.deploy("broken")).outcome is Outcome.ROLLED_BACK
        assert stack.ids() == before
        assert admin(stack).set_aside() == [f"web/{taken_out}"], "a person took it out"
        admin(stack).ask(f"set server web/{taken_out} state ready")
        assert await asyncio.to_thread(wait_until, lambda: whole(stack), 5)
        await restart_is_one_after_the_other(people, stack)
    assert not seen.lost, seen.report
    assert wait_until(lambda: whole(stack), 10)
    await what_is_started_again_in_a_pause_gets_requests(people, stack)
    await renamed_backend_is_deployed_by_itself(people, stack)
    with monkeypatch.context() as patched:
        await broken_proxy_is_rolled_back(people, stack, patched)
    assert await asyncio.to_thread(wait_until, admin(stack).is_open, 10)
    await proxy_that_does_not_answer_stops_a_deployment(people, stack)


async def restart_is_one_after_the_other(people, stack):
    """Each is drained and started again."""
    before = {container.id: started_at(container) for container in stack.containers() if "-web-" in container.name}
    edit(stack, "NUMBER: 1", "NUMBER: 2")
    await people.succeed("v1")
    after = {container.id: started_at(container) for container in stack.containers() if "-web-" in container.name}
    assert before.keys() == after.keys()
    assert all(after[one] > began for one, began in before.items()), "each was started again"


async def what_is_started_again_in_a_pause_gets_requests(people, stack):
    """A rollout that pauses behind a proxy leaves nothing held: it may wait for a person for hours."""
    orchestrator = people.application.orchestrator
    edit(stack, "replicas: 2", PAUSES)
    old = addresses(stack)
    before = [container.id for container in stack.containers() if "-web-" in container.name]
    found = await paused(people.application, "broken")
    (failed,) = addresses(stack) - old
    serving = {f"web/{name}" for name, (address, _) in admin(stack).states().items() if address in old}
    free = {"web/web1", "web/web2", "web/web3", "web/web4"} - serving
    aside = {text for text in admin(stack).set_aside() if text.startswith("web/")}
    assert aside == free, "what is not well gets nothing, nor what starts in a free server"
    proxy = stack.container("haproxy")
    os.kill(proxy.attrs["State"]["Pid"], signal.SIGKILL)
    assert await asyncio.to_thread(wait_until, lambda: stack.container("haproxy").attrs["RestartCount"], 20)
    assert await asyncio.to_thread(wait_until, admin(stack).is_open, 10)
    assert {text for text in admin(stack).set_aside() if text.startswith("web/")} == free, "it has read what was held"
    assert up(stack) == old, "who served before serves from its first moment"
    stack.client.containers.get(before[0]).restart(timeout=0)
    assert wait_until(lambda: up(stack) == addresses(stack) - {failed}, 20), (admin(stack).states(), addresses(stack))
    await asyncio.to_thread(stack.container("haproxy").kill)
    await orchestrator.decide(found.id, Choice.GO_ON, ANNA)
    again = await waiting(people.application, found.id, number=2)
    assert again.pause.service == "web", "the proxy was started again, and had a moment to answer"
    await orchestrator.decide(found.id, Choice.ROLL_BACK, ANNA, pause=2)
    assert (await orchestrator.wait(found.id)).outcome is Outcome.ROLLED_BACK
    assert wait_until(lambda: whole(stack), 10)
    edit(stack, PAUSES, "replicas: 2")


async def renamed_backend_is_deployed_by_itself(people, stack):
    """Together with a new version, it would be asked for at a proxy that does not have it yet."""
    configuration = stack.folder / "haproxy.cfg"
    edit(stack, "backends: [web]", "backends: [shop]")
    configuration.write_text(configuration.read_text().replace("backend web\n", "backend shop\n"))
    with pytest.raises(ComposeFileError, match="cannot be told of web: The proxy has no backend shop") as refused:
        await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
    assert "by itself, with the version of web that runs" in refused.value.hint
    await people.succeed("v1")


async def broken_proxy_is_rolled_back(people, stack, monkeypatch):
    """One that takes no orders looks well, also to who checks it before: only who asks it then finds out."""
    monkeypatch.setattr(live_configuration, "RELOAD_SECONDS", 3.0)
    configuration = stack.folder / "haproxy.cfg"
    good = configuration.read_text()
    before = stack.ids()
    (socket,) = [line for line in good.splitlines(keepends=True) if "stats socket" in line]
    configuration.write_text(good.replace(socket, ""))
    deployment = await people.deploy("v1")
    assert deployment.outcome is Outcome.ROLLED_BACK, told(deployment)
    assert "haproxy did not take up its new configuration: its new process does not answer" in told(deployment)
    assert stack.ids() == before
    configuration.write_text(good)


async def proxy_that_does_not_answer_stops_a_deployment(people, stack):
    """Before anything is touched, once it had time to start."""
    before = stack.ids()
    socket = Path(stack.client.volumes.get(f"{stack.project()}_haproxy").attrs["Mountpoint"]) / "admin.sock"
    socket.unlink()
    deployment = await people.deploy("v2")
    assert deployment.outcome is Outcome.FAILED  # nothing was touched, so there is nothing to go back from
    assert "The proxy does not answer at" in told(deployment)
    assert stack.ids() == before


def started_at(container) -> str:
    return str(container.attrs["State"]["StartedAt"])
