"""Word what is reported of services and of an engine that is away: plain functions of what was seen."""

from collections.abc import Mapping

from roas.engine.interface import ContainerEvent
from roas.messages.message import joined, said
from roas.models.alert import Alert, AlertReport, AlertSource, Severity
from roas.models.environment import Environment
from roas.models.health import ContainerState, ServiceHealth, StackHealth, Verdict
from roas.monitoring.health.judgement import how_it_ended, reason_of
from roas.monitoring.watching.wanted_services import Definitions

# In the place of a service's name: what is said of the engine.
STACK = ""


def engine_reports(environment: Environment, stack: StackHealth, alerts: Mapping[str, Alert]) -> list[AlertReport]:
    """Report that an engine is unavailable, or is back; while it is away nothing is known of any service."""
    away = bool(stack.services) and all(health.verdict is Verdict.UNKNOWN for health in stack.services)
    if away and STACK not in alerts:
        title = said("{environment}: the Docker engine cannot be reached", environment=environment.name)
        if environment.on_swarm:
            title = said("{environment}: no manager of the Swarm answers", environment=environment.name)
        summary = stack.services[0].reason or said("The engine does not answer.")
        return [_report(environment, STACK, Severity.CRITICAL, title, summary)]
    known = any(health.verdict is not Verdict.UNKNOWN for health in stack.services)
    return [over(alerts[STACK])] if known and STACK in alerts else []


def how_it_died(event: ContainerEvent, *, starved: bool) -> str:
    """Say how a service's process has ended, by the event that tells of it."""
    service, code = event.service, event.attributes.get("exitCode", "")
    if why := event.attributes.get("why"):
        return said("{service} has ended on {node}: {why}", service=service, node=event.attributes["node"], why=why)
    return reason_of(service, how_it_ended(int(code) if code.isdigit() else None, starved=starved))


def down(environment: Environment, service: str, summary: str, definitions: Definitions) -> AlertReport:
    """Report that a service fails."""
    definition = definitions.get(service)
    critical = service in environment.critical_services or (definition is not None and definition.critical)
    severity = Severity.CRITICAL if critical else Severity.HIGH
    title = said("{environment}: {service} is down", environment=environment.name, service=service)
    return _report(environment, service, severity, title, said("{summary}.", summary=summary))


def stopped(environment: Environment, health: ServiceHealth, *, was_seen: bool) -> AlertReport:
    """Report that a service was stopped by hand, or looks as if."""
    service, reason = health.service, reason_of(health.service, health.reason)
    if was_seen:
        title = said("{environment}: {service} was stopped manually", environment=environment.name, service=service)
        summary = said("{reason}. It is left as it is.", reason=reason)
    else:
        title = said("{environment}: {service} is stopped", environment=environment.name, service=service)
        summary = said(
            "{reason}. The bot did not see it stop; it looks intentional, so it is left as it is.", reason=reason
        )
    if not environment.on_swarm:
        summary = joined(" ", (summary, _how_to_start(environment, health)))
    return _report(environment, service, Severity.WARNING, title, summary)


def _how_to_start(environment: Environment, health: ServiceHealth) -> str:
    paused = any(one.state is ContainerState.PAUSED for one in health.containers)
    return said(
        "To start it again: `roas compose {environment} -- {command} {service}`.",
        environment=environment.name,
        command="unpause" if paused else "up -d",
        service=health.service,
    )


def over(alert: Alert) -> AlertReport:
    """Report that what an alert is about is over."""
    return AlertReport(alert.fingerprint, alert.source, alert.severity, alert.title, firing=False)


def _report(environment: Environment, service: str, severity: Severity, title: str, summary: str) -> AlertReport:
    fingerprint = f"health:{environment.name}:{service}"
    return AlertReport(fingerprint, AlertSource.HEALTH, severity, title, summary, environment.name, service)
