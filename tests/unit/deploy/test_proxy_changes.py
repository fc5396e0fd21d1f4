"""What a release changes of the proxies in front of its services: told once more, or refused."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roas.cli.running import ExitCode, code_of_fault
from roas.deploy.proxy_changes import (
    refuse_unready_proxies,
    warn_of_dropped,
    with_dropped_proxies,
    with_gaps,
    with_gaps_on_the_way_back,
)
from roas.errors import ComposeFileError, ProxyError
from roas.models.environment import Environment
from roas.models.health import ContainerSnapshot, ContainerState, HealthStatus
from roas.models.plan import Plan, ServiceAction, ServicePlan
from roas.models.rollout import RolloutPolicy
from roas.models.stack import Dependency, ServiceDefinition, ServiceProxy
from roas.stack.model.x_deploy.proxy import lossy_updates
from tests.unit.one_stack import OneStack

HAPROXY = ServiceProxy("haproxy", backends=("web",))
CONTAINER = ContainerSnapshot("c", "c", "web", ContainerState.RUNNING, HealthStatus.HEALTHY, "i", "web:v1", "old")


def service(name: str, *on: str, proxy: ServiceProxy | None = None) -> ServiceDefinition:
    return ServiceDefinition(name, name, "", tuple(Dependency(name, item) for item in on), proxy=proxy)


def plan(**actions: ServiceAction) -> Plan:
    services = tuple(ServicePlan(name, action) for name, action in actions.items())
    return Plan("dev", "v2", 1, None, services, tuple(actions), (), "")


def test_dropped_proxy_is_told_once_more():
    now = {"web": service("web"), "api": service("api", proxy=HAPROXY), "new": service("new")}
    before = {"web": service("web", proxy=HAPROXY), "api": service("api", proxy=ServiceProxy("other"))}
    found = with_dropped_proxies(now, {}, before)
    assert (found["web"].proxy.service, found["web"].proxy.is_dropped) == ("haproxy", True)
    assert (found["api"], found["new"]) == (now["api"], now["new"])


@pytest.mark.parametrize(("action", "warned"), [(ServiceAction.RECREATE, 2), (ServiceAction.KEEP, 0)])
def test_dropped_proxy_is_told_in_the_plan(action, warned):
    now, before = {"web": service("web")}, {"web": service("web", proxy=HAPROXY)}
    assert len([*warn_of_dropped(plan(web=action), now, before)]) == warned


class Unknowing(OneStack):
    """Be an engine whose proxy has not the backend that it is asked for."""

    def in_front_of(self, *_: object) -> "Unknowing":
        return self

    async def examine(self, servers: int) -> tuple[str, ...]:
        raise ProxyError("The proxy has no backend web.")


@pytest.mark.parametrize(
    ("actions", "needs", "refused"),
    [
        ({"web": ServiceAction.RECREATE, "haproxy": ServiceAction.RECREATE}, (), True),
        ({"web": ServiceAction.RECREATE, "haproxy": ServiceAction.RECREATE}, ("between",), False),
        ({"web": ServiceAction.RECREATE, "haproxy": ServiceAction.KEEP}, (), False),
        ({"web": ServiceAction.KEEP, "haproxy": ServiceAction.RECREATE}, (), False),
        ({"web": ServiceAction.CREATE, "haproxy": ServiceAction.RECREATE}, (), False),
    ],
    ids=["together", "the proxy first", "the proxy stays", "the proxy alone", "a new service"],
)
async def test_what_the_proxy_does_not_know_yet_is_refused(tmp_path, actions, needs, refused):
    components = cast("Any", SimpleNamespace(stacks=Unknowing()))
    definitions = {
        "web": service("web", *needs, proxy=HAPROXY),
        "between": service("between", "haproxy"),
        "haproxy": service("haproxy"),
    }
    environment = Environment("dev", "shop", tmp_path, ())
    if not refused:
        await refuse_unready_proxies(components, environment, plan(**actions), definitions)
        return
    with pytest.raises(ComposeFileError, match="haproxy that runs cannot be told of web: The proxy has no backend web"):
        await refuse_unready_proxies(components, environment, plan(**actions), definitions)


class Short(Unknowing):
    """Be an engine whose proxy runs, and has fewer servers than a deployment needs."""

    async def examine(self, servers: int) -> tuple[str, ...]:
        return (f"The backend web of haproxy has 1 server, and a deployment needs {servers}.",) if servers > 1 else ()


async def test_too_few_servers_of_the_running_proxy_are_refused_in_the_plan(tmp_path):
    """Nothing is changed, and a script reads code 6."""
    components = cast("Any", SimpleNamespace(stacks=Short()))
    environment = Environment("dev", "shop", tmp_path, ())
    definitions = {"web": service("web", proxy=HAPROXY), "haproxy": service("haproxy")}
    with pytest.raises(ComposeFileError, match="has 1 server, and a deployment needs 2") as refused:
        await refuse_unready_proxies(components, environment, plan(web=ServiceAction.RECREATE), definitions)
    assert (refused.value.service, code_of_fault(refused.value.key)) == ("web", ExitCode.REFUSED)
    assert ExitCode.REFUSED == 6
    await refuse_unready_proxies(components, environment, plan(web=ServiceAction.KEEP), definitions)


@pytest.mark.parametrize(
    ("unnamed_volumes", "told"), [(False, "fewer of them answer"), (True, "nothing answers until the new ones")]
)
def test_plan_says_that_unnamed_volumes_have_all_replaced_at_once(unnamed_volumes, told):
    """The files say that one is replaced at a time; what Compose passes on, it does for all of them."""
    web = replace(service("web", proxy=HAPROXY), replicas=2, update=RolloutPolicy(parallelism=1))
    there = replace(CONTAINER, unnamed_volumes=unnamed_volumes)
    planned = plan(web=ServiceAction.RECREATE).with_warnings(*lossy_updates({"web": web}), "another")
    warnings = with_gaps(planned, {"web": web}, lambda _: [there]).warnings
    assert [text for text in warnings if told in text], warnings
    assert len(warnings) == 2
    assert with_gaps(planned, {"web": replace(web, start_first=True)}, lambda _: [there]) == planned


def test_rollback_says_that_nothing_answers():
    """As `rollback_config` has it, which is another one than that of the way there."""
    web = replace(service("web", proxy=HAPROXY), start_first=True)
    going = plan(web=ServiceAction.RECREATE)
    (told,) = with_gaps_on_the_way_back(going, {"web": web}, lambda _: [CONTAINER]).warnings
    assert "nothing answers until the new ones are healthy" in told
    back = replace(web, rollback=RolloutPolicy(parallelism=1), replicas=2)
    (told,) = with_gaps_on_the_way_back(going, {"web": back}, lambda _: [CONTAINER]).warnings
    assert "fewer of them answer" in told
    staying = plan(web=ServiceAction.KEEP)
    assert with_gaps_on_the_way_back(staying, {"web": web}, lambda _: [CONTAINER]) == staying
