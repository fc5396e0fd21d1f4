"""Read what a service's containers wrote, for a person who wants to see it."""

from datetime import datetime
from typing import Any

from roas.engine.api_errors import ApiError, ApiNotFoundError
from roas.engine.client import EngineClients
from roas.engine.containers.failure_output import LINES_BEFORE, readable_log
from roas.engine.docker_client import EngineClient
from roas.engine.model.secret_sources import container_secrets
from roas.models.environment import Environment
from roas.redaction import Redactor


async def read_log(
    clients: EngineClients,
    redactor: Redactor,
    environment: Environment,
    container_id: str,
    *,
    lines: int,
    since: datetime | None,
) -> str:
    """Return the last lines of a container's log with their times, redacted."""

    def read(client: EngineClient) -> str:
        try:
            inspected: dict[str, Any] = client.inspect_container(container_id)
            redactor.add(container_secrets(inspected))
            from_time = since.timestamp() if since is not None else None
            raw: bytes = client.logs(
                container_id, stdout=True, stderr=True, timestamps=True, tail=lines + LINES_BEFORE, since=from_time
            )
        except ApiNotFoundError:
            return f"(the container {container_id[:12]} is gone, and its log with it)"
        except ApiError as error:
            return f"(its log cannot be read: {error})"
        clean = redactor.clean(readable_log(raw)).rstrip("\n")
        return "\n".join(clean.split("\n")[-lines:])

    return await clients.call(environment, read)
