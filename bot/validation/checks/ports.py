"""Check that nobody else holds the host ports that the stack publishes."""

from dataclasses import dataclass

from roas.models.check import CheckResult, Severity
from roas.models.facts import PublishedPort
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject

ANYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound


@dataclass(frozen=True, slots=True)
class WantedPort:
    """Name a host port that a service publishes."""

    service: str
    host_ip: str
    port: int
    protocol: str

    def __str__(self) -> str:
        return f"port {self.host_ip or '0.0.0.0'}:{self.port}/{self.protocol} of {self.service}"  # noqa: S104


class PortsCheck:
    """Compare the published ports with those that other containers hold, and try the rest."""

    name = "ports"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name each port that is taken, and who has it."""
        if subject.stack is None:
            return []  # nothing can be said of a stack that did not resolve; the compose file's own check says why
        wanted = wanted_ports(subject)
        if not wanted:
            return [passed(self, "No fixed host port is published.")]
        held = await subject.engine.published_ports()
        found = [await self._judge(subject, port, held) for port in wanted]
        problems = [result for result in found if result is not None]
        seen = "" if subject.engine.shares_host() else " by containers; other processes cannot be seen from here"
        return problems or [passed(self, f"{len(wanted)} host port(s) are not held by others{seen}.")]

    async def _judge(self, subject: Subject, port: WantedPort, held: tuple[PublishedPort, ...]) -> CheckResult | None:
        holders = [holder for holder in held if _collides(port, holder)]
        others = [holder for holder in holders if holder.project != subject.environment.project]
        if others:
            owner = f" of project {others[0].project}" if others[0].project else ""
            remedy = f"Stop {others[0].container}, or publish another port."
            return failed(self, f"{_capital(port)} is held by the container {others[0].container}{owner}.", remedy)
        if holders or await subject.engine.port_is_free(port.host_ip, port.port, port.protocol) is not False:
            return None
        remedy = f"Find it with `ss -lptn 'sport = :{port.port}'` and stop it, or publish another port."
        return failed(self, f"{_capital(port)} is held by another process of this machine.", remedy)


def wanted_ports(subject: Subject) -> list[WantedPort]:
    """Read the fixed host ports from the resolved model; a range is left out, since any port of it may be used."""
    return [
        WantedPort(name, str(entry.get("host_ip", "")), int(entry["published"]), str(entry.get("protocol", "tcp")))
        for name, service in sorted(subject.services.items())
        for entry in service.get("ports") or ()
        if str(entry.get("published", "")).isdigit() and int(entry["published"]) != 0
    ]


def _collides(wanted: WantedPort, holder: PublishedPort) -> bool:
    if (wanted.port, wanted.protocol) != (holder.port, holder.protocol):
        return False
    if wanted.host_ip in ANYWHERE or holder.host_ip in ANYWHERE:
        return True
    return wanted.host_ip == holder.host_ip


def _capital(port: WantedPort) -> str:
    text = str(port)
    return text[0].upper() + text[1:]
