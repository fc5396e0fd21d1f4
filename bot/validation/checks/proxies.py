"""Check that the proxies in front of services can be told of containers."""

from roas.engine.model.service_proxy import servers_for
from roas.errors import ProxyError
from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, listed, passed
from roas.validation.subject import Subject


class ProxiesCheck:
    """Ask each proxy that `x-deploy.proxy` names, and that runs: its socket, its level, its servers, its resolver."""

    name = "proxies"
    severity = Severity.WARNING

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name what stands in the way of the next deployment; one that changes the proxy may put it right."""
        if subject.stack is None or subject.proxied is None:
            return []
        remedy = said("See *Lose no request* in the documentation.")
        found: list[CheckResult] = []
        asked: list[str] = []
        for name, definition in sorted(subject.stack.definitions.items()):
            if definition.proxy is None:
                continue
            asked.append(definition.proxy.service)
            try:
                problems = await subject.proxied(name, definition.proxy).examine(servers_for(definition))
            except ProxyError as error:
                found.append(failed(self, error.message, error.hint or remedy))
            else:
                found += [failed(self, problem, remedy) for problem in problems]
        if found or not asked:
            return found
        return [passed(self, said("{proxies} can be told of containers.", proxies=listed(sorted({*asked}))))]
