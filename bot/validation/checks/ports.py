"""Check that nobody else holds the host ports that the stack publishes."""

from roas.engine.machine.host_ports import WantedPort, wanted_ports
from roas.engine.resolution.obstacles import another_port
from roas.messages.message import Message, said
from roas.models.check import CheckResult, Severity
from roas.models.facts import PublishedPort
from roas.models.obstacle import ObstacleKind
from roas.validation.finding import failed, passed
from roas.validation.subject import Subject

LOOKS_AGAIN = 2


class PortsCheck:
    """Compare the published ports with those that other containers hold, and try the rest."""

    name = "ports"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Name each port that is taken, and who has it."""
        if subject.stack is None:
            return []  # nothing can be said of a stack that did not resolve; the compose file's own check says why
        wanted = wanted_ports(subject.services)
        if not wanted:
            return [passed(self, said("No fixed host port is published."))]
        if subject.environment.on_swarm:  # of whose nodes this machine is one, if any
            found = [one for one in subject.stack.obstacles if one.kind is ObstacleKind.PORT and one.refuses]
            problems = [failed(self, one.message, one.remedy) for one in found]
            text = said("{wanted} published port(s) are not held by other services.", wanted=len(wanted))
            return problems or [passed(self, text)]
        problems = await self._problems(subject, wanted)
        # What restarts again and again holds a port for a moment, and may be in no list at the next one.
        for _ in range(LOOKS_AGAIN):
            problems = problems and await self._problems(subject, wanted)
        seen = "" if subject.engine.shares_host() else said(" by containers; other processes cannot be seen from here")
        return problems or [
            passed(self, said("{wanted} host port(s) are not held by others{seen}.", wanted=len(wanted), seen=seen))
        ]

    async def _problems(self, subject: Subject, wanted: list[WantedPort]) -> list[CheckResult]:
        held = await subject.engine.published_ports()
        found = [await self._judge(subject, port, held) for port in wanted]
        return [result for result in found if result is not None]

    async def _judge(self, subject: Subject, port: WantedPort, held: tuple[PublishedPort, ...]) -> CheckResult | None:
        if (other := port.holder(held, subject.environment.project)) is not None:
            owner = said(" of project {project}", project=other.project) if other.project else ""
            remedy = another_port(other.container, subject.environment)
            return failed(
                self,
                said(
                    "{port} is held by the container {container}{owner}.",
                    port=_named(port),
                    container=other.container,
                    owner=owner,
                ),
                remedy,
            )
        if (
            any(map(port.collides_with, held))
            or await subject.engine.port_is_free(port.host_ip, port.port, port.protocol) is not False
        ):
            return None
        remedy = said("Find it with `ss -lptn 'sport = :{port}'` and stop it, or publish another port.", port=port.port)
        return failed(self, said("{port} is held by another process of this machine.", port=_named(port)), remedy)


def _named(port: WantedPort) -> Message:
    return said("Port {address} of {service}", address=port.address, service=port.service)
