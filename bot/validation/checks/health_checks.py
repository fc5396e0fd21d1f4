"""Advise on health checks: without them a deployment knows little, and with slow ones it takes long."""

from collections.abc import Iterable
from typing import Any

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.models.stack import ServiceDefinition
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class HealthChecksCheck:
    """Look for services without a health check, and for health checks that notice readiness late."""

    name = "health_checks"
    severity = Severity.INFO

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name the services whose health checks are missing or slow to notice."""
        if subject.stack is None:
            return []  # nothing can be said of a stack that did not resolve; the compose file's own check says why
        lasting = [one for one in subject.stack.definitions.values() if not one.one_shot]
        checks = {
            name: check
            for name, service in subject.services.items()
            if (check := service.get("healthcheck") or {}) and not check.get("disable")
        }
        advice = [*self._missing(subject, lasting), *self._slow(checks)]
        return advice or [passed(self, said("Every service has a health check that notices readiness at once."))]

    def _missing(self, subject: Subject, definitions: Iterable[ServiceDefinition]) -> Iterable[CheckResult]:
        without = [one for one in definitions if not one.has_health_check]
        vital = {one.name for one in without if one.critical or one.name in subject.environment.critical_services}
        remedy = said("Add a `healthcheck`; until then the service is reported unverified, never healthy.")
        for critical, severity in ((True, Severity.WARNING), (False, Severity.INFO)):
            if names := sorted(one.name for one in without if (one.name in vital) is critical):
                kind = said("The critical services") if critical else said("The services")
                yield failed(
                    self,
                    said("{kind} without a health check: {names}.", kind=kind, names=listed(names)),
                    remedy,
                    severity,
                )

    def _slow(self, checks: dict[str, dict[str, Any]]) -> Iterable[CheckResult]:
        eager = {name: check for name, check in checks.items() if check.get("start_interval")}
        if idle := sorted(name for name, check in eager.items() if not check.get("start_period")):
            message = said("start_interval has no effect without start_period: {idle}.", idle=listed(idle))
            yield failed(self, message, said("Add `start_period` to the health check."), Severity.WARNING)
        if slow := sorted(set(checks) - set(eager)):
            message = said("Health checks without start_interval: {slow}.", slow=listed(slow))
            remedy = said(
                "Add `start_period: 30s` and `start_interval: 1s`: then a deployment sees at once that it is up."
            )
            yield failed(self, message, remedy)
