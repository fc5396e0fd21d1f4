"""Read what containers wrote: for a person, and for whoever has to know why one failed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from roas.redaction import Redactor
from roas.stack.docker.api_errors import ApiError, ApiNotFoundError
from roas.stack.docker.engine import Engine
from roas.stack.docker.sdk import EngineClient
from roas.stack.model.secret_sources import container_secrets

LONGEST_LINE = 500
PROBES_SHOWN = 2
# A key whose first lines are above what is shown must be found, too.
LINES_BEFORE = 200
MOST_BYTES = 2 << 20
LONGEST_SECRET = 4096


async def read_failure_output(engine: Engine, redactor: Redactor, container_id: str, lines: int) -> str:
    """Return a container's last log lines and its last health-check output, redacted."""

    def read(client: EngineClient) -> str:
        try:
            inspected: dict[str, Any] = client.inspect_container(container_id)
        except ApiNotFoundError:
            return f"(the container {container_id[:12]} is gone, and its log with it)"
        redactor.add(container_secrets(inspected))
        said = "\n".join(part for part in (_ending(inspected), *_probes(inspected)) if part)
        log = redactor.clean(_log(client, inspected, lines + LINES_BEFORE)).split("\n")
        return "\n".join(map(_clipped, (*redactor.clean(said).split("\n"), *log[-lines:])))

    return await engine.call(read)


def _ending(inspected: Mapping[str, Any]) -> str:
    """Describe how it ended, or why it could not be started."""
    state, name = inspected["State"], inspected["Name"].lstrip("/")
    text = f"{name}: {state['Status']}"
    if state["Status"] in {"exited", "dead", "restarting"}:
        text += f", exit code {state['ExitCode']}"
    if state.get("OOMKilled"):
        text += ", killed for lack of memory"
    if inspected.get("RestartCount"):
        text += f", restarts: {inspected['RestartCount']}"
    return f"{text}: {state['Error']}" if state.get("Error") else text


def _probes(inspected: Mapping[str, Any]) -> list[str]:
    log = (inspected["State"].get("Health") or {}).get("Log") or []
    return [
        f"health check, exit code {probe['ExitCode']}: {str(probe.get('Output', '')).strip() or '(no output)'}"
        for probe in log[-PROBES_SHOWN:]
    ]


def _log(client: EngineClient, inspected: Mapping[str, Any], lines: int) -> str:
    try:
        raw: bytes = client.logs(inspected["Id"], stdout=True, stderr=True, tail=lines)
    except ApiError as error:
        return f"(its log cannot be read: {error})"
    return readable_log(raw).rstrip() or "(it wrote nothing)"


def readable_log(raw: bytes) -> str:
    """Decode the end of a log; where that is not all of it, without the beginning, which may be half of a secret."""
    text = raw[-MOST_BYTES:].decode(errors="replace")
    if len(raw) <= MOST_BYTES:
        return text
    first, line_break, rest = text.partition("\n")
    return rest if line_break else first[LONGEST_SECRET:]


def _clipped(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


async def read_log(
    engine: Engine,
    redactor: Redactor,
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

    return await engine.call(read)
