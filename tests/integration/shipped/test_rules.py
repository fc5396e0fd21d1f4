"""Prometheus' rules fire when they should, and are silent else: judged by Prometheus itself."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

RULES = Path(__file__).parents[3] / "monitoring" / "prometheus" / "rules" / "roas.yml"
BOT = '{job="roas-bot",instance="a"}'


def judge(folder: Path, series: dict[str, str], alert: str, at: str, *, firing: bool) -> None:
    """Let promtool say whether an alert fires at a time, given series with one value a minute."""
    labels = [rule["labels"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    assert all(set(label) == {"severity"} for label in labels)
    test: dict[str, Any] = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
                        "eval_time": at,
                        "exp_samples": [{"labels": "{}", "value": int(firing)}],
                    }
                ],
            }
        ],
    }
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump(test))
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


CASES = [
    ("BotAway", {f"up{BOT}": "1x5 0x10"}, "10m", True),
    ("BotAway", {f"up{BOT}": "1x20"}, "10m", False),
    ("BotAway", {'up{job="prometheus"}': "1x20"}, "10m", True),
    # One bot hands over to the next.
    ("BotAway", {f"up{BOT}": "1x5 0x10", 'up{job="roas-bot",instance="b"}': "1x20"}, "10m", False),
    ("GatewaySlow", {f"roas_gateway_latency_seconds{BOT}": "6x20"}, "10m", True),
    ("GatewaySlow", {f"roas_gateway_latency_seconds{BOT}": "0.1x4 6x1 0.1x20"}, "10m", False),
    ("GatewaySlow", {f"roas_gateway_latency_seconds{BOT}": "NaN " * 20}, "10m", False),
    ("EventsLost", {'roas_event_subscriber_dropped_total{subscriber="slow"}': "0x5 3x20"}, "8m", True),
    ("EventsLost", {'roas_event_subscriber_dropped_total{subscriber="slow"}': "3x20"}, "10m", False),
    ("RecoveriesFail", {'roas_recoveries_total{outcome="escalated"}': "0+1x20"}, "10m", True),
    ("RecoveriesFail", {'roas_recoveries_total{outcome="recovered"}': "0+1x20"}, "10m", False),
    ("ServiceRestartsAgainAndAgain", {'roas_service_restarts{environment="dev",service="web"}': "0+1x80"}, "70m", True),
    ("ServiceRestartsAgainAndAgain", {'roas_service_restarts{environment="dev",service="web"}': "9x80"}, "70m", False),
    ("ScrapeTargetAway", {'up{job="alertmanager"}': "1x2 0x20"}, "12m", True),
    ("ScrapeTargetAway", {'up{job="alertmanager"}': "1x20"}, "12m", False),
    ("BotMemoryGrows", {f"roas_process_resident_memory_bytes{BOT}": "100000000+1000000x900"}, "800m", True),
    ("BotMemoryGrows", {f"roas_process_resident_memory_bytes{BOT}": "100000000x900"}, "800m", False),
]


@pytest.mark.parametrize(("alert", "series", "at", "firing"), CASES)
def test_rule_fires_when_it_should(alert: str, series: dict[str, str], at: str, firing: bool, tmp_path: Path) -> None:
    judge(tmp_path, series, alert, at, firing=firing)


def test_every_rule_tested_both_ways() -> None:
    names = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    for firing in (True, False):
        assert {alert for alert, *_, fires in CASES if fires is firing} == names
