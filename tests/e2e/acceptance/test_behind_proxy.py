"""A service with users is replaced behind a real proxy, and no request is lost: judged by the users and the proxy."""

import asyncio
import os
import signal
import subprocess
from dataclasses import replace

import pytest

from roas import limits
from roas.concurrency import pause
from roas.limits import STANDARD
from roas.models.deployment import DeploymentKind, Outcome
from roas.models.phases import PhaseName
from testbed.engine import manual_environment
from testbed.waiting import wait_until
from tests.e2e.acceptance.behind_proxy import (
    QUICK,
    RATE,
    addresses,
    admin,
    edit,
    orders,
    proxy_images,
    slow_request,
    up,
    websocket,
    whole,
    write,
)
from tests.e2e.acceptance.people import request, succeeded, told
from tests.e2e.acceptance.trouble import alert_that, is_over
from tools.campaigns.requests.users import users

__all__ = ["orders", "proxy_images", "write"]

ONE = {"replicas: 2": "replicas: 1"}
GOING_AWAY = b"\x88\x02\x03\xe9"  # a close frame with 1001


async def of_proxies(people) -> list[str]:
    """Return what `doctor` says of the proxies."""
    report = await people.application.validator.validate(people.application.environments["dev"], "v1")
    return [result.message for result in report.results if result.check == "proxies"]


async def test_haproxy_recipe_loses_no_request(people, stack, write, orders):
    """The next version listens at once and answers 503 for two seconds: DNS names it long before it is healthy.

    It comes up by `docker compose up -d`, too, which knows nothing of the bot: HAProxy finds its servers by DNS alone.
    """
    port = write("HAProxy")
    command = ["docker", "compose", "-p", stack.project(), "up", "-d"]
    subprocess.run(command, cwd=stack.folder, env=manual_environment(stack.docker_host), check=True, timeout=120)
    assert wait_until(lambda: len(up(stack)) == 2, 20)
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    for page, quick in QUICK.items():
        edit(stack, page, quick)
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="warms"))
    (web,) = (service for service in plan.services if service.service == "web")
    assert web.start_first
    assert "haproxy sends requests to the new ones before the old ones go" in web.reasons
    assert await of_proxies(people) == [""]
    with users(port, rate=RATE) as seen:
        deployment = await people.succeed("warms")
        assert whole(stack)
        succeeded(await people.rollback())
    assert whole(stack)
    assert not seen.lost, seen.report
    assert set(seen.report["versions"]) == {"v1", "warms"}
    assert not seen.twice(orders)
    assert not seen.missing(orders)
    beside = ("stays as somebody started it", "`docker compose up -d` goes by the stack's files")
    warnings = [warning for warning in deployment.warnings if not any(text in warning for text in beside)]
    assert not warnings, warnings


@pytest.mark.long
async def test_what_is_open_is_answered_closed_or_counted(people, stack, write, monkeypatch):
    """A stack on which one replacement after the other of its one container meets open connections."""
    # A service that is told to stop answers what it has: with its usual grace, nobody would see who waited.
    drain = {"        service: haproxy": "        service: haproxy\n        drain: 30s"}
    port = write("HAProxy", **drain, **QUICK, **ONE, **{"stop_grace_period: 10s": "stop_grace_period: 1s"})
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    await drain_waits_for_requests_and_not_for_websockets(people, port)
    edit(stack, "drain: 30s", "drain: 8s")
    with monkeypatch.context() as patched:
        await drain_ends_at_its_own_limit(people, stack, port, patched)
    await proxy_that_restarts_while_it_drains_is_told_again(people, stack, port)
    await stop_first_answers_what_it_has_and_is_told_of(people, stack, port)
    await dropped_proxy_is_told_once_more(people, stack, port)


async def drain_waits_for_requests_and_not_for_websockets(people, port):
    told_to_go, writer, version = await websocket(port)
    assert version == b"v1"
    reader, _ = await slow_request(port, 4)
    async with asyncio.timeout(25):
        deployment = await people.succeed("v2")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"v1")
    assert "still open" not in str([service.detail for service in deployment.services])
    assert await told_to_go.read() == GOING_AWAY
    writer.close()
    _, writer, version = await websocket(port)
    assert version == b"v2", "it finds a new container when it connects again"
    writer.close()


async def drain_ends_at_its_own_limit(people, stack, port, monkeypatch):
    """What is open then is counted. The limit of a phase is about what hangs: who waits for `drain` does not."""
    phases = (
        replace(phase, timeout_seconds=8) if phase.name is PhaseName.EXECUTION else phase for phase in STANDARD.phases
    )
    monkeypatch.setattr(limits, "COORDINATIONS", {DeploymentKind.DEPLOY: replace(STANDARD, phases=tuple(phases))})
    _, writer = await slow_request(port, 60)
    deployment = await people.succeed("v1")
    (text,) = (service.detail for service in deployment.services if service.service == "web")
    assert "1 connection to the old ones was still open" in text
    assert not admin(stack).set_aside()
    writer.close()


async def proxy_that_restarts_while_it_drains_is_told_again(people, stack, port):
    assert await asyncio.to_thread(wait_until, lambda: whole(stack), 10)
    old = addresses(stack)
    _, writer = await slow_request(port, 30)
    deploying = asyncio.create_task(people.succeed("v2"))

    def drained() -> bool:
        states = dict(admin(stack).states().values())
        return all(states.get(item, "DRAIN").startswith("DRAIN") for item in old) and len(set(states) - old) == 1

    async with asyncio.timeout(60):
        while not await asyncio.to_thread(drained):
            assert not deploying.done()
            await pause(0.02)
    proxy = stack.container("haproxy")
    await asyncio.to_thread(proxy.restart, timeout=0)
    await deploying
    assert await asyncio.to_thread(wait_until, lambda: whole(stack), 10)
    writer.close()


async def stop_first_answers_what_it_has_and_is_told_of(people, stack, port):
    """Where the file insists on it, nobody answers for a while; who was there is answered, and nothing stays held."""
    edit(stack, "replicas: 1", "replicas: 1\n      update_config: {order: stop-first}")
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v1"))
    assert any("`order: stop-first`" in warning for warning in plan.warnings), plan.warnings
    reader, _ = await slow_request(port, 4)
    await people.succeed("v1")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert answer.endswith(b"v2")
    assert wait_until(lambda: whole(stack), 10)


async def dropped_proxy_is_told_once_more(people, stack, port):
    page = stack.folder / "compose.yaml"
    edit(stack, "\n      update_config: {order: stop-first}", "")
    page.write_text(page.read_text().split("    x-deploy:")[0] + "\nvolumes:\n  haproxy: {}\n")
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
    assert [warning for warning in plan.warnings if "haproxy is told once more" in warning], plan.warnings
    assert [warning for warning in plan.warnings if "web is replaced stop-first" in warning], plan.warnings
    reader, _ = await slow_request(port, 4)
    await people.succeed("v2")
    assert (await reader.read()).endswith(b"v1"), "who was there is answered, though the proxy is dropped"
    assert not admin(stack).set_aside()


@pytest.mark.long
async def test_few_servers_are_enough_one_at_a_time(application, people, stack, write):
    """Too few stop a deployment first; rounds free what nobody uses; one at a time, one more than containers will do.

    Each new container gets into the server of the one that has just gone.
    """
    few = {"server-template web 2-6": "server-template web 2-3"}
    ends = "image: shop/web:${VERSION:-v1}\n    restart: "
    port = write("HAProxy", **few, **QUICK, **{f"{ends}unless-stopped": f'{ends}"no"'})
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    await too_few_servers_stop_deployment_first(people, stack)
    await left_drain_and_dead_container_are_mended_in_a_round(application, stack)
    edit(stack, "replicas: 2", "replicas: 2\n      update_config: {parallelism: 1}")
    with users(port, rate=RATE) as seen:
        await people.succeed("v2")
        edit(stack, "replicas: 2", "replicas: 1")
        await people.succeed("v2")
    assert not seen.lost, seen.report
    assert len(addresses(stack)) == 1
    assert whole(stack)
    reader, _ = await slow_request(port, 4)
    page = stack.folder / "compose.yaml"
    text = page.read_text()
    page.write_text(text[: text.index("  web:")] + text[text.index("volumes:\n  haproxy") :])
    await people.succeed("v2")
    assert (await reader.read()).endswith(b"v2")
    assert not addresses(stack)
    assert not admin(stack).set_aside()


async def too_few_servers_stop_deployment_first(people, stack):
    before = stack.ids()
    web, web_sockets = await of_proxies(people)
    assert web.startswith("The backend web of haproxy has 3 servers, and a deployment needs 4: raise the number of")
    assert web_sockets.startswith("The backend web-sockets of haproxy")
    deployment = await people.deploy("v2")
    assert deployment.outcome is Outcome.FAILED  # nothing was touched, so there is nothing to go back from
    assert "web of haproxy has 3 servers, and a deployment needs 4" in told(deployment)
    assert stack.ids() == before
    assert whole(stack)


async def left_drain_and_dead_container_are_mended_in_a_round(application, stack):
    for name in list(admin(stack).states())[:1]:
        admin(stack).ask(f"set server web/{name} state drain")
    (free,) = {"web1", "web2", "web3"} - admin(stack).states().keys()
    admin(stack).ask(f"set server web/{free} state drain")
    assert len(admin(stack).set_aside()) == 2
    await application.maintenance.start()
    try:
        assert await asyncio.to_thread(wait_until, lambda: whole(stack), 15)
        dead = next(container for container in stack.containers() if "-web-" in container.name)
        os.kill(dead.attrs["State"]["Pid"], signal.SIGKILL)
        recovered = await alert_that(application, is_over)
        assert recovered.actions == ("restart: recovered",)
        assert await asyncio.to_thread(wait_until, lambda: whole(stack) and len(up(stack)) == 2, 15)
    finally:
        await application.maintenance.stop()


@pytest.mark.long
async def test_replica_more_gets_no_request_before_it_is_ready(people, stack, write):
    """Also of a service that is replaced stop-first: DNS names the new one while it answers 503."""
    stop_first = "replicas: 1\n      update_config: {order: stop-first}"
    port = write("HAProxy", **QUICK, **{"replicas: 2": stop_first})
    await people.succeed("warms")
    assert wait_until(lambda: whole(stack), 10)
    edit(stack, "replicas: 1", "replicas: 2")
    with users(port, rate=5 * RATE) as seen:
        await people.succeed("warms")
        assert len(up(stack)) == 2
    assert not seen.lost, seen.report


@pytest.mark.long
async def test_caddy_recipe_serves_throughout(people, stack, write, orders):
    port = write("Caddy", **QUICK)
    await people.succeed("v1")
    reader, writer, version = await websocket(port)
    assert version == b"v1"
    with users(port, rate=RATE) as seen:
        await people.succeed("v2")
        assert await reader.read() == GOING_AWAY
        writer.close()
        _, writer, version = await websocket(port)
        assert version == b"v2"
        writer.close()
    assert not seen.lost, seen.report
    assert set(seen.report["versions"]) == {"v1", "v2"}
    assert not seen.twice(orders)
