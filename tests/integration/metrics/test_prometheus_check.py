"""A real Prometheus is asked whether it gets what it should."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from roas.metrics.prometheus import PrometheusClient, monitoring_warnings, read_figure
from roas.models.stack import ServiceDefinition
from testbed.ports import free_port
from tests.unit.metrics.test_prometheus_check import bot_port

__all__ = ["bot_port"]

CONFIGURATION = """
global: {{scrape_interval: 200ms}}
scrape_configs:
  - job_name: roas-bot
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: away
    static_configs: [{{targets: ["127.0.0.1:1"]}}]
"""


@pytest.fixture
async def prometheus_url(tmp_path: Path, bot_port: int) -> AsyncIterator[str]:
    """Run a Prometheus that scrapes the bot and a place where nothing is, until it has tried both."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    port = free_port()
    (tmp_path / "prometheus.yml").write_text(CONFIGURATION.format(port=bot_port))
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(30):
            while not await _has_scraped(url):  # noqa: ASYNC110 - another process tells us nothing
                await asyncio.sleep(0.1)
        yield url
    finally:
        process.terminate()
        await process.wait()


async def _has_scraped(url: str) -> bool:
    with suppress(Exception):
        async with PrometheusClient(url) as prometheus:
            tried = {target.health for target in await prometheus.targets()}
            return tried == {"up", "down"} and bool(await prometheus.query("roas_build_info"))
    return False


@pytest.mark.long
async def test_bot_metrics_arrive_and_down_targets_named(prometheus_url: str) -> None:
    (warning,) = await monitoring_warnings(prometheus_url, {})
    assert "cannot scrape away (http://127.0.0.1:1/metrics)" in warning
    assert "refused" in warning
    services = {"prometheus": ServiceDefinition("prometheus", "prom/prometheus:v3", "hash")}
    (told,) = await monitoring_warnings(None, services)
    assert "is a Prometheus: set PROMETHEUS_URL." in told
    assert told not in await monitoring_warnings(prometheus_url, services)
    async with PrometheusClient(prometheus_url) as prometheus:
        ((labels, value),) = await prometheus.query("roas_build_info")
    assert (labels["version"], value) == ("1", 1.0)
    figures = {"roas_build_info": 1.0, "up": None, "away": None, "nonsense(": None}
    assert {query: await read_figure(prometheus_url, query) for query in figures} == figures, "only one value is one"
    assert await read_figure("http://127.0.0.1:1", "roas_build_info") is None
    assert await read_figure(None, "roas_build_info") is None
