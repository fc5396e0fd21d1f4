"""Follow how the replicas of a service are replaced, by Docker's own events."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import docker

from testbed.compose_labels import PROJECT_LABEL
from tests.e2e.acceptance.stack import Stack


@dataclass
class Events:
    """Hold the events of a project's containers.

    `fewest` and `most` are how many were well at once, `most_begun` how many of one image were new and not well yet:
    on the way back what a failed version has begun still stands beside what replaces it.
    """

    well: set[str]
    seen: list[tuple[str, float, str]] = field(default_factory=list)
    images: dict[str, str] = field(default_factory=dict)
    fewest: int = 0
    most: int = 0
    begun: dict[str, str] = field(default_factory=dict)
    most_begun: int = 0

    def __post_init__(self) -> None:
        self.fewest = self.most = len(self.well)

    def see(self, event: dict[str, Any]) -> None:
        """Take in an event."""
        action, actor = event["Action"], event["Actor"]["ID"]
        self.seen.append((action, event["timeNano"] / 1e9, actor))
        if action == "create":
            self.begun[actor] = event["Actor"]["Attributes"]["image"]
            self.most_begun = max(self.most_begun, *Counter(self.begun.values()).values())
        elif action == "health_status: healthy":
            self.well.add(actor)
            self.begun.pop(actor, None)
        elif action in {"kill", "stop", "die", "health_status: unhealthy"}:
            self.well.discard(actor)
            self.begun.pop(actor, None)
        self.fewest, self.most = min(self.fewest, len(self.well)), max(self.most, len(self.well))

    def of(self, action: str) -> list[tuple[str, float, str]]:
        """Return the events of one kind, in order."""
        return [item for item in self.seen if item[0] == action]

    def created(self) -> list[str]:
        """Return the containers that were created, in order."""
        return [actor for _, _, actor in self.of("create")]

    def image_of(self, actor: str) -> str:
        """Return the image of a container that was created."""
        return self.images[actor]


@contextmanager
def rolled(stack: Stack, environment: str = "dev") -> Iterator[Events]:
    """Watch from now to the end of the block."""
    events = Events({container.id for container in stack.containers(environment)})
    client = docker.DockerClient(base_url=stack.docker_host)
    filters = {"type": "container", "label": f"{PROJECT_LABEL}={stack.project(environment)}"}
    stream = client.events(decode=True, filters=filters, since=f"{time.time():.3f}")

    def follow() -> None:
        for event in stream:
            events.see(event)
            if event["Action"] == "create":
                with suppress(docker.errors.NotFound):
                    events.images[event["Actor"]["ID"]] = client.api.inspect_container(event["Actor"]["ID"])["Image"]

    thread = Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield events
    finally:
        stream.close()
        thread.join(5)
        client.close()
