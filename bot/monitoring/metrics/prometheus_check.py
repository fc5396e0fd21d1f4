"""Check that a stack's Prometheus runs and scrapes what it should."""

from collections.abc import Mapping

from roas.messages.message import said
from roas.models.stack import ServiceDefinition
from roas.monitoring.metrics.prometheus import PrometheusClient, PrometheusError

MOST_REPORTED = 5
OWN_METRIC = "roas_build_info"


async def monitoring_warnings(url: str | None, definitions: Mapping[str, ServiceDefinition]) -> tuple[str, ...]:
    """Describe what is wrong with the monitoring of a stack; empty where it has none."""
    if url is None:
        services = [name for name, definition in definitions.items() if _is_prometheus(definition.image)]
        hint = said("set PROMETHEUS_URL so that it can be looked at")
        return tuple(
            said("The service {name} is a Prometheus: {hint}.", name=name, hint=hint) for name in sorted(services)
        )
    try:
        async with PrometheusClient(url) as prometheus:
            targets = await prometheus.targets()
            own = await prometheus.query(OWN_METRIC)
    except PrometheusError as error:
        return (error.whole,)
    down = [
        said(
            "Prometheus cannot scrape {job} ({url}): {last_error}.", job=one.job, url=one.url, last_error=one.last_error
        )
        for one in targets
        if one.health == "down"
    ]
    warnings = (
        [] if own else [said("Prometheus does not scrape the bot: add its /metrics to the scrape configuration.")]
    )
    return (*warnings, *down[:MOST_REPORTED])


def _is_prometheus(image: str) -> bool:
    name = image.split("@")[0].rsplit("/", 1)[-1].split(":")[0]
    return name == "prometheus"
