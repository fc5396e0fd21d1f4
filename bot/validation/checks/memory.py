"""Check that there is memory for what is to run."""

from roas.messages.message import said
from roas.models.check import CheckResult, Severity
from roas.validation.finding import failed, in_bytes, passed
from roas.validation.subject import Subject

# Below the first a new container is likely to be killed, or to kill another; below the second there is a warning.
MINIMUM_BYTES = 64 * 1024**2
RECOMMENDED_BYTES = 256 * 1024**2


class MemoryCheck:
    """Measure the memory that is left, and compare what the services reserve with what the engine has."""

    name = "memory"
    severity = Severity.CRITICAL

    async def run(self, subject: Subject) -> list[CheckResult]:
        """Compare the bytes that are left with the least that is needed."""
        return [await self._left(subject), *await self._reserved(subject)]

    async def _left(self, subject: Subject) -> CheckResult:
        left = await subject.engine.memory_available()
        if left is None:
            return passed(self, said("The memory of the engine's machine cannot be read from here."))
        message, remedy = (
            said("{left} of memory are left.", left=in_bytes(left)),
            said("Stop what is not needed, or add memory."),
        )
        if left < MINIMUM_BYTES:
            return failed(self, message, remedy)
        return passed(self, message) if left >= RECOMMENDED_BYTES else failed(self, message, remedy, Severity.WARNING)

    async def _reserved(self, subject: Subject) -> list[CheckResult]:
        wanted = _reservations(subject)
        if not wanted or subject.environment.on_swarm:  # on many nodes: what one of them lacks is an obstacle
            return []
        there = (await subject.engine.version()).memory_bytes
        if there == 0 or wanted <= there:
            return []
        message = said(
            "The services reserve {wanted} of memory; the engine has {there}.",
            wanted=in_bytes(wanted),
            there=in_bytes(there),
        )
        return [failed(self, message, said("Lower the reservations, or add memory."), Severity.WARNING)]


def _reservations(subject: Subject) -> int:
    """Add up the reserved bytes; a resolved model writes them as digits."""
    total = 0
    for service in subject.services.values():
        deploy = service.get("deploy") or {}
        reserved = ((deploy.get("resources") or {}).get("reservations") or {}).get("memory", 0)
        reserved = service.get("mem_reservation") or reserved
        total += int(reserved) * int(deploy.get("replicas", service.get("scale", 1))) if str(reserved).isdigit() else 0
    return total
