"""Processor use is the difference of two readings, memory is what cannot be given back."""

import pytest

from roas.health.usage import UsageHistory
from roas.stack.containers.statistics import ContainerReading, parse_reading

RAW = {
    "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
    "memory_stats": {"usage": 1000, "stats": {"inactive_file": 300}},
}


def test_both_cgroup_versions_parsed() -> None:
    old = {**RAW, "memory_stats": {"usage": 1000, "stats": {"total_inactive_file": 400}}}
    assert parse_reading(RAW, 7.0) == ContainerReading(2.5, 700, 7.0)
    assert parse_reading(old, 7.0) == ContainerReading(2.5, 600, 7.0)


def test_stopped_container_has_no_reading() -> None:
    assert parse_reading({"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}}, 7.0) is None


def percent(memory: UsageHistory, cpu_seconds: float, taken_at: float, container_id: str = "c") -> float | None:
    return memory.take({container_id: ContainerReading(cpu_seconds, 1, taken_at)})[container_id].cpu_percent


def test_second_reading_yields_cpu_usage() -> None:
    memory = UsageHistory()
    assert percent(memory, 10.0, 100.0) is None
    assert percent(memory, 13.0, 102.0) == pytest.approx(150.0)


def test_close_readings_keep_last_value() -> None:
    memory = UsageHistory(least_seconds=1.0)
    percent(memory, 10.0, 100.0)
    percent(memory, 11.0, 102.0)
    assert percent(memory, 12.0, 102.1) == pytest.approx(50.0)
    assert percent(memory, 12.0, 104.0) == pytest.approx(50.0)


def test_restart_resets_usage() -> None:
    memory = UsageHistory()
    percent(memory, 10.0, 100.0)
    percent(memory, 11.0, 102.0)
    assert percent(memory, 0.5, 104.0) is None
    assert percent(memory, 1.5, 106.0) == pytest.approx(50.0)


def test_removed_container_forgotten() -> None:
    memory = UsageHistory()
    percent(memory, 10.0, 100.0)
    memory.take({})
    assert percent(memory, 20.0, 102.0) is None
