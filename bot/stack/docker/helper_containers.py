"""Remove containers that the bot makes for a moment, and those that a bot that was killed has left behind."""

import time
from contextlib import suppress

from roas.stack.docker.api_errors import ApiError
from roas.stack.docker.sdk import EngineClient


def remove_helper(client: EngineClient, container_id: str) -> None:
    """Remove one; one that cannot be removed does nothing more, and goes before the next one begins."""
    with suppress(ApiError):
        client.remove_container(container_id, force=True, v=True)


def remove_left_helpers(client: EngineClient, label: str, name: str, older_seconds: float | None) -> None:
    """Remove those with a label, of any age or older than any may become; their names begin with `name` and a dash.

    An image may bring the label along.
    """
    for container in client.containers(all=True, filters={"label": label, "name": f"^/{name}-"}):
        age = time.time() - container["Created"]  # the engine's clock is the wall clock
        if older_seconds is None or age > older_seconds:
            remove_helper(client, container["Id"])
