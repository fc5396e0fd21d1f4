"""Whatever way a service fails, its alert says how, it is recovered by what helps, and its end is told."""

import asyncio

import pytest

from roas.app.application import open_application
from roas.health import collector
from roas.models.alert import RecoveryStatus, Severity
from roas.models.health import Verdict
from roas.models.state_change import ChangeType
from testbed.ports import free_port
from tests.e2e.acceptance.stack import CHECK, WATCHED_CHECK, alone, service
from tests.e2e.acceptance.trouble import alert_that, inside, is_over, kill_process, of_services, until

pytestmark = pytest.mark.long

ALWAYS_WELL = CHECK | {"test": ["CMD", "true"]}
# They do their work until somebody says so by a pipe, which is there once only: then one eats more memory than it may
# have, and the other crashes whenever it is started.
UNTIL_TOLD = "/serve & mkfifo /tmp/told && read _ </tmp/told; "
GLUTTON = UNTIL_TOLD + "exec dd if=/dev/zero of=/dev/null bs=256M"
CRASHING = UNTIL_TOLD + "exit 4"
TELL = ("sh", "-c", "echo now >/tmp/told")


@pytest.fixture
async def maintained(application, people):
    """Guard what is deployed."""
    await application.maintenance.start()
    return application


def about(name, holds=lambda _: True):
    """Ask about the alerts of one service."""
    return lambda one: one.service == name and holds(one)


async def test_each_way_to_fail_is_recovered_by_what_helps(maintained, people, stack, monkeypatch):
    """One service for each way, and all fail at once."""
    monkeypatch.setattr(collector, "EVERY_SECONDS", 0.6)
    port = free_port()
    stack.write(
        {
            "dead": alone(),
            "hungry": alone(command=["/bin/sh", "-c", GLUTTON], init=None, mem_limit="16m", memswap_limit="16m"),
            "crashing": alone(command=["/bin/sh", "-c", CRASHING], init=None, restart="always"),
            "ill": alone(healthcheck=WATCHED_CHECK),
            "silent": service(
                healthcheck=ALWAYS_WELL,
                ports=[f"127.0.0.1:{port}:8080"],
                **{"x-deploy": {"probe": f"http://127.0.0.1:{port}/health"}},
            ),
        }
    )
    await people.succeed("v1")
    await asyncio.gather(
        dead_process_alerts_and_restarts(maintained, stack),
        out_of_memory_service_recreated(maintained, stack),
        restart_loop_is_one_alert_and_recreated(maintained, stack),
        failed_health_check_restarts_service(maintained, stack),
        failed_probe_restarts_healthy_service(maintained, stack, port),
    )


async def dead_process_alerts_and_restarts(maintained, stack):
    before = asyncio.get_running_loop().time()
    kill_process(stack, "dead")
    raised = await alert_that(maintained, about("dead"))
    assert asyncio.get_running_loop().time() - before < 20.0, "the slow look behind the events comes after 30"
    assert raised.summary == "dead has ended with code 137.", "whether the event was seen first, or a look"
    over = await alert_that(maintained, about("dead", is_over))
    assert (over.id, over.healing, over.actions) == (raised.id, RecoveryStatus.SUCCEEDED, ("restart: recovered",))
    # A signal that asks for a reload does not ask for its end.
    await asyncio.to_thread(stack.container("dead").kill, "HUP")
    await alert_that(maintained, about("dead", lambda one: len(one.actions) == 2 and is_over(one)))


async def out_of_memory_service_recreated(maintained, stack):
    await inside(stack, "hungry", *TELL)
    raised = await alert_that(maintained, about("hungry"))
    assert raised.summary.startswith("hungry "), raised.summary
    assert raised.summary.endswith("ended because it ran out of memory."), "by the event, or by a look"
    over = await alert_that(maintained, about("hungry", is_over))
    assert over.actions[-1] == "recreate from the release: recovered"
    assert len(list(filter(about("hungry"), await of_services(maintained)))) == 1


async def restart_loop_is_one_alert_and_recreated(maintained, stack):
    await inside(stack, "crashing", *TELL)
    over = await alert_that(maintained, about("crashing", is_over), seconds=60)
    assert over.actions[-1] == "recreate from the release: recovered"
    assert over.severity is Severity.HIGH
    assert len(list(filter(about("crashing"), await of_services(maintained)))) == 1


async def failed_health_check_restarts_service(maintained, stack):
    await inside(stack, "ill", "rm", "/www/health")
    raised = await alert_that(maintained, about("ill"))
    assert raised.summary == "ill fails its health check."
    over = await alert_that(maintained, about("ill", is_over))
    assert (over.id, over.actions) == (raised.id, ("restart: recovered",))


async def failed_probe_restarts_healthy_service(maintained, stack, port):
    """A service that is healthy for Docker but does not answer its probe is restarted."""

    async def is_healthy():
        return maintained.health.verdict("dev", "silent") is Verdict.HEALTHY

    await until(is_healthy)
    await inside(stack, "silent", "rm", "/www/health")
    raised = await alert_that(maintained, about("silent"))
    assert raised.summary == f"silent does not answer http://127.0.0.1:{port}."
    over = await alert_that(maintained, about("silent", is_over))
    assert (over.id, over.actions) == (raised.id, ("restart: recovered",))
    await until(is_healthy)


async def test_former_leader_stops_watching(maintained, people, stack, settings):
    """A bot that is no longer the leader leaves the watch to the other."""

    async def is_healthy():
        return other.health.verdict("dev", "web") is Verdict.HEALTHY

    async def told():
        changes = await maintained.state.changes(limit=1000)
        return [change.new for change in changes if change.type is ChangeType.SERVICE_HEALTH_CHANGED].count("unhealthy")

    async def is_watched():
        return maintained.collector.watched

    stack.write({"web": alone(healthcheck=WATCHED_CHECK)})
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
