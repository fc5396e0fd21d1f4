"""What a Prometheus answers is understood, and so is none."""

from collections.abc import AsyncIterator

import pytest

from roas.http.server import HttpServer
from roas.metrics.bot_metrics import Metrics
from roas.metrics.prometheus import monitoring_warnings
from roas.models.stack import ServiceDefinition


@pytest.fixture
async def bot_port() -> AsyncIterator[int]:
    server = HttpServer("127.0.0.1", 0, Metrics("1"))
    await server.start()
    yield server.port
    await server.stop()


async def test_unreachable_prometheus_is_one_warning() -> None:
    (warning,) = await monitoring_warnings("http://127.0.0.1:1", {})
    assert "does not answer" in warning
    assert "PROMETHEUS_URL" in warning


async def test_other_server_is_one_warning(bot_port: int) -> None:
    (warning,) = await monitoring_warnings(f"http://127.0.0.1:{bot_port}", {})
    assert "Prometheus at" in warning


@pytest.mark.parametrize(
    ("image", "told"), [("prom/prometheus:v3", True), ("prometheus@sha256:0", True), ("prom/alertmanager", False)]
)
async def test_prometheus_without_address_reported(image: str, told: bool) -> None:
    warnings = await monitoring_warnings(None, {"metrics": ServiceDefinition("metrics", image, "h")})
    assert bool(warnings) is told


async def test_stack_without_prometheus_passes() -> None:
    assert await monitoring_warnings(None, {}) == ()
