"""Describe what the execution of a release would come upon on an engine."""

from dataclasses import dataclass
from enum import StrEnum


class ObstacleKind(StrEnum):
    """What an obstacle is about; each has a check of its own."""

    EXTERNAL = "external"
    CONTAINER_NAME = "container_name"
    PORT = "port"
    PLACEMENT = "placement"
    SERVICE_NAME = "service_name"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Say what stands in the way, and what to do about it; what `refuses` fails a check, and nothing is changed."""

    kind: ObstacleKind
    message: str
    remedy: str
    refuses: bool = True
