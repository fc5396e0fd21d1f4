"""Ask a Prometheus server how it is and what it knows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp

from roas.errors import RoasError
from roas.log import get_logger
from roas.messages.message import said
from roas.models.stack import ServiceDefinition

REQUEST_SECONDS = 5.0
LARGEST_ANSWER_BYTES = 16 << 20
log = get_logger(__name__)


class PrometheusError(RoasError):
    """Prometheus does not answer, or not usefully."""

    key = "prometheus"
    transient = True


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """Record what Prometheus says of one place that it scrapes; `health` is up, down or unknown."""

    job: str
    url: str
    health: str
    last_error: str = ""


class PrometheusClient:
    """Query one Prometheus over one session; use it as an asynchronous context."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "PrometheusClient":
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def targets(self) -> tuple[ScrapeTarget, ...]:
        """Return what is scraped now. Raises PrometheusError."""
        data = await self._get("/api/v1/targets", {"state": "active"})
        return tuple(
            ScrapeTarget(
                job=str((target.get("labels") or {}).get("job", "")),
                url=str(target.get("scrapeUrl", "")),
                health=str(target.get("health", "unknown")),
                last_error=str(target.get("lastError", "")),
            )
            for target in data.get("activeTargets") or ()
        )

    async def query(self, expression: str) -> tuple[tuple[Mapping[str, str], float], ...]:
        """Return the labels and the value of each series of an instant vector. Raises PrometheusError."""
        data = await self._get("/api/v1/query", {"query": expression})
        found = data.get("result") or ()
        if data.get("resultType") != "vector":
            raise PrometheusError(said("The query {expression} does not return a vector.", expression=repr(expression)))
        return tuple((dict(series["metric"]), float(series["value"][1])) for series in found)

    async def _get(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        if self._session is None:
            raise RuntimeError("the client is used outside of its context")
        hint = said("Look at the prometheus service, or correct PROMETHEUS_URL.")
        try:
            async with self._session.get(self._url + path, params=parameters) as response:
                document: dict[str, Any] = json.loads(await _read(response))
                if response.status == 200 and document.get("status") == "success":
                    data: dict[str, Any] = document["data"]
                    return data
                text = document.get("error") or said("status {status}", status=response.status)
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, AttributeError, OSError) as error:
            raise PrometheusError(said("Prometheus at {url} does not answer.", url=self._url), hint=hint) from error
        raise PrometheusError(said("Prometheus at {url} refuses: {text}", url=self._url, text=text), hint=hint)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return an answer. Raises ValueError for one that is too large: a query may be a stack's."""
    read = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        read += chunk
        if len(read) > LARGEST_ANSWER_BYTES:
            raise ValueError("the answer is too large")
    return bytes(read)


async def read_figure(url: str | None, query: str) -> float | None:
    """Return the value of the one series of a query; None where that has none, or several, or Prometheus is away."""
    if url is None:
        return None
    try:
        async with PrometheusClient(url) as prometheus:
            found = await prometheus.query(query)
    except PrometheusError as error:
        log.warning("a figure cannot be read", error=error.message)
        return None
    return found[0][1] if len(found) == 1 else None


MOST_REPORTED = 5
OWN_METRIC = "roas_build_info"


async def monitoring_warnings(url: str | None, definitions: Mapping[str, ServiceDefinition]) -> tuple[str, ...]:
    """Describe what is wrong with the monitoring of a stack; empty where it has none."""
    if url is None:
        services = [name for name, definition in definitions.items() if _is_prometheus(definition.image)]
        return tuple(
            said("The service {name} is a Prometheus: set PROMETHEUS_URL.", name=name) for name in sorted(services)
        )
    try:
        async with PrometheusClient(url) as prometheus:
            targets = await prometheus.targets()
            own = await prometheus.query(OWN_METRIC)
    except PrometheusError as error:
        return (error.whole,)
    down = [
        said(
            "Prometheus cannot scrape {job} ({url}): {last_error}.",
            job=target.job,
            url=target.url,
            last_error=target.last_error,
        )
        for target in targets
        if target.health == "down"
    ]
    warnings = (
        [] if own else [said("Prometheus does not scrape the bot: add its /metrics to the scrape configuration.")]
    )
    return (*warnings, *down[:MOST_REPORTED])


def _is_prometheus(image: str) -> bool:
    name = image.split("@")[0].rsplit("/", 1)[-1].split(":")[0]
    return name == "prometheus"
