"""A new version earns its traffic behind a real HAProxy: judged by the users, the proxy and the containers."""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from roas.app.application import open_application
from roas.concurrency import pause
from roas.metrics.bot_metrics import Metrics
from roas.metrics.prometheus import read_figure
from roas.models.canary import CanaryRecord, Period
from roas.models.deployment import Deployment, DeploymentKind, Outcome, ServiceProgress
from roas.models.rollout import Choice
from roas.stack.updating.canary import service_canary
from testbed.ports import free_port
from testbed.proxy_images import web_image
from testbed.waiting import wait_until
from tests.e2e.acceptance.behind_proxy import QUICK, addresses, admin, orders, proxy_images, whole, write
from tests.e2e.acceptance.conftest import settings_for
from tests.e2e.acceptance.people import ANNA, People, request, told
from tests.e2e.acceptance.stack import alone
from tests.e2e.acceptance.test_paused_rollouts import waiting
from tools.campaigns.requests.users import users

__all__ = ["orders", "proxy_images", "write"]

PROXY = "      proxy:\n        service: haproxy"
RATE = 150


def canary(**settings: object) -> dict[str, str]:
    """Return what writes a canary into the recipe."""
    lines = "".join(f"        {key}: {value}\n" for key, value in settings.items())
    return {PROXY: f"      canary:\n{lines}{PROXY}"}


@pytest.fixture(scope="session")
def failing_versions(docker_client, proxy_images) -> None:
    web_image(docker_client, "shop/web:slow", version="slow", TAKES_MS="100")
    web_image(docker_client, "shop/web:leaks", version="leaks", FAILS_PERCENT="40", FAILS_FROM="30")
    for percent in (5, 20, 40):
        web_image(docker_client, f"shop/web:fails{percent}", version=f"fails{percent}", FAILS_PERCENT=str(percent))


def of_web(deployment: Deployment) -> ServiceProgress:
    (progress,) = (service for service in deployment.services if service.service == "web")
    return progress


def weights(stack) -> set[str]:
    try:
        lines = [line.split() for line in admin(stack).ask("show servers state web").splitlines()]
    except OSError:  # it is not there, or being started
        return set()
    return {line[7] for line in lines if len(line) > 7 and line[0].isdigit()}


async def test_canary_promotes_what_is_good_and_takes_back_what_is_worse(people, stack, write, failing_versions):
    """In a step of half of the requests, and another version that fails two of five of them."""
    port = write("HAProxy", **QUICK, **canary(weight=30, pause="1s", deadline="60s"), **{"replicas: 2": "replicas: 1"})
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    plan = await people.application.orchestrator.plan(request(DeploymentKind.DEPLOY, version="v2"))
    (web,) = (service for service in plan.services if service.service == "web")
    assert "first a canary with 30 % of the requests, for 1s each at least (a hotfix has none)" in web.reasons
    with users(port, rate=RATE) as seen:
        deployment = await people.succeed("v2")
        assert of_web(deployment).rollout.canary.step == 1, "it has passed its only step"
        assert (whole(stack), weights(stack)) == (True, {"1"})
        before = addresses(stack)
        failed = await people.deploy("fails40")
        assert failed.outcome is Outcome.ROLLED_BACK
        assert addresses(stack) == before, "the old containers were there all the time"
    assert "web failed: its new version is worse: " in told(failed)
    (lost,) = re.findall(r"is worse: (\d+) of \d+ requests failed, 0 of \d+ on the old version", told(failed))
    # Those, and what came until the proxy was told.
    assert int(lost) <= seen.lost < int(lost) + RATE, seen.report
    assert (whole(stack), weights(stack)) == (True, {"1"})


@pytest.mark.long
async def test_slow_version_is_taken_back(people, stack, write, failing_versions, monkeypatch):
    """By HAProxy's own figures: no answer of it fails, and its health check is as quick as ever."""
    monkeypatch.setattr(service_canary, "QUERY_SECONDS", 1.0)
    checks = "[errors, response_time]"
    port = write("HAProxy", **QUICK, **canary(weight=30, pause="2s", deadline="60s", checks=checks))
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    before = addresses(stack)
    with users(port, rate=RATE):
        failed = await people.deploy("slow")
        assert failed.outcome is Outcome.ROLLED_BACK
        ((new, old),) = re.findall(r"worse: answers took (\d+) ms, (\d+) ms on the old version", told(failed))
        assert 90 <= int(new) <= 250
        assert int(old) < 50
        assert (addresses(stack), weights(stack)) == (before, {"1"})
        await people.succeed("v2")


@pytest.mark.long
async def test_version_that_leaks_is_taken_back_by_its_bake(people, stack, write, failing_versions):
    """No step was long enough to see it."""
    checks = {"weight": 30, "pause": "1s", "deadline": "20s", "bake": "90s"}
    port = write("HAProxy", **QUICK, **canary(**checks), **{"replicas: 2": "replicas: 1"})
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    with users(port, rate=RATE):
        failed = await people.deploy("leaks")
    assert failed.outcome is Outcome.ROLLED_BACK
    assert re.search(r"it got worse while it baked: \d+ of \d+ requests failed, 0 of \d+ on the old", told(failed))
    assert (whole(stack), weights(stack)) == (True, {"1"})


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_versions_are_judged_by_their_errors(people, stack, write, failing_versions):
    """Five canaries of each version, two steps each: what is good is never taken back, what is bad never promoted."""
    port = write("HAProxy", **QUICK, **canary(steps="[20, 50]", pause="2s", deadline="60s"))
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    good, bad = "v1", []
    with users(port, rate=RATE):
        for _ in range(5):
            good = "v2" if good == "v1" else "v1"
            await people.succeed(good)
            for version in ("fails5", "fails20"):
                failed = await people.deploy(version)
                bad.append((version, failed.outcome, failed.problem.message if failed.problem else ""))
                assert failed.outcome is Outcome.ROLLED_BACK, bad
                assert (whole(stack), weights(stack)) == (True, {"1"})
    print(bad)


@pytest.mark.long
async def test_canary_without_requests_asks(application, people, stack, write, failing_versions):
    """Nobody comes: a person decides; a rollback and a hotfix end it, each at once; a new bot takes it on."""
    write("HAProxy", **QUICK, **canary(steps="[10, 50]", pause="1s", deadline="2s"))
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    old = addresses(stack)
    found = await asked(application, "v2")
    assert found.pause.canary
    assert found.pause.message == (
        "The canary of web is inconclusive in step 1 of 2: nothing is known of its requests."
    )
    assert weights(stack) == {"9", "2"}
    orchestrator = application.orchestrator
    await orchestrator.decide(found.id, Choice.OBSERVE, ANNA, pause=1)
    await waiting(application, found.id, number=2)
    await asyncio.to_thread(stack.container("haproxy").restart, timeout=0)
    assert await asyncio.to_thread(wait_until, lambda: weights(stack) == {"9", "2"}, 15), "it had forgotten them"
    await orchestrator.decide(found.id, Choice.GO_ON, ANNA, pause=2)
    third = await waiting(application, found.id, number=3)
    assert "in step 2 of 2" in third.pause.message
    plan = await orchestrator.plan(request(DeploymentKind.ROLLBACK))
    assert plan.to_release == found.from_release
    ended = await people.rollback()
    assert (ended.id, ended.outcome) == (found.id, Outcome.CANCELLED)
    assert (addresses(stack), weights(stack)) == (old, {"1"})
    canary_again = await asked(application, "v2")
    hotfix = await people.hotfix("v2", environment="dev")
    assert hotfix.outcome is Outcome.SUCCEEDED, hotfix.problem
    first = await application.state.deployments.get(canary_again.id)
    assert first.outcome is Outcome.CANCELLED
    assert of_web(hotfix).rollout.canary is None
    assert (whole(stack), weights(stack)) == (True, {"1"})


@pytest.mark.long
async def test_canary_that_waits_is_taken_back_once_it_is_worse(application, people, stack, write, failing_versions):
    """Users come only after a person was asked, and that person is away."""
    port = write("HAProxy", **QUICK, **canary(steps="[10, 50]", pause="1s", deadline="2s"))
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    old = addresses(stack)
    found = await asked(application, "fails40")
    with users(port, rate=RATE):
        ended = await application.orchestrator.wait(found.id)
    assert (ended.outcome, ended.problem.key) == (Outcome.ROLLED_BACK, "service_failed"), ended.problem
    assert "its new version is worse" in ended.problem.message
    assert (addresses(stack), weights(stack)) == (old, {"1"})


async def asked(application, version: str) -> Deployment:
    started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version=version))
    return await waiting(application, started.id)


@pytest.mark.long
async def test_canary_outlives_its_process(settings, stack, write, failing_versions):
    """Another process goes on with what was counted; what it takes back is whole."""
    port = write("HAProxy", **QUICK, **canary(weight=20, pause="15s", deadline="60s"))
    with users(port, rate=RATE):
        async with open_application(settings, metrics=Metrics("test")) as application:
            people = People(application)
            await people.succeed("v1")
            started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v2"))
            async with asyncio.timeout(60):
                while (counted := await record_of(application, started.id)).total.new.requests < 20:
                    await pause(0.1)
        async with open_application(settings, metrics=Metrics("test")) as application:
            (taken,) = await application.orchestrator.resume()
            resumed = await record_of(application, taken.id)
            assert resumed.total.new.requests >= counted.total.new.requests
            assert (await application.orchestrator.wait(started.id)).outcome is Outcome.SUCCEEDED
    assert (whole(stack), weights(stack)) == (True, {"1"})


@pytest.mark.long
@pytest.mark.parametrize("typed", ["restart", "stop", "remove"])
async def test_hands_on_a_canary_blame_no_version(application, people, stack, write, failing_versions, typed):
    """Its container is restarted, stopped or removed by somebody, while users ask it: the version is good."""
    port = write("HAProxy", **QUICK, **canary(weight=20, pause="8s", deadline="90s"))
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    before = {container.id for container in stack.containers()}
    with users(port, rate=RATE):
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v2"))
        async with asyncio.timeout(60):
            while (await record_of(application, started.id)).total.new.requests < 20:
                await pause(0.1)
        (new,) = (container for container in stack.containers() if container.id not in before)
        forced = {"force": True} if typed == "remove" else {}
        await asyncio.to_thread(getattr(new, typed), **forced)
        ended = await application.orchestrator.wait(started.id)
    assert ended.outcome is Outcome.SUCCEEDED, told(ended)
    assert of_web(ended).rollout.canary.step == 1
    assert (whole(stack), weights(stack)) == (True, {"1"})


@pytest.mark.long
@pytest.mark.parametrize("begun_again", ["restart", "SIGKILL", "SIGUSR2"])
async def test_proxy_that_begins_again_blames_no_version(
    application, people, stack, write, failing_versions, begun_again
):
    """Its counters are 0 again and its weights forgotten, in the middle of a canary, several times."""
    port = write("HAProxy", **QUICK, **canary(weight=20, pause="12s", deadline="90s"))
    await people.succeed("v1")
    assert wait_until(lambda: whole(stack), 10)
    totals = [Period()]
    with users(port, rate=RATE) as seen:
        started = await application.orchestrator.start(request(DeploymentKind.DEPLOY, version="v2"))
        for _ in range(3):
            asked = totals[-1].new.requests + 20
            async with asyncio.timeout(60):
                while (total := (await record_of(application, started.id)).total).new.requests < asked:
                    totals.append(total)
                    await pause(0.1)
            totals.append(total)
            await asyncio.to_thread(begin_again, stack, begun_again)
            assert await asyncio.to_thread(wait_until, lambda: weights(stack) == {"2", "1"}, 15)
        ended = await application.orchestrator.wait(started.id)
    assert ended.outcome is Outcome.SUCCEEDED, told(ended)
    for before, after in pairwise(totals):
        assert before.new.requests <= after.new.requests
        assert before.old.requests <= after.old.requests
    assert totals[-1].new.failed == totals[-1].old.failed == 0
    assert totals[-1].new.requests + totals[-1].old.requests <= seen.report["sent"]
    assert (whole(stack), weights(stack)) == (True, {"1"})


def begin_again(stack, how: str) -> None:
    """Start the proxy again as its engine does, by its policy after a death, or let it read its configuration again."""
    proxy = stack.container("haproxy")
    if how == "restart":
        proxy.restart(timeout=0)
    elif how == "SIGKILL":
        os.kill(proxy.attrs["State"]["Pid"], signal.SIGKILL)
    else:
        proxy.kill(how)


async def record_of(application, deployment_id: str) -> CanaryRecord:
    found = await application.state.deployments.get(deployment_id)
    records = [service.rollout.canary for service in found.services if service.rollout is not None]
    return next((record for record in records if record is not None), CanaryRecord())


@pytest.fixture
async def prometheus_url(tmp_path: Path) -> AsyncIterator[str]:
    """Run a Prometheus that scrapes nothing: it has a value of each query that is a number."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    places = (f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb")
    process = await asyncio.create_subprocess_exec(
        "prometheus", *places, f"--web.listen-address=127.0.0.1:{port}", stderr=asyncio.subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(60):
            while await read_figure(url, "vector(1)") is None:
                await pause(0.1)
        yield url
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.long
async def test_canary_by_queries_needs_no_proxy(stack, images, tmp_path, prometheus_url, monkeypatch):
    """The old containers all stay beside it until it has passed; what is worse, or not known, is not promoted."""
    monkeypatch.setattr(service_canary, "QUERY_SECONDS", 0.2)

    def write(query: str) -> None:
        canary = {"steps": [50], "pause": "1s", "deadline": "5s", "checks": [{"query": query, "below": 0.3}]}
        deploy = {"replicas": 2, "update_config": {"order": "start-first"}}
        stack.write({"web": alone(deploy=deploy, **{"x-deploy": {"canary": canary}})})

    write("vector(0.1)")
    settings = settings_for(stack, tmp_path / "state", prometheus_url=prometheus_url)
    async with open_application(settings, metrics=Metrics("test")) as application:
        people = People(application)
        await people.succeed("v1")
        promoted = await people.succeed("v2")
        assert of_web(promoted).rollout.canary.step == 1
        assert set(stack.images().values()) == {images["v2"]}
        before = stack.ids()
        write("vector(1)")
        failed = await people.deploy("v3")
        assert failed.outcome is Outcome.ROLLED_BACK
        assert re.search(r"is worse: `vector\(1\)` was beyond its limit in \d+ of \d+ readings", told(failed))
        assert stack.ids() == before
        write("nobody_knows")
        found = await asked(application, "v3")
        assert found.pause.message.endswith("in step 1 of 1: Prometheus has no value of `nobody_knows`.")
        assert len(stack.containers()) == 4
        await application.orchestrator.cancel(found.id, ANNA)
        assert (await application.orchestrator.wait(found.id)).outcome is Outcome.CANCELLED
        assert stack.ids() == before
