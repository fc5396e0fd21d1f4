"""Whatever way a service fails, its alert says how, it is recovered by what helps, and its end is told."""

import asyncio

import pytest

from roas.application import open_application
from roas.models.alert import RecoveryStatus, Severity
from roas.models.change import ChangeType
from roas.models.health import Verdict
from tests.e2e.acceptance.stack import CHECK, WATCHED_CHECK, free_port, service
from tests.e2e.acceptance.trouble import alert_that, inside, is_over, kill_process, of_services, until

ALWAYS_WELL = CHECK | {"test": ["CMD", "true"]}
# It does its work until somebody makes it eat more memory than it may have.
GLUTTON = "/serve & while [ ! -e /tmp/eat ]; do sleep 0.1; done; exec dd if=/dev/zero of=/dev/null bs=256M"
CRASHING = "/serve & while [ ! -e /tmp/crash ]; do sleep 0.1; done; exit 4"


@pytest.fixture
async def maintained(application, people):
    """Guard what is deployed."""
    await application.maintenance.start()
    return application


async def test_dead_process_alerts_and_restarts(maintained, people, stack):
    stack.write({"web": service()})
    await people.succeed("v1")
    before = asyncio.get_running_loop().time()
    kill_process(stack, "web")
    raised = await alert_that(maintained, lambda one: one.service == "web")
    assert asyncio.get_running_loop().time() - before < 20.0, "the slow look behind the events comes after 30"
    assert raised.summary == "web has ended with code 137.", "whether the event was seen first, or a look"
    over = await alert_that(maintained, is_over)
    assert (over.id, over.healing, over.actions) == (raised.id, RecoveryStatus.SUCCEEDED, ("restart: recovered",))
    # A signal that asks for a reload does not ask for its end.
    await asyncio.to_thread(stack.container("web").kill, "HUP")
    await alert_that(maintained, lambda one: len(one.actions) == 2 and is_over(one))


async def test_out_of_memory_service_recreated(maintained, people, stack):
    hungry = service(command=["/bin/sh", "-c", GLUTTON], init=None, mem_limit="16m", memswap_limit="16m")
    stack.write({"web": hungry})
    await people.succeed("v1")
    await inside(stack, "web", "touch", "/tmp/eat")
    raised = await alert_that(maintained, lambda one: one.service == "web")
    assert raised.summary.startswith("web "), raised.summary
    assert raised.summary.endswith("ended because it ran out of memory."), "by the event, or by a look"
    over = await alert_that(maintained, is_over)
    assert over.actions[-1] == "recreate from the release: recovered"
    assert len(await of_services(maintained)) == 1


async def test_restart_loop_is_one_alert_and_recreated(maintained, people, stack):
    stack.write({"web": service(command=["/bin/sh", "-c", CRASHING], init=None, restart="always")})
    await people.succeed("v1")
    await inside(stack, "web", "touch", "/tmp/crash")
    over = await alert_that(maintained, is_over, seconds=60)
    assert over.actions[-1] == "recreate from the release: recovered"
    assert over.severity is Severity.HIGH
    assert len(await of_services(maintained)) == 1


async def test_failed_health_check_restarts_service(maintained, people, stack):
    stack.write({"web": service(healthcheck=WATCHED_CHECK)})
    await people.succeed("v1")
    await inside(stack, "web", "rm", "/www/health")
    raised = await alert_that(maintained, lambda one: one.service == "web")
    assert raised.summary == "web fails its health check."
    over = await alert_that(maintained, is_over)
    assert (over.id, over.actions) == (raised.id, ("restart: recovered",))


async def test_failed_probe_restarts_healthy_service(maintained, people, stack):
    """A service that is healthy for Docker but does not answer its probe is restarted."""
    maintained.collector.probe_every(0.3)
    port = free_port()
    probe = f"http://127.0.0.1:{port}/health"
    unresponsive = service(healthcheck=ALWAYS_WELL, ports=[f"127.0.0.1:{port}:8080"], **{"x-deploy": {"probe": probe}})
    stack.write({"web": unresponsive})
    await people.succeed("v1")

    async def is_healthy():
        return maintained.health.verdict("dev", "web") is Verdict.HEALTHY

    await until(is_healthy)
    await inside(stack, "web", "rm", "/www/health")
    raised = await alert_that(maintained, lambda one: one.service == "web")
    assert raised.summary == f"web does not answer http://127.0.0.1:{port}."
    over = await alert_that(maintained, is_over)
    assert (over.id, over.actions) == (raised.id, ("restart: recovered",))
    await until(is_healthy)


async def test_former_leader_stops_watching(maintained, people, stack, settings):
    """A bot that is no longer the leader leaves the watch to the other."""

    async def is_healthy():
        return other.health.verdict("dev", "web") is Verdict.HEALTHY

    async def told():
        changes = await maintained.state.changes(limit=1000)
        return [one.new for one in changes if one.type is ChangeType.SERVICE_HEALTH_CHANGED].count("unhealthy")

    async def is_watched():
        return maintained.collector.watched

    stack.write({"web": service(healthcheck=WATCHED_CHECK)})
    await people.succeed("v1")
    await maintained.maintenance.stop()
    await people.succeed("v2")  # that one may carry a deployment nevertheless
    before = await told()
    async with open_application(settings) as other:
        await other.maintenance.start()
        await until(is_healthy)
        await inside(stack, "web", "rm", "/www/health")
        assert (await alert_that(other, is_over)).healing is RecoveryStatus.SUCCEEDED
    assert await told() == before + 1
    await maintained.maintenance.start()
    await until(is_watched)
