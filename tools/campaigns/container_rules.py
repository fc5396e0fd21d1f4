"""What every judge of a campaign holds a container to, by what Docker alone shows of it."""

from collections.abc import Iterator

from testbed.compose_labels import NUMBER_LABEL, SERVICE_LABEL
from testbed.home_stack import PROJECT
from tools.campaigns.crash.facts import ContainerFacts


def described(container: ContainerFacts) -> str:
    """Return a container's name, and how it is."""
    return f"{container.name} ({container.state} {container.health}".rstrip() + ")"


def ill(container: ContainerFacts) -> Iterator[str]:
    """Say of a container that it does not run, or is unhealthy where that is checked."""
    if container.state != "running" or container.health not in {"healthy", ""}:
        yield described(container)


def misnamed(container: ContainerFacts) -> Iterator[str]:
    """Say of a container that it has another name than Compose gives to its number."""
    name = f"{PROJECT}-{container.labels.get(SERVICE_LABEL)}-{container.labels.get(NUMBER_LABEL)}"
    if container.name != name:
        yield f"{container.name} should be called {name}"
