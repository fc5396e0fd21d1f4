"""Prometheus' own tool accepts the metrics."""

import shutil
import subprocess
from pathlib import Path

import pytest

from roas.metrics.integration_monitor import IntegrationMeasurements, IntegrationMonitor
from roas.models.health import Verdict
from roas.state.manager import StateManager
from roas.state.redis_sync import DataSyncManager
from tests.unit.metrics.test_metrics import Scene, scene, stack, web_with
from tests.unit.sample_events import ended

__all__ = ["scene"]


async def test_promtool_lint_passes(scene: Scene, tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.fail("promtool is not installed: run script/bootstrap --test", pytrace=False)
    scene.metrics.observe_stack(stack(web_with(Verdict.HEALTHY)))
    scene.metrics.read_integration(IntegrationMonitor(scene.bus, IntegrationMeasurements(scene.bus)))
    scene.metrics.read_projection(DataSyncManager(StateManager(tmp_path), "redis://nowhere", "shop", str))
    await scene.publish(ended())
    found = subprocess.run(["promtool", "check", "metrics"], input=scene.metrics.render(), capture_output=True)
    assert (found.returncode, found.stdout + found.stderr) == (0, b"")
