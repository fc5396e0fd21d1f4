"""Name the labels by which Compose, and a Swarm, know their containers, networks and volumes."""

from collections.abc import Mapping

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
CONFIG_HASH = "com.docker.compose.config-hash"
ONE_OFF = "com.docker.compose.oneoff"
DEPENDS_ON = "com.docker.compose.depends_on"
WORKING_DIR = "com.docker.compose.project.working_dir"
CONFIG_FILES = "com.docker.compose.project.config_files"
ENV_FILES = "com.docker.compose.project.environment_file"
NETWORK = "com.docker.compose.network"
COMPOSE_PREFIX = "com.docker.compose."
SWARM_SERVICE = "com.docker.swarm.service.name"  # of a task's container
STACK = "com.docker.stack.namespace"  # by this label `docker stack ls`, `ps`, `services` and `rm` find a stack


def project_of(labels: Mapping[str, str] | None) -> str:
    """Return the project of Compose, or the stack of a Swarm, that something belongs to; empty where it is neither."""
    found = labels or {}
    return str(found.get(PROJECT) or found.get(STACK) or "")
