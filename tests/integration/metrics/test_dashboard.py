"""Prometheus' own tool parses each query of the dashboard and the rules."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.metrics.test_dashboard import queries


def test_prometheus_parses_queries(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.fail("promtool is not installed: run script/bootstrap --test", pytrace=False)
    chosen = (query.replace("$environment", ".*").replace("$service", ".*") for query in queries())
    plain = [query for query in chosen if not query.startswith("label_values")]
    rules: dict[str, Any] = {
        "groups": [{"name": "g", "rules": [{"record": f"q{n}", "expr": q} for n, q in enumerate(plain)]}]
    }
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump(rules))
    done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr + done.stdout
