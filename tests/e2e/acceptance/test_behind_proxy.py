"""A service with users is replaced behind a real proxy, and no request is lost: judged by the users and the proxy."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from campaigns.requests.recipe import AdminSocket, write_recipe
from campaigns.requests.users import users
from roas.concurrency import pause
from roas.engine.proxy import haproxy_service
from roas.errors import ComposeFileError
from roas.models.deployment import DeploymentKind, Outcome
from testbed.engine import manual_environment
from testbed.proxy_images import caddy_image, haproxy_image, web_image
from testbed.waiting import wait_until
from tests.e2e.acceptance.people import request, succeeded, told
from tests.e2e.acceptance.stack import free_port
from tests.e2e.acceptance.trouble import alert_that, is_over

RATE = 40
GOING_AWAY = b"\x88\x02\x03\xe9"  # a close frame with 1001


@pytest.fixture(scope="session")
def proxy_images(docker_client) -> None:
    """Make the images that the recipes name."""
    haproxy_image(docker_client, "haproxy:3.0")
    caddy_image(docker_client, "caddy:2")
    for version in ("v1", "v2"):
        web_image(docker_client, f"shop/web:{version}", version=version)
    web_image(docker_client, "shop/web:warms", version="warms", WARMING="2")


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    return tmp_path / "stack" / "orders" / "log"


@pytest.fixture
def write(stack, orders, proxy_images) -> Callable[..., int]:
    """Return what writes a recipe, with a place for the orders, and returns the port of the proxy."""

    def write(proxy: str, **changes: str) -> int:
        port = free_port()
        orders.parent.mkdir(exist_ok=True)
        place = {"    stop_grace_period:": "    volumes: [./orders:/orders]\n    stop_grace_period:"}
        write_recipe(stack.folder, proxy, port, **(place | changes))
        return port

    return write


def admin(stack) -> AdminSocket:
    volume = stack.client.volumes.get(f"{stack.project()}_haproxy")
    return AdminSocket(Path(volume.attrs["Mountpoint"]) / "admin.sock")


def addresses(stack, service: str = "web") -> set[str]:
    found = [one for one in stack.containers() if one.labels["com.docker.compose.service"] == service]
    return {f"{net['IPAddress']}:8080" for one in found for net in one.attrs["NetworkSettings"]["Networks"].values()}


def up(stack) -> set[str]:
    """Return who gets requests: nobody as long as the proxy has not opened its socket."""
    if not admin(stack).is_open():
        return set()
    return {address for address, status in admin(stack).states().values() if status == "UP"}


def whole(stack) -> bool:
    return up(stack) == addresses(stack) and not admin(stack).set_aside()


async def of_proxies(people) -> list[str]:
    """Return what `doctor` says of the proxies."""
    report = await people.application.validator.validate(people.application.environments["dev"], "v1")
    return [one.message for one in report.results if one.check == "proxies"]


async def test_haproxy_recipe_loses_no_request(people, stack, write, orders):
    """The last version listens at once and answers 503 for two seconds: DNS names it long before it is healthy."""
    port = write("HAProxy")
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
    (web,) = (one for one in plan.services if one.service == "web")
    assert web.start_first
    assert "haproxy sends requests to the new ones before the old ones go" in web.reasons
    assert await of_proxies(people) == ["haproxy can be told of containers."]
    with users(port, rate=RATE) as seen:
        deployment = await people.succeed("v2")
        assert whole(stack)
        succeeded(await people.rollback())
    assert whole(stack)
    assert not seen.lost, seen.report
    assert set(seen.report["versions"]) == {"v1", "v2"}
    assert not seen.twice(orders)
    assert not seen.missing(orders)
    assert not deployment.warnings, deployment.warnings
    with users(port, rate=RATE) as seen:
        await people.succeed("warms")
    assert not seen.lost, seen.report
    assert "warms" in seen.report["versions"]


async def test_drain_waits_for_what_is_open(people, stack, write):
    # A service that is told to stop answers what it has: with its usual grace, nobody would see who waited.
    drain = {"        service: haproxy": "        service: haproxy\n        drain: 10s"}
    port = write("HAProxy", **drain, **{"stop_grace_period: 10s": "stop_grace_period: 1s"})
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /slow?4 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
    deployment = await people.succeed("v2")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"v1")
    assert "still open" not in str([one.detail for one in deployment.services])

    page = stack.folder / "compose.yaml"
    without = page.read_text().split("    x-deploy:")[0] + "\nvolumes:\n  haproxy: {}\n"
    page.write_text(without)
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v1"))
    assert [one for one in plan.warnings if "haproxy is told once more" in one], plan.warnings
    assert [one for one in plan.warnings if "web is replaced stop-first" in one], plan.warnings
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /slow?4 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
    await people.succeed("v1")
    assert (await reader.read()).endswith(b"v2"), "who was there is answered, though the proxy is dropped"
    assert not admin(stack).set_aside()


async def test_what_is_open_after_the_limit_is_counted(people, stack, write):
    port = write("HAProxy", **{"        service: haproxy": "        service: haproxy\n        drain: 1s"})
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /slow?30 HTTP/1.1\r\nHost: shop\r\n\r\n")
    deployment = await people.succeed("v2")
    (text,) = (one.detail for one in deployment.services if one.service == "web")
    assert "1 connections to the old ones were still open" in text
    assert not admin(stack).set_aside()
    writer.close()


async def test_websocket_is_told_and_not_waited_for(people, stack, write):
    port = write("HAProxy", **{"stop_grace_period: 10s": "stop_grace_period: 40s"})
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    reader, writer, version = await websocket(port)
    assert version == b"v1"
    async with asyncio.timeout(35):
        await people.succeed("v2")
    assert await reader.read() == GOING_AWAY
    writer.close()
    reader, writer, version = await websocket(port)
    assert version == b"v2", "it finds a new container when it connects again"
    writer.close()


async def websocket(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """Open a WebSocket; returns the version that it greets with."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head
    frame = await reader.readexactly(4)
    assert frame[:2] == b"\x81\x02", "a text of two bytes"
    return reader, writer, frame[2:]


async def test_stop_first_answers_what_it_has_and_is_told_of(people, stack, write):
    """Where the file insists on it, nobody answers for a while; who was there is answered, and nothing stays held."""
    port = write("HAProxy", **{"replicas: 2": "replicas: 2\n      update_config: {order: stop-first}"})
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
    assert any("`order: stop-first`" in one for one in plan.warnings), plan.warnings
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /slow?4 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
    await people.succeed("v2")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert answer.endswith(b"v1")
    assert wait_until(lambda: whole(stack), 10)


async def test_restart_after_what_it_needs_loses_nothing(people, stack, write):
    """One after the other is drained and started again, as `depends_on` asks for with `restart: true`."""
    needs = "depends_on: {store: {condition: service_started, restart: true}}\n    stop_grace_period: 10s"
    port = write("HAProxy", **{"stop_grace_period: 10s": needs})
    page = stack.folder / "compose.yaml"
    store = "\n  store:\n    image: shop/web:v1\n    environment: {NUMBER: 1}\n    stop_grace_period: 1s\n"
    page.write_text(page.read_text().replace("\n\nvolumes:\n", f"\n{store}\nvolumes:\n", 1))
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    before = {one.id: started_at(one) for one in stack.containers() if "-web-" in one.name}
    page.write_text(page.read_text().replace("NUMBER: 1", "NUMBER: 2"))
    with users(port, rate=RATE) as seen:
        await people.succeed("v1")
    assert not seen.lost, seen.report
    after = {one.id: started_at(one) for one in stack.containers() if "-web-" in one.name}
    assert before.keys() == after.keys()
    assert all(after[one] > began for one, began in before.items()), "each was started again"
    assert wait_until(lambda: whole(stack), 10)
    taken_out = next(iter(admin(stack).states()))
    admin(stack).ask(f"set server web/{taken_out} state maint")
    page.write_text(page.read_text().replace("NUMBER: 2", "NUMBER: 3"))
    await people.succeed("v1")
    assert admin(stack).set_aside() == [f"web/{taken_out}"], "a person took it out"


def started_at(container) -> str:
    return str(container.attrs["State"]["StartedAt"])


async def test_left_drain_and_dead_container_are_mended_in_a_round(application, people, stack, write):
    """And a proxy that does not answer stops a deployment before anything is touched, once it had time to start."""
    ends = "image: shop/web:${VERSION:-v1}\n    restart: "
    write("HAProxy", **{f"{ends}unless-stopped": f'{ends}"no"'})
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    for name in list(admin(stack).states())[:1]:
        admin(stack).ask(f"set server web/{name} state drain")
    admin(stack).ask("set server web/web6 state drain")
    assert len(admin(stack).set_aside()) == 2
    await application.maintenance.start()
    try:
        assert await asyncio.to_thread(wait_until, lambda: whole(stack), 15)
        dead = next(one for one in stack.containers() if "-web-" in one.name)
        os.kill(dead.attrs["State"]["Pid"], signal.SIGKILL)
        recovered = await alert_that(application, is_over)
        assert recovered.actions == ("restart: recovered",)
        assert await asyncio.to_thread(wait_until, lambda: whole(stack) and len(up(stack)) == 2, 15)
    finally:
        await application.maintenance.stop()
    before = stack.ids()
    socket = Path(stack.client.volumes.get(f"{stack.project()}_haproxy").attrs["Mountpoint"]) / "admin.sock"
    socket.unlink()
    deployment = await people.deploy("v2")
    assert deployment.outcome is Outcome.FAILED  # nothing was touched, so there is nothing to go back from
    assert "The proxy does not answer at" in told(deployment)
    assert stack.ids() == before


async def test_too_few_servers_stop_deployment_first(people, stack, write, monkeypatch):
    write("HAProxy", **{"server-template web 6": "server-template web 3"})
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    before = stack.ids()
    web, web_sockets = await of_proxies(people)
    assert web.startswith("The backend web of haproxy has 3 servers, and a deployment needs 4: raise the number of")
    assert web_sockets.startswith("The backend web-sockets of haproxy")
    deployment = await people.deploy("v2")
    assert deployment.outcome is Outcome.FAILED  # nothing was touched, so there is nothing to go back from
    assert "has 1 free servers for 2 new containers of web" in told(deployment)
    assert stack.ids() == before
    assert whole(stack)

    # Renamed together with a new version, the backend would be asked for at a proxy that does not have it yet.
    page, configuration = stack.folder / "compose.yaml", stack.folder / "haproxy.cfg"
    page.write_text(page.read_text().replace("backends: [web]", "backends: [shop]"))
    renamed = configuration.read_text().replace("template web 3", "template web 6")
    configuration.write_text(renamed.replace("backend web\n", "backend shop\n"))
    with pytest.raises(ComposeFileError, match="cannot be told of web: The proxy has no backend shop") as refused:
        await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
    assert "by itself, with the version of web that runs" in refused.value.hint
    await people.succeed("v1")
    await people.succeed("v2")

    monkeypatch.setattr(haproxy_service, "SEEN_SECONDS", 3.0)
    configuration.write_text("frontend users\n    bind nowhere\n")
    deployment = await people.deploy("v1")
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert deployment.problem.service == "haproxy", told(deployment)
    assert "nowhere" in deployment.problem.report


async def test_failed_release_leaves_nothing_held(people, stack, write):
    port = write("HAProxy")
    await people.succeed("v1")
    web_image(stack.client, "shop/web:broken", version="broken", WARMING="3600")
    page = stack.folder / "compose.yaml"
    page.write_text(
        page.read_text().replace("start_period: 30s", "start_period: 1s").replace("interval: 5s", "interval: 1s")
    )
    await people.succeed("v1")
    before = stack.ids()
    with users(port, rate=RATE) as seen:
        deployment = await people.deploy("broken")
    assert deployment.outcome is Outcome.ROLLED_BACK
    assert stack.ids() == before
    assert not seen.lost, seen.report
    assert wait_until(lambda: whole(stack), 5)


async def test_proxy_that_restarts_while_it_drains_is_told_again(people, stack, write):
    port = write("HAProxy")
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    old = addresses(stack)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /slow?30 HTTP/1.1\r\nHost: shop\r\n\r\n")
    deploying = asyncio.create_task(people.succeed("v2"))

    async def until(what: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(what):
                assert not deploying.done()
                await pause(0.02)

    def drained() -> bool:
        states = dict(admin(stack).states().values())
        return all(states.get(one, "DRAIN").startswith("DRAIN") for one in old) and len(set(states) - old) == 2

    await until(drained)
    proxy = stack.container("haproxy")
    await asyncio.to_thread(proxy.restart, timeout=0)
    await deploying
    assert wait_until(lambda: whole(stack), 10)
    writer.close()


async def test_few_servers_fewer_replicas_and_removal_drain(people, stack, write):
    """One at a time, one server more than containers is enough; each gets into that of the one that has just gone."""
    one_at_a_time = "replicas: 2\n      update_config: {parallelism: 1}"
    port = write("HAProxy", **{"server-template web 6": "server-template web 3", "replicas: 2": one_at_a_time})
    await people.succeed("v1")
    page = stack.folder / "compose.yaml"
    with users(port, rate=RATE) as seen:
        await people.succeed("v2")
        await people.succeed("v1")
        page.write_text(page.read_text().replace("replicas: 2", "replicas: 1"))
        await people.succeed("v1")
    assert not seen.lost, seen.report
    assert len(addresses(stack)) == 1
    assert whole(stack)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /slow?4 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
    text = page.read_text()
    page.write_text(text[: text.index("  web:")] + text[text.index("volumes:\n  haproxy") :])
    await people.succeed("v1")
    assert (await reader.read()).endswith(b"v1")
    assert not addresses(stack)
    assert not admin(stack).set_aside()


async def test_caddy_recipe_serves_throughout(people, stack, write, orders):
    port = write("Caddy")
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
        succeeded(await people.rollback())
    assert not seen.lost, seen.report
    assert not seen.twice(orders)


def test_recipes_come_up_by_compose(stack, write):
    """`docker compose up -d` knows nothing of the bot; HAProxy finds its servers by DNS alone."""
    write("HAProxy")
    command = ["docker", "compose", "-p", stack.project(), "up", "-d"]
    subprocess.run(command, cwd=stack.folder, env=manual_environment(stack.docker_host), check=True, timeout=120)
    assert wait_until(lambda: len(up(stack)) == 2, 20)
