"""Describe how a service has been over a while, step by step."""

from dataclasses import dataclass

from roas.models.health import Verdict


@dataclass(frozen=True, slots=True)
class ServicePoint:
    """Describe a service during one step, `age_seconds` ago; `cpu_percent` counts 100 for a whole processor."""

    age_seconds: float
    verdict: Verdict
    cpu_percent: float | None
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class ServiceSeries:
    """Hold the points of one service, oldest first; gaps have no point."""

    environment: str
    service: str
    points: tuple[ServicePoint, ...]
