"""A real Prometheus scrapes the bot, and what its rule finds comes back to the bot by a real Alertmanager."""

import asyncio
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from testbed.prometheus_server import AlertmanagerServer, PrometheusServer
from tests.e2e.wire.shop import STAYS
from tests.e2e.wire.test_alerts import about_alerts, shown, title
from tests.integration.sandbox.channel import outcome, start

pytestmark = pytest.mark.wire

SHIPPED = Path(__file__).parents[3] / "monitoring" / "alertmanager" / "alertmanager.yml"
RULE = {
    "alert": "RedisAwayFromBot",
    "expr": "roas_projection_up == 0",
    "labels": {"severity": "high"},
    "annotations": {"summary": "the bot has no Redis"},
}


@pytest.fixture
def token() -> str:
    return secrets.token_hex(16)


@pytest.fixture
def alertmanager(tmp_path: Path, http_port: int, token: str) -> Iterator[AlertmanagerServer]:
    server = AlertmanagerServer(tmp_path / "alertmanager", SHIPPED, f"http://127.0.0.1:{http_port}/alerts", token)
    with server:
        yield server


@pytest.fixture
def prometheus(tmp_path: Path, http_port: int, alertmanager: AlertmanagerServer) -> Iterator[PrometheusServer]:
    target = f"127.0.0.1:{http_port}"
    server = PrometheusServer(tmp_path / "prometheus", target, RULE, f"127.0.0.1:{alertmanager.port}")
    with server:
        yield server


@pytest.fixture
def bot_settings(bot_settings, redis_server, http_port, token, prometheus):
    more = {"REDIS_URL": redis_server.url, "HTTP_PORT": str(http_port), "WEBHOOK_TOKEN": token}
    return {**bot_settings, **more, "PROMETHEUS_URL": prometheus.url}


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def metric(session: aiohttp.ClientSession, port: int, name: str) -> float:
    async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


async def scraped(session: aiohttp.ClientSession, prometheus: PrometheusServer, query: str) -> list[str]:
    async with session.get(f"{prometheus.url}/api/v1/query", params={"query": query}) as answer:
        document = await answer.json()
    return [item["value"][1] for item in document["data"]["result"]]


async def until(condition, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - other processes tell us nothing
            await asyncio.sleep(0.1)


async def prometheus_alert_posted_and_resolved(people, sandbox, redis_server, session, http_port):
    raised = 'roas_alerts_total{severity="high",source="alertmanager"}'

    async def is_raised() -> bool:
        return await metric(session, http_port, raised) == 1

    assert not await is_raised()
    redis_server.kill()
    told = await shown(people, RULE["alert"])
    assert (title(told), told.pinged_roles) == (f"🟠 {RULE['alert']}", [sandbox.roles["alert"]])
    assert "the bot has no Redis" in told.text
    assert await is_raised()
    redis_server.start()
    over = await shown(people, f"✅ {RULE['alert']}", 90)
    assert (over.id, over.buttons) == (told.id, [])
    assert await is_raised(), "it was one alert"
    assert [m.id for m in about_alerts(await people.messages()) if RULE["alert"] in m.text] == [told.id]


FAMILIES = (
    "roas_deployments",
    "roas_deployment_duration_seconds",
    "roas_phase_duration_seconds",
    "roas_service_health",
    "roas_service_restarts",
    "roas_alerts",
    "roas_recoveries",
    "roas_events_published",
    "roas_event_handling_seconds",
    "roas_integration_error_ratio",
    "roas_gateway_latency_seconds",
    "roas_build_info",
)


async def send_hostile_alert(session: aiohttp.ClientSession, port: int, token: str) -> None:
    """Send an alert that names services and environments which are not of the stack."""
    labels = {"alertname": "hostile-1", "environment": "hostile-2", "service": "hostile-3", "severity": "hostile-4"}
    alert = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": "2026-01-01T00:00:00Z"}
    body = {"version": "4", "status": "firing", "receiver": "x", "groupKey": "{}", "alerts": [alert]}
    headers = {"Authorization": f"Bearer {token}"}
    async with session.post(f"http://127.0.0.1:{port}/alerts", json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()


async def assert_promtool_likes_it(session: aiohttp.ClientSession, port: int) -> None:
    """Let Prometheus' own linter read what a real bot shows."""
    async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        shown = await answer.read()
    command = ["promtool", "check", "metrics"]
    done = await asyncio.to_thread(subprocess.run, command, input=shown, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
    assert b"hostile" not in shown
    types = [line.split()[2].decode() for line in shown.splitlines() if line.startswith(b"# TYPE")]
    assert [name for name in FAMILIES if name not in {kind.removesuffix("_total") for kind in types}] == []


@pytest.mark.long
async def test_prometheus_scrapes_and_alerts(
    bot, people, sandbox, shop, redis_server, prometheus, session, http_port, token, image_ids
):
    """What it scrapes is little and true; it has people called by Alertmanager; and without it, all is deployed."""
    shop.write(store=STAYS)
    await figures_reach_prometheus_in_few_series(people, prometheus, session, http_port, token)
    await prometheus_alert_posted_and_resolved(people, sandbox, redis_server, session, http_port)
    await deployment_needs_no_prometheus(people, shop, prometheus, image_ids)


async def figures_reach_prometheus_in_few_series(people, prometheus, session, http_port, token):
    await send_hostile_alert(session, http_port, token)
    await outcome(people, await start(people, "dora", "deploy", environment="dev", version="v1"))
    await assert_promtool_likes_it(session, http_port)

    async def is_scraped() -> bool:
        return bool(await scraped(session, prometheus, 'roas_deployments_total{outcome="succeeded"}'))

    await until(is_scraped)
    (count,) = await scraped(session, prometheus, 'count({__name__=~"roas_.*"})')
    print("series", count)
    assert int(count) <= 500
    fired = await scraped(session, prometheus, "max(max_over_time(roas_integration_alert_firing[10m]))")
    assert fired == ["0"], "a sound deployment raises no alert about the bot itself"
    (latency,) = await scraped(session, prometheus, "max_over_time(roas_integration_event_latency_seconds[10m])")
    (lag,) = await scraped(session, prometheus, "max_over_time(roas_integration_state_sync_lag_seconds[10m])")
    (waiting,) = await scraped(session, prometheus, "roas_integration_dependency_resolution_seconds")
    print("event latency", latency, "sync lag", lag, "dependency resolution time", waiting)
    assert float(waiting) > 0


async def deployment_needs_no_prometheus(people, shop, prometheus, image_ids):
    prometheus.kill()
    deployment_id = await start(people, "dora", "deploy", environment="dev", version="v2")
    told = await outcome(people, deployment_id)
    assert "succeeded" in told.text
    assert f"Prometheus at {prometheus.url} does not answer" in told.text
    assert shop.running("dev")["web"] == image_ids["v2"]
