"""Labels that Compose gives to containers, as who looks from outside knows them."""

from collections.abc import Iterable
from typing import Any

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"
HASH_LABEL = "com.docker.compose.config-hash"
ONE_OFF_LABEL = "com.docker.compose.oneoff"


def of_service(containers: Iterable[Any], service: str) -> list[Any]:
    """Return those of some containers that are of a service."""
    return [container for container in containers if container.labels.get(SERVICE_LABEL) == service]
