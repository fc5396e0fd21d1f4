"""The configuration of a proxy that runs is changed in place, and checked before: nobody is cut off."""

import asyncio

import pytest

from roas.errors import ComposeFileError
from roas.models.deployment import DeploymentKind
from roas.models.plan import ServiceAction
from testbed.waiting import wait_until
from tests.e2e.acceptance.behind_proxy import (
    QUICK,
    RATE,
    admin,
    orders,
    proxy_images,
    slow_request,
    websocket,
    whole,
    write,
)
from tests.e2e.acceptance.people import request, succeeded
from tools.campaigns.requests.users import users

pytestmark = pytest.mark.long

__all__ = ["orders", "proxy_images", "write"]

MORE = "\nbackend more\n    server one 127.0.0.1:1\n"
# Only the service's own container knows that name: the check of its file does not.
NAMED = {"image: haproxy:3.0": "image: haproxy:3.0\n    extra_hosts: ['logs.lan:127.0.0.1']"}
LOGS = ("global\n", "global\n    log logs.lan:514 local0\n")


async def planned(people, version="v1"):
    """Return the plan of deploying a version, and what it does to the proxy."""
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version=version))
    return plan, next((service.action for service in plan.services if service.service in {"haproxy", "caddy"}), None)


async def test_haproxy_reads_its_configuration_again(people, stack, write, orders):
    """Neither container is another one, who is connected stays so, and a rollback goes back the same way."""
    port = write("HAProxy", **QUICK, **NAMED)
    configuration = stack.folder / "haproxy.cfg"
    good = configuration.read_text()
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    before = stack.ids()
    taken_out, (address, _) = next(iter(admin(stack).states().items()))
    admin(stack).ask(f"set server web/{taken_out} state maint")
    reader, writer, _ = await websocket(port)
    with users(port, rate=RATE) as seen:
        configuration.write_text(good.replace(*LOGS) + MORE)
        assert (await planned(people))[1] is ServiceAction.RELOAD
        await people.succeed("v1")
        assert "more" in admin(stack).ask("show backend")
        (aside,) = admin(stack).set_aside()
        assert admin(stack).states()[aside.removeprefix("web/")][0] == address, "a person took its container out"
        admin(stack).ask(f"set server {aside} state ready")
        assert (await planned(people))[1] is ServiceAction.KEEP
        for broken, why in {
            good.replace("bind :8080", "bind nowhere"): "haproxy refuses its new configuration: .*nowhere",
            good.replace("web 2-6", "web 2-3"): "has 3 servers, and a deployment needs 4",
        }.items():
            configuration.write_text(broken)
            with pytest.raises(ComposeFileError, match=f"(?s){why}"):
                await planned(people)
            with pytest.raises(ComposeFileError, match=f"(?s){why}"):
                await planned(people, "v2")
        configuration.write_text(good)
        succeeded(await people.rollback())
        assert "more" not in admin(stack).ask("show backend")
    assert stack.ids() == before
    assert not seen.lost, seen.report
    assert not seen.twice(orders)
    assert await asyncio.to_thread(wait_until, lambda: whole(stack), 10)
    assert not reader.at_eof()
    writer.close()


async def test_caddy_reads_its_configuration_again(people, stack, write, orders):
    port = write("Caddy", **QUICK)
    configuration = stack.folder / "Caddyfile"
    good = configuration.read_text()
    await people.succeed("v1")
    before = stack.ids()
    with users(port, rate=RATE) as seen:
        configuration.write_text(good.replace("reverse_proxy", "header X-More yes\n    reverse_proxy"))
        assert (await planned(people))[1] is ServiceAction.RELOAD
        await people.succeed("v1")
        reader, writer = await slow_request(port, 0)
        assert b"x-more: yes" in (await reader.read()).lower()
        writer.close()
        configuration.write_text(good.replace("reverse_proxy", "reverse_prox"))
        with pytest.raises(ComposeFileError, match=r"(?s)caddy refuses its new configuration: .*reverse_prox"):
            await planned(people)
    assert stack.ids() == before
    # Caddy closes idle connections of clients, one of which may just be about to send.
    assert set(seen.report["failures"]) <= {"closed before its answer"}, seen.report
    assert seen.lost <= 1, seen.report
